"""Runs images through a network and a coder, batch by batch: the maxima of some latents, and where they fire."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save_file
from torch import Tensor

from autointerp.errors import SettingsError, excerpt
from autointerp.generators.pack import CLASSIFIER, CODER, OpenedPack
from autointerp.generators.records import CoderFile, Pack
from autointerp.populations.images import PopulationImage
from autointerp.statistics.rates import Ints
from autointerp.transcoder.backbones.headed import with_classifier
from autointerp.transcoder.backbones.names import parsed
from autointerp.transcoder.backbones.protocol import Backbone, frame_of, grid_of
from autointerp.transcoder.backbones.registry import load_backbone
from autointerp.transcoder.batches import prepared_batches
from autointerp.transcoder.classifier import BACKBONE_FILE, INFO_FILE, WEIGHTS_FILE, load_info
from autointerp.transcoder.coder_io import INFO, WEIGHTS, CoderInfo, ForeignInfo, StoredCoder, load_coder, save_coder
from autointerp.transcoder.coders.linear import LinearCoder, LinearConfig, Weights
from autointerp.transcoder.files import read_record, read_tensors
from autointerp.transcoder.harvest.encode import Entries, Heats, entries_of, heats_of, peaks_of
from autointerp.transcoder.harvest.framing import over_the_whole
from autointerp.transcoder.harvest.source import RAW, Source, load_sources
from autointerp.transcoder.precision import cast_to, products_in
from autointerp.transcoder.settings import UsedPrecision

REMEDY = "get the pack again"
_PUBLIC = re.compile(r"(?:hf[-_]hub:)?\w[\w.-]*(?:/\w[\w.-]*)?(?:@[\w.-]+)?")
"""What a package or the hub calls a model. timm's `local-dir:` is none, nor is a path."""


@dataclass(frozen=True)
class Reader:
    """All that an image goes through."""

    network: Backbone
    source: Source
    latents: Ints
    """The latents whose maxima are wanted, [columns]."""
    batch: int
    device: str
    precision: UsedPrecision

    @property
    def grid(self) -> tuple[int, int] | None:
        """Returns rows and columns of heat maps; None where the coder reads one vector an image."""
        hookpoint = self.network.hookpoints[self.source.reads]
        return grid_of(self.network, self.source.reads) if hookpoint.kind == "patches" else None

    def batches(self, images: Sequence[PopulationImage]) -> Iterator["Batch"]:
        """Runs images in their order.

        Raises:
            SettingsError: an image is not the file any more that was looked at, or an activation is not finite.
        """
        with products_in(self.precision):
            found = prepared_batches(self.network, images, size=self.batch, device=self.device)
            for own, pixels in found:
                with cast_to(self.precision, self.device):
                    taken = self.network.run(pixels, [self.source.reads])[self.source.reads].float()
                entries = entries_of(self.source.encoder, self.source.name, taken)
                peaks = peaks_of(entries, len(own), self.source.encoder.n_latents)
                yield Batch(own, peaks[:, self.latents], entries, self)


class Batch(NamedTuple):
    """What was found in some images."""

    images: Sequence[PopulationImage]
    peaks: npt.NDArray[np.float32]
    """[images, columns]."""
    entries: Entries
    reader: Reader

    def heats(self, images: Ints, columns: Ints) -> list[bytes]:
        """Returns the heat map over the whole image of some pairs; empty ones where a coder reads one vector an image.

        Args:
            images: positions in the batch, [pairs]; no pair twice.
            columns: positions among the latents, [pairs].
        """
        grid = self.reader.grid
        if grid is None or not len(images):
            return [b""] * len(images)
        shape = (len(self.images), grid[0] * grid[1], self.reader.source.encoder.n_latents)
        made: Heats = heats_of(self.entries, shape, images, self.reader.latents[columns])
        frame = frame_of(self.reader.network)
        sizes = [(self.images[i].width, self.images[i].height) for i in images.tolist()]
        return [over_the_whole(heat, grid, size, frame).tobytes() for heat, size in zip(made, sizes, strict=True)]


def write_coder(folder: Path, stored: StoredCoder | None, source: Source) -> CoderFile:
    """Writes the coder into a pack; a network's own units need no file.

    Args:
        folder: the pack.
        stored: the coder as it was loaded; None for the network's own units.
        source: as the harvest knows it.
    """
    about = {"digest": source.digest, "reads": source.reads, "n_latents": source.encoder.n_latents}
    if stored is None:
        return CoderFile(kind="raw", source=source.name, **about)
    home = folder / CODER
    said = f"{stored.format} {source.name}"
    if isinstance(stored.info, CoderInfo):
        # Where it was trained, and where its classifier lay, is nobody's business.
        reference = stored.info.classifier and stored.info.classifier.model_copy(update={"folder": CLASSIFIER})
        save_coder(
            stored.coder,  # pyright: ignore[reportArgumentType] - what has this record is a SparseCoder
            stored.info.model_copy(update={"training": None, "classifier": reference}),
            home,
        )
        return CoderFile(kind="own", source=said, **about)
    home.mkdir()
    save_file({name: t.contiguous() for name, t in stored.coder.state_dict().items()}, home / WEIGHTS)
    assert isinstance(stored.coder, LinearCoder)
    (home / INFO).write_text(stored.coder.config.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return CoderFile(kind="linear", source=said, **about)


def open_reader(opened: OpenedPack, *, backbone: str | None, batch: int, device: str) -> Reader:
    """Opens what a pack's images go through, and sees that it is what the pack was made with.

    Args:
        opened: the pack.
        backbone: what its network is called on this machine; None takes the pack's own name.
        batch: images run at once.
        device: where they are run.

    Raises:
        SettingsError: the network is not to be had or another one, or a file of the pack is not as it should be.
    """
    pack, folder = opened.pack, opened.folder
    name = backbone or pack.backbone.name
    if backbone is None:
        _refuse_own_files(folder, name)
    network: Backbone = load_backbone(name, device=device)
    if pack.backbone.classifier:
        _check_classifier(folder / CLASSIFIER)
        network = with_classifier(network, folder / CLASSIFIER).model
    if network.digest != pack.backbone.digest:
        raise SettingsError(
            f"--backbone: {name} is here {network.digest[:12]}, and the pack {folder} was made with "
            f"{pack.backbone.name} {pack.backbone.digest[:12]}; give the same weights, such as the same revision"
        )
    source = _source(opened, network, device)
    if source.digest != pack.coder.digest or source.encoder.n_latents != pack.coder.n_latents:
        raise SettingsError(f"{folder / CODER}: is not the coder that the pack names; {REMEDY}")
    latents = np.array(pack.columns, np.int64)
    return Reader(network, source, latents, batch, device, pack.settings.precision)


def _refuse_own_files(folder: Path, name: str) -> None:
    """A pack names models of the hub or of a package, and no files of this machine."""
    base = parsed(name).base.partition(":")[2]
    if base and (not _PUBLIC.fullmatch(base) or Path(base).exists()):
        raise SettingsError(f"{folder}: its network is {name}, files of a machine; name yours with --backbone")


def _source(opened: OpenedPack, network: Backbone, device: str) -> Source:
    pack, home = opened.pack, opened.folder / CODER
    if pack.coder.kind == "raw":
        return load_sources([f"{RAW}{pack.coder.reads}"], {}, network, device)[0]
    stored = _own(home) if pack.coder.kind == "own" else _linear(home, pack)
    spec = str(home)
    return load_sources([spec], {spec: stored}, network, device)[0]


def _own(home: Path) -> StoredCoder:
    """Loads a coder of this program, whose description may ask for no more memory than its file has."""
    info = read_record(home / INFO, CoderInfo, missing=f"{home / INFO}: is missing; {REMEDY}")
    config = info.config
    rows = config.widths if config.decoder == "separate" else (config.n_latents,)
    skip = config.d_in * config.d_out if config.skip else 0
    numbers = config.n_latents * config.d_in + sum(rows) * config.d_out + skip
    _check_fits(home, numbers)
    return load_coder(home)


def _check_fits(home: Path, numbers: int, weights: str = WEIGHTS) -> None:
    path = home / weights
    size = path.stat().st_size if path.exists() else 0
    if 4 * numbers > size:
        raise SettingsError(f"{path}: holds {size:,} bytes, and its description speaks of {4 * numbers:,}; {REMEDY}")


def _linear(home: Path, pack: Pack) -> StoredCoder:
    config = read_record(home / INFO, LinearConfig, missing=f"{home / INFO}: is missing; {REMEDY}")
    tensors = read_tensors(home / WEIGHTS, beside=INFO, remedy=REMEDY)
    decoders = _checked_tensors(home, config, tensors)
    jump = tensors.get("jump")
    coder = LinearCoder(
        config,
        Weights(
            encoder=tensors["encoder"],
            bias=tensors["encoder_bias"],
            decoders=tuple(tensors[name] for name in decoders),
            decoder_biases=tuple(tensors[name.replace("decoders", "decoder_biases")] for name in decoders),
            shift=tensors.get("shift"),
            threshold=tensors.get("threshold"),
            gate_bias=tensors.get("gate_bias"),
            magnitude=tensors.get("magnitude"),
            scale=tensors.get("scale"),
            jump=None if jump is None else (float(jump[0]), float(jump[1])),
            skip=tensors.get("skip"),
        ),
    )
    reads = pack.coder.reads
    return StoredCoder(coder, ForeignInfo(model=pack.backbone.name, reads=reads, writes=reads, config=config))


def _checked_tensors(home: Path, config: LinearConfig, tensors: Mapping[str, Tensor]) -> list[str]:
    """Sees that each tensor of another tool's coder has a known name and its shape; returns the decoders' names."""
    if not config.widths or (config.fused and "gate_bias" in tensors):
        raise SettingsError(f"{home / INFO}: describes no coder; {REMEDY}")
    if config.dtype not in ("float32", "float16", "bfloat16", "float64"):
        raise SettingsError(f"{home / INFO}: dtype {config.dtype!r} is none of a coder's; {REMEDY}")
    n, d_in, d_out = config.n_latents, config.d_in, config.d_out
    rows = config.widths if "decoders.1" in tensors else (n,)
    decoders = {f"decoders.{i}": (own, d_out) for i, own in enumerate(rows)}
    needed = {"encoder": (n, d_in), "encoder_bias": (n,), **decoders}
    needed |= {f"decoder_biases.{i}": (d_out,) for i in range(len(rows))}
    more = {"shift": (d_in,), "skip": (d_out, d_in), "jump": (2,)}
    more |= dict.fromkeys(("threshold", "gate_bias", "magnitude", "scale"), (n,))
    for name in sorted(needed.keys() | tensors.keys()):
        shape = None if name not in tensors else tuple(tensors[name].shape)
        if shape != (needed | more).get(name, "unknown") and (name, shape) != ("threshold", ()):
            raise SettingsError(f"{home / WEIGHTS}: {excerpt(name)} is not as {INFO} says; {REMEDY}")
    return list(decoders)


def _check_classifier(home: Path) -> None:
    """Sees that a classifier's description asks for no more memory than its file has."""
    info = load_info(home)
    hidden = info.settings.n_hidden if info.settings.head == "mlp" else 1
    _check_fits(home, info.width * hidden, WEIGHTS_FILE)
    if info.tuned is not None and not (home / BACKBONE_FILE).exists():
        raise SettingsError(f"{home / BACKBONE_FILE}: is missing beside {INFO_FILE}; {REMEDY}")


def fingerprint(reader: Reader) -> str:
    """Says what runs the images, for the record: activations may differ in the last digits between machines."""
    return f"torch {torch.__version__}, {reader.device}, {reader.precision}"
