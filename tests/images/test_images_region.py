"""Regions: which cells count, how tight the box is, and that it never leaves the image."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autointerp.images.region import (
    MIN_SIDE,
    Mask,
    box_from_heat,
    contours,
    region_mask,
    region_of,
    region_parts,
    share_inside,
)
from autointerp.schema import Box, Exemplar


def heat(rows: list[list[int]]) -> bytes:
    return bytes(v for row in rows for v in row)


@st.composite
def maps(draw: st.DrawFn) -> tuple[bytes, tuple[int, int]]:
    grid = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    n = grid[0] * grid[1]
    return draw(st.binary(min_size=n, max_size=n)), grid


SIZES = st.tuples(st.integers(1, 600), st.integers(1, 600))
MASSES = st.floats(0.01, 1.0)
MARGINS = st.floats(0.0, 1.0)


def inside(inner: Box, outer: Box) -> bool:
    return outer.x0 <= inner.x0 and outer.y0 <= inner.y0 and inner.x1 <= outer.x1 and inner.y1 <= outer.y1


def exemplar(box: Box | None, heat_map: bytes | None) -> Exemplar:
    return Exemplar(image=0, activation=1.0, stratum="top", probability=1.0, box=box, heat=heat_map)


def test_one_hot_cell_of_four_by_four_gives_its_hundred_pixels():
    one = heat([[0, 0, 0, 0], [0, 0, 255, 0], [0, 0, 0, 0], [0, 0, 0, 0]])

    box = box_from_heat(one, (4, 4), (400, 400), mass=0.9, margin=0.0)

    assert box == Box(200, 100, 300, 200)


def test_margin_of_a_quarter_adds_a_quarter_of_the_longer_side_everywhere():
    two = heat([[0] * 8, [0, 0, 0, 200, 200, 0, 0, 0], [0] * 8, [0] * 8])

    box = box_from_heat(two, (4, 8), (800, 400), mass=1.0, margin=0.25)

    assert box == Box(250, 50, 550, 250)


def test_weak_specks_and_far_groups_do_not_widen_the_box():
    rows = [[0] * 8 for _ in range(8)]
    rows[0][0] = 250
    rows[7][7] = 240
    rows[0][4] = 60

    box = box_from_heat(heat(rows), (8, 8), (800, 800), mass=1.0, margin=0.0)

    assert box == Box(0, 0, 100, 100)


def test_one_silent_cell_is_bridged_and_two_are_not():
    bridged = box_from_heat(bytes([255, 0, 200, 0, 0]), (1, 5), (500, 100), mass=1.0, margin=0.0)
    apart = box_from_heat(bytes([255, 0, 0, 200, 0]), (1, 5), (500, 100), mass=1.0, margin=0.0)

    assert bridged == Box(0, 0, 300, 100)
    assert apart == Box(0, 0, 100, 100)


def test_box_for_nine_tenths_drops_the_column_that_holds_a_tenth():
    row = bytes([0, 0, 100, 200, 255, 200, 82, 0, 0, 0])

    whole = box_from_heat(row, (1, 10), (1000, 100), mass=1.0, margin=0.0)
    most = box_from_heat(row, (1, 10), (1000, 100), mass=0.9, margin=0.0)

    assert whole == Box(200, 0, 700, 100)
    assert most == Box(200, 0, 600, 100)


def test_noisy_floor_of_a_fifth_of_the_peak_stays_out():
    values = np.random.default_rng(0).integers(0, 52, (16, 16))
    values[4:7, 9:12] = 255

    box = box_from_heat(values.astype(np.uint8).tobytes(), (16, 16), (1600, 1600), mass=0.9, margin=0.0)

    assert box == Box(900, 400, 1200, 700)


def test_map_that_is_high_everywhere_gives_the_whole_image():
    assert box_from_heat(bytes([200] * 16), (4, 4), (400, 300), mass=1.0, margin=0.1) == Box(0, 0, 400, 300)


def test_map_of_zeros_has_no_box_and_no_mask():
    assert box_from_heat(bytes(16), (4, 4), (400, 400), mass=0.9, margin=0.1) is None
    assert not region_mask(bytes(16), (4, 4)).any()


@given(maps(), SIZES, MASSES, MARGINS)
def test_box_lies_in_the_image_holds_the_peak_and_has_its_least_side(
    drawn: tuple[bytes, tuple[int, int]], size: tuple[int, int], mass: float, margin: float
):
    heat_map, (rows, cols) = drawn

    box = box_from_heat(heat_map, (rows, cols), size, mass=mass, margin=margin)

    if not any(heat_map):
        assert box is None
        return
    assert box is not None
    assert inside(box, Box(0, 0, *size))
    assert box.width >= min(MIN_SIDE, size[0])
    assert box.height >= min(MIN_SIDE, size[1])
    row, col = divmod(heat_map.index(max(heat_map)), cols)
    assert box.x0 <= (col + 0.5) * size[0] / cols <= box.x1
    assert box.y0 <= (row + 0.5) * size[1] / rows <= box.y1


@given(maps(), st.tuples(MASSES, MASSES), st.tuples(MARGINS, MARGINS))
def test_more_mass_or_more_margin_never_takes_anything_away(
    drawn: tuple[bytes, tuple[int, int]], masses: tuple[float, float], margins: tuple[float, float]
):
    heat_map, (rows, cols) = drawn
    # Cells of 40 pixels, so that the least side does not move boxes.
    size = (cols * 40, rows * 40)

    small = box_from_heat(heat_map, (rows, cols), size, mass=min(masses), margin=min(margins))
    large = box_from_heat(heat_map, (rows, cols), size, mass=max(masses), margin=max(margins))

    assert (small is None) == (large is None)
    assert small is None or large is None or inside(small, large)


@given(maps(), MASSES)
def test_box_holds_the_asked_share_of_the_region(drawn: tuple[bytes, tuple[int, int]], mass: float):
    heat_map, (rows, cols) = drawn
    size = (cols * 40, rows * 40)
    whole = box_from_heat(heat_map, (rows, cols), size, mass=1.0, margin=0.0)
    box = box_from_heat(heat_map, (rows, cols), size, mass=mass, margin=0.0)
    if whole is None or box is None:
        return
    # The slow way: the peak's group, cell by cell.
    values = [[float(heat_map[r * cols + c]) for c in range(cols)] for r in range(rows)]
    peak = max(heat_map)
    floor = min(sorted(heat_map)[rows * cols // 4], peak / 2)
    lifted = {(r, c): (values[r][c] - floor) / (peak - floor) for r in range(rows) for c in range(cols)}
    start = divmod(heat_map.index(peak), cols)
    group, edge = {start}, [start]
    while edge:
        r, c = edge.pop()
        for cell, v in lifted.items():
            if v >= 0.3 and cell not in group and abs(cell[0] - r) <= 2 and abs(cell[1] - c) <= 2:
                group.add(cell)
                edge.append(cell)

    held = sum(lifted[r, c] for r, c in group if box.x0 <= c * 40 < box.x1 and box.y0 <= r * 40 < box.y1)

    assert held >= mass * sum(lifted[cell] for cell in group) - 1e-6
    assert whole == Box(
        40 * min(c for _, c in group),
        40 * min(r for r, _ in group),
        40 * max(c for _, c in group) + 40,
        40 * max(r for r, _ in group) + 40,
    )


def test_region_comes_from_the_heat_map_then_the_stored_box_then_nowhere():
    hot = bytes([0, 0, 0, 255])
    stored = Box(100, 100, 200, 200)

    by_heat = region_of(exemplar(stored, hot), (2, 2), (400, 400), mass=0.9, margin=0.0)
    by_box = region_of(exemplar(stored, bytes(4)), (2, 2), (400, 400), mass=0.9, margin=0.1)
    no_grid = region_of(exemplar(stored, hot), None, (400, 400), mass=0.9, margin=0.0)
    nothing = region_of(exemplar(None, None), (2, 2), (400, 400), mass=0.9, margin=0.1)

    assert by_heat == Box(200, 200, 400, 400)
    assert by_box == Box(90, 90, 210, 210)
    assert no_grid == stored
    assert nothing is None


def test_mask_keeps_two_strong_groups_and_drops_a_middling_one():
    row = bytes([255, 0, 0, 0, 180, 0, 0, 0, 120, 0, 0, 0])

    mask = region_mask(row, (1, 12))

    assert mask.nonzero()[1].tolist() == [0, 4]


def test_square_has_four_corners_and_its_hole_four_more():
    ring = np.ones((3, 3), dtype=np.bool_)
    ring[1, 1] = False

    outer, hole = sorted(contours(ring), key=min)

    assert sorted(outer) == [(0, 0), (0, 3), (3, 0), (3, 3)]
    assert sorted(hole) == [(1, 1), (1, 2), (2, 1), (2, 2)]


@given(maps())
def test_contours_enclose_as_many_cells_as_the_mask_has(drawn: tuple[bytes, tuple[int, int]]):
    heat_map, grid = drawn
    mask: Mask = np.frombuffer(heat_map, dtype=np.uint8).reshape(grid) > 127

    area = 0
    for polygon in contours(mask):
        area += sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(polygon, polygon[1:] + polygon[:1], strict=True))

    assert area == 2 * int(mask.sum())


def test_the_groups_of_what_is_outlined_come_with_the_most_activation_first():
    rows = [[0] * 8 for _ in range(8)]
    rows[0][0] = 255
    rows[7][6] = rows[7][7] = 204

    parts = region_parts(heat(rows), (8, 8))

    assert [float(part.sum()) for part in parts] == pytest.approx([1.6, 1.0])
    assert [np.argwhere(part).tolist() for part in parts] == [[[7, 6], [7, 7]], [[0, 0]]]


@given(maps())
def test_the_groups_together_are_what_is_outlined(drawn: tuple[bytes, tuple[int, int]]):
    parts = region_parts(*drawn)

    assert np.array_equal(sum(((part > 0).astype(int) for part in parts), np.zeros(drawn[1], int)), region_mask(*drawn))


def test_boxes_that_overlap_count_a_cell_once_and_half_a_cell_half():
    weights = np.array([[1.0, 3.0], [0.0, 0.0]])

    assert share_inside(weights, [Box(0, 0, 50, 50)], (100, 100)) == pytest.approx(0.25)
    assert share_inside(weights, [Box(50, 0, 75, 100), Box(60, 0, 75, 50)], (100, 100)) == pytest.approx(0.375)
    assert share_inside(weights, [], (100, 100)) == 0
