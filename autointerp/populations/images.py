"""The images of a population, decoded once: how large they are, how they look, and which of them are broken."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Unpack

import numpy as np
import numpy.typing as npt

from autointerp.errors import SettingsError, one_line
from autointerp.images.content import Content
from autointerp.images.formats import UNREADABLE, LeftOut
from autointerp.images.manifest import Manifest, seen_files
from autointerp.images.near_duplicates import Look, joined, near_duplicates, shared_names
from autointerp.populations.hub import HUB
from autointerp.populations.labels import LabelOptions
from autointerp.populations.listing import Listing
from autointerp.populations.opening import Source, open_population, open_tabled

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PopulationImage:
    """One image that can be read."""

    image: int
    """Its id: the position among the images that can be read, from 0."""
    name: str
    """Its path below the population's root, with slashes, as tables of images state it."""
    content: Content
    """Where its bytes lie."""
    width: int
    """Pixels as displayed."""
    height: int
    sha256: str
    """Hex digest of the file's bytes."""
    attribute: bool | None
    """Whether it shows a physical error, or whatever the labels are about; None if nobody said."""
    source: str | None
    """The group that the labels name: e.g. the prompt or the photograph that it was made from."""
    label: str | None
    """In words: its class, or the folder in which it lies."""
    look: Look

    @property
    def path(self) -> Path | None:
        """The file that holds this image and nothing else; None for a member of an archive and the like."""
        return self.content.path


@dataclass(frozen=True)
class Population:
    """Images in a fixed order."""

    root: str
    """What was opened."""
    images: tuple[PopulationImage, ...]
    broken: tuple[str, ...]
    """One line for each file that was passed over."""
    others: tuple[LeftOut, ...] = ()
    """What is there besides: files that are no images, and images that the labels do not list."""
    notes: tuple[str, ...] = ()
    """What whoever uses the labels should know."""

    @cached_property
    def groups(self) -> Ints:
        """Returns the group of each image, shape [n]: near-duplicates, and whatever the labels put together."""
        sources = [i.source for i in self.images]
        return joined(len(self.images), near_duplicates([i.look for i in self.images]).tolist(), sources)

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """All files that were passed over, by kind."""
        broken = LeftOut(UNREADABLE, len(self.broken), one_line(self.broken[0])) if self.broken else None
        return (*filter(None, [broken]), *self.others)

    @property
    def pinned(self) -> str:
        """What `created_by` of a dump says of images of the hub: the name and its commit."""
        return f", images of {self.root}" if self.root.startswith(HUB) else ""

    @property
    def group_names(self) -> list[str | None]:
        """Returns the groups as a dump states them: a name where an image shares its group, else None."""
        return shared_names(self.groups, "group")

    def labelled(self) -> "Population":
        """Returns only the images that have an attribute; ids stay."""
        kept = tuple(i for i in self.images if i.attribute is not None)
        return replace(self, images=kept)


def read_population(
    source: Source,
    *,
    draw: Callable[[int], Sequence[int]] | None = None,
    manifest: Manifest | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    **of_labels: Unpack[LabelOptions],
) -> Population:
    """Opens a population, and looks at its images as `look_at` does.

    Args:
        source: as for `open_population`.
        draw: as for `look_at`.
        manifest: as for `look_at`.
        progress: as for `look_at`.
        of_labels: labels, label_column, attribute, group_column and error_folders, as for `open_population`.

    Raises:
        SettingsError: the population or the table cannot be read, or no image can.
    """
    return look_at(open_population(source, **of_labels), draw=draw, manifest=manifest, progress=progress)


def look_at(
    listing: Listing,
    *,
    draw: Callable[[int], Sequence[int]] | None = None,
    manifest: Manifest | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Population:
    """Decodes each image once, upright, so that what is broken is known here and not later.

    Args:
        listing: the images and their order.
        draw: is told how many images are listed, and returns the ascending positions of those that are read; the others
            are not opened. All are read without it.
        manifest: remembers what is decoded here; images that it knows are not read again.
        progress: is told images read and all images.

    Raises:
        SettingsError: no image can be read.
    """
    listed = listing.entries if draw is None else [listing.entries[i] for i in draw(len(listing.entries))]
    images: list[PopulationImage] = []
    broken: list[str] = []
    for one, found in zip(listed, seen_files((one.content for one in listed), manifest), strict=True):
        if isinstance(found, str):
            broken.append(found)
        else:
            told, said = (one.attribute, one.source, one.label), (*found.size, found.digest)
            images.append(PopulationImage(len(images), one.name, one.content, *said, *told, found.look))
        progress(len(images) + len(broken), len(listed))
    if not images:
        none = f"holds no images{''.join(f'; left out: {one}' for one in listing.others[:1])}"
        what = f"none of its {len(listed)} images can be read; the first: {broken[0]}" if broken else none
        raise SettingsError(f"{listing.root}: {what}")
    return Population(listing.root, tuple(images), tuple(broken), listing.others, listing.notes)


def read_tabled(
    source: Source,
    table: Path,
    by: str,
    *,
    manifest: Manifest | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Population:
    """Opens a population of which a table lists the images, labelled by one of its columns, and looks at them.

    Raises:
        SettingsError: as `open_tabled`, or no image can be read.
    """
    return look_at(open_tabled(source, table, by), manifest=manifest, progress=progress)
