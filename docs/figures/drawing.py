"""A small SVG canvas: squares, stacks of planes, arrows and text."""

from html import escape

COLORS = ("#4c78a8", "#f58518", "#54a24b", "#b279a2")
INK = "#333333"
FONT = "font-family='Helvetica, Arial, sans-serif'"


class Canvas:
    """Collects shapes and writes them as one SVG.

    Args:
        width: in pixels.
        height: in pixels.
        title: what the figure shows, for readers who cannot see it.
    """

    def __init__(self, width: int, height: int, title: str) -> None:
        self.width, self.height, self.title = width, height, title
        self.shapes: list[str] = []

    def square(self, x: float, y: float, side: float, color: str, opacity: float = 0.35) -> None:
        """A filled square with its upper left corner at x, y."""
        self.box(x, y, side, side, color, opacity)

    def box(
        self, x: float, y: float, width: float, height: float, color: str, opacity: float = 0.35
    ) -> None:
        """A filled rectangle with its upper left corner at x, y."""
        self.shapes.append(
            f"<rect x='{x:g}' y='{y:g}' width='{width:g}' height='{height:g}' rx='2' "
            f"fill='{color}' fill-opacity='{opacity:g}' stroke='{color}' stroke-width='1.5'/>"
        )

    def stack(self, x: float, y: float, side: float, colors: tuple[str, ...]) -> None:
        """Planes behind each other, one for each colour; the last one lies in front."""
        for index, color in enumerate(colors):
            offset = 7 * (len(colors) - 1 - index)
            self.square(x + offset, y - offset, side, "#ffffff", 1.0)
            self.square(x + offset, y - offset, side, color)

    def text(self, x: float, y: float, words: str, size: int = 13, anchor: str = "middle") -> None:
        """A line of text; y is its baseline."""
        self.shapes.append(
            f"<text x='{x:g}' y='{y:g}' {FONT} font-size='{size}' fill='{INK}' "
            f"text-anchor='{anchor}'>{escape(words)}</text>"
        )

    def arrow(self, x1: float, y1: float, x2: float, y2: float, color: str = INK) -> None:
        """A line from the first point to the second, with a head there."""
        self.shapes.append(
            f"<line x1='{x1:g}' y1='{y1:g}' x2='{x2:g}' y2='{y2:g}' stroke='{color}' "
            "stroke-width='1.5' marker-end='url(#head)'/>"
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, color: str = INK) -> None:
        """A line from the first point to the second."""
        self.shapes.append(
            f"<line x1='{x1:g}' y1='{y1:g}' x2='{x2:g}' y2='{y2:g}' stroke='{color}' "
            "stroke-width='1.5'/>"
        )

    def svg(self) -> str:
        """The whole file."""
        head = (
            f"<svg xmlns='http://www.w3.org/2000/svg' width='{self.width}' "
            f"height='{self.height}' viewBox='0 0 {self.width} {self.height}' role='img'>"
        )
        marker = (
            "<defs><marker id='head' viewBox='0 0 8 8' refX='7' refY='4' markerWidth='7' "
            f"markerHeight='7' orient='auto'><path d='M0 0 L8 4 L0 8 z' fill='{INK}'/>"
            "</marker></defs>"
        )
        title = f"<title>{escape(self.title)}</title>"
        return "\n".join([head, title, marker, *self.shapes, "</svg>"]) + "\n"
