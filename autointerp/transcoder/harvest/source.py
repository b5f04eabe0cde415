"""The coders of a harvest: loaded by folder or made of a model's own units, and checked against the backbone."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from autointerp.dump.format import CoderOrigin
from autointerp.errors import SettingsError
from autointerp.transcoder.backbones.module import state_digest
from autointerp.transcoder.backbones.protocol import Backbone, hookpoint_of, hookpoints_in_words
from autointerp.transcoder.coder import RawUnits
from autointerp.transcoder.coder_io import CoderInfo, ForeignInfo, StoredCoder, load_coder
from autointerp.transcoder.coder_part import Renumbered
from autointerp.transcoder.coders.hub import HUB
from autointerp.transcoder.coders.peer_names import UNKNOWN, hookpoint
from autointerp.transcoder.harvest.encode import Encoder

RAW = "raw:"
"""Before a hookpoint: the model's own units there, as a baseline."""
BLOCK = re.compile(r"blocks\.(-?\d+)\.")
RAW_K = 32
"""Units kept a token."""


@dataclass(frozen=True, slots=True)
class Source:
    """A coder and what a harvest must know of it."""

    name: str
    """For files and messages."""
    encoder: Encoder
    reads: str
    """Hookpoint."""
    hookpoint: str
    """As the dump states it."""
    about: str
    """What it is, in a few words."""
    digest: str
    """Of all that its latents depend on."""
    decoder: npt.NDArray[np.float32] | None = None
    """[n_latents, d_out]: what each latent writes; None where it writes nothing."""
    origin: CoderOrigin | None = None
    """Where it is from, as the dump states it; None for a model's own units."""


def load_sources(specs: Sequence[str], stored: dict[str, StoredCoder], backbone: Backbone, device: str) -> list[Source]:
    """Returns the coders in the order given.

    Raises:
        SettingsError: two have one name, or one does not fit the backbone.
    """
    found = [_learned(s, stored[s], backbone, device) if s in stored else _units(s, backbone) for s in specs]
    for source, spec in zip(found, specs, strict=True):
        width = hookpoint_of(backbone, source.reads).width
        if spec in stored and (d_in := stored[spec].info.config.d_in) != width:
            raise SettingsError(
                f"--coder {spec}: reads {d_in} channels, and {source.reads} of the backbone has {width}; "
                "it was trained on another model or hookpoint"
            )
    names = [s.name for s in found]
    if twice := next((n for n in names if names.count(n) > 1), None):
        raise SettingsError(f"--coder: two are called {twice!r}, and dumps are named after them; rename a folder")
    return found


def stored_coders(specs: Sequence[str], reads: str | None = None) -> dict[str, StoredCoder]:
    """Loads those that are folders, files or on the hub.

    Args:
        specs: as they were named.
        reads: the hookpoint that all of them read, in place of what their files say.

    Raises:
        SettingsError: there is no coder.
    """
    return {s: load_coder(s, reads=reads) for s in specs if not s.startswith(RAW)}


def backbone_name(stored: dict[str, StoredCoder]) -> str:
    """Returns the model that all of them were trained on.

    Raises:
        SettingsError: they name several, or none.
    """
    if silent := [spec for spec, c in stored.items() if c.info.model == UNKNOWN]:
        raise SettingsError(f"--backbone: the files of {silent[0]} do not say which model it reads; name one")
    names = sorted({c.info.model for c in stored.values()})
    if len(names) != 1:
        said = f"were trained on {', '.join(names)}" if names else "do not say which model they read"
        raise SettingsError(f"--backbone: the coders {said}; name one")
    return names[0]


def _learned(spec: str, stored: StoredCoder, backbone: Backbone, device: str) -> Source:
    coder, info = stored.coder.to(device), stored.info
    config = info.config
    nested = "Matryoshka " if len(config.widths) > 1 else ""
    reads = _reads(spec, stored, backbone)
    writes = reads if info.writes == info.reads else info.writes
    kept = "" if config.k is None else f", k {config.k}"
    # A part of a coder fires as the whole does, whose numbers and digest it has.
    part = info.part_of if isinstance(info, CoderInfo) else None
    digest = state_digest(coder, config.model_dump_json()) if part is None else part.digest
    return Source(
        name=_name(spec),
        encoder=coder if part is None else Renumbered(coder, part),
        reads=reads,
        hookpoint=reads if writes in (reads, UNKNOWN) else f"{reads} -> {writes}",
        about=f"{nested}{config.sparsity} {config.kind}{kept}",
        digest=digest,
        decoder=coder.decoders[-1].detach().float().cpu().numpy() if part is None else None,
        origin=CoderOrigin(format=stored.format, digest=digest, source=spec, revision=info.revision),
    )


def _name(spec: str) -> str:
    """Returns the last folder of a coder's name, and the file's own name where a file was named."""
    if spec.startswith(HUB):
        return spec.partition("@")[0].rstrip("/").rpartition("/")[2]
    return Path(spec).resolve().name


def _reads(spec: str, stored: StoredCoder, backbone: Backbone) -> str:
    """Returns the hookpoint of the backbone that a coder reads; a block below 0 counts from the last.

    Raises:
        SettingsError: its files do not say, or say what the backbone does not have.
    """
    reads = stored.info.reads
    if reads == UNKNOWN:
        raise SettingsError(
            f"--reads: the files of {spec} do not say which hookpoint it reads; name one, such as blocks.8.resid"
        )
    # Somebody who types another tool's name of a place means it.
    reads = reads if reads in backbone.hookpoints else hookpoint(reads)
    blocks = {int(found[1]) for name in backbone.hookpoints if (found := BLOCK.match(name))}
    if (found := BLOCK.match(reads)) is not None and int(found[1]) < 0 and blocks:
        reads = f"blocks.{max(blocks) + 1 + int(found[1])}.{reads[found.end() :]}"
    if reads not in backbone.hookpoints and isinstance(stored.info, ForeignInfo):
        raise SettingsError(
            f"--reads: {spec} reads {reads}, and {backbone.name} has no hookpoint of that name; name one of its own: "
            f"{hookpoints_in_words(backbone)}"
        )
    return reads


def _units(spec: str, backbone: Backbone) -> Source:
    reads = spec.removeprefix(RAW)
    width = hookpoint_of(backbone, reads).width
    k = min(RAW_K, width)
    digest = hashlib.sha256(f"raw {reads} {width} {k}".encode()).hexdigest()
    about = f"raw units, the {k} largest of a token"
    return Source(f"raw-{reads}", RawUnits(width, k), reads, reads, about, digest)
