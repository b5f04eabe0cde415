"""The one place where recipes become encoded pixels: worker threads over two bounded memories."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TypeVar

from PIL import Image

from autointerp.errors import ImageAwayError, ImageError
from autointerp.images.decode import Decoded, Plain, decode, decode_plainly
from autointerp.images.jpeg import Pixels, encoded, image_of, pixels_of
from autointerp.images.picture import Picture, Tile
from autointerp.images.pixel_file import PixelFile
from autointerp.images.render import render_sheet, render_tile, tile_shrink
from autointerp.images.store import Store
from autointerp.remote.path import AnyPath, RemoteError

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
        self,
        read: Callable[[int], bytes | AnyPath],
        *,
        workers: int,
        decoded_mb: int,
        encoded_mb: int,
        max_pixels: int,
        kept: PixelFile | None = None,
    ) -> None:
        """Keeps the settings; no thread is started yet.

        Args:
            read: gives the file of an image id; called from worker threads; may raise ImageError.
            workers: threads at most.
            decoded_mb: megabytes of decoded sources to keep.
            encoded_mb: megabytes of encoded pictures to keep.
            max_pixels: width times height of a source at most.
            kept: decoded sources on disk; closed with the renderer.
        """
        self._kept = kept
        self._read = read
        self._workers = workers
        self._max_pixels = max_pixels
        self._decoded: Store[tuple[str, int], Decoded | Plain] = Store(decoded_mb << 20, lambda d: d.nbytes)
        self._encoded: Store[str, bytes] = Store(encoded_mb << 20, len)
        self._failed: OrderedDict[str, str] = OrderedDict()
        self._lock = Lock()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="autointerp-images")

    def close(self) -> None:
        """Lets the threads end; what has not begun is not done, and what is being done is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        if self._kept is not None:
            self._kept.close()

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
        digests = [p.digest for p in pictures]
        ready = {d: jpeg for d in digests if (jpeg := self._encoded.peek(d)) is not None}
        missing = {d: p for d, p in zip(digests, pictures, strict=True) if d not in ready}
        tiles: dict[TileKey, Pixels] = {}
        for made, rendered in await self._each(self._make_group, _by_source(missing)):
            ready |= made
            tiles |= rendered
        sheets = [(d, p) for d, p in missing.items() if p.columns]
        jpegs = await self._each(lambda sheet: self._encode(*sheet, lambda key: tiles[key]), sheets)
        ready |= {d: jpeg for (d, _), jpeg in zip(sheets, jpegs, strict=True)}
        return [ready[d] for d in digests]

    def jpeg_now(self, picture: Picture) -> bytes:
        """The encoded picture, made in the calling thread.

        Raises:
            ImageError: a source of it cannot be read or decoded.
        """
        return self._encode(picture.digest, picture, lambda key: self._rendered(*key))

    def tile_now(self, tile: Tile, side: int, least: int = 0) -> Image.Image:
        """One tile as RGB pixels of the caller's own, longest side from `least` to `side`, made in the calling thread.

        Raises:
            ImageError: its source cannot be read or decoded.
        """
        return image_of(self._rendered(tile, side, least))

    def _rendered(self, tile: Tile, side: int, least: int) -> Pixels:
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

    def _encode(self, digest: str, picture: Picture, rendered: Callable[[TileKey], Pixels]) -> bytes:
        return self._encoded.get(digest, lambda: _to_jpeg(picture, [rendered(key) for key in _keys(picture)]))

    def _make_group(self, group: "_Group") -> tuple[dict[str, bytes], dict[TileKey, Pixels]]:
        """Makes what is shown of one source at one scale: pictures of a single tile by digest, and tiles of sheets."""
        first, side, _ = next(iter(group))
        source = self._source(first, tile_shrink(first, side))
        jpegs: dict[str, bytes] = {}
        tiles: dict[TileKey, Pixels] = {}
        for key, wanted in group.items():
            image = render_tile(key[0], source.image, source.shrink, *key[1:])
            alone = {d: self._encode(d, p, lambda _, image=image: image) for d, p in wanted if not p.columns}
            if len(alone) < len(wanted):
                tiles[key] = image
            jpegs |= alone
        return jpegs, tiles

    def _source(self, tile: Tile, shrink: int) -> Decoded | Plain:
        try:
            return self._decoded.get((tile.sha256, shrink), lambda: self._decode(tile, shrink))
        except ImageError as e:
            raise type(e)(f"image {tile.image}: {e}") from e

    def _decode(self, tile: Tile, shrink: int) -> Decoded | Plain:
        with self._lock:
            failed = self._failed.get(tile.sha256)
        if failed is not None:
            raise ImageError(failed)
        kept = self._kept.find((tile.sha256, shrink)) if self._kept is not None else None
        if kept is not None and kept.size == tile.size:
            return kept
        try:
            decoded = self._decode_source(tile, shrink)
        except ImageAwayError:
            raise
        except ImageError as e:
            with self._lock:
                self._failed[tile.sha256] = str(e)
                if len(self._failed) > MAX_FAILURES:
                    self._failed.popitem(last=False)
            raise
        if self._kept is not None:
            pixels = decoded.image if isinstance(decoded, Plain) else pixels_of(decoded.image)
            self._kept.keep((tile.sha256, shrink), Plain(pixels, decoded.size, decoded.shrink))
        return decoded

    def _decode_source(self, tile: Tile, shrink: int) -> Decoded | Plain:
        source = self._read(tile.image) if tile.file is None else tile.file
        data = source if isinstance(source, bytes) else bytes_of(source)
        if hashlib.sha256(data).hexdigest() != tile.sha256:
            # Answers are cached under this digest: other pixels must not be taken for these.
            raise ImageError("is another file than the dump says (sha256); restore it, or correct its images.parquet")
        most = max(tile.size) // shrink
        decoded = decode_plainly(data, at_most=most, max_pixels=self._max_pixels)
        if decoded is None:
            # The path, where there is one, so that a broken file is named by it.
            named = source if isinstance(source, Path) else data
            decoded = decode(named, at_most=most, max_pixels=self._max_pixels)
        if decoded.size != tile.size:
            is_, said = ("{} x {}".format(*size) for size in (decoded.size, tile.size))
            raise ImageError(f"is {is_} pixels, but the dump says {said}; correct its images.parquet")
        return decoded


def bytes_of(path: AnyPath) -> bytes:
    """Reads an image's file.

    Raises:
        ImageError: it cannot be read; of a place at a URL that cannot be reached, `ImageAwayError`.
    """
    try:
        return path.read_bytes()
    except RemoteError as e:
        raise ImageAwayError(f"{path}: {e}; the same command tries it again") from e
    except OSError as e:
        raise ImageError(f"{path}: {e.strerror or e}; restore the file") from e


_Group = dict[TileKey, list[tuple[str, Picture]]]
"""The tiles that show one source at one scale, and in which pictures each is, with their digests."""


def _by_source(pictures: Mapping[str, Picture]) -> list[_Group]:
    """The different tiles of the pictures, those of one source at one scale together."""
    groups: dict[tuple[str, int], _Group] = {}
    for digest, picture in pictures.items():
        for key in _keys(picture):
            source = (key[0].sha256, tile_shrink(key[0], picture.side))
            groups.setdefault(source, {}).setdefault(key, []).append((digest, picture))
    return list(groups.values())


def _keys(picture: Picture) -> list[TileKey]:
    return [(tile, picture.side, picture.least) for tile in picture.tiles]


def _to_jpeg(picture: Picture, tiles: Sequence[Pixels]) -> bytes:
    pixels = tiles[0]
    if picture.columns:
        pixels = render_sheet(tiles, picture.columns, picture.side, picture.per_number)
    return encoded(pixels, picture.quality)
