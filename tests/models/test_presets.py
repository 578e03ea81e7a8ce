"""Presets: what is shipped loads, and a wrong file says what is wrong."""

import pytest

from siamcorr.models import build_model, load_preset, preset_names
from siamcorr.models.presets import configs_dir
from siamcorr.models.recipe import LongTermConfig, ScaleConfig


@pytest.mark.parametrize("name", preset_names())
def test_shipped_presets(name):
    preset = load_preset(name)
    assert preset.name == name
    assert preset.about
    page = preset.weights.page  # of the network that is shipped: its card
    assert page.startswith("https://") or (configs_dir().parent / page).is_file()
    assert preset.weights.url.startswith("https://") or not preset.weights.url
    build_model(name)


def test_recipe_of_nanotrack_v2():
    preset = load_preset("nanotrack-v2")
    assert (preset.recipe.penalty, preset.recipe.window) == (0.150, 0.490)
    assert (preset.recipe.learning_rate, preset.recipe.stride) == (0.385, 16)
    assert preset.crop.color == "bgr"


@pytest.mark.parametrize(
    ("name", "kind", "stride", "sizes", "penalty", "window", "rate"),
    [
        ("dcfnet", "filter", 1, (125, 125), 0, 0, 1),
        ("nanotrack-v1", "points", 16, (127, 255), 0.148, 0.462, 0.390),
        ("nanotrack-v2", "points", 16, (127, 255), 0.150, 0.490, 0.385),
        ("nanotrack-v3", "points", 16, (127, 255), 0.138, 0.455, 0.348),
        ("siamban-resnet50", "points", 8, (127, 255), 0.0851, 0.4633, 0.4442),
        ("siamfc-alexnet", "scales", 8, (127, 255), 0, 0.176, 0.59),
        ("siamrpnpp-alexnet", "anchors", 8, (127, 287), 0.16, 0.40, 0.30),
        ("siamrpnpp-mobilenetv2", "anchors", 8, (127, 255), 0.04, 0.40, 0.50),
        ("siamrpnpp-resnet50", "anchors", 8, (127, 255), 0.05, 0.42, 0.38),
        ("siamrpnpp-resnet50-lt", "anchors", 8, (127, 255), 0.05, 0.28, 0.22),
    ],
)
def test_published_recipes(name, kind, stride, sizes, penalty, window, rate):
    preset = load_preset(name)
    recipe, crop = preset.recipe, preset.crop
    assert (recipe.kind, recipe.stride) == (kind, stride)
    assert (crop.template_size, crop.search_size) == sizes
    assert (recipe.penalty, recipe.window, recipe.learning_rate) == (penalty, window, rate)
    assert recipe.anchors.ratios == (0.33, 0.5, 1, 2, 3)
    assert (recipe.anchors.size, recipe.anchors.scale) == (8, 8)
    long_term = LongTermConfig(831 if name.endswith("-lt") else 0, below=0.8, above=0.998)
    assert recipe.long_term == long_term
    assert recipe.update_rate == (0.01 if name == "dcfnet" else 0)
    assert (crop.context, crop.keep_ratio) == ((1, False) if name == "dcfnet" else (0.5, True))
    assert crop.color == ("rgb" if name in ("dcfnet", "siamfc-alexnet") else "bgr")
    assert crop.mean == ((123, 117, 104) if name == "dcfnet" else ())


@pytest.mark.parametrize(
    ("name", "scales"),
    [
        ("siamfc-alexnet", ScaleConfig(3, 1.0375, 0.9745, 16)),
        ("dcfnet", ScaleConfig(3, 1.0275, 0.9925, 1)),
    ],
)
def test_published_pyramids(name, scales):
    assert load_preset(name).recipe.scales == scales


def test_every_shipped_preset_is_in_the_table():
    marks = test_published_recipes.pytestmark
    published = [name for name in preset_names() if name != "siamcorr-lite"]
    assert [row[0] for row in marks[0].args[1]] == published


def test_unknown_name():
    with pytest.raises(ValueError, match=r"called nanotrackv2: did you mean nanotrack-v2"):
        build_model("nanotrackv2")


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("penalty =", "penalti =", r"recipe: unknown key 'penalti', did you mean 'penalty'"),
        ("stride = 16\n", "", r"recipe: key 'stride' is missing"),
        ("stride = 16", "stride = 16.5", r"recipe.stride: must be int, got 16.5"),
        ("stride = 16", "stride = true", r"recipe.stride: must be int, got True"),
        ("window = 0.490", "window = 1.5", r"hold_below must be in 0\.\.1"),
        ('color = "bgr"', 'color = "gbr"', r'color must be "rgb" or "bgr", got \'gbr\''),
        ("context = 0.5", "context = -1", r"context must be >= 0"),
        ("template_size = 127", "template_size = 300", r"at most search_size"),
        ('backbone = "mobilenetv3-small"', 'backbone = "vgg"', r"no backbone is called vgg"),
        ("[recipe]", "[recipe", r"preset\.toml: "),
        ('["neck."]', '"neck."', r"weights.unused: must be a list"),
    ],
)
def test_wrong_files(old, new, text, tmp_path):
    content = (configs_dir() / "nanotrack-v2.toml").read_text()
    assert old in content
    path = tmp_path / "preset.toml"
    path.write_text(content.replace(old, new))
    with pytest.raises(ValueError, match=text):
        build_model(str(path))


ALEX, FC, LONG = "siamrpnpp-alexnet", "siamfc-alexnet", "siamrpnpp-resnet50-lt"
RATIOS = "[0.33, 0.5, 1.0, 2.0, 3.0]"


@pytest.mark.parametrize(
    ("name", "old", "new", "text"),
    [
        (ALEX, "size = 8\n", "sise = 8\n", r"anchors: unknown key 'sise', did you mean 'size'"),
        (ALEX, "size = 8\n", "size = 8.5\n", r"recipe.anchors.size: must be int, got 8.5"),
        (ALEX, "scale = 8.0", "scale = -8", r"recipe.anchors: size, scale and ratios must be pos"),
        (ALEX, RATIOS, "1.0", r"recipe.anchors.ratios: must be a list, got 1.0"),
        (ALEX, RATIOS, '["a"]', r"recipe.anchors.ratios: must be float, got 'a'"),
        (ALEX, RATIOS, "[]", r"recipe.anchors: size, scale and ratios must be positive"),
        (ALEX, RATIOS, "[1.0, 0.0]", r"recipe.anchors: size, scale and ratios must be positive"),
        (ALEX, '"anchors"', '"boxes"', r"recipe: kind must be one of .*, got 'boxes'"),
        (ALEX, "depthwise-anchors", "septhwise-anchors", r"no head is called septhwise-anchors"),
        (
            FC,
            "recipe.scales",
            "recipe.scale",
            r"unknown key 'scale', did you mean 'scales'",
        ),
        (FC, "count = 3", "count = 4", r"recipe.scales: count must be odd"),
        (FC, "upsample = 16", "upsample = 0", r"recipe.scales: .*upsample at least 1"),
        (FC, "step = 1.0375", "step = 1", r"recipe.scales: step must be > 1"),
        (FC, "penalty = 0.9745", "penalty = 0", r"recipe.scales: .*penalty in 0..1"),
        (LONG, "size = 831", "size = -1", r"recipe.long_term: search_size must be >= 0"),
        (LONG, "above = 0.998", "above = 0.7", r"recipe.long_term: .*0 <= below <= above <= 1"),
        (LONG, "above = 0.998", "over = 0.998", r"recipe.long_term: unknown key 'over'"),
        (LONG, "[2, 3, 4]", '[2, "3"]', r"network.levels: must be int, got '3'"),
        ("dcfnet", "[123, 117, 104]", "[123, 117]", r"crop: mean must be three numbers or none"),
        ("dcfnet", "update_rate = 0.01", "update_rate = 2", r"recipe: .* must be in 0..1"),
        ("dcfnet", "stride = 1\n", "stride = 1\nanchors = 3\n", r"anchors: must be a table, got 3"),
    ],
)
def test_wrong_nested_tables(name, old, new, text, tmp_path):
    """The text names the table, however deep it lies."""
    content = (configs_dir() / f"{name}.toml").read_text()
    assert old in content
    path = tmp_path / "preset.toml"
    path.write_text(content.replace(old, new))
    with pytest.raises(ValueError, match=text):
        build_model(str(path))
