"""Which kinds of image files are read, and which files of a folder are images."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from PIL import Image

from autointerp.errors import one_line

# Opening a format whose plugin is not loaded makes Pillow load all of them, which is slow and not thread-safe.
for _name in ("Png", "Jpeg", "Mpo", "WebP", "Gif", "Bmp", "Tiff", "Ppm", "Avif", "Jpeg2K"):
    import_module(f"PIL.{_name}ImagePlugin")

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000")
"""What is decoded unless told otherwise, by Pillow's names."""

SUFFIXES = frozenset(suffix for suffix, kind in Image.EXTENSION.items() if kind in (*FORMATS, "MPO"))
"""What the names of such files end in, in lower case; JPEG's decoder reads MPO as well."""

UNREADABLE = "images that cannot be read"
"""Why a file is left out that has the name of an image or begins like one."""

_LONGEST_PREFIX = 16
"""Bytes from which Pillow's plugins tell whose a file is."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Files of one kind that were left out."""

    why: str
    """What they are, in the plural."""
    count: int
    example: str
    """Path of the first one."""

    def __str__(self) -> str:
        return f"{self.why}: {self.count:,} (e.g. {self.example})"


def left_out(found: Iterable[tuple[str, object]]) -> tuple[LeftOut, ...]:
    """Counts files by why they were left out, given with their paths; the most frequent comes first."""
    counts: Counter[str] = Counter()
    first: dict[str, str] = {}
    for why, path in found:
        counts[why] += 1
        first.setdefault(why, one_line(str(path)))
    return tuple(LeftOut(why, n, first[why]) for why, n in sorted(counts.items(), key=lambda c: (-c[1], c[0])))


def why_no_image(path: Path) -> str | None:
    """Why a file of a folder is not taken for an image, in the plural; None if it is.

    A file with the suffix of an image is one, unless it is empty; any other is one if it begins like one. Hidden files
    are none: what an operating system leaves beside an image is called `._cat.png`. A name that is not UTF-8 can
    stand in no record.
    """
    kind = path.suffix.lower()
    try:
        str(path).encode()
        if not path.is_file():
            return "folders inside" if path.is_dir() else "links that lead nowhere or special files"
        if path.name.startswith("."):
            return "hidden files"
        if not path.stat().st_size:
            return "empty files"
        if kind in SUFFIXES or _begins_like_one(path):
            return None
    except OSError as error:
        return f"files that cannot be read ({error.strerror})"
    except UnicodeEncodeError:
        return "files whose names are not UTF-8, which have to be renamed"
    return f"{kind} files, which are not images of a kind that is read" if kind else "files without a suffix"


def _begins_like_one(path: Path) -> bool:
    with path.open("rb") as file:
        prefix = file.read(_LONGEST_PREFIX)
    return any(accepts(prefix) for kind in FORMATS if kind != "PPM" and (accepts := Image.OPEN[kind][1]) is not None)
