"""Presets: what is shipped loads, and a wrong file says what is wrong."""

import pytest

from siamcorr.models import build_model, load_preset, preset_names
from siamcorr.models.presets import configs_dir


@pytest.mark.parametrize("name", preset_names())
def test_shipped_presets(name):
    preset = load_preset(name)
    assert preset.name == name
    assert preset.about
    assert preset.weights.page.startswith("https://")
    assert preset.weights.url.startswith("https://") or not preset.weights.url
    build_model(name)


def test_recipe_of_nanotrack_v2():
    preset = load_preset("nanotrack-v2")
    assert (preset.recipe.penalty, preset.recipe.window) == (0.150, 0.490)
    assert (preset.recipe.learning_rate, preset.recipe.stride) == (0.385, 16)
    assert preset.crop.color == "bgr"


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
        ("window = 0.490", "window = 1.5", r"lost_below must be in 0..1"),
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
