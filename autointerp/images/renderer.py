"""The one place where recipes become encoded pixels: worker threads over two bounded memories."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import TypeVar

from PIL import Image

from autointerp.errors import ImageError
from autointerp.images.decode import Decoded, decode
from autointerp.images.picture import Picture, Tile
from autointerp.images.render import render_sheet, render_tile, tile_shrink
from autointerp.images.store import Store
from autointerp.remote.path import AnyPath

S = TypeVar("S")
T = TypeVar("T")

MAX_FAILURES = 65_536
"""Broken sources remembered at most, oldest forgotten first."""

TileKey = tuple[Tile, int, int]
"""A tile, and its longest side at most and at least."""


class Renderer:
    """Makes pictures; thread-safe, and safe to use from one event loop after another.

    The same recipe gives the same bytes whatever was made before it: a source is decoded at the scale its tile asks
    for, never taken from a finer one that happens to be there.
    """

    def __init__(
        self, read: Callable[[int], bytes | AnyPath], *, workers: int, decoded_mb: int, encoded_mb: int, max_pixels: int
    ) -> None:
        """Keeps the settings; no thread is started yet.

        Args:
            read: gives the file of an image id; called from worker threads; may raise ImageError.
            workers: threads at most.
            decoded_mb: megabytes of decoded sources to keep.
            encoded_mb: megabytes of encoded pictures to keep.
            max_pixels: width times height of a source at most.
        """
        self._read = read
        self._workers = workers
        self._max_pixels = max_pixels
        self._decoded: Store[tuple[str, int], Decoded] = Store(decoded_mb << 20, lambda d: d.nbytes)
        self._encoded: Store[str, bytes] = Store(encoded_mb << 20, len)
        self._failed: OrderedDict[str, str] = OrderedDict()
        self._lock = Lock()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="autointerp-images")

    def close(self) -> None:
        """Lets the threads end; what has not begun is not done, and what is being done is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def tile(self, tile: Tile, side: int) -> Image.Image:
        """One tile as RGB pixels of the caller's own, longest side at most `side`.

        Raises:
            ImageError: its source cannot be read or decoded.
        """
        return await self._run(partial(self.tile_now, tile, side))

    async def jpegs(self, pictures: Sequence[Picture]) -> list[bytes]:
        """The encoded pictures in order; each source is decoded once, however many tiles show it.

        Raises:
            ImageError: a source of any of them cannot be read or decoded.
        """
        ready = {p.digest: self._encoded.peek(p.digest) for p in pictures}
        missing = {p.digest: p for p in pictures if ready[p.digest] is None}
        parts = await self._each(self._render_group, _by_source(missing.values()))
        tiles = {key: image for part in parts for key, image in part.items()}

        def encoded(picture: Picture) -> bytes:
            return self._encode(picture, lambda: [tiles[t, picture.side, picture.least] for t in picture.tiles])

        made = dict(zip(missing, await self._each(encoded, list(missing.values())), strict=True))
        return [ready[p.digest] or made[p.digest] for p in pictures]

    def jpeg_now(self, picture: Picture) -> bytes:
        """The encoded picture, made in the calling thread.

        Raises:
            ImageError: a source of it cannot be read or decoded.
        """
        return self._encode(picture, lambda: [self.tile_now(t, picture.side, picture.least) for t in picture.tiles])

    def tile_now(self, tile: Tile, side: int, least: int = 0) -> Image.Image:
        """One tile as RGB pixels of the caller's own, longest side from `least` to `side`, made in the calling thread.

        Raises:
            ImageError: its source cannot be read or decoded.
        """
        source = self._source(tile, tile_shrink(tile, side))
        return render_tile(tile, source.image, source.shrink, side, least)

    async def _each(self, do: Callable[[S], T], things: Sequence[S]) -> list[T]:
        """Does something with each thing, in order; a thread takes several, since a change of threads costs time."""
        n = self._workers
        jobs = [partial(lambda part: [do(thing) for thing in part], things[i::n]) for i in range(min(n, len(things)))]
        done = await asyncio.gather(*(self._run(job) for job in jobs))
        return [done[i % n][i // n] for i in range(len(things))]

    async def _run(self, job: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, job)

    def _encode(self, picture: Picture, tiles: Callable[[], list[Image.Image]]) -> bytes:
        return self._encoded.get(picture.digest, lambda: _to_jpeg(picture, tiles()))

    def _render_group(self, group: Sequence[TileKey]) -> dict[TileKey, Image.Image]:
        """Renders tiles that share a source and its scale, holding the source for as long as it takes."""
        first, side, _ = group[0]
        source = self._source(first, tile_shrink(first, side))
        return {key: render_tile(key[0], source.image, source.shrink, *key[1:]) for key in group}

    def _source(self, tile: Tile, shrink: int) -> Decoded:
        try:
            return self._decoded.get((tile.sha256, shrink), lambda: self._decode(tile, shrink))
        except ImageError as e:
            raise ImageError(f"image {tile.image}: {e}") from e

    def _decode(self, tile: Tile, shrink: int) -> Decoded:
        with self._lock:
            known = self._failed.get(tile.sha256)
        if known is not None:
            raise ImageError(known)
        try:
            source = self._read(tile.image)
            data = source if isinstance(source, bytes) else _bytes_of(source)
            if hashlib.sha256(data).hexdigest() != tile.sha256:
                # Answers are cached under this digest: other pixels must not be taken for these.
                raise ImageError(
                    "is another file than the dump says (sha256); restore it, or correct its images.parquet"
                )
            # The path, where there is one, so that a broken file is named by it.
            named = source if isinstance(source, Path) else data
            decoded = decode(named, at_most=max(tile.size) // shrink, max_pixels=self._max_pixels)
            if decoded.size != tile.size:
                is_, said = ("{} x {}".format(*size) for size in (decoded.size, tile.size))
                raise ImageError(f"is {is_} pixels, but the dump says {said}; correct its images.parquet")
        except ImageError as e:
            with self._lock:
                self._failed[tile.sha256] = str(e)
                if len(self._failed) > MAX_FAILURES:
                    self._failed.popitem(last=False)
            raise
        return decoded


def _bytes_of(path: AnyPath) -> bytes:
    try:
        return path.read_bytes()
    except OSError as e:
        raise ImageError(f"{path}: {e.strerror or e}; restore the file") from e


def _by_source(pictures: Iterable[Picture]) -> list[list[TileKey]]:
    """The different tiles of the pictures, those of one source at one scale together."""
    groups: dict[tuple[str, int], dict[TileKey, None]] = {}
    for picture in pictures:
        for tile in picture.tiles:
            key = (tile.sha256, tile_shrink(tile, picture.side))
            groups.setdefault(key, {})[tile, picture.side, picture.least] = None
    return [list(group) for group in groups.values()]


def _to_jpeg(picture: Picture, tiles: Sequence[Image.Image]) -> bytes:
    image = tiles[0]
    if picture.columns:
        image = render_sheet(tiles, picture.columns, picture.side, picture.per_number)
    target = BytesIO()
    image.save(target, "JPEG", quality=picture.quality)
    return target.getvalue()
