"""Which kinds of image files are read, and which files of a folder are images."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path, PurePosixPath

from PIL import Image

from autointerp.errors import one_line

# Opening a format whose plugin is not loaded makes Pillow load all of them, which is slow and not thread-safe.
for _name in (
    *("Png", "Jpeg", "Mpo", "WebP", "Gif", "Bmp", "Tiff", "Ppm", "Avif", "Jpeg2K"),
    *("Dds", "Ico", "Icns", "Pcx", "Psd", "Qoi", "Sgi", "Sun", "Tga", "Xbm", "Xpm"),
):
    import_module(f"PIL.{_name}ImagePlugin")

USUAL = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000")
"""Formats by Pillow's names, those that people mostly have."""
FORMATS = (*USUAL, "DIB", "DDS", "ICO", "ICNS", "PCX", "PSD", "QOI", "SGI", "SUN", "TGA", "XBM", "XPM")
"""What is decoded unless told otherwise: pictures of pixels that Pillow decodes by itself. EPS, WMF and the like are
left out, since it hands these to other programs, and so are films and tables of measurements."""

SUFFIXES = frozenset(suffix for suffix, kind in Image.EXTENSION.items() if kind in (*FORMATS, "MPO"))
"""What the names of such files end in, in lower case; JPEG's decoder reads MPO as well."""

UNREADABLE = "images that cannot be read"
"""Why a file is left out that has the name of an image or begins like one."""

_HIDDEN, _EMPTY = "hidden files", "empty files"
_NOT_UTF_8 = "files whose names are not UTF-8, which have to be renamed"
_WHATEVER_IT_IS = frozenset({_HIDDEN, _EMPTY, _NOT_UTF_8})
"""Why a file is left out even if it begins like an image."""
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
    try:
        str(path).encode()
        if not path.is_file():
            return "folders inside" if path.is_dir() else "links that lead nowhere or special files"
        why = why_not_by_name(path.name, path.stat().st_size)
        return why if why is None or why in _WHATEVER_IT_IS or not _begins_like_one(path) else None
    except OSError as error:
        return f"files that cannot be read ({error.strerror})"
    except UnicodeEncodeError:
        return _NOT_UTF_8


def why_not_by_name(name: str, size: int) -> str | None:
    """Why a file is not taken for an image, by its name and bytes alone: a member of an archive, or a file at a URL."""
    base = name.rpartition("/")[2]
    kind = PurePosixPath(base).suffix.lower()
    if any("\ud800" <= c <= "\udfff" for c in name):
        return _NOT_UTF_8
    if base.startswith("."):
        return _HIDDEN
    if not size:
        return _EMPTY
    if kind in SUFFIXES:
        return None
    return f"{kind} files, which are not images of a kind that is read" if kind else "files without a suffix"


def _begins_like_one(path: Path) -> bool:
    with path.open("rb") as file:
        # Some of Pillow's checks read beyond the end of a shorter file.
        prefix = file.read(_LONGEST_PREFIX).ljust(_LONGEST_PREFIX, b"\0")
    return any(accepts(prefix) for kind in FORMATS if kind != "PPM" and (accepts := Image.OPEN[kind][1]) is not None)
