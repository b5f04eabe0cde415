"""Drawing: sizes known beforehand, crops exact to the pixel, marks where the heat is, cells where the layout says."""

from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from autointerp.images.alteration import Source, altered, erased
from autointerp.images.decode import Decoded
from autointerp.images.jpeg import image_of, pixels_of
from autointerp.images.picture import OutlineStyle, Picture, Rendering, Tile
from autointerp.images.render import (
    GROUND,
    HALO,
    STRIP,
    STROKE,
    picture_size,
    render_sheet,
    render_tile,
    sheet_cell,
    sheet_size,
    snug_side,
    tile_shrink,
    tile_size,
)
from autointerp.schema import Box, Erasure

GREY = (120, 120, 120)


def rendered_tile(tile: Tile, source: Image.Image, scale: int, side: int, least: int = 0) -> Image.Image:
    return image_of(render_tile(tile, source, scale, side, least))


def rendered_sheet(tiles: Sequence[Image.Image], columns: int, side: int, per_number: int = 1) -> Image.Image:
    return image_of(render_sheet([pixels_of(tile) for tile in tiles], columns, side, per_number))


def tile(
    size: tuple[int, int],
    rendering: Rendering = "crop",
    box: Box | None = None,
    heat: bytes | None = None,
    grid: tuple[int, int] | None = None,
) -> Tile:
    return Tile(0, "0" * 64, size, rendering, box, heat, grid)


@st.composite
def tiles(draw: st.DrawFn) -> Tile:
    width, height = draw(st.integers(1, 120)), draw(st.integers(1, 120))
    corner = st.tuples(st.integers(-5, width), st.integers(-5, height))
    x, y = draw(corner)
    box = draw(st.none() | st.builds(lambda w, h: Box(x, y, x + w, y + h), st.integers(1, 130), st.integers(1, 130)))
    heat = draw(st.none() | st.binary(min_size=12, max_size=12))
    rendering: Rendering = draw(st.sampled_from(get_args(Rendering)))
    return tile((width, height), rendering, box, heat, (3, 4))


@given(tiles(), st.integers(1, 150), st.integers(0, 150))
@settings(deadline=None)
def test_tile_has_the_size_foretold_and_its_longest_side_between_the_bounds(drawn: Tile, side: int, least: int):
    shrink = tile_shrink(drawn, side)
    decoded = Image.new("RGB", (-(-drawn.size[0] // shrink), -(-drawn.size[1] // shrink)), GREY)

    rendered = rendered_tile(drawn, decoded, shrink, side, min(least, side))

    assert rendered.mode == "RGB"
    assert rendered.size == tile_size(drawn, side, min(least, side))
    assert min(least, side) <= max(rendered.size) <= side


@given(tiles(), st.integers(1, 150))
@settings(deadline=None)
def test_tile_has_never_more_than_its_own_pixels_where_nothing_is_to_be_enlarged(drawn: Tile, side: int):
    shrink = tile_shrink(drawn, side)
    decoded = Image.new("RGB", (-(-drawn.size[0] // shrink), -(-drawn.size[1] // shrink)), GREY)

    rendered = rendered_tile(drawn, decoded, shrink, side)

    assert rendered.mode == "RGB"
    assert rendered.size == tile_size(drawn, side)
    assert max(rendered.size) <= side
    assert rendered.width <= drawn.size[0]
    assert rendered.height <= drawn.size[1]


@given(tiles(), st.integers(1, 150))
def test_decoding_scale_leaves_the_pixels_that_the_tile_shows(drawn: Tile, side: int):
    shrink = tile_shrink(drawn, side)
    own = tile_size(drawn, 10**6)

    assert max(own) / shrink >= min(side, max(own))


def test_crop_shows_its_own_pixels_and_not_one_more():
    pixels = np.zeros((50, 60, 3), dtype=np.uint8)
    pixels[10:30, 20:50] = (255, 0, 0)

    exact = rendered_tile(tile((60, 50), box=Box(20, 10, 50, 30)), Image.fromarray(pixels), 1, 100)
    wider = rendered_tile(tile((60, 50), box=Box(19, 9, 51, 31)), Image.fromarray(pixels), 1, 100)

    assert exact.size == (30, 20)
    assert exact.getcolors() == [(600, (255, 0, 0))]
    assert np.array_equal(np.asarray(wider), pixels[9:31, 19:51])


def test_crop_to_half_its_size_from_an_image_decoded_at_half_is_the_same_square():
    pixels = np.zeros((50, 60, 3), dtype=np.uint8)
    pixels[10:30, 10:40] = (255, 0, 0)

    half = rendered_tile(tile((120, 100), box=Box(20, 20, 80, 60)), Image.fromarray(pixels), 2, 30)

    assert half.size == (30, 20)
    assert half.getcolors() == [(600, (255, 0, 0))]


def test_image_decoded_smaller_than_the_crop_is_still_shown_at_the_size_foretold():
    source = Image.new("RGB", (60, 50), GREY)
    source.paste((255, 0, 0), (30, 0, 60, 50))

    rendered = rendered_tile(tile((120, 100), box=Box(60, 0, 120, 100)), source, 2, 100)

    assert rendered.getcolors() == [(6000, (255, 0, 0))]


def test_crop_made_smaller_takes_nothing_from_beyond_its_box():
    source = Image.new("RGB", (200, 200), GREY)
    source.paste((255, 0, 0), (50, 60, 150, 160))

    smaller = rendered_tile(tile((200, 200), box=Box(50, 60, 150, 160)), source, 1, 37)

    assert smaller.getcolors() == [(37 * 37, (255, 0, 0))]


def test_full_picture_is_a_copy_of_the_source():
    source = Image.new("RGB", (40, 30), GREY)

    full = rendered_tile(tile((40, 30), "full"), source, 1, 100)
    full.putpixel((0, 0), (0, 0, 0))

    assert source.getcolors() == [(1200, GREY)]


@pytest.mark.parametrize("ground", [(0, 0, 0), (255, 255, 255), (235, 20, 20), STROKE])
def test_an_outline_is_a_light_and_a_dark_line_around_the_hot_cells_which_stay_as_they_are(
    ground: tuple[int, int, int],
):
    hot = bytes([0, 0, 0, 0, 0, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    source = Image.new("RGB", (400, 400), ground)

    outlined = np.asarray(rendered_tile(tile((400, 400), "outline", heat=hot, grid=(4, 4)), source, 1, 400))

    assert (outlined[100:200, 100:300] == ground).all()
    assert [tuple(p) for p in outlined[95:100, 150].tolist()] == [ground, STROKE, STROKE, HALO, HALO]
    assert [tuple(p) for p in outlined[150, 300:305].tolist()] == [HALO, HALO, STROKE, STROKE, ground]
    assert [tuple(p) for p in outlined[95:100, 299].tolist()] == [ground, STROKE, STROKE, HALO, HALO]
    assert (outlined[205:] == ground).all()
    assert (outlined[:, 305:] == ground).all()


@pytest.mark.parametrize(
    ("style", "across", "right"),
    [
        # The hot cells lie at 100 to 200 down and across, and at 200 to 300 down and 200 to 300 across.
        ("line", [GREY, GREY, GREY, STROKE, STROKE], [STROKE, STROKE, GREY, GREY, GREY]),
        ("box", [GREY, STROKE, STROKE, HALO, HALO], [GREY, GREY, GREY, GREY, GREY]),
    ],
)
def test_an_outline_is_a_dark_line_alone_or_both_lines_around_the_box(
    style: OutlineStyle, across: list[tuple[int, int, int]], right: list[tuple[int, int, int]]
):
    hot = bytes([0, 0, 0, 0, 0, 255, 0, 0, 0, 0, 255, 0, 0, 0, 0, 0])
    drawn = replace(tile((400, 400), "outline", heat=hot, grid=(4, 4)), style=style)

    outlined = np.asarray(rendered_tile(drawn, Image.new("RGB", (400, 400), GREY), 1, 400))

    assert [tuple(p) for p in outlined[95:100, 150].tolist()] == across
    # To the right of the first cell lies the box's inside, outside the contour.
    assert [tuple(p) for p in outlined[150, 200:205].tolist()] == right
    assert (outlined[100:200, 100:200] == GREY).all()


def test_every_colour_contrasts_with_a_line_of_an_outline_by_three_to_one():
    steps = np.arange(0, 256, 15)
    colours = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)

    def luminance(rgb: np.ndarray) -> np.ndarray:
        part = rgb / 255
        return (
            np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722] + 0.05
        )

    ground, dark, light = luminance(colours), luminance(np.array(STROKE)), luminance(np.array(HALO))
    best = np.maximum(light / ground, np.maximum(ground / dark, dark / ground))
    assert best.min() >= 3


def test_outline_of_a_region_at_the_edge_of_the_image_is_seen_whole():
    source = Image.new("RGB", (400, 400), (0, 0, 0))

    outlined = np.asarray(rendered_tile(tile((400, 400), "outline", heat=bytes([255]), grid=(1, 1)), source, 1, 400))

    for rows in (outlined, outlined[::-1], outlined.swapaxes(0, 1), outlined.swapaxes(0, 1)[::-1]):
        assert (rows[:2] == STROKE).all()
        assert (rows[2:4, 4:-4] == HALO).all()
    assert (outlined[4:-4, 4:-4] == 0).all()


@pytest.mark.parametrize("heat", [None, bytes(4)])
def test_outline_without_heat_runs_along_the_box(heat: bytes | None):
    drawn = tile((400, 200), "outline", Box(100, 50, 300, 150), heat, (2, 2))

    outlined = rendered_tile(drawn, Image.new("RGB", (400, 200), GREY), 1, 200)

    assert outlined.size == (200, 100)
    assert np.asarray(outlined.crop((50, 25, 150, 75))).reshape(-1, 3).tolist() == [list(GREY)] * 5000
    for on_line in ((49, 50), (150, 50), (100, 24), (100, 75)):
        assert outlined.getpixel(on_line) == HALO
    for outside in ((48, 50), (151, 50), (100, 23), (100, 76)):
        assert outlined.getpixel(outside) == STROKE


def test_a_small_image_is_enlarged_before_it_is_outlined_and_its_patch_stays_whole():
    hot = bytearray(16 * 16)
    hot[16 * 8 + 8] = 255
    drawn = tile((64, 64), "outline", heat=bytes(hot), grid=(16, 16))

    outlined = np.asarray(rendered_tile(drawn, Image.new("RGB", (64, 64), GREY), 1, 448, 224))

    assert outlined.shape == (224, 224, 3)
    assert (outlined[112:126, 112:126] == GREY).all()
    assert (outlined != GREY).any(axis=2).sum() == 18 * 18 - 14 * 14


def test_what_is_enlarged_is_smooth_and_not_of_squares():
    pixels = np.zeros((20, 20, 3), dtype=np.uint8)
    pixels[:, 10:] = 200

    enlarged = np.asarray(rendered_tile(tile((20, 20), "full"), Image.fromarray(pixels), 1, 100, 100))

    assert enlarged.shape == (100, 100, 3)
    assert len(set(enlarged[50, :, 0].tolist())) > 5


@pytest.mark.parametrize(
    "marked",
    [
        tile((400, 400), "mask", heat=bytes([0, 0, 0, 255]), grid=(2, 2)),
        tile((400, 400), "mask", box=Box(200, 200, 400, 400)),
    ],
)
def test_mask_dims_200_to_50_outside_and_keeps_it_inside_with_a_soft_edge(marked: Tile):
    masked = np.asarray(rendered_tile(marked, Image.new("RGB", (400, 400), (200, 200, 200)), 1, 400))

    assert masked[100, 100].tolist() == [50, 50, 50]
    assert masked[300, 300].tolist() == [200, 200, 200]
    assert 100 < masked[300, 200, 0] < 150


def test_layout_of_five_tiles_in_three_columns():
    width, height = sheet_size(1, 1, 200)
    cells = [sheet_cell(place, 3, 200) for place in range(5)]

    assert sheet_size(5, 3, 200) == (3 * width, 2 * height)
    assert [(c.strip.x0 // width, c.strip.y0 // height) for c in cells] == [
        (0, 0),
        (1, 0),
        (2, 0),
        (0, 1),
        (1, 1),
    ]
    assert {(c.frame.width, c.frame.height) for c in cells} == {(200, 200)}


@given(st.integers(1, 30), st.integers(1, 8), st.integers(1, 500))
def test_cells_are_equal_and_hold_strip_and_frame_apart(n: int, columns: int, side: int):
    width, height = sheet_size(1, 1, side)

    assert sheet_size(n, columns, side) == (columns * width, -(-n // columns) * height)
    for cell in (sheet_cell(place, columns, side) for place in range(n)):
        assert cell.strip.width == width
        assert cell.strip.y1 <= cell.frame.y0
        assert cell.strip.x0 <= cell.frame.x0
        assert cell.frame.x1 <= cell.strip.x1
        assert cell.frame.y1 <= cell.strip.y0 + height


@given(st.lists(tiles(), min_size=1, max_size=7), st.integers(0, 4), st.integers(1, 150))
@settings(deadline=None)
def test_picture_has_the_size_foretold(drawn: list[Tile], columns: int, side: int):
    picture = Picture(tuple(drawn if columns else drawn[:1]), side, 80, columns, least=side // 2)
    rendered = [rendered_tile(t, Image.new("RGB", t.size), 1, side, side // 2) for t in picture.tiles]

    image = rendered_sheet(rendered, columns, side) if columns else rendered[0]

    assert image.size == picture_size(picture)


def test_tiles_stand_in_the_middle_of_their_cells_under_numbered_strips():
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    rendered = [Image.new("RGB", (60, 20), c) for c in colours]

    sheet = rendered_sheet(rendered, 2, 100)

    width, height = sheet_size(1, 1, 100)
    for place, colour in enumerate(colours):
        cell = sheet_cell(place, 2, 100)
        frame = sheet.crop((cell.frame.x0, cell.frame.y0, cell.frame.x1, cell.frame.y1))
        assert frame.crop((20, 40, 80, 60)).getcolors() == [(1200, colour)]
        assert sorted(frame.getcolors() or []) == [(1200, colour), (8800, GROUND)]
        strip = sheet.crop((cell.strip.x0, cell.strip.y0, cell.strip.x1, cell.strip.y1))
        assert strip.getpixel((strip.width // 2, strip.height // 2)) == STRIP
        assert len(strip.getcolors(10**6) or []) > 4
    empty = sheet.crop((width, height, 2 * width, 2 * height))
    assert empty.getcolors() == [(width * height, GROUND)]


def test_numbers_of_two_cells_differ_and_stay_inside_their_strips():
    blank = Image.new("RGB", (100, 100), GREY)

    sheet = rendered_sheet([blank] * 12, 12, 100)

    strips = []
    for cell in (sheet_cell(place, 12, 100) for place in range(12)):
        strip = np.asarray(sheet.crop((cell.strip.x0 + 1, cell.strip.y0, cell.strip.x1, cell.strip.y1)))
        assert (strip[0] == STRIP).all()
        assert (strip[-1] == STRIP).all()
        strips.append(strip.tobytes())
    assert len(set(strips)) == 12


def test_the_second_cell_of_an_image_repeats_its_number_and_says_that_it_is_a_part():
    blank = Image.new("RGB", (200, 200), GREY)

    apart, together = rendered_sheet([blank] * 4, 4, 200), rendered_sheet([blank] * 4, 4, 200, 2)

    def strip(sheet: Image.Image, at: int) -> bytes:
        box = sheet_cell(at, 4, 200).strip
        return sheet.crop((box.x0 + 1, box.y0, box.x1, box.y1)).tobytes()

    assert strip(together, 0) == strip(apart, 0)
    assert strip(together, 2) == strip(apart, 1)
    assert strip(together, 1) != strip(apart, 1)


def test_the_cells_of_a_sheet_are_no_larger_than_its_largest_tile_and_never_too_small_for_a_number():
    small, middle, large = (tile((side, side // 2), "full") for side in (40, 130, 300))

    assert snug_side([small, middle], 224) == 130
    assert snug_side([small, large], 224) == 224
    assert snug_side([small], 224) == 112
    assert snug_side([small], 32) == 32


@pytest.mark.parametrize("how", ["mean", "blur"])
def test_a_tile_without_its_region_has_the_pixels_that_the_network_was_shown(how: Erasure):
    y, x = np.mgrid[0:60, 0:80]
    pixels = np.stack([3 * x, 4 * y, x + y], axis=-1).astype(np.uint8)
    source, box = Image.fromarray(pixels, "RGB"), Box(20, 10, 50, 40)
    without = replace(tile((80, 60), "full", box), erased=how)

    shown = rendered_tile(without, source, 1, 80)

    wanted = altered(erased(Source(0, "0" * 64, (80, 60)), box, how), lambda *_: Decoded(source, (80, 60), 1), max)
    assert (np.asarray(shown) == np.asarray(wanted)).all()
    assert (np.asarray(source) == pixels).all()
    assert without.recipe() != replace(without, erased="inpaint").recipe() != replace(without, erased=None).recipe()
