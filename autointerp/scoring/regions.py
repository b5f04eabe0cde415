"""Where regions are put for comparison: elsewhere in the same image, and at the same place of another one."""

from random import Random

from autointerp.schema import Box

Seen = tuple[float, float, float, float]
"""Left, top, right and bottom of what the network sees of an image, in its pixels."""

TRIES = 64
MOST_SHARED = 0.25
"""A region elsewhere that shares more than this of its area with the region itself is none."""


def elsewhere(box: Box, seen: Seen, chance: Random) -> Box | None:
    """Draws a region of the same size that the network sees too, from the places that share least with the region.

    Args:
        box: the region.
        seen: what the network sees of the image.
        chance: draws the places.

    Returns:
        The region; None where none shares less than `MOST_SHARED` of its area with the given one.
    """
    left, top = -int(-seen[0] // 1), -int(-seen[1] // 1)
    right, bottom = int(seen[2]) - box.width, int(seen[3]) - box.height
    if right < left or bottom < top:
        return None
    # Corners are tried first: where a region lies in the middle, only they may be free of it.
    corners = [(x, y) for x in (left, right) for y in (top, bottom)]
    drawn = [(chance.randint(left, right), chance.randint(top, bottom)) for _ in range(TRIES)]
    found = [Box(x, y, x + box.width, y + box.height) for x, y in (*drawn, *corners)]
    least = min(found, key=lambda other: shared(box, other))
    return least if shared(box, least) <= MOST_SHARED * box.width * box.height else None


def shared(a: Box, b: Box) -> int:
    """Counts the pixels that two regions share."""
    across = min(a.x1, b.x1) - max(a.x0, b.x0)
    down = min(a.y1, b.y1) - max(a.y0, b.y0)
    return max(0, across) * max(0, down)


def same_place(box: Box, seen: Seen, other: Seen, size: tuple[int, int]) -> Box:
    """Gives the place in another image at which the network meets the region where it met it in the first.

    Args:
        box: the region in the first image.
        seen: what the network sees of that.
        other: what it sees of the other image.
        size: width and height of the other image.
    """
    across, down = (other[2] - other[0]) / (seen[2] - seen[0]), (other[3] - other[1]) / (seen[3] - seen[1])
    x0, y0 = other[0] + (box.x0 - seen[0]) * across, other[1] + (box.y0 - seen[1]) * down
    x1, y1 = x0 + box.width * across, y0 + box.height * down
    left, upper = min(max(0, round(x0)), size[0] - 1), min(max(0, round(y0)), size[1] - 1)
    return Box(left, upper, min(max(left + 1, round(x1)), size[0]), min(max(upper + 1, round(y1)), size[1]))
