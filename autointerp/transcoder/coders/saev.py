"""saev: `sae.pt`, one line of JSON and then a state as torch saves it, with training's `config.json` beside it.

z = f(x·W_enc + b_enc) without b_dec; coders without a `schema` take b_dec off, as saev did then
(`saev/nn/modeling.py: dump, load`).
"""

from collections.abc import Sequence

import torch

from autointerp.errors import SettingsError
from autointerp.transcoder.backbones.protocol import CLASS_TOKEN
from autointerp.transcoder.coders import peer_names
from autointerp.transcoder.coders.files import Fields, WeightFile
from autointerp.transcoder.coders.linear import Foreign, LinearCoder, LinearConfig, Weights
from autointerp.transcoder.coders.selection import Keep

NAME = "saev"
SCHEMAS = (1, 2, 3, 4, 5)
OLD = "schema 1: saev took b_dec off the activations until July 2025 and does not now; nor is it taken off here"
SCALED = "train_data.scale_norm: saev scaled activations in training; latents are those of activations as they are"


def read(file: WeightFile, settings: Sequence[Fields]) -> Foreign | None:
    """Reads a coder of saev; None where the file holds none.

    Raises:
        SettingsError: it holds one that is broken, or of a kind that this program cannot run.
    """
    header, tensors = file.header, file.tensors()
    if header is None or not tensors.has("W_enc", "b_enc", "W_dec", "b_dec"):
        return None
    schema = header.values.get("schema")
    if schema is not None and schema not in SCHEMAS:
        raise SettingsError(f"{file.path}: schema {schema!r} is not known, and {SCHEMAS[-1]} is the last that is")
    cfg = header if schema is None else header.inner("cfg")
    encoder = tensors.get("W_enc", _width(cfg), None)
    d_in, n = encoder.shape
    threshold = tensors.maybe("activation.threshold")
    weights = Weights(
        encoder=encoder.T,
        bias=tensors.get("b_enc", n),
        shift=tensors.get("b_dec", d_in) if schema is None else None,
        decoders=(tensors.get("W_dec", n, d_in),),
        decoder_biases=(tensors.get("b_dec", d_in),),
        threshold=None if threshold is None else torch.clamp(threshold, min=0),
    )
    config = LinearConfig(
        format=NAME,
        kind="sae",
        d_in=d_in,
        d_out=d_in,
        widths=(n,),
        keep=_keep(header, cfg, learned=threshold is not None),
        dtype=tensors.dtype("W_enc"),
    )
    training = next((f.inner("train_data") for f in settings if f.inner("train_data").values), Fields(file.path, {}))
    note = OLD if schema == 1 and bool((tensors.values["b_dec"] != 0).any()) else None
    note = SCALED if training.values.get("scale_norm") is True else note
    reads = _reads(training)
    return Foreign(LinearCoder(config, weights), peer_names.UNKNOWN, reads, reads, note)


def _reads(training: Fields) -> str:
    """Returns the hookpoint that the settings of training name beside the coder: saev records what blocks write.

    It counts layers below 0 from the last block, as its `Recorder` finds them in a list.
    """
    layer = training.values.get("layer")
    if not isinstance(layer, int) or isinstance(layer, bool):
        return peer_names.UNKNOWN
    return f"blocks.{layer}.resid{CLASS_TOKEN if training.values.get('tokens') == 'special' else ''}"


def _width(cfg: Fields) -> int:
    return cfg.count("d_model" if "d_model" in cfg.values else "d_vit")


def _keep(header: Fields, cfg: Fields, *, learned: bool) -> Keep:
    """Returns what is kept; `learned` says whether training left a threshold.

    Schema 1 has two forms: the class of the activation stands in `cls` and its `top_k` among the settings, or, as in
    all later ones, both stand in `activation`.
    """
    named = header.values.get("cls")
    if named in ("Relu", "TopK", "BatchTopK"):
        where, name = cfg, str(named)
    elif "activation" in cfg.values:
        inner = cfg.inner("activation")
        where, name = inner.inner("params"), inner.text("cls")
    else:
        return Keep(rule="relu")
    if name == "Relu":
        return Keep(rule="relu")
    if name not in ("TopK", "BatchTopK"):
        raise SettingsError(f"{header.path}: activation {name!r} cannot be run; Relu, TopK and BatchTopK can")
    k = where.count("top_k", 32)
    # Without a threshold of its own, saev keeps the k largest of each token for BatchTopK too.
    return Keep(rule="threshold") if name == "BatchTopK" and learned else Keep(rule="topk", k=k)
