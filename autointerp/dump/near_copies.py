"""Groups of near-duplicates for dumps that state none: by how their images look, remembered beside the dump."""

import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from threading import Lock

from autointerp.dump.pictures import decoded
from autointerp.dump.reader import Dump
from autointerp.errors import DumpError, ImageError
from autointerp.images.near_duplicates import LOOKED_AT, THUMB_SIDE, Look, look_of, near_duplicates, shared_names
from autointerp.images.store import Store
from autointerp.images.threads import worker_threads
from autointerp.remote.path import RemotePath
from autointerp.schema import ImageRow

FILE = "near-copies.db"
MEMORY = 64 * 2**20
"""Bytes of looks that are kept in memory."""
_WEIGHT = 2048
"""Bytes that a look takes in memory, at most."""
THREADS_AT_URL = 32
"""That look at images at once where the dump is at a URL, and most of them wait; else there is one a core."""
_WAIT = 5.0
"""Seconds to wait for another process that writes the file; it is made again without it."""
_TABLE = (
    "CREATE TABLE IF NOT EXISTS looks "
    "(image INTEGER PRIMARY KEY, sha256 TEXT NOT NULL, hash BLOB NOT NULL, thumb BLOB NOT NULL)"
)
_ASKED = "SELECT image, sha256, hash, thumb FROM looks WHERE image IN ({})"
_KEPT = "INSERT OR REPLACE INTO looks VALUES (?, ?, ?, ?)"


class NearCopies:
    """Says which of a feature's images are near-duplicates of one another; safe to use from several threads.

    Only images that are asked for are looked at, each once. Groups depend on the images asked for together alone, and
    neither on what else is in the dump nor on what was asked for before.

    Args:
        dump: the dump. Where any of its images has a group, the groups it states are all there are.
        elsewhere: the folder where looks are remembered if the dump's own cannot be written; None for nowhere.
    """

    def __init__(self, dump: Dump, elsewhere: Path | None) -> None:
        groups = dump.images_table()["group"]
        self.needed = groups.null_count == len(groups)
        """Whether the dump states no group."""
        self.blind = False
        """Whether some image could not be looked at: once it can, groups may be others."""
        self._dump = dump
        self._elsewhere = elsewhere
        self._looking = Lock()
        self._looks: Store[int, Look] = Store(MEMORY, lambda look: _WEIGHT)

    def grouped(self, rows: Mapping[int, ImageRow]) -> dict[int, ImageRow]:
        """The rows by image id, near-duplicates among them with a common group; a broken image has none."""
        if not self.needed:
            return dict(rows)
        looks = self._looks_of(rows)
        ids = sorted(looks)
        names = shared_names(near_duplicates([looks[i] for i in ids]), "look")
        return dict(rows) | {i: replace(rows[i], group=name) for i, name in zip(ids, names, strict=True) if name}

    def _looks_of(self, rows: Mapping[int, ImageRow]) -> dict[int, Look]:
        """How each image looks that can be decoded."""
        known = self._known(rows)
        left = {image: row for image, row in rows.items() if image not in known}
        if not left:
            return known
        with self._looking:  # features that share images are asked for at once, and each image is looked at once
            return known | self._found(left)

    def _known(self, rows: Mapping[int, ImageRow]) -> dict[int, Look]:
        """Those that are in memory."""
        return {image: look for image in rows if (look := self._looks.peek(image)) is not None}

    def _found(self, rows: Mapping[int, ImageRow]) -> dict[int, Look]:
        """Those that another thread has found meanwhile, those that are remembered, and those that are made now."""
        known = self._known(rows)
        stored = self._read({image: row for image, row in rows.items() if image not in known})
        left = [row for image, row in rows.items() if image not in known and image not in stored]
        seen = self._seen(left) if left else {}
        made = {image: look for image, look in seen.items() if look is not None}
        self.blind = self.blind or len(made) < len(seen)
        if made:
            self._write(made, rows)
        for image, look in (stored | made).items():
            known[image] = self._looks.get(image, lambda look=look: look)
        return known

    def _seen(self, rows: Sequence[ImageRow]) -> dict[int, Look | None]:
        n = THREADS_AT_URL if isinstance(self._dump.path, RemotePath) else max(2, os.cpu_count() or 2)
        with worker_threads(n) as pool:
            return dict(zip((row.image for row in rows), pool.map(self._look, rows), strict=True))

    def _look(self, row: ImageRow) -> Look | None:
        try:
            seen = decoded(self._dump, row.image, LOOKED_AT)
        except (ImageError, DumpError, OSError):
            # Whoever shows it will say that it is broken.
            return None
        return look_of(seen.image) if seen.size == (row.width, row.height) else None

    def _places(self) -> Iterable[Path]:
        """Where the file may be, the likeliest first."""
        if isinstance(self._dump.path, Path):
            yield self._dump.path / FILE
        if self._elsewhere is not None:
            yield self._elsewhere / f"{self._dump.digest[:16]}-{FILE}"

    def _read(self, rows: Mapping[int, ImageRow]) -> dict[int, Look]:
        """What is remembered of images; of a file that another one has replaced, nothing."""
        out: dict[int, Look] = {}
        asked = _ASKED.format(",".join(str(image) for image in rows))
        for place in self._places() if rows else ():
            # A file that cannot be read costs the time to look again and nothing else.
            with suppress(sqlite3.Error, OSError):
                if place.is_file():
                    at = f"{place.resolve().as_uri()}?mode=ro"
                    with closing(sqlite3.connect(at, timeout=_WAIT, uri=True)) as file:
                        found = file.execute(asked).fetchall()
                    out |= {i: _look_from(bits, thumb) for i, sha256, bits, thumb in found if sha256 == rows[i].sha256}
        return out

    def _write(self, looks: Mapping[int, Look], rows: Mapping[int, ImageRow]) -> None:
        kept = [(i, rows[i].sha256, look.hash.to_bytes(8, "big"), look.thumb) for i, look in looks.items()]
        for place in self._places():
            with suppress(sqlite3.Error, OSError):
                place.parent.mkdir(parents=True, exist_ok=True)
                with closing(sqlite3.connect(place, timeout=_WAIT)) as file, file:
                    file.execute(_TABLE)
                    file.executemany(_KEPT, kept)
                return


def looks_census(file: Path) -> tuple[int, int]:
    """Counts the looks in a file of near-copies, and those of them that are damaged.

    Raises:
        sqlite3.Error: the file cannot be read.
    """
    with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", timeout=_WAIT, uri=True)) as opened:
        sizes = opened.execute("SELECT length(hash), length(thumb) FROM looks").fetchall()
    return len(sizes), sum(size != (8, 3 * THUMB_SIDE**2) for size in sizes)


def _look_from(bits: bytes, thumb: bytes) -> Look:
    """Raises sqlite3.DataError for what is no look."""
    if len(bits) != 8 or len(thumb) != 3 * THUMB_SIDE**2:
        raise sqlite3.DataError("not a look")
    return Look(int.from_bytes(bits, "big"), thumb)
