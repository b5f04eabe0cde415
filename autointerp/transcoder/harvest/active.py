"""The images that fire each latent: a heap of the strongest and a uniform reservoir of the others, with heat maps."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from autointerp.statistics.rates import Ints
from autointerp.transcoder.harvest.encode import Heats
from autointerp.transcoder.harvest.silent_sampling import Keys, keys

Floats = npt.NDArray[np.float32]
LAST = np.uint64(2**64 - 1)
"""Key of a place that is empty."""
AT_ONCE = 256
"""Latents whose images are taken from another collection at once."""


class ActiveImages:
    """For all latents at once: the `n_top` strongest images, and of the others those with the lowest keys.

    A (latent, image) has one key, drawn by hash (bottom-k sampling: Cohen & Kaplan 2007). An image that falls out of
    the heap is offered to the reservoir then, so that at any time the reservoir is a uniform draw without replacement
    of the images seen and not in the heap. What is kept depends on which images were offered, and neither on their
    order nor on how they were batched. Heat maps lie in as many slots as there are places and do not move when an image
    goes from heap to reservoir.

    Args:
        n_latents: Size of the dictionary.
        n_top: Places in a heap.
        n_rest: Places in a reservoir.
        n_patches: Of a heat map; 0 for none.
        seed: Of the keys.
    """

    def __init__(self, n_latents: int, n_top: int, n_rest: int, *, n_patches: int, seed: int) -> None:
        self.seed = seed
        self.top_activation = np.full((n_latents, n_top), -np.inf, np.float32)
        """[n_latents, n_top], descending, equal ones by image; empty places last."""
        self.top_image = np.full((n_latents, n_top), -1, np.int64)
        self.top_slot = np.zeros((n_latents, n_top), np.int64)
        self.rest_key = np.full((n_latents, n_rest), LAST, np.uint64)
        """[n_latents, n_rest], ascending; empty places last."""
        self.rest_activation = np.full((n_latents, n_rest), -np.inf, np.float32)
        self.rest_image = np.full((n_latents, n_rest), -1, np.int64)
        self.rest_slot = np.zeros((n_latents, n_rest), np.int64)
        self.heat = np.zeros((n_latents, n_top + n_rest, n_patches), np.uint8)
        """[n_latents, slots, n_patches], 0–255 of the image's maximum."""
        self.moved = np.zeros(n_latents, np.bool_)
        """[n_latents]: whose heap or reservoir changed since the last checkpoint."""
        self.drawn = np.zeros((n_latents, n_top + n_rest), np.bool_)
        """[n_latents, slots]: which heat maps did."""

    def offer(self, latents: Ints, images: Ints, activations: Floats, heats: Callable[[Ints], Heats]) -> None:
        """Offers images that fire; each pair of latent and image once in a harvest.

        Args:
            latents: [events].
            images: [events].
            activations: [events].
            heats: gives [rows, n_patches] for those rows of the events that are kept.
        """
        drawn = keys(self.seed, "reservoir", latents, images)
        rows = np.flatnonzero((activations >= self.top_activation[latents, -1]) | (drawn <= self.rest_key[latents, -1]))
        if not len(rows):
            return
        affected, offered = _padded(latents[rows], rows)
        self.moved[affected] = True
        there = offered >= 0
        image = np.where(there, images[offered], -1)
        activation = np.where(there, activations[offered], np.float32(-np.inf))
        # A slot says where a heat map lies; below 0 it is that of the event -1 - slot, not drawn yet.
        left = self._heap(affected, activation, image, -1 - offered)
        self._reserve(affected, *left)
        self._settle(affected, heats)

    def absorb(self, other: "ActiveImages") -> None:
        """Takes in what another kept of other images; then this is as if it had been offered all of both.

        An image that the other did not keep has `n_top` stronger ones there, and as many lower keys below these as a
        reservoir has places, so that it has no place among more images either.
        """
        for start in range(0, len(self.top_image), AT_ONCE):
            self._absorb(other, slice(start, start + AT_ONCE))

    def _absorb(self, other: "ActiveImages", some: slice) -> None:
        image = np.hstack([other.top_image[some], other.rest_image[some]])
        activation = np.hstack([other.top_activation[some], other.rest_activation[some]])
        slot = np.hstack([other.top_slot[some], other.rest_slot[some]])
        row, place = np.nonzero(image >= 0)
        latent, slots = row + some.start, slot[row, place]
        heats = other.heat
        self.offer(latent, image[row, place], activation[row, place], lambda rows: heats[latent[rows], slots[rows]])

    def _heap(self, affected: Ints, activation: Floats, image: Ints, slot: Ints) -> tuple[Floats, Ints, Ints]:
        """Merges candidates, [affected, n], into the heaps; returns as many that are left over."""
        activation = np.hstack([self.top_activation[affected], activation])
        image = np.hstack([self.top_image[affected], image])
        slot = np.hstack([self.top_slot[affected], slot])
        order = np.lexsort((image, -activation), axis=-1)
        activation = np.take_along_axis(activation, order, axis=1)
        image = np.take_along_axis(image, order, axis=1)
        slot = np.take_along_axis(slot, order, axis=1)
        n_top = self.top_image.shape[1]
        self.top_activation[affected] = activation[:, :n_top]
        self.top_image[affected] = image[:, :n_top]
        self.top_slot[affected] = slot[:, :n_top]
        return activation[:, n_top:], image[:, n_top:], slot[:, n_top:]

    def _reserve(self, affected: Ints, activation: Floats, image: Ints, slot: Ints) -> None:
        """Merges what the heaps left over, [affected, n], into the reservoirs."""
        drawn: Keys = np.where(image >= 0, keys(self.seed, "reservoir", affected[:, None], image), LAST)
        drawn = np.hstack([self.rest_key[affected], drawn])
        n_rest = self.rest_image.shape[1]
        order = np.argsort(drawn, axis=1, kind="stable")[:, :n_rest]
        self.rest_key[affected] = np.take_along_axis(drawn, order, axis=1)
        for kept, more in ((self.rest_activation, activation), (self.rest_image, image), (self.rest_slot, slot)):
            kept[affected] = np.take_along_axis(np.hstack([kept[affected], more]), order, axis=1)

    def _settle(self, affected: Ints, heats: Callable[[Ints], Heats]) -> None:
        """Gives what is new a slot that nothing else has, and a heat map there."""
        image = np.hstack([self.top_image[affected], self.rest_image[affected]])
        slot = np.hstack([self.top_slot[affected], self.rest_slot[affected]])
        used = np.zeros(slot.shape, np.bool_)
        row, place = np.nonzero((image >= 0) & (slot >= 0))
        used[row, slot[row, place]] = True
        new = (image >= 0) & (slot < 0)
        row, place = np.nonzero(new)
        free = np.argsort(used, axis=1, kind="stable")
        given = free[row, np.cumsum(new, axis=1)[row, place] - 1]
        events = -1 - slot[row, place]
        slot[row, place] = given
        n_top = self.top_slot.shape[1]
        self.top_slot[affected], self.rest_slot[affected] = slot[:, :n_top], slot[:, n_top:]
        if self.heat.shape[2] and len(events):
            self.heat[affected[row], given] = heats(events)
            self.drawn[affected[row], given] = True


def _padded(latents: Ints, rows: Ints) -> tuple[Ints, Ints]:
    """Returns the latents that occur, ascending, [affected], and the rows of each, [affected, most], padded with -1."""
    order = np.argsort(latents, kind="stable")
    affected, first, counts = np.unique(latents[order], return_index=True, return_counts=True)
    out = np.full((len(affected), int(counts.max())), -1, np.int64)
    out[np.repeat(np.arange(len(affected)), counts), np.arange(len(rows)) - np.repeat(first, counts)] = rows[order]
    return affected, out
