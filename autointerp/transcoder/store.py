"""Activations of many tokens on disk, `autointerp-activations/1`: a manifest and shards, written as a stream."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import Field, PositiveInt
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from autointerp.errors import SettingsError, one_line
from autointerp.populations.images import Population
from autointerp.record import Record
from autointerp.remote.path import AnyPath
from autointerp.transcoder.backbones.protocol import Activations as Taken
from autointerp.transcoder.backbones.protocol import Backbone
from autointerp.transcoder.batches import prepared_batches
from autointerp.transcoder.classifier import ClassifierRef
from autointerp.transcoder.files import is_none, read_record, written
from autointerp.transcoder.settings import StoreSettings
from autointerp.transcoder.tokens import TokenBatch

FORMAT = "autointerp-activations/1"
MANIFEST = "manifest.json"
DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}


class Activations(Record):
    """What the tokens of a store are of."""

    format: Literal["autointerp-activations/1"] = FORMAT
    backbone: str = Field(min_length=1)
    """Name of the model."""
    reads: str = Field(min_length=1)
    """Hookpoint of the inputs."""
    writes: str | None = None
    """Hookpoint of the targets; None where a store holds inputs alone."""
    d_in: PositiveInt
    d_out: PositiveInt | None = None
    dtype: Literal["float16", "bfloat16", "float32"] = "float16"
    classifier: ClassifierRef | None = Field(default=None, exclude_if=is_none)
    """Whose network was run; None for the backbone alone."""


class Shard(Record):
    """One file of a store."""

    file: str = Field(pattern=r"^[A-Za-z0-9._-]+$")
    tokens: PositiveInt


class Manifest(Record):
    """Is the content of manifest.json."""

    about: Activations
    tokens: PositiveInt
    shards: tuple[Shard, ...] = Field(min_length=1)


SHARD_TOKENS = 65_536
"""Tokens of a shard."""


class TokenBuffer:
    """Tokens in the types of a store, in memory until they are written.

    Args:
        place: That messages name.
        about: What the tokens are of.
    """

    def __init__(self, place: AnyPath, about: Activations) -> None:
        self.place = place
        self.about = about
        self.held = 0
        """Tokens in memory."""
        self._parts: list[dict[str, Tensor]] = []

    def add(self, inputs: Tensor, targets: Tensor | None, images: Tensor, groups: Tensor) -> None:
        """Adds tokens.

        Args:
            inputs: [tokens, d_in].
            targets: [tokens, d_out]; None where the store holds inputs alone.
            images: [tokens], int: the image that each token is of.
            groups: [tokens], int: the image's group; images of one group are near-duplicates and never on both sides
                of a split.

        Raises:
            SettingsError: an activation is not finite, or greater than the store's type can hold.
        """
        dtype = DTYPES[self.about.dtype]
        part = {"inputs": inputs.to(dtype), "images": images.long(), "groups": groups.long()}
        if targets is not None:
            part["targets"] = targets.to(dtype)
        assert (targets is None) == (self.about.d_out is None), "targets are there exactly where d_out is"
        assert len({len(t) for t in part.values()}) == 1, "one row a token"
        for side in part.keys() - {"images", "groups"}:
            if not part[side].isfinite().all():
                raise SettingsError(
                    f"{self.place}: {side} of image {int(images[0])} or after do not fit {self.about.dtype}; "
                    "store them as bfloat16, and see that the backbone yields finite numbers"
                )
        self._parts.append({name: tensor.cpu() for name, tensor in part.items()})
        self.held += len(inputs)

    def take(self, n_tokens: int) -> dict[str, Tensor]:
        """Returns the first tokens that are held, which are then held no more: a row a token of each column."""
        joined = {name: torch.cat([p[name] for p in self._parts]) for name in self._parts[0]}
        self._parts = [{k: t[n_tokens:].clone() for k, t in joined.items()}]
        self.held -= n_tokens
        return {k: t[:n_tokens].contiguous() for k, t in joined.items()}


def shard_file(number: int) -> str:
    """Returns the name of a shard, which are counted from 0."""
    return f"shard-{number:05d}.safetensors"


class StoreWriter(TokenBuffer):
    """Writes a store; its manifest, without which it is none, comes last.

    Args:
        folder: To write; must not hold a store yet.
        about: What the tokens are of.
        shard_tokens: Tokens of a shard, which are held in memory until it is full.

    Raises:
        SettingsError: the folder holds a store, or cannot be made.
    """

    def __init__(self, folder: str | Path, about: Activations, *, shard_tokens: int = SHARD_TOKENS) -> None:
        super().__init__(Path(folder), about)
        self.folder = Path(folder)
        self.shard_tokens = shard_tokens
        self._shards: list[Shard] = []

    def __enter__(self) -> "StoreWriter":
        if (self.folder / MANIFEST).exists():
            raise SettingsError(f"{self.folder}: holds activations already; give another folder")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"{self.folder}: cannot be made: {error}") from error
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._finish()

    def add(self, inputs: Tensor, targets: Tensor | None, images: Tensor, groups: Tensor) -> None:
        """Adds tokens to the store, as `TokenBuffer.add`."""
        super().add(inputs, targets, images, groups)
        while self.held >= self.shard_tokens:
            self._write(self.shard_tokens)

    def _write(self, n_tokens: int) -> None:
        name = shard_file(len(self._shards))
        with written(self.folder / name) as path:
            save_file(self.take(n_tokens), path)
        self._shards.append(Shard(file=name, tokens=n_tokens))

    def _finish(self) -> None:
        if self.held:
            self._write(self.held)
        if not self._shards:
            raise SettingsError(f"{self.folder}: no activations were added")
        manifest = Manifest(about=self.about, tokens=sum(s.tokens for s in self._shards), shards=tuple(self._shards))
        with written(self.folder / MANIFEST) as path:
            path.write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")


class ActivationStore:
    """Tokens on disk, of which only the rows that are asked for are in memory.

    Raises:
        SettingsError: there is no manifest, or it or a shard is not as the format says.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        none = f"{folder}: holds no activations, it has no {MANIFEST}; it is not a store, or its writing was cut off"
        self.manifest = read_record(self.folder / MANIFEST, Manifest, missing=none)
        self.about = self.manifest.about
        for shard in self.manifest.shards:
            self._check(shard)

    def column(self, shard: int, name: Literal["images", "groups"]) -> Tensor:
        """Returns a column of a shard, [tokens of the shard], int64."""
        with self._open(self.manifest.shards[shard]) as file:
            return file.get_tensor(name)

    def rows(self, shard: int, slices: Sequence[tuple[int, int]]) -> TokenBatch:
        """Joins half-open ranges of a shard's rows, in the stored type; inputs stand for targets without any."""
        with self._open(self.manifest.shards[shard]) as file:
            inputs = file.get_slice("inputs")
            x = torch.cat([inputs[a:b] for a, b in slices])
            if self.about.d_out is None:
                return TokenBatch(x, x)
            targets = file.get_slice("targets")
            return TokenBatch(x, torch.cat([targets[a:b] for a, b in slices]))

    @contextmanager
    def _open(self, shard: Shard) -> Iterator["safe_open"]:
        path = self.folder / shard.file
        try:
            with safe_open(path, framework="pt") as file:
                yield file
        except FileNotFoundError:
            raise SettingsError(f"{path}: is missing; write the activations again") from None
        except (OSError, SafetensorError) as error:
            raise SettingsError(f"{path}: cannot be read: {one_line(str(error))}; write it again") from error

    def _check(self, shard: Shard) -> None:
        expected = {"inputs": [shard.tokens, self.about.d_in], "images": [shard.tokens], "groups": [shard.tokens]}
        if self.about.d_out is not None:
            expected["targets"] = [shard.tokens, self.about.d_out]
        with self._open(shard) as file:
            names = set(file.keys())
            for name, shape in expected.items():
                found = file.get_slice(name).get_shape() if name in names else None
                if found != shape:
                    says = "is missing" if found is None else f"is {found}"
                    raise SettingsError(
                        f"{self.folder / shard.file}: {name} {says}; the manifest says {shape}; write it again"
                    )


LOT = 0x70CE5
"""Keeps the draw of patches apart from other draws of the same seed."""


def record(
    backbone: Backbone,
    population: Population,
    writer: TokenBuffer,
    what: StoreSettings,
    *,
    progress: Callable[[int, int], None],
    device: str = "cpu",
    only: slice = slice(None),
) -> None:
    """Runs every image once and adds its tokens, image by image in the population's order.

    Args:
        backbone: has the hookpoints that the writer's store is of.
        population: images, whose groups go along with their tokens.
        writer: of the store, entered, or of a part of it.
        what: is stored: patches are drawn of each image without replacement, in their own order, by its content and not
            its place.
        progress: is told images done and all images.
        device: where the backbone runs.
        only: the images that are run, of the population.

    Raises:
        SettingsError: an image has changed since it was read, or an activation does not fit the store's type.
    """
    about = writer.about
    hookpoints = list(dict.fromkeys([about.reads] if about.writes is None else [about.reads, about.writes]))
    group_of: Mapping[int, int] = dict(
        zip((i.image for i in population.images), population.groups.tolist(), strict=True)
    )
    done, chosen = 0, population.images[only]
    for images, pixels in prepared_batches(backbone, chosen, size=what.batch, device=device):
        taken = backbone.run(pixels, hookpoints)
        for row, image in enumerate(images):
            seed = (what.seed, int(image.sha256[:15], 16))
            inputs, *targets = _tokens(taken, hookpoints, row, what.tokens_per_image, seed)
            of = torch.full((len(inputs),), image.image)
            group = torch.full((len(inputs),), group_of[image.image])
            writer.add(inputs, targets[0] if targets else None, of, group)
        done += len(images)
        progress(done, len(chosen))


def _tokens(
    taken: Taken, hookpoints: list[str], row: int, tokens_per_image: int | None, seed: tuple[int, int]
) -> list[Tensor]:
    """Returns [tokens, width] for each hookpoint: the same patches of one image; of a pooled one, its only vector."""
    of_image = [taken[name][row] for name in hookpoints]
    of_image = [t[None] if t.ndim == 1 else t for t in of_image]
    n = len(of_image[0])
    if tokens_per_image is None or tokens_per_image >= n:
        return of_image
    drawn = np.random.default_rng((LOT, *seed)).choice(n, tokens_per_image, replace=False)
    rows = torch.from_numpy(np.sort(drawn)).to(of_image[0].device)
    return [t[rows] for t in of_image]
