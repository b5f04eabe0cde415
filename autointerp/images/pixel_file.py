"""Decoded images on disk, by digest and scale: what many features show is decoded once by all processes of a machine.

Two files only grow. `pixels` holds the pixels one image after another, and `index` a line of fixed length for each.
Processes write to them at once, since each appends in a single call. They may be deleted at any time.
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path
from queue import Empty, Full, Queue
from struct import Struct
from threading import Lock, Thread
from typing import NamedTuple

import numpy as np

from autointerp.images.decode import Plain
from autointerp.images.jpeg import Pixels

FOLDER = "pixels"
LIMIT = 2**30
"""Bytes of the images of one dump: some 4,000 of 256 pixels each way. What comes then is not kept."""
_LARGE = LIMIT // 256
"""Bytes of an image that is not kept, since it would take the place of many."""
_MOST = 2**16
"""Images of one dump: each takes half a kilobyte of memory in every process."""
_WAITING = 32
"""Images that wait to be written, at most; where the disk is slower than that, some are not kept."""
_DUMPS = 2
"""Dumps whose images are kept, those used last."""
_LINE = Struct("<32s7IQ")
"""Digest, scale asked for, scale, width and height in full, width and height of the pixels, their check, offset."""

Key = tuple[str, int]
"""SHA-256 of the file, hex, and the scale that was asked for."""


class _Place(NamedTuple):
    """Says where the pixels of an image are."""

    shrink: int
    size: tuple[int, int]
    shape: tuple[int, int, int]
    check: int
    offset: int


class PixelFile:
    """Decoded images of one dump; thread-safe. Where its files cannot be used it keeps nothing, and says nothing.

    Args:
        folder: its own, made if missing.
        limit: bytes of pixels at most.
    """

    def __init__(self, folder: Path, limit: int = LIMIT) -> None:
        self._limit = limit
        self._lock = Lock()
        self._places: dict[Key, _Place] = {}
        self._read = 0
        """Bytes of the index that were read."""
        self._files: list[int] = []
        if hasattr(os, "preadv"):  # Windows has none
            with suppress(OSError):
                folder.mkdir(parents=True, exist_ok=True)
                flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
                for name in ("pixels", "index"):
                    self._files.append(os.open(folder / name, flags, 0o600))
        self._usable = len(self._files) == 2
        self._has_room = self._usable
        self._waiting: Queue[tuple[Key, Plain] | None] = Queue(_WAITING)
        self._writer: Thread | None = None

    def find(self, key: Key) -> Plain | None:
        """The image, if it is kept and whole."""
        with self._lock:
            place = self._place(key) if self._usable else None
            if place is None:
                return None
            pixels = np.empty(place.shape, np.uint8)
            whole = self._filled(pixels, place.offset)
        if not whole or _check(pixels) != place.check:
            return None
        return Plain(pixels, place.size, place.shrink)

    def keep(self, key: Key, image: Plain) -> None:
        """Has an image written if there is room for it; waits for no disk."""
        if image.nbytes > _LARGE:
            return
        with self._lock:
            if not self._usable or not self._has_room:
                return
            with suppress(Full):
                self._waiting.put_nowait((key, image))
            if self._writer is None:
                writer = Thread(target=self._write_all, name="autointerp-pixels", daemon=True)
                writer.start()
                self._writer = writer

    def census(self) -> tuple[int, int]:
        """Counts the images that are kept, and those of them whose pixels are damaged."""
        with self._lock:
            if self._usable:
                with suppress(OSError):
                    self._learn()
        return len(self._places), sum(self.find(key) is None for key in list(self._places))

    def wait(self) -> None:
        """Waits until all that was to be kept is written or given up."""
        self._waiting.join()

    def close(self) -> None:
        """Finds and keeps nothing from now on; what waits is not written, what is being written not waited for."""
        with self._lock:
            if not self._usable:
                return
            self._usable = False
            if self._writer is None:
                self._release()
                return
            # Nothing is added any more, so that there is room for the end.
            with suppress(Empty):
                while True:
                    self._waiting.get_nowait()
                    self._waiting.task_done()
            self._waiting.put_nowait(None)

    def _release(self) -> None:
        for file in self._files:
            os.close(file)

    def _write_all(self) -> None:
        while (item := self._waiting.get()) is not None:
            # `close` may have said meanwhile that nothing more is kept.
            if self._has_room and not self._written(*item):
                self._has_room = False
            self._waiting.task_done()
        # Had they been closed before, their numbers could be those of other files by now.
        with self._lock:
            self._release()
        self._waiting.task_done()

    def _written(self, key: Key, image: Plain) -> bool:
        """Writes an image; says whether others may follow it."""
        pixels, (file, index) = image.image, self._files
        high, wide, _ = pixels.shape
        with suppress(OSError):
            held, n = os.fstat(file).st_size, os.fstat(index).st_size // _LINE.size
            if n >= _MOST or held + pixels.nbytes > self._limit or os.write(file, pixels.data) != pixels.nbytes:
                return False
            offset = os.lseek(file, 0, os.SEEK_CUR) - pixels.nbytes
            sizes = (*image.size, wide, high)
            line = _LINE.pack(bytes.fromhex(key[0]), key[1], image.shrink, *sizes, _check(pixels), offset)
            return os.write(index, line) == len(line)
        return False

    def _place(self, key: Key) -> _Place | None:
        if key not in self._places:
            with suppress(OSError):
                self._learn()
        return self._places.get(key)

    def _learn(self) -> None:
        """Reads what was written to the index since it was read last, by this process or by others."""
        n = (os.fstat(self._files[1]).st_size - self._read) // _LINE.size
        lines = os.pread(self._files[1], n * _LINE.size, self._read)
        for digest, asked, shrink, width, height, wide, high, check, offset in _LINE.iter_unpack(lines):
            if 0 < 4 * high * wide <= _LARGE:  # else the line was cut, or never reached the disk
                self._places[digest.hex(), asked] = _Place(shrink, (width, height), (high, wide, 4), check, offset)
        self._read += len(lines)

    def _filled(self, pixels: Pixels, offset: int) -> bool:
        with suppress(OSError):
            return os.preadv(self._files[0], [pixels.data], offset) == pixels.nbytes
        return False


def open_pixels(folder: Path, name: str) -> PixelFile:
    """The images of the dump of that name; those of the dumps that were used longest ago go.

    Args:
        folder: of the images of all dumps.
        name: the dump's own.
    """
    pixels = PixelFile(folder / name)
    with suppress(OSError):
        os.utime(folder / name)
        others = sorted((p for p in folder.iterdir() if p.name != name), key=lambda p: -p.stat().st_mtime)
        for other in others[_DUMPS - 1 :]:
            shutil.rmtree(other, ignore_errors=True)
    return pixels


def _check(pixels: Pixels) -> int:
    """Tells whole pixels from those of which a part was not written before the machine stopped."""
    return int(np.bitwise_xor.reduce(pixels.reshape(-1).view(np.uint32)))
