"""Opens the coder and the backbone that made a dump, to encode pictures made of its images; each is encoded once."""

import asyncio
import base64
import os
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from autointerp.dump.pictures import source_pixels
from autointerp.dump.reader import Dump
from autointerp.errors import ImageError, SettingsError
from autointerp.extras import TRAIN, need
from autointerp.images.alteration import Alteration, Source, altered, whole
from autointerp.images.decode import Decoded
from autointerp.images.store import Store
from autointerp.images.threads import worker_threads
from autointerp.job import only
from autointerp.lmm.cache import Cache, Json
from autointerp.runs.index import Ints
from autointerp.schema import Exemplar, Feature
from autointerp.statistics.rates import Floats
from autointerp.transcoder.settings import NetworkChoice, UsedPrecision

if TYPE_CHECKING:
    from torch import Tensor

    from autointerp.transcoder.harvest.reencode import Encoding, Peaks

N_CHECKED = 8
"""Features of which originals are encoded again before anything is measured."""
TOLERANCE = 1e-3
"""How far an activation may be from that of the dump, as a share of the feature's largest."""
DECODED = 64 << 20
"""Bytes of decoded images that are kept, since ten pictures are made of each."""
HUB = "hub:"


@dataclass(frozen=True)
class Network:
    """The coder and the backbone that made a dump."""

    coder: str
    backbone: object | None
    """A name, or a backbone that is loaded; None for the one that the coder's files name."""
    typed: bool
    """Whether somebody typed the name; else it is written as files state it."""
    hookpoint: str
    precision: UsedPrecision
    device: str
    batch: int


def anywhere(choice: NetworkChoice) -> NetworkChoice:
    """The choice with a path that holds in any working folder."""
    if choice.coder is None or not os.path.lexists(choice.coder):
        return choice
    return choice.model_copy(update={"coder": str(Path(choice.coder).absolute())})


def network_of(choice: NetworkChoice, dump: Dump, what: str) -> Network:
    """Says what made a dump: what was named, else what the dump records.

    Args:
        choice: what was named.
        dump: the dump.
        what: the option that needs it.

    Raises:
        SettingsError: nobody says it, or it cannot be used again.
        ExtraError: a package is missing.
    """
    need(what, TRAIN, "train")
    info, name = dump.info, choice.backbone
    if info.classifier is not None:
        raise SettingsError(
            f"{what}: {dump.path} was made from a classifier's network, which cannot be asked again yet"
        )
    coder = choice.coder or _recorded(dump)
    if coder is None:
        raise SettingsError(
            f"{what}: asks the network that made the dump; name its coder with --coder and, where that does not name "
            f"it, the model with --backbone, since {dump.path}/dump.json names none"
        )
    if name is None and info.backbone is not None and choice.coder is None:
        name = info.backbone.name
    return Network(
        coder=coder,
        backbone=name,
        typed=choice.backbone is not None,
        hookpoint=info.hookpoint,
        precision=_precision(dump, choice.device),
        device=choice.device,
        batch=choice.encode_batch,
    )


def _recorded(dump: Dump) -> str | None:
    """The coder that a dump names, beside the dump where it lies there.

    Raises:
        SettingsError: it is not there.
    """
    origin = dump.info.coder
    if origin is None:
        return None
    if origin.source.startswith(HUB):
        pinned = origin.revision is not None and "@" not in origin.source
        return f"{origin.source}@{origin.revision}" if pinned else origin.source
    beside = dump.path / origin.source if isinstance(dump.path, Path) else None
    found = next((p for p in (beside, Path(origin.source)) if p is not None and p.exists()), None)
    if found is None:
        raise SettingsError(f"{dump.path}/dump.json: coder: {origin.source} is not there; name its place with --coder")
    return str(found)


def _precision(dump: Dump, device: str) -> UsedPrecision:
    """In which numbers the dump's images were run; TensorFloat-32 is had on CUDA devices alone."""
    recorded = None if dump.info.backbone is None else dump.info.backbone.precision
    if recorded == "bfloat16":
        return "bfloat16"
    return "tf32" if recorded == "tf32" and device.startswith("cuda") else "float32"


class DumpEncoder:
    """Encodes pictures made of a dump's images, each once: what it gave is kept in the cache.

    Whoever asks waits in one line, so that the pictures of several features fill a batch.

    Args:
        encoding: the coder and the backbone.
        dump: where images come from.
        cache: where encodings are kept.
    """

    def __init__(self, encoding: "Encoding", dump: Dump, cache: Cache) -> None:
        self.name = f"{encoding.source.name} on {encoding.backbone.name}"
        self.n_run = 0
        """Pictures that were run now."""
        self._encoding = encoding
        self._dump = dump
        self._cache = cache
        self._decoded: Store[tuple[str, int | None], Decoded] = Store(DECODED, lambda d: d.nbytes)
        self._asked: dict[str, asyncio.Future[Peaks | None]] = {}
        self._line: list[Alteration] = []
        self._pump: asyncio.Task[None] | None = None

    @property
    def encoding(self) -> "Encoding":
        """The coder and the backbone."""
        return self._encoding

    def seen(self, size: tuple[int, int]) -> tuple[float, float, float, float]:
        """Gives left, top, right and bottom of what the backbone sees of an image of that size, in its pixels."""
        return self._encoding.seen(size)

    async def activations(self, pictures: Sequence[Alteration], feature: int) -> Floats:
        """Gives the feature's activation on each picture in raw units, [n]; NaN where it cannot be made.

        Raises:
            SettingsError: an activation is not a finite number, or the cache cannot be written.
            CacheError: the cache cannot be read.
        """
        found = await self.peaks(pictures)
        return np.array([np.nan if peaks is None else peaks.of(feature) for peaks in found], np.float64)

    def rendered(self, picture: Alteration, side: int) -> Image.Image:
        """Makes a picture whose longest side has at most so many pixels.

        Raises:
            ImageError: it cannot be made.
        """
        made = altered(picture, self._image, lambda _: side)
        made.thumbnail((side, side))
        return made

    async def peaks(self, pictures: Sequence[Alteration]) -> "list[Peaks | None]":
        """Gives what fires on each picture, of all latents; None for one that cannot be made.

        Raises:
            SettingsError: an activation is not a finite number, or the cache cannot be written.
            CacheError: the cache cannot be read.
        """
        known = [self._peaks(what) for what in pictures]
        return [await one if isinstance(one, asyncio.Future) else one for one in known]

    async def heats(self, pictures: Sequence[Alteration], feature: int) -> Sequence[bytes | None]:
        """Gives the feature's heat map over each picture, as a dump holds it; None where there is none.

        Raises:
            SettingsError: an activation is not a finite number, or the cache cannot be written.
            CacheError: the cache cannot be read.
        """
        found = {what.digest: _heat(self._cache.get(f"{self._key(what)}:{feature}")) for what in pictures}
        new = [what for what in pictures if found[what.digest] is None]
        size = self._encoding.batch
        for batch in (new[i : i + size] for i in range(0, len(new), size)):
            for what, heat in zip(batch, await asyncio.to_thread(self._drawn, batch, feature), strict=True):
                if heat is not None:
                    found[what.digest] = heat
                    await self._cache.put(f"{self._key(what)}:{feature}", {"heat": heat.hex()})
        return [found[what.digest] for what in pictures]

    def _drawn(self, batch: Sequence[Alteration], feature: int) -> Sequence[bytes | None]:
        with worker_threads(min(len(batch), os.cpu_count() or 1)) as pool:
            prepared = list(pool.map(self._prepared, batch))
        ready = [(one, what.source.size) for one, what in zip(prepared, batch, strict=True) if one is not None]
        drawn = self._encoding.heats([one for one, _ in ready], [size for _, size in ready], feature) if ready else None
        heats = iter(drawn or ())
        return [None if one is None else next(heats, None) for one in prepared]

    def _peaks(self, what: Alteration) -> "Peaks | asyncio.Future[Peaks | None]":
        key = self._key(what)
        if (asked := self._asked.get(key)) is not None:
            return asked
        if (stored := self._cache.get(key)) is not None and (peaks := _read(stored)) is not None:
            return peaks
        asked = self._asked[key] = asyncio.get_running_loop().create_future()
        self._line.append(what)
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._work_off())
            self._pump.add_done_callback(self._ended)
        return asked

    def _key(self, what: Alteration) -> str:
        return f"encoded:{self._encoding.digest}:{what.digest}"

    async def _work_off(self) -> None:
        """Encodes what stands in line, a batch at a time."""
        while self._line:
            batch, self._line = self._line[: self._encoding.batch], self._line[self._encoding.batch :]
            found = await asyncio.to_thread(self._encoded, batch)
            for what, peaks in zip(batch, found, strict=True):
                if peaks is not None:
                    await self._cache.put(self._key(what), _written(peaks))
                self._asked.pop(self._key(what)).set_result(peaks)

    def _ended(self, work: asyncio.Task[None]) -> None:
        """Hands on what ended the work to all who wait for it."""
        error = None if work.cancelled() else work.exception()
        if error is None:
            return
        waiting, self._asked, self._line = self._asked, {}, []
        for asked in waiting.values():
            asked.set_exception(error)
            asked.exception()  # whoever waits for several pictures hears it of one

    def _encoded(self, batch: Sequence[Alteration]) -> "list[Peaks | None]":
        with worker_threads(min(len(batch), os.cpu_count() or 1)) as pool:
            prepared = list(pool.map(self._prepared, batch))
        ready = [one for one in prepared if one is not None]
        peaks = iter(self._encoding.peaks(ready) if ready else ())
        self.n_run += len(ready)
        return [None if one is None else next(peaks) for one in prepared]

    def _prepared(self, what: Alteration) -> "Tensor | None":
        with suppress(ImageError):
            return self._encoding.prepared(what, self._image)
        return None

    def _image(self, source: Source, at_most: int | None) -> Decoded:
        return self._decoded.get((source.sha256, at_most), lambda: source_pixels(self._dump, source, at_most))

    async def close(self) -> None:
        """Ends what is still being encoded."""
        if self._pump is not None and not self._pump.done():
            self._pump.cancel()
            with suppress(asyncio.CancelledError):
                await self._pump


def _written(peaks: "Peaks") -> Json:
    packed = zlib.compress(peaks.latents.astype("<i4").tobytes() + peaks.values.astype("<f4").tobytes())
    return {"n": len(peaks.latents), "peaks": base64.b64encode(packed).decode()}


def _read(stored: Json) -> "Peaks | None":
    """What `_written` wrote; None for anything else."""
    from autointerp.transcoder.harvest.reencode import Peaks

    try:
        raw, n = zlib.decompress(base64.b64decode(str(stored["peaks"]), validate=True)), int(stored["n"] or 0)
    except (KeyError, ValueError, zlib.error):
        return None
    if len(raw) != 8 * n:
        return None
    return Peaks(np.frombuffer(raw, "<i4", n), np.frombuffer(raw, "<f4", n, 4 * n))


def _heat(stored: Json | None) -> bytes | None:
    """A heat map that is kept; None for anything else."""
    try:
        return None if stored is None else bytes.fromhex(str(stored["heat"]))
    except (KeyError, ValueError):
        return None


@asynccontextmanager
async def open_encoder(
    network: Network | None, dump: Dump, cache: Cache, features: Ints, say: Callable[[str], None]
) -> AsyncIterator[DumpEncoder | None]:
    """The encoder of a dump, which gives the dump's own activations; None where no network is asked.

    Args:
        network: what made the dump.
        dump: whose images are encoded.
        cache: where encodings are kept.
        features: ascending; of some of them originals are encoded first.
        say: told what is loaded.

    Raises:
        SettingsError: it cannot be loaded, or it gives other activations than the dump has.
    """
    if network is None:
        yield None
        return
    encoding = await asyncio.to_thread(_loaded, network)
    encoder = DumpEncoder(encoding, dump, cache)
    say(f"encoding with {encoder.name}, {network.precision} on {network.device}")
    try:
        await check_originals(encoder, dump, features, network)
        yield encoder
    finally:
        await encoder.close()


def _loaded(network: Network) -> "Encoding":
    from autointerp.transcoder.harvest.reencode import open_encoding

    return open_encoding(
        network.coder,
        network.backbone,
        typed=network.typed,
        hookpoint=network.hookpoint,
        precision=network.precision,
        device=network.device,
        batch=network.batch,
    )


async def check_originals(encoder: DumpEncoder, dump: Dump, features: Ints, network: Network) -> None:
    """Encodes some images as they are, of features spread over those that are asked about.

    Raises:
        SettingsError: an activation is another than the dump has; the message names which.
    """
    at = np.unique(np.linspace(0, len(features) - 1, min(N_CHECKED, len(features))).round().astype(np.int64))
    wrong: list[str] = []
    for feature in dump.features(only(features[at])):
        chosen = _checked(feature)
        rows = dump.images([e.image for e in chosen])
        pictures = [whole(Source.of(row)) for row in rows]
        found = await encoder.activations(pictures, feature.id)
        stated = np.array([e.activation for e in chosen], np.float64)
        # What cannot be read is told where it is measured.
        off = np.abs(found - stated) > TOLERANCE * max(abs(feature.row.max_activation), np.finfo(np.float32).tiny)
        for i in np.flatnonzero(off)[:1]:
            wrong.append(
                f"feature {feature.id} on image {chosen[i].image}: {found[i]:.4g}, the dump has {stated[i]:.4g}"
            )
    if wrong:
        name = f"--coder {network.coder}"
        raise SettingsError(
            f"{name}: {encoder.name} gives other activations than {dump.path}: {'; '.join(wrong)}; "
            "name the coder and the backbone that made the dump, as `harvest` was told"
        )


def _checked(feature: Feature) -> tuple[Exemplar, ...]:
    """Its strongest image and its weakest."""
    ordered = sorted(feature.active, key=lambda e: (-e.activation, e.image))
    return tuple(dict.fromkeys([*ordered[:1], *ordered[-1:]]))
