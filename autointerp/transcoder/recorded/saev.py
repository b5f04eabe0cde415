"""saev: `runs/{id}/inference/{hash}/token_acts.npz`, and `shards/{hash}/metadata.json` of the images it is of.

The first is a sparse matrix as `scipy.sparse.save_npz` writes it; its row is image · (tokens of an image) + token. The
class token, which comes first, is mostly not recorded. `data` in metadata.json is a pickle and is not read.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autointerp.errors import DumpError, SettingsError
from autointerp.statistics.rates import Ints
from autointerp.transcoder.recorded.columns import Archive, columns
from autointerp.transcoder.recorded.covered import n_covered, rest_note
from autointerp.transcoder.recorded.events import Asked, Events, Recording, check, images_at_once, layout_of
from autointerp.transcoder.recorded.frames import Flexible
from autointerp.transcoder.recorded.metadata import Metadata, read_metadata

FILE, METADATA, CONFIG = "token_acts.npz", "metadata.json", "config.json"
N_TOKENS = ("content_tokens_per_example", "patches_per_ex", "n_patches_per_img")
N_EXAMPLES = ("n_examples", "n_ex", "n_imgs")
"""Names of older versions follow."""
FLEXIBLE = "dinov3"
"""The family whose images keep their proportions, in as many patches as always."""
CROPPED = {"dinov2": "256x256:224", "clip": "224:224"}
"""What others see of an image, by family, as `--crop` says it."""
MOST = 2**22
"""Activations of a batch, at most, but those of an image."""


@dataclass(frozen=True, slots=True)
class Saev:
    """One file of activations and what is known of it."""

    file: Path
    metadata: Metadata
    config: Metadata

    @property
    def images(self) -> Path | None:
        """Where metadata.json says that the images lie."""
        stated = self.metadata.text("dataset")
        return None if stated is None else Path(stated)

    def recording(self, asked: Asked) -> Recording:
        """Returns what it holds.

        Raises:
            DumpError: the files contradict each other.
            SettingsError: what the files do not say is missing.
        """
        n_tokens, n_examples = self.metadata.number(*N_TOKENS), self.metadata.number(*N_EXAMPLES)
        if n_tokens is None or n_examples is None:
            missing = N_TOKENS[0] if n_tokens is None else N_EXAMPLES[0]
            raise DumpError(f"{self.metadata.path}: has no {missing}; give --shards with the folder that saev wrote")
        n_rows, n_latents = _shape(self.file)
        n_before = int(self.metadata.content.get("cls_token") is True and n_rows == n_examples * (n_tokens + 1))
        if n_rows != n_examples * (n_before + n_tokens):
            raise DumpError(
                f"{self.file}: shape: has {n_rows:,} rows, and {self.metadata.path} says {n_examples:,} images of "
                f"{n_tokens} tokens; give --shards with the folder that belongs to it"
            )
        n_images = n_covered(n_examples, asked, str(self.file))
        assert n_images is not None, "the files say it"
        family, checkpoint = self.metadata.text("family", "vit_family"), self.metadata.text("ckpt", "vit_ckpt")
        frame = Flexible(n_tokens, n_tokens) if family == FLEXIBLE and asked.grid == "auto" else None
        grid = asked.grid if frame is None else frame.grid((1, 1), (1, n_tokens))
        return Recording(
            tool="saev",
            model=f"{family or 'unknown'}/{checkpoint or 'unknown'}",
            hookpoint=self._hookpoint(),
            n_images=n_images,
            n_latents=n_latents,
            layout=layout_of(n_tokens, grid, str(self.metadata.path)).after(n_before),
            chunks=Rows(self.file, n_images, n_before + n_tokens, n_latents),
            files=(self.file, self.metadata.path),
            notes=rest_note(n_images, asked, "were not run"),
            frame=frame,
            crop=CROPPED.get(family or ""),
        )

    def _hookpoint(self) -> str:
        layers = self.metadata.content.get("layers")
        layer = self.config.inner("data").content.get("layer")
        if layer is None and isinstance(layers, list) and len(layers) == 1:
            layer = layers[0]
        return f"layer {layer}" if isinstance(layer, int) else "unknown"


def open_saev(source: Path, shards: Path | None) -> Saev:
    """Finds the activations and what belongs to them.

    Args:
        source: the file, its folder, or the folder of the run.
        shards: the folder with metadata.json; by default where the files say, or beside the folder of runs.

    Raises:
        DumpError: something is not there, or cannot be read.
        SettingsError: there are several files of activations.
    """
    file = _file(source, shards)
    config = read_metadata(file.with_name(CONFIG))
    folder = shards or _shards(file, config)
    if folder is None or not (folder / METADATA).is_file():
        raise DumpError(
            f"--shards: {folder or file}: {METADATA} is not there; give the folder shards/{file.parent.name} of saev"
        )
    return Saev(file, read_metadata(folder / METADATA), config)


def _file(source: Path, shards: Path | None) -> Path:
    if source.is_file():
        return source
    if (source / FILE).is_file():
        return source / FILE
    found = sorted(source.glob(f"inference/*/{FILE}"))
    if shards is not None and len(found) > 1:
        found = [file for file in found if file.parent.name == shards.resolve().name]
    if len(found) > 1:
        there = ", ".join(file.parent.name for file in found)
        raise SettingsError(f"{source}: has activations of {there}; give one of these folders, or --shards")
    if not found:
        raise DumpError(f"{source}: has no {FILE}; give a run of saev, such as runs/abc123, after its inference.py")
    return found[0]


def _shards(file: Path, config: Metadata) -> Path | None:
    """Returns the folder of the images' shards; the one beside the runs where the stated one is of elsewhere."""
    # root/runs/ID/inference/HASH/token_acts.npz
    run = file.absolute().parents[2]
    beside = run.parent.parent / "shards" / file.parent.name
    stated = config.inner("data").text("shards")
    places = (
        None if stated is None else Path(stated),
        beside,
        *(run / "links" / f"{p}-shards" for p in ("val", "train")),
    )
    there = [place for place in places if place is not None and (place / METADATA).is_file()]
    return next((place for place in there if place.resolve().name == file.parent.name), None)


def _shape(file: Path) -> tuple[int, int]:
    """Returns the rows and columns of a sparse matrix by rows.

    Raises:
        DumpError: it is none.
    """
    with columns(file) as archive:
        kind = bytes(archive.column("format").take(1)[0]) if archive.column("format").dtype.kind == "S" else b""
        if kind != b"csr":
            raise DumpError(f"{file}: format: is {kind.decode('latin1')!r}; expected a matrix by rows, csr")
        shape = archive.column("shape")
        if shape.n != 2:
            raise DumpError(f"{file}: shape: has {shape.n} numbers; expected rows and columns")
        n_rows, n_latents = (int(n) for n in shape.ints(2))
        if n_rows < 1 or n_latents < 1 or archive.column("indptr").n != n_rows + 1:
            raise DumpError(f"{file}: shape: {n_rows} x {n_latents}, and indptr is of another length; save it again")
        if archive.column("indices").n != archive.column("data").n:
            raise DumpError(f"{file}: data: has another length than indices; save it again")
    return n_rows, n_latents


class Rows:
    """The activations of the file, row by row.

    Args:
        file: The matrix.
        n_images: It has so many.
        n_tokens: Rows of each.
        n_latents: Its columns.
    """

    def __init__(self, file: Path, n_images: int, n_tokens: int, n_latents: int) -> None:
        self._file = file
        self._limits = (n_images, n_tokens, n_latents)
        self._at_once = images_at_once(n_latents)

    def whole(self) -> Iterator[Events]:
        """Yields everything once, in the order of the file.

        Raises:
            DumpError: an activation is not finite or of no latent, or rows do not follow one another.
        """
        yield from (events for _, events in self.batches(0))

    def batches(self, first: int) -> Iterator[tuple[int, Events]]:
        """Yields everything from image `first` on; what lies before is read past.

        Raises:
            DumpError: as `whole`.
        """
        with columns(self._file) as archive:
            for start, stop, events in self._parts(archive):
                if start >= first:
                    yield stop, events
                elif stop > first:
                    yield stop, events.at(events.images >= first)

    def _parts(self, archive: Archive) -> Iterator[tuple[int, int, Events]]:
        n_images, n_tokens, _ = self._limits
        ends, indices, data = (archive.column(name) for name in ("indptr", "indices", "data"))
        done = int(ends.ints(1)[0])
        if done != 0:
            raise DumpError(f"{self._file}: indptr: begins with {done}; expected 0, so save it again")
        start = 0
        while start < n_images:
            bounds = np.r_[done, ends.ints(min(self._at_once, n_images - start) * n_tokens)]
            if (np.diff(bounds) < 0).any() or bounds[-1] > indices.n:
                raise DumpError(f"{self._file}: indptr: descends, or ends beyond indices; save it again")
            for stop, rows in _split(bounds, n_tokens):
                n = int(rows[-1] - rows[0])
                row = np.repeat(np.arange(len(rows) - 1), np.diff(rows))
                begin = stop - (len(rows) - 1) // n_tokens
                found = Events(start + begin + row // n_tokens, row % n_tokens, indices.ints(n), data.floats(n))
                offset = int(rows[0])
                check(found, *self._limits, lambda i, offset=offset: f"{self._file}: indices and data {offset + i}")
                yield start + begin, start + stop, found
            done, start = int(bounds[-1]), start + (len(bounds) - 1) // n_tokens
        if done != indices.n:
            raise DumpError(f"{self._file}: indptr: ends at {done:,} of {indices.n:,} indices; save it again")


def _split(bounds: Ints, n_tokens: int) -> Iterator[tuple[int, Ints]]:
    """Cuts rows of images into parts of at most `MOST` activations: the image after each, and the part's bounds."""
    of_images = bounds[::n_tokens]
    start, n_images = 0, len(of_images) - 1
    while start < n_images:
        stop = int(np.searchsorted(of_images, of_images[start] + MOST, side="right")) - 1
        stop = min(max(stop, start + 1), n_images)
        yield stop, bounds[start * n_tokens : stop * n_tokens + 1]
        start = stop
