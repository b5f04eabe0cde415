"""Reads the coders that EleutherAI's sparsify writes: `cfg.json` and `sae.safetensors`."""

from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, PositiveInt, ValidationError
from torch import Tensor

from autointerp.errors import SettingsError, one_line
from autointerp.reading import read_json
from autointerp.transcoder.config import CoderConfig
from autointerp.transcoder.files import first_fault, read_tensors

CONFIG = "cfg.json"
WEIGHTS = "sae.safetensors"


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
    found = _config(folder / CONFIG)
    stored = read_tensors(folder / WEIGHTS, beside=CONFIG, remedy="copy it again")
    weights = {name: tensor.float() for name, tensor in stored.items()}
    for name in ("encoder.weight", "encoder.bias", "W_dec", "b_dec", *(("W_skip",) if found.skip_connection else ())):
        if name not in weights:
            raise SettingsError(f"{folder / WEIGHTS}: has no {name}, so it cannot be loaded")
    rows = weights["W_dec"]
    config = CoderConfig(
        kind="transcoder" if found.transcode or len(weights["b_dec"]) != found.d_in else "sae",
        d_in=found.d_in,
        d_out=len(weights["b_dec"]),
        widths=(len(rows),),
        k=min(found.k, len(rows)),
        sparsity="topk",
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
    try:
        found = _Config.model_validate(read_json(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise SettingsError(f"{path}: {first_fault(error)}") from error
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: cannot be read: {one_line(str(error))}") from error
    if found.activation != "topk" or found.signed:
        kind = "signed activations" if found.signed else f"activation {found.activation!r}"
        raise SettingsError(f"{path}: {kind} cannot be loaded; of sparsify's coders only topk ones can")
    return found
