"""Griffe extension: the docstrings of the package as Markdown.

The docstrings are written for `help()`. Three of their habits mean something else in Markdown:

- "Example:" holds doctests; griffe knows the section as "Examples:".
- A formula is a paragraph of its own; here it becomes a code block.
- A product, as in (B, O*C, h, w), has asterisks; here they are escaped.
"""

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"^Example:$", re.MULTILINE)
FORMULA = re.compile(r"^\w+(\[[^\]]*\])? = [^\n]*(\n[^\n]+)*$")
CODE = re.compile(r"(`[^`]*`)")
PRODUCT = re.compile(r"(?<=[\w)\]])\*(?=[\w(])")


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
    return "".join(parts)


class Docstrings(griffe.Extension):
    """Rewrites every docstring once, when its object has been read."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Take an object that griffe has read."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)
