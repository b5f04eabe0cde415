from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from autointerp.images.region import region_parts, share_inside
from autointerp.schema import Box, Exemplar, ImageRow
from autointerp.settings import RegionSettings
from autointerp.tiles import borrowed_box, region_box, region_boxes, shown_tiles, tile_of

GRID = (2, 2)


def image(width: int = 100, height: int = 100, number: int = 1) -> ImageRow:
    return ImageRow(number, width, height, "a" * 64, None, None, None)


def exemplar(box: Box | None = None, heat: bytes | None = None) -> Exemplar:
    return Exemplar(1, 2.0, "top", 1.0, box, heat)


def test_a_region_that_covers_over_four_fifths_of_its_image_is_the_whole_image():
    exact = RegionSettings(margin=0.0)

    assert region_box(exemplar(Box(0, 0, 80, 100)), image(), None, exact) == Box(0, 0, 80, 100)
    assert region_box(exemplar(Box(0, 0, 81, 100)), image(), None, exact) is None


def test_without_box_or_heat_there_is_no_region():
    assert region_box(exemplar(), image(), GRID, RegionSettings()) is None


def test_the_heat_map_says_where_to_look():
    box = region_box(exemplar(heat=b"\xff\0\0\0"), image(), GRID, RegionSettings(margin=0.0))

    assert box == Box(0, 0, 50, 50)


def test_a_tile_without_region_is_the_whole_image_whatever_the_rendering():
    tiles = [tile_of(exemplar(heat=b"\xff\0\0\0"), image(), r, None, GRID) for r in ("crop", "outline", "mask", "full")]

    assert {(t.rendering, t.box, t.heat) for t in tiles} == {("full", None, None)}


def test_a_tile_with_region_carries_its_box_and_heat():
    tile = tile_of(exemplar(heat=b"\xff\0\0\0"), image(90, 60), "outline", Box(0, 0, 9, 9), GRID)

    assert (tile.rendering, tile.box, tile.heat, tile.grid) == ("outline", Box(0, 0, 9, 9), b"\xff\0\0\0", GRID)
    assert (tile.size, tile.sha256) == ((90, 60), "a" * 64)


def test_a_full_tile_has_no_region():
    assert tile_of(exemplar(), image(), "full", Box(0, 0, 9, 9), None).box is None


def test_a_borrowed_box_keeps_its_relative_place_and_size():
    lender = (Box(10, 20, 30, 60), image(100, 100))

    assert borrowed_box(image(200, 50), [lender], Random(0)) == Box(20, 10, 60, 30)


def test_from_a_lender_shown_whole_the_whole_is_borrowed():
    assert borrowed_box(image(), [(None, image())], Random(0)) is None


@settings(deadline=None)
@given(st.data())
def test_a_borrowed_box_lies_inside_its_image_and_is_not_empty(data: st.DataObject):
    sides = st.integers(1, 500)
    wide, high, width, height = (data.draw(sides) for _ in range(4))
    x0, y0 = data.draw(st.integers(0, wide - 1)), data.draw(st.integers(0, high - 1))
    lent = Box(x0, y0, data.draw(st.integers(x0 + 1, wide)), data.draw(st.integers(y0 + 1, high)))

    box = borrowed_box(image(width, height), [(lent, image(wide, high))], Random(0))

    assert box is not None
    assert 0 <= box.x0 < box.x1 <= width
    assert 0 <= box.y0 < box.y1 <= height


def test_a_small_region_is_widened_about_its_middle_to_the_least_share_of_its_image():
    third = RegionSettings(margin=0.0, least=0.3)

    assert region_box(exemplar(Box(80, 84, 120, 116)), image(200, 200), None, third) == Box(70, 70, 130, 130)


def test_a_widened_region_stays_inside_its_image():
    third = RegionSettings(margin=0.0, least=0.3)

    assert region_box(exemplar(Box(0, 68, 32, 100)), image(200, 200), None, third) == Box(0, 54, 60, 114)
    assert region_box(exemplar(Box(168, 168, 200, 200)), image(200, 200), None, third) == Box(140, 140, 200, 200)


def test_an_all_zero_heat_map_tells_of_no_region_and_is_not_drawn():
    nowhere = exemplar(heat=bytes(4))

    assert region_box(nowhere, image(), GRID, RegionSettings()) is None
    assert tile_of(nowhere, image(), "outline", Box(0, 0, 9, 9), GRID).heat is None


def spots(*cells: tuple[int, int], side: int = 16) -> Exemplar:
    """Cells of a square grid that fire equally."""
    heat = bytearray(side * side)
    for row, column in cells:
        heat[side * row + column] = 255
    return exemplar(heat=bytes(heat))


FINE = (16, 16)
TIGHT = RegionSettings(margin=0.0, least=0.0)


def test_of_two_regions_each_has_its_crop_and_one_around_near_ones_is_enough():
    far, near = spots((1, 1), (14, 14)), spots((1, 1), (1, 3))
    size = image(1600, 1600)

    assert region_boxes(far, size, FINE, TIGHT) == (Box(100, 100, 200, 200), Box(1400, 1400, 1500, 1500))
    assert region_boxes(near, size, FINE, TIGHT) == (Box(100, 100, 400, 200),)
    assert region_box(far, size, FINE, TIGHT) == Box(100, 100, 200, 200)


def test_of_many_regions_one_crop_goes_around_all():
    four = spots((1, 1), (1, 9), (9, 1), (9, 9))

    assert region_boxes(four, image(1600, 1600), FINE, TIGHT) == (Box(100, 100, 1000, 1000),)


@settings(deadline=None)
@given(st.binary(min_size=64, max_size=64), st.floats(0.5, 1.0))
def test_crops_hold_the_share_of_what_is_outlined_that_is_asked_for(heat: bytes, mass: float):
    region = RegionSettings(mass=mass)

    boxes = region_boxes(exemplar(heat=heat), image(80, 80), (8, 8), region)

    parts = region_parts(heat, (8, 8))
    assert len(boxes) <= 3
    assert not boxes or share_inside(np.sum(parts, axis=0), boxes, (80, 80)) >= mass - 1e-6


def test_an_image_is_shown_whole_with_its_regions_outlined_and_then_each_of_them():
    two, many = spots((1, 1), (14, 14)), spots((0, 0), (0, 15), (15, 0), (15, 15))
    everywhere = exemplar(heat=bytes([255] * 256))
    size, how = image(1600, 1600), ("outline", "crop")

    def kinds(shown: Exemplar) -> list[str]:
        return [tile.rendering for tile in shown_tiles(shown, size, how, FINE, TIGHT)]  # pyright: ignore[reportArgumentType]

    assert kinds(two) == ["outline", "crop", "crop"]
    assert kinds(many) == ["outline"]
    assert kinds(everywhere) == ["full"]
    assert kinds(exemplar()) == ["full"]
    assert kinds(exemplar(box=Box(0, 0, 100, 100))) == ["outline", "crop"]
