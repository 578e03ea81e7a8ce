"""Time the stages of a frame in a tracker."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from siamcorr.bench.measure import check_count
from siamcorr.models import SiameseNetwork
from siamcorr.tracking import Box, Tracker
from siamcorr.tracking.boxes import Image

STAGES = ("crop", "backbone", "neck and correlation", "head", "decode")
# Names of modules that run after the correlation in a head.
AFTER_CORRELATION = re.compile(r"(^|[._])(head|down|tower|pred|logits)($|[._])")


class Stopwatch:
    """Seconds by stage, summed until `lap` returns them."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds = dict.fromkeys(STAGES, 0.0)

    @contextmanager
    def stage(self, name: str, inside: str | None = None) -> Iterator[None]:
        """Add the time of the block to a stage, and subtract it from the stage `inside`."""
        start = self._now()
        yield
        spent = self._now() - start
        self.seconds[name] += spent
        if inside:
            self.seconds[inside] -= spent

    def lap(self) -> dict[str, float]:
        """Return the sums and reset them."""
        done, self.seconds = self.seconds, dict.fromkeys(STAGES, 0.0)
        return done

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()


def profile_tracker(
    network: SiameseNetwork, frames: list[Image], box_xywh: Box, warm: int = 5
) -> list[dict[str, float]]:
    """Track a target through frames, and return the seconds of each stage for each frame.

    Args:
        network: network in eval mode, on its device.
        frames: at least warm + 2 frames.
        box_xywh: the target's box in the first frame.
        warm: number of frames for warm-up, which are not counted.

    Raises:
        ValueError: there are too few frames.
    """
    check_count(len(frames), warm)
    watch = Stopwatch(network.device)
    tracker = Tracker(_Timed(network, watch))
    _time_recipe(tracker, watch)
    tracker.init(frames[0], box_xywh)
    laps = []
    hooks = _time_predictors(network, watch)
    try:
        for frame in frames[1:]:
            watch.lap()
            tracker.update(frame)
            laps.append(watch.lap())
    finally:
        for hook in hooks:
            hook.remove()
    return laps[warm:]


class _Timed:
    """A network that times its parts."""

    def __init__(self, network: SiameseNetwork, watch: Stopwatch) -> None:
        self.network, self.watch = network, watch
        self.preset, self.device = network.preset, network.device

    def template(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        with self.watch.stage("backbone"):
            return self.network.template(image)

    def search(self, image: torch.Tensor, template: tuple[torch.Tensor, ...]) -> Any:
        network = self.network
        with self.watch.stage("backbone"):
            features = network.backbone(image - network.mean if network.preset.crop.mean else image)
        with self.watch.stage("neck and correlation"):
            adapted = features if network.neck is None else network.neck(features, None)
            return network.head(adapted, template)


def _time_recipe(tracker: Tracker, watch: Stopwatch) -> None:
    """Time the first and the last stage: making the crops, and decoding the maps."""
    runner, recipe = tracker.runner, tracker.recipe
    cut, renew, follow = recipe.search_crops, recipe.template_crop, recipe.follow

    def timed(name: str, call: Any) -> Any:
        def wrapped(*args: Any) -> Any:
            with watch.stage(name):
                return call(*args)

        return wrapped

    recipe.search_crops = timed("crop", cut)  # type: ignore[method-assign]
    recipe.template_crop = timed("crop", renew)  # type: ignore[method-assign]
    recipe.follow = timed("decode", follow)  # type: ignore[method-assign]
    runner.tensor = timed("crop", runner.tensor)  # type: ignore[method-assign]


def _time_predictors(network: SiameseNetwork, watch: Stopwatch) -> list[Any]:
    """Add hooks to the outermost modules of the head that run after the correlation."""
    head = network.get_submodule(network.preset.network.head_key)
    names = [name for name, _ in head.named_modules() if AFTER_CORRELATION.search(name)]
    outer = [name for name in names if not any(name.startswith(f"{o}.") for o in names)]
    hooks = []
    for name in outer:
        spans: list[Any] = []

        def before(module: nn.Module, args: Any, spans: list[Any] = spans) -> None:
            span = watch.stage("head", inside="neck and correlation")
            span.__enter__()
            spans.append(span)

        def after(module: nn.Module, args: Any, out: Any, spans: list[Any] = spans) -> None:
            spans.pop().__exit__(None, None, None)

        module = head.get_submodule(name)
        hooks += [module.register_forward_pre_hook(before), module.register_forward_hook(after)]
    return hooks
