"""A population of images on disk: which files there are, how they are labelled, and which of them are broken."""

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count
from pathlib import Path

from autointerp.dump.writer import digest_of
from autointerp.errors import ImageError, SettingsError, one_line
from autointerp.images.decode import decoding
from autointerp.images.formats import UNREADABLE, LeftOut
from autointerp.images.near_duplicates import LOOKED_AT, Look, joined, look_of, near_duplicates, shared_names
from autointerp.images.threads import worker_threads
from autointerp.statistics.rates import Ints
from autointerp.transcoder.labels import Listed, listed_in_csv, listed_in_folders


@dataclass(frozen=True, slots=True)
class PopulationImage:
    """One image that can be read."""

    image: int
    """Its id: the position among the images that can be read, from 0."""
    path: Path
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
    """In words: the folder in which it lies."""
    look: Look


@dataclass(frozen=True)
class Population:
    """Images in a fixed order."""

    root: Path
    images: tuple[PopulationImage, ...]
    broken: tuple[str, ...]
    """One line for each file that was passed over."""
    others: tuple[LeftOut, ...] = ()
    """Files of the folder that are no images, and images that the labels do not list."""

    @cached_property
    def groups(self) -> Ints:
        """Returns the group of each image, shape [n]: near-duplicates, and whatever the labels put together."""
        return joined(len(self.images), near_duplicates([i.look for i in self.images]).tolist(), self.sources)

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """All files that were passed over, by kind."""
        broken = LeftOut(UNREADABLE, len(self.broken), one_line(self.broken[0])) if self.broken else None
        return (*filter(None, [broken]), *self.others)

    @property
    def sources(self) -> list[str | None]:
        """Returns the group that the labels give each image."""
        return [i.source for i in self.images]

    @property
    def group_names(self) -> list[str | None]:
        """Returns the groups as a dump states them: a name where an image shares its group, else None."""
        return shared_names(self.groups, "group")

    def labelled(self) -> "Population":
        """Returns only the images that have an attribute; ids stay."""
        kept = tuple(i for i in self.images if i.attribute is not None)
        return replace(self, images=kept)


def read_population(
    root: Path,
    *,
    labels: Path | None = None,
    error_folders: Collection[str] = (),
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Population:
    """Lists, decodes and labels the images of a folder.

    Each file is decoded once, upright, so that what is broken is known here and not later. The order is that of the
    paths below the folder, or of the CSV's rows, and does not depend on the machine.

    Args:
        root: the folder; all images below it belong to the population, or those that `labels` lists.
        labels: a CSV file with a header and the columns path (of a file below `root`), label (1 or 0, or empty) and, if
            wanted, group.
        error_folders: names of folders whose images show a physical error; all others do not. Without them and without
            `labels`, folders named plausible and implausible decide, and images in neither have no attribute.
        threads: that decode at once; None takes the machine's cores.
        progress: is told files read and all files.

    Raises:
        SettingsError: the folder or the CSV file cannot be read, or no image can.
    """
    if not os.path.isdir(root):  # noqa: PTH112 - which has no error for a name that is too long
        raise SettingsError(f"{root}: no such folder; give one with images")
    if labels is not None and error_folders:
        raise SettingsError("--labels and --error-folders both say what is labelled; give one of them")
    listing = listed_in_csv(root, labels) if labels is not None else listed_in_folders(root, error_folders)
    listed = listing.images
    images: list[PopulationImage] = []
    broken: list[str] = []
    number = count()
    for found in _read_all(listed, threads or os.cpu_count() or 1):
        if isinstance(found, str):
            broken.append(found)
        else:
            images.append(found.numbered(next(number)))
        if progress is not None:
            progress(len(images) + len(broken), len(listed))
    if not images:
        none = f"holds no images{''.join(f'; left out: {one}' for one in listing.others[:1])}"
        what = f"none of its {len(listed)} images can be read; the first: {broken[0]}" if broken else none
        raise SettingsError(f"{root}: {what}")
    return Population(root, tuple(images), tuple(broken), listing.others)


@dataclass(frozen=True, slots=True)
class _Read:
    listed: Listed
    size: tuple[int, int]
    sha256: str
    look: Look

    def numbered(self, image: int) -> PopulationImage:
        one = self.listed
        return PopulationImage(
            image, one.path, *self.size, self.sha256, one.attribute, one.source, one.label, self.look
        )


def _read_all(listed: Sequence[Listed], threads: int) -> Iterator["_Read | str"]:
    with worker_threads(threads) as pool:
        yield from pool.map(_read, listed)


def _read(one: Listed) -> "_Read | str":
    """Reads the image, or returns a line that says why not."""
    try:
        with decoding(one.path, at_most=LOOKED_AT) as decoded:
            return _Read(one, decoded.size, digest_of(one.path), look_of(decoded.image))
    except ImageError as e:
        return str(e)
    except OSError as e:
        return f"{one.path}: cannot be read: {e.strerror}"


def attributes(images: Iterable[PopulationImage]) -> list[bool]:
    """Returns the attribute of each image; all must have one."""
    out: list[bool] = []
    for image in images:
        assert image.attribute is not None
        out.append(image.attribute)
    return out
