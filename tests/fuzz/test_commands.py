"""Command lines of any words: each ends with code 0, 1 or 2, what is wrong in one line."""

import contextlib
import io

from hypothesis import given, settings
from hypothesis import strategies as st

from siamcorr.cli import main

fuzz = settings.get_profile("fuzz")

# Those that end at once and open no window: what they are asked does not exist.
COMMANDS = {
    "track": ["--box", "--output", "--model", "--threads", "--recover", "--json", "--crf", "--fps"],
    "convert": ["--half", "--model"],
    "export": ["--opset", "--correlation", "--half", "--weights"],
    "eval": ["--data", "--models", "--jobs", "--output"],
    "train": ["--set", "--threads", "--max-epochs", "--device"],
    "tune": ["--data", "--trials", "--output", "--processes"],
    "annotate": ["--follow", "--host", "--port"],
    "profile": ["--frames", "--targets", "--threads"],
    "summary": ["--size", "--depth"],
    "models": [],
    "nothing": ["--all"],
}
WORDS = st.one_of(
    st.sampled_from(
        [
            *("", "-", "--", ".", "/", "gone.mp4", "gone/gone.pth", "/dev/null", "1,2,3,4", "nan"),
            *("1e999", "-1", "0", "99999999999999999999", "\0", "\udcff\udcfe.mp4", "x" * 5000),
            *("https://", "file:///", "~", "~nobody/x", "a=b", "1,2,3,4@5:n", "10,10,0,0"),
        ]
    ),
    st.text(max_size=12),
    st.integers(-3, 300).map(str),
)


@st.composite
def lines(draw):
    command = draw(st.sampled_from([*COMMANDS]))
    options = COMMANDS[command]
    some = draw(st.lists(st.sampled_from(options), max_size=3)) if options else []
    words = [word for option in some for word in (option, draw(WORDS))]
    return [command, *draw(st.lists(WORDS, max_size=2)), *words]


@fuzz
@given(lines())
def test_any_words(tmp_path_factory, line):
    home = tmp_path_factory.getbasetemp()
    said, code = io.StringIO(), None
    with contextlib.chdir(home), contextlib.redirect_stderr(said):
        try:
            code = main(line)
        except SystemExit as stop:
            code = stop.code
    assert code in (0, 1, 2), said.getvalue()
    assert "Traceback" not in said.getvalue()
