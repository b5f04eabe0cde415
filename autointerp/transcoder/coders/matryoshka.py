"""Matryoshka-Transcoders: a checkpoint {model_state_dict, config, …} of its transcoder, or of one of its baselines.

z = relu(W·x + b) + β where W·x + b > γ, of which each band of latents keeps its own largest by magnitude
(`training/train_matryoshka_transcoders.py`, `baselines/*.py`).
"""

from collections.abc import Sequence
from itertools import pairwise

from autointerp.transcoder.coders import peer_names
from autointerp.transcoder.coders.files import Fields, Tensors, WeightFile
from autointerp.transcoder.coders.linear import Foreign, LinearCoder, LinearConfig, Weights
from autointerp.transcoder.coders.selection import Keep

NAME = "matryoshka-transcoders"


def read(file: WeightFile, settings: Sequence[Fields]) -> Foreign | None:
    """Reads a coder of Matryoshka-Transcoders; None where the file holds none.

    Raises:
        SettingsError: it holds one that is broken.
    """
    tensors, cfg = file.tensors("model_state_dict"), file.fields("config")
    if not tensors.has("encoder.0.weight", "encoder.0.bias", "encoder.1.gamma") or "input_dim" not in cfg.values:
        return None
    d_in = cfg.count("input_dim")
    n = len(tensors.get("encoder.0.weight", None, d_in))
    widths = cfg.counts("levels") if "levels" in cfg.values else (n,)
    if widths[-1] != n or sorted(set(widths)) != list(widths):
        raise cfg.wrong("levels", f"ascending up to {n}, the number of latents")
    weights = _weights(tensors, d_in, widths)
    d_out = len(weights.decoders[0].T)
    config = LinearConfig(
        format=NAME,
        kind="transcoder" if cfg.values.get("output_dim") is not None and cfg.values.get("mode") != "sae" else "sae",
        d_in=d_in,
        d_out=d_out,
        widths=widths,
        keep=_keep(cfg, widths),
    )
    return Foreign(LinearCoder(config, weights), peer_names.UNKNOWN, peer_names.UNKNOWN, peer_names.UNKNOWN)


def _weights(tensors: Tensors, d_in: int, widths: tuple[int, ...]) -> Weights:
    n = widths[-1]
    names = [f"decoders.{i}" for i in range(len(widths))] if "decoders.0.weight" in tensors.values else ["decoder"]
    sizes = widths if len(names) == len(widths) else (n,)
    decoders = tuple(tensors.get(f"{name}.weight", None, w).T for name, w in zip(names, sizes, strict=True))
    return Weights(
        encoder=tensors.get("encoder.0.weight", n, d_in),
        bias=tensors.get("encoder.0.bias", n),
        decoders=decoders,
        decoder_biases=tuple(tensors.get(f"{name}.bias", decoders[0].shape[1]) for name in names),
        jump=(float(tensors.get("encoder.1.gamma")), float(tensors.get("encoder.1.beta"))),
    )


def _keep(cfg: Fields, widths: tuple[int, ...]) -> Keep:
    bands = tuple(b - a for a, b in pairwise((0, *widths)))
    if "topk_per_level" in cfg.values:
        ks = cfg.counts("topk_per_level")
        if len(ks) != len(bands):
            raise cfg.wrong("topk_per_level", f"{len(bands)} numbers, one a level")
    else:
        ks = (widths[-1] if cfg.values.get("topk") is None else cfg.count("topk"),)
    ks = tuple(min(k, band) for k, band in zip(ks, bands, strict=True))
    return Keep(rule="band-topk", k=sum(ks), ks=ks, bands=bands)
