"""What a population is before any image is decoded: its images in order, their bytes within reach, and what is said."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from autointerp.images.content import Content
from autointerp.images.formats import LeftOut

UNLISTED = "images that the labels do not list"
"""Why an image is left out where a table says which there are."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One image of a population."""

    name: str
    """Its path below the population's root with slashes; no other image of the population has it."""
    content: Content
    """Where its bytes lie."""
    attribute: bool | None = None
    """Whether it has what the labels are about; None if nobody said."""
    source: str | None = None
    """The group that the labels name: e.g. the prompt or the photograph that it was made from."""
    label: str | None = None
    """In words: its class, or the folder in which it lies."""

    @property
    def path(self) -> Path | None:
        """The file that holds this image and nothing else; None for a member of an archive and the like."""
        return self.content.path

    def read(self) -> bytes:
        """Reads the bytes.

        Raises:
            ImageError: they cannot be read, or are too many for one image.
        """
        return self.content.read()


@dataclass(frozen=True, slots=True)
class Listing:
    """The images of a population, in an order that does not depend on the machine."""

    root: str
    """What was opened: a folder, a file, a URL, or words for a list of Python's."""
    entries: Sequence[Entry]
    others: tuple[LeftOut, ...] = ()
    """What is there besides, by kind: files that are no images, and images that nobody asked for."""
    notes: tuple[str, ...] = ()
    """What whoever uses the labels should know."""


class Said(NamedTuple):
    """What a row says of its image, as it stands there."""

    label: object = None
    attribute: object = None
    """The value that decides whether the image has the attribute."""
    group: object = None


NOTHING = Said()


@dataclass(frozen=True, slots=True)
class Item:
    """An image that was found, before anything is made of what is said of it."""

    name: str
    content: Content
    said: Said = NOTHING


class Columns(NamedTuple):
    """Names of the columns that say something of images; None for what no column says."""

    label: str | None = None
    attribute: str | None = None
    group: str | None = None


NO_COLUMNS = Columns()


@dataclass(frozen=True, slots=True)
class Found:
    """What one form of population holds."""

    root: str
    items: Sequence[Item]
    others: Sequence[tuple[str, object]] = ()
    """Why a file is left out, in the plural, and its name."""
    columns: Columns = NO_COLUMNS
    table: str | None = None
    """The file of the columns, for messages."""
    above: str = ""
    """What stands before every name in an archive whose images lie in one folder, with a slash at its end."""
