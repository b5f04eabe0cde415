"""Image files decoded and hashed once: what was seen of each is remembered in a file, until the image changes."""

import hashlib
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from pathlib import Path

from autointerp.errors import ImageError
from autointerp.images.content import Content, OwnFile, Stamp, source_of
from autointerp.images.decode import decoding, digest_of
from autointerp.images.near_duplicates import LOOKED_AT, Look, look_of
from autointerp.images.threads import worker_threads

FILE = "images.db"
MADE_BY = " ".join(("1", *(f"{name} {version(name)}" for name in ("pillow", "simplejpeg", "numpy"))))
"""What a look depends on beside the image; rows made by anything else are made again. Raise the number when `look_of`,
or what counts as readable, changes."""
AT_ONCE = 512
"""Images that are asked for and remembered together: what a kill loses at most."""
SETTLED = 2_000_000_000
"""Nanoseconds for which a file must have rested to be remembered: two changes within one tick of a file system's clock
leave the same time. FAT's ticks are the longest, 2 s."""
_WAIT = 5.0
"""Seconds to wait for another process that writes; what is not remembered is decoded again another time."""
_DAMAGE = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
"""What SQLite says of a table of other columns, a broken database, and a file that is none."""
_TABLE = (
    "CREATE TABLE IF NOT EXISTS images (path TEXT PRIMARY KEY, size INTEGER, mtime INTEGER, sha256 TEXT, "
    "width INTEGER, height INTEGER, hash BLOB, thumb BLOB, seal BLOB) WITHOUT ROWID"
)
_ASKED = "SELECT path, size, mtime, sha256, width, height, hash, thumb, seal FROM images WHERE path IN ({})"
_ALL = "SELECT path, size, mtime, sha256, width, height, hash, thumb, seal FROM images"
_KEPT = "INSERT OR REPLACE INTO images VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Seen:
    """An image file that could be decoded."""

    digest: str
    """SHA-256, hex."""
    size: tuple[int, int]
    """Pixels as displayed."""
    look: Look


Row = tuple[str, int, int, str, int, int, bytes, bytes, bytes]
"""Path, size, time, SHA-256, width, height, hash, thumb and seal; in a damaged file each may be of any type."""


def seen_files(files: Iterable[Path | Content], manifest: "Manifest | None" = None) -> Iterator[Seen | str]:
    """Decodes each image, upright, in the order given; of one that cannot be read, yields a line that says why.

    Args:
        files: whose look is wanted.
        manifest: where to remember them; those that it knows are not read.
    """
    left = (OwnFile(file) if isinstance(file, Path) else file for file in files)
    with worker_threads(os.cpu_count() or 1) as pool:
        while part := list(islice(left, AT_ONCE)):
            stamps = {} if manifest is None else _stamps(part)
            known = {} if manifest is None else manifest.recall(stamps)
            found = pool.map(_seen, [file for file in part if file not in known])
            new: dict[Content, Seen] = {}
            for file in part:
                seen = known[file] if file in known else next(found)
                if file not in known and isinstance(seen, Seen):
                    new[file] = seen
                yield seen
            if manifest is not None and new:
                manifest.keep(new, stamps)


def _seen(file: Content) -> Seen | str:
    try:
        source = source_of(file)
        with decoding(source, at_most=LOOKED_AT) as decoded:
            return Seen(digest_of(source), decoded.size, look_of(decoded.image))
    except ImageError as error:
        return str(error)
    except OSError as error:
        return f"{file}: cannot be read: {error.strerror}"


def _stamps(files: Sequence[Content]) -> dict[Content, Stamp]:
    """Returns the stamps of those images whose file is there."""
    return {file: stamp for file in files if file.key is not None and (stamp := file.stamp()) is not None}


class Manifest:
    """Remembers images by path, and size and time of their file, for all commands that share a cache folder.

    A row counts only if its seal, a digest over the whole row and over what made it, is right: whatever is damaged, or
    of another version, is made again. Several processes may use it at once. Nothing depends on what it knows but time,
    so that one that cannot be read or written is passed over.

    Args:
        folder: where its file lies; made if need be.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE

    def recall(self, stamps: Mapping[Content, Stamp]) -> dict[Content, Seen]:
        """Returns what is known of those images whose files are as they were."""
        asked = {file.key: file for file in stamps if file.key is not None}
        out: dict[Content, Seen] = {}
        for path, *stamp, digest, width, height, bits, thumb, seal in self._rows(list(asked)):
            file, size = asked.get(path), (width, height)
            stated = (path, *stamp, digest, *size, bits, thumb)
            if file is not None and tuple(stamp) == stamps[file] and seal == _seal(*stated):
                out[file] = Seen(digest, size, Look(int.from_bytes(bits, "big"), thumb))
        return out

    def keep(self, seen: Mapping[Content, Seen], stamps: Mapping[Content, Stamp]) -> None:
        """Remembers images, except those that were written while they were seen or just before.

        Args:
            seen: what was seen of each.
            stamps: of each from before it was read.
        """
        now, after = time.time_ns(), _stamps(list(seen))
        rows: list[tuple[object, ...]] = []
        for file, one in seen.items():
            stamp = stamps.get(file)
            if stamp is not None and stamp == after.get(file) and stamp[1] < now - SETTLED:
                look = one.look.hash.to_bytes(8, "big"), one.look.thumb
                row = (file.key, *stamp, one.digest, *one.size, *look)
                rows.append((*row, _seal(*row)))
        with suppress(OSError, sqlite3.Error):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._write(rows)
            except sqlite3.Error as error:
                if error.sqlite_errorcode not in _DAMAGE:
                    raise
                # Whoever has it open goes on with what it has.
                self._file.unlink(missing_ok=True)
                self._write(rows)

    def hand_on(self, files: Sequence[Content], other: "Manifest") -> None:
        """Has another manifest remember what this one knows of these images."""
        for start in range(0, len(files), AT_ONCE):
            stamps = _stamps(files[start : start + AT_ONCE])
            other.keep(self.recall(stamps), stamps)

    def take_in(self, file: Path) -> None:
        """Remembers what the file of another manifest does, whose rows count by their seals; a broken one is nothing.

        Raises:
            OSError: this one cannot be written.
        """
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with suppress(sqlite3.Error), closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as there:
            rows = there.execute(_ALL)
            while some := rows.fetchmany(AT_ONCE):
                self._write(some)

    def census(self) -> tuple[int, int]:
        """Counts its rows, and those that do not count, which are damaged or of another version.

        Raises:
            sqlite3.Error: the file cannot be read.
        """
        if not self._file.is_file():
            return 0, 0
        with closing(sqlite3.connect(f"{self._file.resolve().as_uri()}?mode=ro", timeout=_WAIT, uri=True)) as file:
            sound = [seal == _seal(*stated) for *stated, seal in file.execute(_ALL)]
        return len(sound), sound.count(False)

    def _rows(self, paths: Sequence[str]) -> list[Row]:
        with suppress(OSError, sqlite3.Error):
            if self._file.is_file():
                at = f"{self._file.resolve().as_uri()}?mode=ro"
                with closing(sqlite3.connect(at, timeout=_WAIT, uri=True)) as file:
                    return file.execute(_ASKED.format(",".join("?" * len(paths))), paths).fetchall()
        return []

    def _write(self, rows: Sequence[tuple[object, ...]]) -> None:
        with closing(sqlite3.connect(self._file, timeout=_WAIT)) as file, file:
            file.execute(_TABLE)
            file.executemany(_KEPT, rows)


class Layered(Manifest):
    """A manifest of one's own, and behind it one that others share, who may have seen what this one has not."""

    def __init__(self, own: Manifest, shared: Manifest) -> None:
        self._layers = (own, shared)

    def recall(self, stamps: Mapping[Content, Stamp]) -> dict[Content, Seen]:
        """Returns what either knows of those files that are as they were."""
        own, shared = self._layers
        found = own.recall(stamps)
        return found | shared.recall({file: stamp for file, stamp in stamps.items() if file not in found})

    def keep(self, seen: Mapping[Content, Seen], stamps: Mapping[Content, Stamp]) -> None:
        """Remembers files in both."""
        for layer in self._layers:
            layer.keep(seen, stamps)


def _seal(*row: object) -> bytes:
    return hashlib.blake2b(repr((MADE_BY, row)).encode(), digest_size=16).digest()
