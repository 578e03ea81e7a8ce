"""`siamcorr models`: every preset with its size, its licence, and where its weights are."""

import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO

import pytest
import torch

from siamcorr.cli import main
from siamcorr.models import assemble, find_weights, load_preset, preset_names

COUNTS = {"nanotrack-v1": "287,966", "nanotrack-v2": "334,078", "nanotrack-v3": "541,446"}


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A folder with the weights of nanotrack-v1 alone."""
    path = tmp_path_factory.mktemp("kept") / "nanotrackv1.pth"
    path.touch()
    return path


@pytest.fixture(scope="module")
def paragraphs(kept):
    """What is printed on each preset."""
    out = StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out):
        for name in ("SIAMCORR_SHARED", "SIAMCORR_WEIGHTS", "XDG_CACHE_HOME"):
            patch.setenv(name, str(kept.parent))
        assert main(["models"]) == 0
    return dict(zip(preset_names(), out.getvalue().split("\n\n"), strict=True))


@pytest.mark.parametrize("name", preset_names())
def test_paragraph(name, paragraphs, kept):
    preset, lines = load_preset(name), paragraphs[name].strip().splitlines()
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in assemble(preset).parameters())
    crop, weights = preset.crop, preset.weights
    pixels = f"template {crop.template_size}, search {crop.search_size} pixels"
    place = kept if name == "nanotrack-v1" else "not on this machine"
    if name == "siamcorr-lite":
        place = find_weights(preset)  # shipped with the package
    assert lines[:4] == [
        f"{name}: {preset.about}",
        f"  parameters {COUNTS.get(name, f'{count:,}')}; {pixels}, {crop.color.upper()}",
        f"  weights {weights.file} ({weights.licence}): {place}",
        f"  published at {weights.url or weights.page}",
    ]
    assert lines[4:] == ([f"  sha256 {weights.sha256}"] if weights.sha256 else [])


def test_closed_pipe():
    """As behind `| head -1`: nothing to say about it."""
    with subprocess.Popen(
        [sys.executable, "-m", "siamcorr", "models"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=60) == 0
