"""A coder on disk: weights in `coder.safetensors`, all else in `coder.json` beside it; never a pickle."""

from pathlib import Path
from typing import Literal, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveInt
from safetensors.torch import save_file
from torch import Tensor

from autointerp.clock import now
from autointerp.errors import SettingsError
from autointerp.record import Record
from autointerp.transcoder.classifier import ClassifierRef
from autointerp.transcoder.coder import SparseCoder
from autointerp.transcoder.files import is_none, read_record, read_tensors, written
from autointerp.transcoder.losses import HeldOut
from autointerp.transcoder.settings import CoderConfig, StoredConfig, TrainSettings
from autointerp.version import __version__

FORMAT = "autointerp-coder/1"
WEIGHTS = "coder.safetensors"
INFO = "coder.json"
UNKNOWN = "unknown"
"""The model of a coder that does not say which one it reads."""


class Training(Record):
    """Where a coder's weights come from."""

    source: str
    """What the tokens were read from."""
    settings: TrainSettings
    held_out: HeldOut | None
    """None where nothing was held out."""


class CoderInfo(Record):
    """Is the content of coder.json."""

    format: Literal["autointerp-coder/1"] = FORMAT
    created: str
    """ISO 8601, UTC."""
    created_by: str
    """Program and version."""
    model: str
    """The backbone."""
    reads: str
    """Hookpoint of the inputs."""
    writes: str
    """Hookpoint of the targets; that of the inputs for an sae."""
    config: StoredConfig
    training: Training | None = None
    classifier: ClassifierRef | None = Field(default=None, exclude_if=is_none)
    """Whose network the hookpoints are of; None for the backbone alone."""


class StoredCoder(NamedTuple):
    """A coder and what is known of it."""

    coder: SparseCoder
    info: CoderInfo


def describe(
    config: CoderConfig,
    *,
    model: str,
    reads: str,
    writes: str,
    training: Training | None = None,
    classifier: ClassifierRef | None = None,
) -> CoderInfo:
    """Makes the content of coder.json of a coder that is made now."""
    return CoderInfo(
        created=now(),
        created_by=f"autointerp {__version__}",
        model=model,
        reads=reads,
        writes=writes,
        config=config,
        training=training,
        classifier=classifier,
    )


def save_coder(coder: SparseCoder, info: CoderInfo, folder: str | Path) -> None:
    """Writes both files; the JSON last, without which there is no coder.

    Raises:
        SettingsError: the folder cannot be written.
    """
    target = Path(folder)
    with written(target / WEIGHTS) as path:
        save_file({k: t.contiguous() for k, t in coder.state_dict().items()}, path)
    with written(target / INFO) as path:
        path.write_text(info.model_dump_json(indent=2) + "\n", encoding="utf-8")


def load_coder(folder: str | Path) -> StoredCoder:
    """Reads a coder of this program, or one that sparsify wrote (`cfg.json` and `sae.safetensors`).

    Returns:
        The coder on the processor, not in training mode.

    Raises:
        SettingsError: there is none, a file is broken, or it is of a kind that cannot be loaded.
    """
    source = Path(folder)
    if not (source / INFO).exists() and (source / SPARSIFY_CONFIG).exists():
        config, tensors = load_sparsify(source)
        info = describe(config, model=UNKNOWN, reads=source.name, writes=source.name)
        return StoredCoder(_filled(config, tensors, source / SPARSIFY_CONFIG), info)
    none = (
        f"{source}: holds no coder, neither {INFO} nor sparsify's {SPARSIFY_CONFIG}; "
        "give a folder such as `autointerp train transcoder` writes"
    )
    info = read_record(source / INFO, CoderInfo, missing=none)
    path = source / WEIGHTS
    tensors = read_tensors(path, beside=INFO, remedy="train or copy it again")
    return StoredCoder(_filled(info.config, tensors, path), info)


def _filled(config: CoderConfig, tensors: dict[str, Tensor], path: Path) -> SparseCoder:
    coder = SparseCoder(config)
    expected = coder.state_dict()
    for name, tensor in expected.items():
        if name not in tensors:
            raise SettingsError(f"{path}: has no {name}; train or copy it again")
        if tensors[name].shape != tensor.shape:
            raise SettingsError(
                f"{path}: {name} is {list(tensors[name].shape)}, and its description says {list(tensor.shape)}"
            )
    if strange := sorted(tensors.keys() - expected.keys()):
        raise SettingsError(f"{path}: has {strange[0]}, which its description does not know")
    coder.load_state_dict(tensors)
    return coder.eval()


SPARSIFY_CONFIG = "cfg.json"
SPARSIFY_WEIGHTS = "sae.safetensors"


class _Config(BaseModel):
    """What matters of cfg.json; its other keys concern training."""

    model_config = ConfigDict(extra="ignore")

    d_in: PositiveInt
    k: PositiveInt
    activation: str = "topk"
    skip_connection: bool = False
    transcode: bool = False
    signed: bool = False


def load_sparsify(folder: Path) -> tuple[CoderConfig, dict[str, Tensor]]:
    """Reads a coder's configuration and its state by our names.

    There: z = topk(relu(W·(x - b_dec) + b)), y = z·W_dec + b_dec + W_skip·x, where a transcoder reads x as it is.

    Raises:
        SettingsError: a file is missing or broken, or the coder is of a kind that has no counterpart here.
    """
    found = _config(folder / SPARSIFY_CONFIG)
    stored = read_tensors(folder / SPARSIFY_WEIGHTS, beside=SPARSIFY_CONFIG, remedy="copy it again")
    weights = {name: tensor.float() for name, tensor in stored.items()}
    for name in ("encoder.weight", "encoder.bias", "W_dec", "b_dec", *(("W_skip",) if found.skip_connection else ())):
        if name not in weights:
            raise SettingsError(f"{folder / SPARSIFY_WEIGHTS}: has no {name}, so it cannot be loaded")
    rows = weights["W_dec"]
    config = CoderConfig(
        kind="transcoder" if found.transcode or len(weights["b_dec"]) != found.d_in else "sae",
        d_in=found.d_in,
        d_out=len(weights["b_dec"]),
        widths=(len(rows),),
        k=min(found.k, len(rows)),
        sparsity="topk",
        decoder_rows="free",
        skip=found.skip_connection,
        normalise=False,
    )
    return config, _state(config, weights)


def _state(config: CoderConfig, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    bias = weights["b_dec"]
    in_mean = bias if config.kind == "sae" else torch.zeros(config.d_in)
    state = {
        "encoder": weights["encoder.weight"],
        "encoder_bias": weights["encoder.bias"],
        "decoders.0": weights["W_dec"],
        "decoder_biases.0": bias,
        "threshold": torch.zeros(()),
        "n_thresholds": torch.zeros((), dtype=torch.int64),
        "in_mean": in_mean,
        "in_scale": torch.ones(()),
        "out_mean": torch.zeros(config.d_out),
        "out_scale": torch.ones(()),
    }
    if config.skip:
        # Ours reads the input around its mean, theirs the input itself.
        state |= {"skip": weights["W_skip"], "decoder_biases.0": bias + weights["W_skip"] @ in_mean}
    return state


def _config(path: Path) -> _Config:
    found = read_record(path, _Config, missing=f"{path}: there is no such file")
    if found.activation != "topk" or found.signed:
        kind = "signed activations" if found.signed else f"activation {found.activation!r}"
        raise SettingsError(f"{path}: {kind} cannot be loaded; of sparsify's coders only topk ones can")
    return found
