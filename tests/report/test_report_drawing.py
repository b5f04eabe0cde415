"""Plots as shapes: what is drawn, in SVG and in PNG."""

from io import BytesIO
from xml.etree import ElementTree

import pytest
from PIL import Image

from autointerp.reports.drawing import Dot, Drawing, Line, Rect, Text, mixed, shortened, ticks

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize(
    ("highest", "end", "marks"),
    [(0.44, 0.5, 6), (0.037, 0.04, 5), (1.0, 1.0, 6), (0.01, 0.01, 6), (0.3, 0.3, 4)],
)
def test_an_axis_ends_at_a_round_share_that_holds_the_highest(highest: float, end: float, marks: int):
    found, at = ticks(highest)

    assert found == pytest.approx(end)
    assert found >= highest
    assert len(at) == marks
    assert at[0] == 0


def test_a_colour_halfway_is_the_mean_of_both():
    assert mixed("#000000", "#ffffff", 0.5) == "#808080"
    assert mixed("#102030", "#ffffff", -1) == "#102030"


def test_a_long_name_ends_in_an_ellipsis():
    assert shortened("generator", 9) == "generator"
    assert shortened("generator one", 9) == "generato…"


def test_every_shape_is_in_the_svg_and_foreign_text_is_escaped():
    drawing = Drawing(40, 20, "a & b")
    drawing.add(Rect(1, 2, 3, 4, "#ff0000", "<x>"), Line(0, 0, 40, 20), Dot(5, 5, 2, "#00ff00"), Text(1, 9, "<b>"))

    root = ElementTree.fromstring(drawing.svg())

    assert [child.tag.removeprefix(SVG) for child in root] == ["title", "rect", "line", "circle", "text"]
    assert root.find(f"{SVG}title").text == "a & b"  # pyright: ignore[reportOptionalMemberAccess] - it is the first
    assert root.find(f"{SVG}text").text == "<b>"  # pyright: ignore[reportOptionalMemberAccess] - it is the last


def test_the_png_has_two_pixels_a_unit_and_the_colours_of_the_shapes():
    drawing = Drawing(40, 20, "x")
    drawing.add(Rect(10, 5, 10, 5, "#ff0000"))

    with Image.open(BytesIO(drawing.png())) as image:
        assert image.size == (80, 40)
        assert image.convert("RGB").getpixel((30, 15)) == (255, 0, 0)
        assert image.convert("RGB").getpixel((5, 5)) == (255, 255, 255)
