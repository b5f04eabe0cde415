"""Random numbers that follow from a seed and what they are drawn for, so that no order and no batch changes them."""

import hashlib

import numpy as np
import numpy.typing as npt

from autointerp.statistics.rates import Floats, Ints

Keys = npt.NDArray[np.uint64]

STEP = np.uint64(0x9E3779B97F4A7C15)


def keys(seed: int, purpose: str, *numbers: Ints) -> Keys:
    """Returns a 64-bit key for each row of numbers, shape of the numbers; as if drawn uniformly and independently.

    Args:
        seed: Of the harvest.
        purpose: Draws for different purposes are independent.
        numbers: One or more arrays, of one shape or broadcast to one: such as latents and images.
    """
    start = int.from_bytes(hashlib.sha256(f"{purpose}:{seed}".encode()).digest()[:8], "little")
    state = np.full(np.broadcast_shapes(*(n.shape for n in numbers)), start, np.uint64)
    for number in numbers:
        state = _mixed(state + (number.astype(np.uint64) + np.uint64(1)) * STEP)
    return state


def uniform(drawn: Keys) -> Floats:
    """Returns the keys as numbers in [0, 1)."""
    return (drawn >> np.uint64(11)).astype(np.float64) * 2.0**-53


def by_lot(n: int, seed: int) -> Ints:
    """Orders 0 … n - 1 by lot with `seed`: the first m are a uniform draw of m without replacement."""
    return np.argsort(keys(seed, "population", np.arange(n)), kind="stable")


def _mixed(x: Keys) -> Keys:
    """Mixes bits by SplitMix64's finaliser (Steele, Lea & Flood 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
