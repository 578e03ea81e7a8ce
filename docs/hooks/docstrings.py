"""Griffe extension: the docstrings of the package as Markdown.

The docstrings are written for `help()`. Three of their habits mean something else in Markdown, and
a public name in backquotes can be a link here:

- "Example:" holds doctests; griffe knows the section as "Examples:".
- A formula is a paragraph of its own; here it becomes a code block.
- A product, as in (B, O*C, h, w), has asterisks; here they are escaped.
"""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import griffe

EXAMPLE = re.compile(r"^Example:$", re.MULTILINE)
FORMULA = re.compile(r"^\w+(\[[^\]]*\])? = [^\n]*(\n[^\n]+)*$")
CODE = re.compile(r"(`[^`]*`)")
PRODUCT = re.compile(r"(?<=[\w)\]])\*(?=[\w(])")
ENTRY = re.compile(r"^::: (\S+)$", re.MULTILINE)


def _targets() -> dict[str, str]:
    """From the names that the API reference has once to their entries."""
    pages = (Path(__file__).parent.parent / "api").glob("*.md")
    entries = [path for page in pages for path in ENTRY.findall(page.read_text(encoding="utf-8"))]
    count = Counter(path.rpartition(".")[2] for path in entries)
    return {name: path for path in entries if count[name := path.rpartition(".")[2]] == 1}


TARGETS = _targets()


def as_markdown(text: str) -> str:
    """The docstring with sections, formulas and products as Markdown knows them."""
    body, example, doctests = text.partition("\nExample:\n")
    paragraphs = [_paragraph(part) for part in body.split("\n\n")]
    return "\n\n".join(paragraphs) + EXAMPLE.sub("Examples:", example) + doctests


def _paragraph(text: str) -> str:
    if FORMULA.match(text):
        return "\n".join(["```text", text, "```"])
    parts = CODE.split(text)
    parts[::2] = [PRODUCT.sub(r"\*", part) for part in parts[::2]]
    parts[1::2] = [_link(part) for part in parts[1::2]]
    return "".join(parts)


def _link(code: str) -> str:
    """A public name as a link; a word that is a name by chance stays as it is."""
    package, _, name = code.strip("`").rpartition(".")
    known = package.startswith("siamcorr") or (not package and re.search("[A-Z_]", name))
    return f"[{code}][{TARGETS[name]}]" if known and name in TARGETS else code


class Docstrings(griffe.Extension):
    """Rewrites every docstring once, when its object has been read."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Take an object that griffe has read."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)
