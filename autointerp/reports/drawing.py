"""Plots as shapes that are written as SVG or as PNG, without a plotting library."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from io import BytesIO
from typing import Literal

from PIL import Image, ImageDraw, ImageFont

Anchor = Literal["start", "middle", "end"]
INK, MUTED, RULE, PAPER, ACCENT = "#1e1c19", "#655f56", "#e2dcd0", "#ffffff", "#0b5a7a"
FONT = 'system-ui, "Liberation Sans", "Noto Sans", sans-serif'
SCALE = 2
"""Pixels of a PNG for each unit."""


@dataclass(frozen=True, slots=True)
class Rect:
    """Is a rectangle that is filled."""

    x: float
    y: float
    width: float
    height: float
    fill: str
    title: str = ""
    """What a pointer on it shows."""


@dataclass(frozen=True, slots=True)
class Line:
    """Is a straight line between two points."""

    x1: float
    y1: float
    x2: float
    y2: float
    colour: str = RULE
    width: float = 1.0


@dataclass(frozen=True, slots=True)
class Dot:
    """Is a circle that is filled."""

    x: float
    y: float
    radius: float
    fill: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    """A line of text, whose middle is at `y`."""

    x: float
    y: float
    text: str
    anchor: Anchor = "start"
    size: float = 13.0
    colour: str = INK


Shape = Rect | Line | Dot | Text


@dataclass
class Drawing:
    """Shapes on a white ground, later ones above earlier ones."""

    width: float
    height: float
    title: str
    """What it shows, for those who cannot see it."""
    shapes: list[Shape] = field(default_factory=list)

    def add(self, *shapes: Shape) -> None:
        """Puts shapes above those that are there."""
        self.shapes += shapes

    def svg(self) -> str:
        """Returns the drawing as an SVG document."""
        w, h = _number(self.width), _number(self.height)
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" '
            f"font-family='{FONT}'>"
        )
        return "".join([head, f"<title>{escape(self.title)}</title>", *map(_svg, self.shapes), "</svg>"])

    def png(self) -> bytes:
        """Returns the drawing as a PNG, `SCALE` pixels a unit."""
        size = (round(self.width * SCALE), round(self.height * SCALE))
        image = Image.new("RGB", size, PAPER)
        draw = ImageDraw.Draw(image)
        for shape in self.shapes:
            _paint(draw, shape)
        out = BytesIO()
        image.save(out, "PNG", optimize=True)
        return out.getvalue()


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _svg(shape: Shape) -> str:
    match shape:
        case Rect():
            at = {"x": shape.x, "y": shape.y, "width": shape.width, "height": shape.height}
            return _element("rect", at, f'fill="{shape.fill}"', _told(shape.title))
        case Line():
            at = {"x1": shape.x1, "y1": shape.y1, "x2": shape.x2, "y2": shape.y2, "stroke-width": shape.width}
            return _element("line", at, f'stroke="{shape.colour}"')
        case Dot():
            at = {"cx": shape.x, "cy": shape.y, "r": shape.radius}
            return _element("circle", at, f'fill="{shape.fill}"', _told(shape.title))
        case Text():
            at = {"x": shape.x, "y": shape.y, "font-size": shape.size}
            style = f'dy="0.35em" text-anchor="{shape.anchor}" fill="{shape.colour}"'
            return _element("text", at, style, escape(shape.text))


def _told(title: str) -> str:
    return f"<title>{escape(title)}</title>" if title else ""


def _element(name: str, numbers: Mapping[str, float], style: str, content: str = "") -> str:
    at = " ".join(f'{key}="{_number(value)}"' for key, value in numbers.items())
    return f"<{name} {at} {style}>{content}</{name}>"


def _paint(draw: ImageDraw.ImageDraw, shape: Shape) -> None:
    match shape:
        case Rect():
            box = (shape.x, shape.y, shape.x + max(0.0, shape.width), shape.y + max(0.0, shape.height))
            draw.rectangle([v * SCALE for v in box], fill=shape.fill)
        case Line():
            ends = [v * SCALE for v in (shape.x1, shape.y1, shape.x2, shape.y2)]
            draw.line(ends, fill=shape.colour, width=max(1, round(shape.width * SCALE)))
        case Dot():
            box = (shape.x - shape.radius, shape.y - shape.radius, shape.x + shape.radius, shape.y + shape.radius)
            draw.ellipse([v * SCALE for v in box], fill=shape.fill)
        case Text():
            anchor = {"start": "lm", "middle": "mm", "end": "rm"}[shape.anchor]
            font = ImageFont.load_default(shape.size * SCALE)
            draw.text((shape.x * SCALE, shape.y * SCALE), shape.text, shape.colour, font, anchor)


def mixed(low: str, high: str, share: float) -> str:
    """Returns the colour between two, `share` of the way, 0 to 1."""
    ends = [[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in (low, high)]
    return "#" + "".join(f"{round(a + (b - a) * min(1.0, max(0.0, share))):02x}" for a, b in zip(*ends, strict=True))


def ticks(highest: float) -> tuple[float, list[float]]:
    """Returns a round end of an axis from 0 that holds `highest`, and marks on it.

    Args:
        highest: above 0.
    """
    steps = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0)
    step = next((s for s in steps if highest / s <= 5), steps[-1])
    n = max(1, -int(-highest // step))
    return n * step, [i * step for i in range(n + 1)]


def axis(
    drawing: Drawing, span: tuple[float, float], rows: tuple[float, float], highest: float, *, percent: bool
) -> float:
    """Draws an axis from 0, and returns how wide 1 is on it.

    Args:
        drawing: to draw on.
        span: left and right.
        rows: top and bottom of the lines.
        highest: a value that it holds, above 0.
        percent: whether its marks are shares, written in per cent.
    """
    end, marks = ticks(highest)
    unit = (span[1] - span[0]) / end
    for mark in marks:
        x = span[0] + unit * mark
        drawing.add(Line(x, rows[0], x, rows[1]))
        drawing.add(Text(x, rows[1] + 12, f"{100 * mark:g} %" if percent else f"{mark:g}", "middle", 12, MUTED))
    return unit


def shortened(text: str, most: int) -> str:
    """Returns a text of at most so many characters."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def highest_of(values: Sequence[float]) -> float:
    """Returns the largest of some values, at least a hundredth."""
    return max([0.01, *values])
