"""profile_tracker: all time of a frame belongs to a stage, by a fake clock."""

from types import SimpleNamespace

import pytest
import torch

from siamcorr.bench import STAGES, profile, profile_tracker
from siamcorr.data import ClipConfig, render_clip
from siamcorr.models import assemble, build_model, load_preset, preset_names
from siamcorr.tracking.batching import NetworkRunner
from siamcorr.tracking.recipes import Recipe, recipe_of

CLIP = [*render_clip(ClipConfig(frames=5, width=160, height=120, target=40))]
FRAMES, BOX = [image for image, _ in CLIP], CLIP[0][1]
EXPECTED = {  # crops that are cut, and brought, and looked at by the backbone; before the head
    "nanotrack-v2": (1, 1, 1, ["corr_pw_reg", "corr_pw_cls"]),
    "siamfc-alexnet": (3, 1, 1, []),
    "siamrpnpp-alexnet": (1, 1, 1, ["cls.conv_search", "loc.conv_search"]),
    "dcfnet": (4, 2, 2, []),  # the filter is renewed every frame
}
BOTH = {f"{{}}.{side}.head" for side in ("cls", "loc")}
LEVELS = {name.format(f"rpn{level}") for level in (2, 3, 4) for name in BOTH}
PREDICTORS = {  # what stands behind the correlation, in each preset's head
    "dcfnet": set(),
    "nanotrack-v1": {"cls_tower", "bbox_tower", "cls_logits", "bbox_pred"},
    "nanotrack-v2": {"cls_pw_tower", "bbox_pw_tower", "cls_pred", "bbox_pred"},
    "nanotrack-v3": {"down_cls", "down_reg", "cls_tower", "bbox_tower", "cls_logits", "bbox_pred"},
    "siamban-resnet50": {name.replace("rpn", "box") for name in LEVELS},
    "siamfc-alexnet": set(),
    "siamrpnpp-alexnet": {"cls.head", "loc.head"},
    "siamrpnpp-mobilenetv2": LEVELS,
    "siamrpnpp-resnet50": LEVELS,
    "siamrpnpp-resnet50-lt": LEVELS,
}


@pytest.fixture(scope="module", params=EXPECTED)
def network(request):
    torch.manual_seed(0)
    return build_model(request.param)


def hooks(network):
    return [m for m in network.modules() if m._forward_hooks or m._forward_pre_hooks]


@torch.no_grad()
def maps(network):
    generator = torch.Generator().manual_seed(0)
    crop = network.preset.crop
    z, x = (
        255 * torch.rand(1, 3, size, size, generator=generator)
        for size in (crop.template_size, crop.search_size)
    )
    return network.search(x, network.template(z))


def test_frames_and_stages(network):
    """Afterwards the network is what it was."""
    before = maps(network)
    laps = profile_tracker(network, FRAMES, BOX, warm=2)
    assert len(laps) == len(FRAMES) - 1 - 2
    for lap in laps:
        assert tuple(lap) == STAGES
        assert min(lap.values()) >= 0
        assert min(lap[stage] for stage in STAGES if stage != "head") > 0
    assert not hooks(network)
    assert all(torch.equal(one, other) for one, other in zip(maps(network), before, strict=True))


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still, unless a part says what it takes."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(profile, "time", SimpleNamespace(perf_counter=lambda: clock.now))

    def takes(owner, name, seconds):
        real = getattr(owner, name)

        def slow(*args, **options):
            clock.now += seconds
            return real(*args, **options)

        monkeypatch.setattr(owner, name, slow)

    clock.takes = takes
    return clock


def test_each_part_counts_to_its_stage(network, clock):
    cuts, brings, looks, before = EXPECTED[network.preset.name]
    behind = PREDICTORS[network.preset.name]
    clock.takes(Recipe, "_cut", 1)
    clock.takes(NetworkRunner, "tensor", 10)
    clock.takes(network.backbone, "forward", 100)
    clock.takes(network.head, "forward", 1000)
    for name in before:
        clock.takes(network.head.get_submodule(name), "forward", 1000)
    for name in behind:
        clock.takes(network.head.get_submodule(name), "forward", 10_000)
    clock.takes(type(recipe_of(network.preset)), "follow", 1e6)
    for lap in profile_tracker(network, FRAMES, BOX, warm=0):
        assert lap == {
            "crop": cuts + 10 * brings,
            "backbone": 100 * looks,
            "neck and correlation": 1000 * (1 + len(before)),
            "head": 10_000 * len(behind),
            "decode": 1e6,
        }


@pytest.mark.parametrize("name", preset_names())
def test_predictors_of_every_head(name):
    """Each once, none inside another: their time would be taken twice."""
    with torch.device("meta"):
        network = assemble(load_preset(name))
    handles = profile._time_predictors(network, profile.Stopwatch(torch.device("cpu")))
    timed = [key for key, module in network.head.named_modules() if module._forward_pre_hooks]
    assert len(handles) == 2 * len(timed)
    assert bool(timed) == any(True for _ in network.head.parameters())
    assert set(timed) == PREDICTORS.get(name, set(timed))


def test_network_with_a_neck(clock):
    network = build_model("siamrpnpp-mobilenetv2")
    clock.takes(network.neck, "forward", 7)
    clock.takes(network.backbone, "forward", 100)
    (lap,) = profile_tracker(network, FRAMES[:2], BOX, warm=0)
    assert (lap["neck and correlation"], lap["backbone"], sum(lap.values())) == (7, 100, 107)


def test_failure_leaves_no_hooks():
    network = build_model("nanotrack-v2")
    with pytest.raises(ValueError, match="frame is"):
        profile_tracker(network, [*FRAMES, FRAMES[0][:50]], BOX, warm=0)
    assert not hooks(network)


@pytest.mark.parametrize(("count", "warm"), [(4, 3), (0, 0), (5, 5)])
def test_too_few_frames(count, warm):
    text = rf"^profile: {warm + 2} frames at least, got {count}$"
    with pytest.raises(ValueError, match=text):
        profile_tracker(build_model("nanotrack-v2"), FRAMES[:count], BOX, warm)


def test_lap_resets():
    watch = profile.Stopwatch(torch.device("cpu"))
    with watch.stage("decode"):
        pass
    assert watch.lap()["decode"] > 0
    assert watch.lap() == dict.fromkeys(STAGES, 0.0)
