"""Activations as other tools record them: image, position and latent of each that is not zero, and its value."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from autointerp.errors import DumpError, SettingsError
from autointerp.statistics.rates import Bools, Ints
from autointerp.transcoder.backbones.protocol import Frame

Values = npt.NDArray[np.float32]
MOST_LATENTS, MOST_POSITIONS = 2**22, 2**16
"""A file that says there are more latents, or positions of an image, is not believed: memory goes with both."""
DENSE, MOST_IMAGES = 2**24, 256
"""Images of a batch times latents, and images of a batch, at most."""
Grid = tuple[int, int] | Literal["auto", "none"]
"""Rows and columns of patches as they were asked for: `auto` where the files say it, `none` for no heat maps."""


class Events(NamedTuple):
    """Activations, arrays of one length; what is not among them is 0."""

    images: Ints
    """Rows of the recording, each an image."""
    positions: Ints
    """Within the image, from 0."""
    latents: Ints
    values: Values

    def at(self, which: Bools | Ints) -> "Events":
        """Returns some of them."""
        return Events(self.images[which], self.positions[which], self.latents[which], self.values[which])


def images_at_once(n_latents: int) -> int:
    """Returns how many images a batch may have."""
    return max(1, min(MOST_IMAGES, DENSE // n_latents))


def joined(found: Sequence[Events]) -> Events:
    """Returns several lists of activations as one."""
    none = np.zeros(0, np.int64)
    return Events(
        np.concatenate([none, *(e.images for e in found)]),
        np.concatenate([none, *(e.positions for e in found)]),
        np.concatenate([none, *(e.latents for e in found)]),
        np.concatenate([np.zeros(0, np.float32), *(e.values for e in found)]),
    )


@dataclass(frozen=True, slots=True)
class Layout:
    """Which positions of an image are patches, and where these lie."""

    n_positions: int | None
    """Of an image; None where it differs from image to image."""
    first: int
    """The first position that counts; those before are class and register tokens."""
    n_patches: int
    """Positions that count."""
    grid: tuple[int, int] | None
    """Rows and columns of the patches; None without heat maps."""

    def after(self, n_before: int) -> "Layout":
        """Returns the same with as many more positions before."""
        n_positions = None if self.n_positions is None else self.n_positions + n_before
        return Layout(n_positions, self.first + n_before, self.n_patches, self.grid)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command says beside the files."""

    n_images: int
    """Images that are given."""
    n_run: int | None
    """Images that were run, the first so many, if the command says so."""
    grid: Grid


class Chunks(Protocol):
    """Gives the activations of a recording, a bounded part at a time."""

    def whole(self) -> Iterator[Events]:
        """Yields everything once, in the order of the files.

        Raises:
            DumpError: an activation is not finite, or is of an image, position or latent that there is not.
        """
        ...

    def batches(self, first: int) -> Iterator[tuple[int, Events]]:
        """Yields everything from image `first` on, by image: the image after the last of a batch, and its activations.

        Images and latents may come in any order within a batch.
        """
        ...


@dataclass(frozen=True, slots=True)
class Recording:
    """What a tool recorded, as far as its files say it before they are read."""

    tool: str
    model: str
    hookpoint: str
    n_images: int | None
    """Images that were run; None where the files do not say it."""
    n_latents: int
    layout: Layout
    chunks: Chunks
    files: tuple[Path, ...]
    lost: Callable[[Bools], Ints] = lambda fired: np.zeros(0, np.int64)
    """Given which latents occur, [n_latents]: those that the files do not hold, ascending."""
    notes: tuple[str, ...] = ()
    """What whoever opens the dump should know."""
    frame: Frame | None = None
    """What of an image was shown; None for the whole."""
    crop: str | None = None
    """What `--crop` may say of it, if the tool crops images."""


def layout_of(n_positions: int, grid: Grid, where: str) -> Layout:
    """Returns the layout of images with `n_positions` positions each.

    Positions before the patches are class and register tokens, as in all vision transformers.

    Args:
        n_positions: of an image.
        grid: as it was asked for.
        where: the file that says so, for messages.

    Raises:
        DumpError: there are more positions than any image has.
        SettingsError: it cannot be known which positions are patches, or they do not fit.
    """
    if n_positions > MOST_POSITIONS:
        raise DumpError(f"{where}: says that an image has {n_positions:,} positions; record it again")
    if grid == "none" or (grid == "auto" and n_positions == 1):
        return Layout(n_positions, 0, n_positions, None)
    side = round(n_positions**0.5)
    if grid == "auto" and side * side == n_positions:
        grid = (side, side)
    if grid == "auto":
        raise SettingsError(
            f"--patch-grid: {where} has {n_positions} positions an image, which are no square of patches; give "
            "ROWSxCOLUMNS (positions before the patches are class and register tokens), or none for no heat maps"
        )
    n_patches = grid[0] * grid[1]
    if not n_patches <= n_positions < 2 * n_patches:
        raise SettingsError(
            f"--patch-grid {grid[0]}x{grid[1]}: {where} has {n_positions} positions an image, and expected are "
            f"{n_patches} patches and perhaps class and register tokens before them"
        )
    return Layout(n_positions, n_positions - n_patches, n_patches, grid)


def check(events: Events, n_images: int, n_positions: int | None, n_latents: int, where: Callable[[int], str]) -> None:
    """Refuses what cannot be.

    Args:
        events: Activations.
        n_images: That there are.
        n_positions: Of an image; None for any number.
        n_latents: Of the dictionary.
        where: Names the place of the i-th of them.

    Raises:
        DumpError: one is out of range, or not finite.
    """
    most = np.iinfo(np.int64).max if n_positions is None else n_positions
    limits = ((events.images, n_images, "image"), (events.positions, most, "position"))
    for numbers, n, what in (*limits, (events.latents, n_latents, "latent")):
        if len(wrong := np.flatnonzero((numbers < 0) | (numbers >= n))):
            i = int(wrong[0])
            raise DumpError(
                f"{where(i)}: {what} {numbers[i]} is not in 0 … {n - 1}; {_REMEDIES[what]}, or record it again"
            )
    if len(wrong := np.flatnonzero(~np.isfinite(events.values))):
        i = int(wrong[0])
        raise DumpError(f"{where(i)}: activation {events.values[i]} is not a finite number; record it again")


_REMEDIES = {
    "image": "give the --images that were run",
    "position": "give --patch-grid as it was",
    "latent": "import it as the tool's that wrote it",
}
