"""The pages do what they say: Python examples run, commands parse, files and targets exist.

The blocks of a page run in order and share their names. Two comments behind a statement are
checked:

    response = xcorr_naive(x, z)  # -> (2, 3, 17, 17)        the value; of a tensor, its shape
    xcorr_depthwise(x, z)  # raises ValueError: the text     as far as the text goes

A block behind `<!-- not run: why -->` is compiled only.
"""

import ast
import re
import shlex
import sys
from pathlib import Path

import pytest
import torch

from siamcorr.cli import build_parser
from siamcorr.layers import count_parameters
from siamcorr.models import assemble, load_preset, preset_names
from siamcorr.training.config import load_config
from siamcorr.viewer import View

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<why>.+) -->\n+)?^```(?P<language>\w+)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
PAGES = {path.stem: path for path in (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")))}


def blocks(page, language):
    """(code with its place in the page kept, why it is not run) of a page."""
    text = PAGES[page].read_text(encoding="utf-8")
    for match in BLOCK.finditer(text):
        if match["language"] == language:
            lines = text[: match.start("code")].count("\n")
            yield "\n" * lines + match["code"], match["why"]


def shown(value):
    """A value as the comments write it."""
    return str(tuple(value.shape)) if isinstance(value, torch.Tensor) else str(value)


def run(code, path, names):
    """Run a block statement by statement and check what its comments promise."""
    lines = code.splitlines()
    for node in ast.parse(code).body:
        comment = lines[node.end_lineno - 1].partition("  # ")[2]
        if isinstance(node, ast.Expr):
            compiled = compile(ast.Expression(node.value), path, "eval")
        else:
            compiled = compile(ast.Module([node], []), path, "exec")
        if comment.startswith("raises "):
            kind, _, text = comment.removeprefix("raises ").partition(": ")
            with pytest.raises(Exception, match=re.escape(text)) as caught:
                eval(compiled, names)
            assert caught.type.__name__ == kind
            continue
        value = eval(compiled, names)
        if comment.startswith("-> "):
            if isinstance(node, ast.Assign):
                value = names[ast.unparse(node.targets[0])]
            place = f"{path.name}:{node.lineno}"
            assert shown(value) == comment.removeprefix("-> "), place


@pytest.mark.parametrize("page", PAGES)
# torch.export's own.
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_python_examples(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    names = {}
    for code, why in blocks(page, "python"):
        if why:
            compile(code, PAGES[page], "exec")
        else:
            run(code, PAGES[page], names)


def test_a_wrong_example_is_seen():
    with pytest.raises(AssertionError):
        run("x = 1 + 1  # -> 3", PAGES["index"], {})
    with pytest.raises(AssertionError):
        run("int('a')  # raises ValueError: of another kind", PAGES["index"], {})


def commands():
    """(page, line) of all shell blocks, lines that go on put together."""
    for page in PAGES:
        for code, _ in blocks(page, "sh"):
            for line in code.replace("\\\n", " ").splitlines():
                if line.strip():
                    yield page, line


@pytest.fixture(scope="module")
def parser():
    return build_parser()


@pytest.mark.parametrize(("page", "line"), [*commands()])
def test_commands(page, line, parser):
    words = shlex.split(line.rpartition(" | ")[2], comments=True)
    if "-m" in words and "siamcorr" in words:  # under torchrun
        words = words[words.index("siamcorr") :]
    if words[0] == "siamcorr":
        if words[1:] not in (["--version"], ["--help"]) and "--help" not in words:
            parser.parse_args(words[1:])
    elif words[0] == "make":
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        assert re.search(rf"^{re.escape(words[1])}:", makefile, re.MULTILINE)
    elif words[0].endswith("python") and words[1].endswith(".py"):
        assert (ROOT / words[1]).is_file()
    else:
        assert words[0] in ("pip", "python", "python3", ".venv/bin/python", "git", "cd", "ssh")


def test_the_preset_is_one(tmp_path):
    [(code, _)] = blocks("trackers", "toml")
    path = tmp_path / "preset.toml"
    path.write_text(code, encoding="utf-8")
    preset = load_preset(str(path))
    published = load_preset("nanotrack-v2")
    assert (preset.crop, preset.recipe) == (published.crop, published.recipe)


def test_the_run_is_one(tmp_path):
    [(code, _)] = blocks("train", "toml")
    path = tmp_path / "run.toml"
    path.write_text(code, encoding="utf-8")
    assert load_config(path).model in preset_names()


def test_the_table_of_networks():
    text = PAGES["trackers"].read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| `([\w-]+)` \| ([\d.]+) M \|", text, re.MULTILINE))
    assert sorted(told) == preset_names()
    for name, millions in told.items():
        with torch.device("meta"):
            parameters = count_parameters(assemble(load_preset(name)))
        digits = len(millions.partition(".")[2])
        assert f"{parameters / 1e6:.{digits}f}" == millions, name


def test_the_keys_of_the_window():
    text = PAGES["demo"].read_text(encoding="utf-8")
    told = re.findall(r"^\| (space|`\w`)", text, re.MULTILINE)
    assert [key.strip("`") for key in told] == [*sys.modules[View.__module__].KEYS]


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "demo/README.md"])
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    assert all((ROOT / page).parent.joinpath(link).is_file() for link in links), links


def test_figures_are_those_of_the_script(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "figures"))
    import make

    make.main(tmp_path)
    committed = {path.name: path.read_text() for path in (ROOT / "docs/figures").glob("*.svg")}
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == committed
