"""Lays heat maps of a cropped picture on the whole one."""

import numpy as np
import numpy.typing as npt

from autointerp.statistics.rates import Floats
from autointerp.transcoder.backbones.protocol import Frame
from autointerp.transcoder.harvest.encode import Heats


def over_the_whole(heat: Heats, grid: tuple[int, int], size: tuple[int, int], frame: Frame) -> Heats:
    """Returns a heat map of as many cells over the whole image, 0 where the model saw nothing.

    A cell of the whole image has the mean over its area of what the cells of the crop that overlap it have; the map is
    then scaled so that its maximum is 255 again.

    Args:
        heat: [patches], 0-255, over what the model saw.
        grid: rows and columns of the map over the whole image.
        size: width and height of the image in pixels.
        frame: what the model saw of it.
    """
    if frame.shortest is None:
        return heat
    left, top, right, bottom = frame.seen(size)
    own = frame.grid(size, grid)
    down, across = _overlaps(grid[0], own[0], size[1], top, bottom), _overlaps(grid[1], own[1], size[0], left, right)
    laid = down @ heat.reshape(own).astype(np.float64) @ across.T
    highest = laid.max()
    return np.round(255 * laid / highest).astype(np.uint8).ravel() if highest else heat


def _overlaps(n: int, m: int, length: int, first: float, last: float) -> Floats:
    """Returns [n, m]: the share of each of n cells over `length` that each of m cells from `first` to `last` covers."""
    whole, seen = np.linspace(0, length, n + 1), np.linspace(first, last, m + 1)
    low = np.maximum(whole[:-1, None], seen[None, :-1])
    high = np.minimum(whole[1:, None], seen[None, 1:])
    shares: npt.NDArray[np.float64] = np.maximum(high - low, 0) / (length / n)
    return shares
