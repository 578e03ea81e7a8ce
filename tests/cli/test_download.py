"""`siamcorr download`: path, licence and progress bar, or an error of one line."""

import hashlib
import re

import pytest
from cli.conftest import said

from siamcorr.cli import main
from siamcorr.models import find_weights, load_preset
from siamcorr.models.presets import configs_dir

CONTENT = b"some weights" * 20_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PUBLISHED = load_preset("nanotrack-v2").weights


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Make a preset whose weights come from this machine, and an empty cache."""
    for name in ("SIAMCORR_SHARED", "SIAMCORR_WEIGHTS"):
        monkeypatch.setenv(name, str(tmp_path / "nowhere"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "there.bin").write_bytes(CONTENT)

    def write(file="there.bin", sha256=SHA256):
        text = (configs_dir() / "nanotrack-v2.toml").read_text(encoding="utf-8")
        for old, new in (
            (PUBLISHED.url, (tmp_path / file).as_uri()),
            (PUBLISHED.sha256, sha256),
        ):
            assert text.count(f'"{old}"') == 1
            text = text.replace(f'"{old}"', f'"{new}"')
        path = tmp_path / "own.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def test_prints_path_and_licence(own, tmp_path, capsys):
    path = tmp_path / "cache" / "siamcorr" / "nanotrackv2.pth"
    line = f"{path} (Apache-2.0, from {PUBLISHED.page})\n"
    for _ in range(2):  # the second time it is there
        assert main(["download", own()]) == 0
        out, err = capsys.readouterr()
        assert out == line
        assert said(err) == []
        assert path.read_bytes() == CONTENT
    assert find_weights(load_preset("nanotrack-v2")) == path


def test_bar_shows_all_of_it(own, tmp_path, capsys):
    assert main(["download", own(), "--folder", str(tmp_path / "folder")]) == 0
    assert (tmp_path / "folder" / "nanotrackv2.pth").read_bytes() == CONTENT
    assert not (tmp_path / "cache").exists()
    last = re.split("[\r\n]+", capsys.readouterr().err.strip())[-1]
    assert last.startswith("nanotrackv2.pth: 100%")
    assert "240k/240k" in last


def test_unknown_checksum_is_reported(own, capsys):
    assert main(["download", own(sha256="")]) == 0
    text = "siamcorr: its SHA-256 is not known, so the file could not be verified"
    assert capsys.readouterr().out.splitlines()[1:] == [text]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"sha256": "0" * 64}, f"was downloaded, but is not the published file (SHA-256 {SHA256}"),
        ({"file": "gone.bin"}, "gone.bin: "),
        ("nanotrack-v5", "no preset is called nanotrack-v5: did you mean nanotrack-v"),
        (
            "siamfc-alexnet",
            "siamfc-alexnet: download siamfc_alexnet_e50.pth by hand, from https://",
        ),
    ],
)
def test_errors_are_one_line_and_code_2(options, text, own, tmp_path, capsys):
    name = own(**options) if isinstance(options, dict) else options
    assert main(["download", name]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = said(err)
    assert line.startswith("siamcorr: ")
    assert text in line
    assert not [*tmp_path.glob("cache/siamcorr/*")]


def test_other_file_in_its_place(own, tmp_path, capsys):
    (tmp_path / "nanotrackv2.pth").write_bytes(b"my own")
    assert main(["download", own(), "--folder", str(tmp_path)]) == 2
    assert "exists, but is not the published file" in capsys.readouterr().err
    assert (tmp_path / "nanotrackv2.pth").read_bytes() == b"my own"


def test_shipped_weights_need_no_download(capsys):
    assert main(["download", "siamcorr-lite"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"{find_weights(load_preset('siamcorr-lite'))} (Apache-2.0, from ")
    assert said(err) == []
