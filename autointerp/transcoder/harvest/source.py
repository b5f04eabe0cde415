"""The coders of a harvest: loaded by folder or made of a model's own units, and checked against the backbone."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from autointerp.errors import SettingsError
from autointerp.transcoder.backbones.module import state_digest
from autointerp.transcoder.backbones.protocol import Backbone, hookpoint_of
from autointerp.transcoder.coder import RawUnits
from autointerp.transcoder.coder_io import StoredCoder, load_coder
from autointerp.transcoder.harvest.encode import Encoder

RAW = "raw:"
"""Before a hookpoint: the model's own units there, as a baseline."""
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


def load_sources(specs: Sequence[str], stored: dict[str, StoredCoder], backbone: Backbone, device: str) -> list[Source]:
    """Returns the coders in the order given.

    Raises:
        SettingsError: two have one name, or one does not fit the backbone.
    """
    found = [_learned(s, stored[s], device) if s in stored else _units(s, backbone) for s in specs]
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


def stored_coders(specs: Sequence[str]) -> dict[str, StoredCoder]:
    """Loads those that are folders.

    Raises:
        SettingsError: a folder holds no coder.
    """
    return {s: load_coder(s) for s in specs if not s.startswith(RAW)}


def backbone_name(stored: dict[str, StoredCoder]) -> str:
    """Returns the model that all of them were trained on.

    Raises:
        SettingsError: they name several, or none.
    """
    names = sorted({c.info.model for c in stored.values()})
    if len(names) != 1 or names[0] == "unknown":
        said = f"were trained on {', '.join(names)}" if names else "do not say which model they read"
        raise SettingsError(f"--backbone: the coders {said}; name one")
    return names[0]


def _learned(spec: str, stored: StoredCoder, device: str) -> Source:
    coder, info = stored.coder.to(device), stored.info
    config = info.config
    nested = "Matryoshka " if len(config.widths) > 1 else ""
    hookpoint = info.reads if info.writes == info.reads else f"{info.reads} -> {info.writes}"
    return Source(
        name=Path(spec).resolve().name,
        encoder=coder,
        reads=info.reads,
        hookpoint=hookpoint,
        about=f"{nested}{config.sparsity} {config.kind}, k {config.k}",
        digest=state_digest(coder, config.model_dump_json()),
        decoder=coder.decoders[-1].detach().float().cpu().numpy(),
    )


def _units(spec: str, backbone: Backbone) -> Source:
    reads = spec.removeprefix(RAW)
    width = hookpoint_of(backbone, reads).width
    k = min(RAW_K, width)
    digest = hashlib.sha256(f"raw {reads} {width} {k}".encode()).hexdigest()
    about = f"raw units, the {k} largest of a token"
    return Source(f"raw-{reads}", RawUnits(width, k), reads, reads, about, digest)
