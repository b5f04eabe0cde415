"""From heat maps to regions: the cells that fired, the box around them, and their outline."""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from autointerp.schema import Box, Exemplar

Mask = NDArray[np.bool_]
Weights = NDArray[np.float64]
Point = tuple[int, int]

FIRED = 0.3
"""A cell has fired when it rises this far (0–1) from the background to the peak. Patch activations of vision
transformers carry a low, noisy floor, mostly under a fifth of the peak."""

STRONG = 0.6
"""`region_mask` keeps a group of fired cells that reaches this far from the background to the peak."""

REACH = 2
"""Fired cells this many cells apart or nearer belong together: one silent cell between them is bridged."""

MIN_SIDE = 32
"""Pixels: boxes are widened to this side where the image has it, since smaller crops show nothing."""


def box_from_heat(
    heat: bytes, grid: tuple[int, int], size: tuple[int, int], *, mass: float, margin: float
) -> Box | None:
    """The box around the region of the peak.

    The region is the group of fired cells that holds the peak; weak or far specks are no part of it. Its bounding
    box is trimmed line by line, the line with the least mean activation first, for as long as it holds `mass` of
    the region's activation above the background. Boxes of a smaller mass therefore lie inside those of a larger one.

    Args:
        heat: rows·cols bytes, row-major, 0–255.
        grid: rows and columns of `heat`.
        size: width and height of the image in pixels.
        mass: in (0, 1], the part of the region's activation to hold.
        margin: context added on every side, as a fraction of the box's longer side; 0 or more.

    Returns:
        A box inside the image that holds the peak's cell; None for a map of zeros.
    """
    lifted = _lift(heat, grid)
    peak = int(lifted.argmax())
    if not lifted.flat[peak]:
        return None
    seed = np.zeros(grid, dtype=np.bool_)
    seed.flat[peak] = True
    region = _grow(seed, lifted >= FIRED)
    return box_around(np.where(region, lifted, 0.0), size, mass=mass, margin=margin)


def box_around(weights: Weights, size: tuple[int, int], *, mass: float, margin: float) -> Box:
    """The box that holds `mass` of the weights and their peak, trimmed and widened as in `box_from_heat`.

    Args:
        weights: activation above the background by cell, shape (rows, cols), not all zero.
        size: width and height of the image in pixels.
        mass: see `box_from_heat`.
        margin: see `box_from_heat`.
    """
    rows, cols = weights.shape
    peak = int(weights.argmax())
    x0, y0, x1, y1 = _trim(weights, (peak // cols, peak % cols), mass)
    across, down = size[0] / cols, size[1] / rows
    return _widen((x0 * across, y0 * down, x1 * across, y1 * down), size, margin)


def region_parts(heat: bytes, grid: tuple[int, int]) -> tuple[Weights, ...]:
    """The groups of `region_mask`, each as the activation above the background in it and 0 elsewhere.

    Args:
        heat: rows·cols bytes, row-major, 0–255.
        grid: rows and columns of `heat`.

    Returns:
        Arrays of shape `grid`, the one with the most activation first; none for a map of zeros.
    """
    lifted, left = _lifted_groups(heat, grid)
    parts: list[Weights] = []
    while left.any():
        seed = np.zeros(grid, dtype=np.bool_)
        seed.flat[int(left.argmax())] = True
        group = _grow(seed, left)
        parts.append(np.where(group, lifted, 0.0))
        left = left & ~group
    return tuple(sorted(parts, key=lambda part: -part.sum()))


def share_inside(weights: Weights, boxes: Sequence[Box], size: tuple[int, int]) -> float:
    """The share of the weights that lies in at least one of the boxes, a cell counting by the pixels inside.

    Args:
        weights: by cell, shape (rows, cols), not all zero.
        boxes: in pixels of the image.
        size: width and height of the image in pixels.
    """
    rows, cols = weights.shape
    across, column, wide = _pieces([x for b in boxes for x in (b.x0, b.x1)], cols, size[0])
    down, row, high = _pieces([y for b in boxes for y in (b.y0, b.y1)], rows, size[1])
    inside = np.zeros((len(down), len(across)), dtype=np.bool_)
    for box in boxes:
        inside |= np.outer((box.y0 < down) & (down < box.y1), (box.x0 < across) & (across < box.x1))
    return float((weights[np.ix_(row, column)] * np.outer(high, wide) * inside).sum() / weights.sum())


def _pieces(cuts: Sequence[int], cells: int, length: int) -> tuple[Weights, NDArray[np.int64], Weights]:
    """A side cut at its cells' edges and at `cuts`: each piece's middle, its cell, and its share of that cell."""
    edges = np.unique([*np.linspace(0, length, cells + 1), *np.clip(cuts, 0, length)])
    middle = (edges[:-1] + edges[1:]) / 2
    return middle, (middle * cells / length).astype(np.int64), np.diff(edges) * cells / length


def tells(heat: bytes | None) -> bool:
    """Whether a heat map says where to look: there is one, and not every cell of it is zero."""
    return heat is not None and any(heat)


def region_of(
    exemplar: Exemplar, grid: tuple[int, int] | None, size: tuple[int, int], *, mass: float, margin: float
) -> Box | None:
    """Where to look in an exemplar's image: by its heat map, else by its stored box.

    Args:
        exemplar: the evidence.
        grid: rows and columns of the dump's heat maps, None if it has none.
        size: width and height of the image in pixels.
        mass: see `box_from_heat`.
        margin: see `box_from_heat`.

    Returns:
        A box inside the image; None: the whole image.
    """
    if exemplar.heat is not None and grid is not None:
        box = box_from_heat(exemplar.heat, grid, size, mass=mass, margin=margin)
        if box is not None:
            return box
    if exemplar.box is None:
        return None
    box = exemplar.box
    return _widen(box.corners, size, margin)


def region_mask(heat: bytes, grid: tuple[int, int]) -> Mask:
    """All groups of fired cells that are strong somewhere, wherever in the image they are.

    Args:
        heat: rows·cols bytes, row-major, 0–255.
        grid: rows and columns of `heat`.

    Returns:
        Booleans of shape `grid`; all False for a map of zeros.
    """
    return _lifted_groups(heat, grid)[1]


@lru_cache(maxsize=4096)
def _lifted_groups(heat: bytes, grid: tuple[int, int]) -> tuple[Weights, Mask]:
    """A map's activation above the background and its groups, not to be written to.

    They are kept since each map is asked of for a crop, and again when its outline is drawn.
    """
    lifted = _lift(heat, grid)
    groups = _grow(lifted >= STRONG, lifted >= FIRED)
    lifted.setflags(write=False)
    groups.setflags(write=False)
    return lifted, groups


def contours(mask: Mask) -> tuple[tuple[Point, ...], ...]:
    """The borders of a mask as closed polygons along its cells' edges, holes included.

    Args:
        mask: booleans, shape (rows, cols).

    Returns:
        Corners (x, y) of each polygon in cells, 0–cols and 0–rows; the last joins the first.
    """
    ends = _border(mask)
    polygons: list[tuple[Point, ...]] = []
    while ends:
        point = start = next(iter(ends))
        path: list[Point] = []
        while True:
            path.append(point)
            following = ends[point].pop()
            if not ends[point]:
                del ends[point]
            point = following
            if point == start:
                break
        polygons.append(tuple(p for i, p in enumerate(path) if _turns(path[i - 1], p, path[(i + 1) % len(path)])))
    return tuple(polygons)


def _border(mask: Mask) -> dict[Point, list[Point]]:
    """Unit edges between inside and outside, from start to ends, with the inside on the right."""
    padded = np.pad(mask, 1)
    inside = padded[1:-1, 1:-1]
    ends: dict[Point, list[Point]] = {}
    neighbours = ((padded[:-2, 1:-1], (0, 0, 1, 0)), (padded[1:-1, 2:], (1, 0, 1, 1)))
    neighbours += ((padded[2:, 1:-1], (1, 1, 0, 1)), (padded[1:-1, :-2], (0, 1, 0, 0)))
    for other, (x0, y0, x1, y1) in neighbours:
        for row, col in np.argwhere(inside & ~other).tolist():
            ends.setdefault((col + x0, row + y0), []).append((col + x1, row + y1))
    return ends


def _turns(before: Point, point: Point, after: Point) -> bool:
    return (point[0] - before[0], point[1] - before[1]) != (after[0] - point[0], after[1] - point[1])


def _lift(heat: bytes, grid: tuple[int, int]) -> NDArray[np.float64]:
    """Activation from 0 at the background to 1 at the peak, shape `grid`.

    The background is the map's lower quartile, but never more than half the peak: a map that is high everywhere is
    one large region, not noise.
    """
    rows, cols = grid
    assert len(heat) == rows * cols
    flat = np.frombuffer(heat, dtype=np.uint8).astype(np.float64)
    peak = flat.max()
    if not peak:
        return flat.reshape(grid)
    quartile = flat.size // 4
    floor = min(np.partition(flat, quartile)[quartile], peak / 2)
    return (np.maximum(flat - floor, 0.0) / (peak - floor)).reshape(grid)


def _grow(seed: Mask, fired: Mask) -> Mask:
    """The fired cells that can be reached from the seed in steps of at most REACH cells."""
    # One whole number holds a mask, and shifting it moves all cells at once. REACH silent columns set its rows apart.
    line = fired.shape[1] + REACH
    may, reached = _bits(fired), _bits(seed & fired)
    while True:
        wide = reached
        for step in range(1, REACH + 1):
            wide |= reached << step | reached >> step
        tall = wide
        for step in range(1, REACH + 1):
            tall |= wide << step * line | wide >> step * line
        if tall & may == reached:
            break
        reached = tall & may
    cells = np.frombuffer(reached.to_bytes(-(-line * len(fired) // 8), "little"), np.uint8)
    grown = np.unpackbits(cells, count=line * len(fired), bitorder="little")
    return grown.reshape(len(fired), line)[:, :-REACH].astype(np.bool_)


def _bits(mask: Mask) -> int:
    """The mask's cells row by row, REACH zeros after each row, the first as the lowest bit."""
    rows = np.zeros((mask.shape[0], mask.shape[1] + REACH), dtype=np.bool_)
    rows[:, :-REACH] = mask
    return int.from_bytes(np.packbits(rows, bitorder="little").tobytes(), "little")


def _trim(weights: NDArray[np.float64], peak: tuple[int, int], mass: float) -> tuple[int, int, int, int]:
    """First and past-the-last column and row (x0, y0, x1, y1) of the box that holds `mass` of the weights."""
    rows, cols = weights.nonzero()
    x0, y0, x1, y1 = int(cols.min()), int(rows.min()), int(cols.max()) + 1, int(rows.max()) + 1
    table = weights.tolist()
    held = float(weights.sum())
    # Rounding of the running sum must not keep a line that holds exactly what may go.
    enough = mass * held - 1e-9
    while True:
        sides = {
            "x0": (sum(table[y][x0] for y in range(y0, y1)), y1 - y0, x0 < peak[1]),
            "x1": (sum(table[y][x1 - 1] for y in range(y0, y1)), y1 - y0, x1 - 1 > peak[1]),
            "y0": (sum(table[y0][x0:x1]), x1 - x0, y0 < peak[0]),
            "y1": (sum(table[y1 - 1][x0:x1]), x1 - x0, y1 - 1 > peak[0]),
        }
        free = [(line / length, name) for name, (line, length, spare) in sides.items() if spare]
        if not free:
            return x0, y0, x1, y1
        name = min(free)[1]
        held -= sides[name][0]
        if held < enough:
            return x0, y0, x1, y1
        x0, y0, x1, y1 = (x0 + (name == "x0"), y0 + (name == "y0"), x1 - (name == "x1"), y1 - (name == "y1"))


def _widen(box: tuple[float, float, float, float], size: tuple[int, int], margin: float) -> Box:
    """Adds the context, then what is missing to MIN_SIDE, and stays inside the image."""
    context = margin * max(box[2] - box[0], box[3] - box[1])
    x0, x1 = _span(box[0] - context, box[2] + context, size[0])
    y0, y1 = _span(box[1] - context, box[3] + context, size[1])
    return Box(x0, y0, x1, y1)


def _span(low: float, high: float, length: int) -> tuple[int, int]:
    """Whole pixels from low to high, at least MIN_SIDE of them (or all there are), within 0–length."""
    # Cell edges such as 3 * (100 / 3) miss a whole number by rounding, which must not cost a pixel.
    first, last = max(math.floor(low + 1e-6), 0), min(math.ceil(high - 1e-6), length)
    wanted = min(MIN_SIDE, length)
    missing = max(wanted - (last - first), 0)
    first = min(max(first - missing // 2, 0), length - wanted)
    return first, max(last, first + wanted)
