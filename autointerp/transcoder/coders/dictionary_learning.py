"""dictionary_learning: `ae.pt`, a plain state, and `config.json` with `trainer.dict_class`; seven classes.

`dictionary_learning/dictionary.py` and `trainers/*.py`. Threshold below 0 means that none was learned.
"""

import re
from collections.abc import Callable, Sequence
from itertools import accumulate

import torch
from torch import Tensor

from autointerp.errors import SettingsError
from autointerp.transcoder.coders import peer_names
from autointerp.transcoder.coders.files import Fields, Tensors, WeightFile
from autointerp.transcoder.coders.linear import Foreign, LinearCoder, LinearConfig, Weights
from autointerp.transcoder.coders.selection import Keep

NAME = "dictionary-learning"
Made = tuple[Weights, Keep, tuple[int, ...]]
"""Weights, what is kept, and the widths of the nested prefixes."""


def read(file: WeightFile, settings: Sequence[Fields]) -> Foreign | None:
    """Reads a coder of dictionary_learning; None where the files hold none.

    Raises:
        SettingsError: they hold one that is broken, or of a kind that this program cannot run.
    """
    tensors = file.tensors()
    trainer = next((t for f in settings if "dict_class" in (t := f.inner("trainer")).values), None)
    name = trainer.text("dict_class") if trainer else _guessed(tensors)
    if not tensors.values or name is None:
        return None
    name = re.sub(r"^<class '|'>$", "", name).rpartition(".")[2]
    if name not in CLASSES:
        where = trainer.path if trainer else file.path
        raise SettingsError(f"{where}: trainer.dict_class {name!r} cannot be run; {', '.join(CLASSES)} can")
    weights, keep, widths = CLASSES[name](tensors)
    n, d_in = weights.encoder.shape
    if trainer:
        _check(trainer, d_in, n)
    d_out = weights.decoders[0].shape[1]
    config = LinearConfig(
        format=NAME,
        kind="sae" if d_in == d_out else "transcoder",
        d_in=d_in,
        d_out=d_out,
        widths=widths or (n,),
        keep=keep,
        fused="encoder.weight" in tensors.values and weights.gate_bias is None,
        dtype=tensors.dtype("encoder.weight" if "encoder.weight" in tensors.values else "W_enc"),
    )
    reads = peer_names.hookpoint(_place(trainer)) if trainer else peer_names.UNKNOWN
    model = peer_names.model(trainer.name("lm_name")) if trainer else peer_names.UNKNOWN
    return Foreign(LinearCoder(config, weights), model, reads, reads, _note(name, weights.decoders[0]))


def _check(trainer: Fields, d_in: int, n: int) -> None:
    for name, there in (("activation_dim", d_in), ("dict_size", n)):
        if trainer.values.get(name) is not None and trainer.count(name) != there:
            raise trainer.wrong(name, f"{there}, as the weights have it")


def _note(name: str, decoder: Tensor) -> str | None:
    lengths = decoder.float().norm(dim=1)
    if name != "AutoEncoder" or torch.allclose(lengths, torch.ones_like(lengths)):
        return None
    return (
        "latents are those of the file; from_pretrained of dictionary_learning would make each as many times larger as "
        "its decoder row is long"
    )


def _place(trainer: Fields) -> str | None:
    """Returns the name of the submodule; where it does not say its layer, the layer is another field."""
    named, layer = trainer.name("submodule_name"), trainer.values.get("layer")
    if named and re.search(r"\d", named) is None and isinstance(layer, int):
        return f"{named}_layer_{layer}"
    return named


def _guessed(tensors: Tensors) -> str | None:
    """Returns the class of a state without settings; None where it is none of this tool's.

    Raises:
        SettingsError: it may be of two classes.
    """
    has = tensors.has
    if has("W_enc", "b_enc", "W_dec", "b_dec", "group_sizes"):
        return "MatryoshkaBatchTopKSAE"
    if has("gate_bias", "mag_bias", "r_mag", "encoder.weight"):
        return "GatedAutoEncoder"
    if has("W_enc", "b_enc", "W_dec", "b_dec", "threshold"):
        return "JumpReluAutoEncoder"
    if has("bias", "encoder.weight", "encoder.bias", "decoder.weight"):
        return "AutoEncoder"
    if has("encoder.weight", "encoder.bias", "decoder.weight", "decoder.bias"):
        # visaebench has the same names, and its decoder has a row for each latent.
        encoder, decoder = tensors.values["encoder.weight"].shape, tensors.values["decoder.weight"].shape
        return "AutoEncoderNew" if decoder == encoder[::-1] != encoder else None
    if has("k", "threshold", "encoder.weight", "encoder.bias", "decoder.weight", "b_dec"):
        raise SettingsError(
            f"{tensors.path}: may be an AutoEncoderTopK or a BatchTopKSAE; put its config.json beside it, or write "
            '{"trainer": {"dict_class": "BatchTopKSAE"}} there'
        )
    return None


def _linear(tensors: Tensors) -> tuple[Tensor, Tensor, Tensor]:
    """Returns [n, d_in], [n] and [n, d_out]: encoder, its bias and decoder, as torch's Linear keeps them."""
    encoder = tensors.get("encoder.weight", None, None)
    return encoder, tensors.get("encoder.bias", len(encoder)), tensors.get("decoder.weight", None, len(encoder)).T


def _auto_encoder(tensors: Tensors) -> Made:
    encoder, bias, decoder = _linear(tensors)
    shift = tensors.get("bias", encoder.shape[1])
    made = Weights(encoder=encoder, bias=bias, shift=shift, decoders=(decoder,), decoder_biases=(shift,))
    return made, Keep(rule="relu"), ()


def _auto_encoder_new(tensors: Tensors) -> Made:
    encoder, bias, decoder = _linear(tensors)
    out = tensors.get("decoder.bias", decoder.shape[1])
    return Weights(encoder=encoder, bias=bias, decoders=(decoder,), decoder_biases=(out,)), Keep(rule="relu"), ()


def _gated(tensors: Tensors) -> Made:
    encoder = tensors.get("encoder.weight", None, None)
    n, d_in = encoder.shape
    shift = tensors.get("decoder_bias", d_in)
    made = Weights(
        encoder=encoder,
        bias=tensors.get("mag_bias", n),
        shift=shift,
        decoders=(tensors.get("decoder.weight", d_in, n).T,),
        decoder_biases=(shift,),
        gate_bias=tensors.get("gate_bias", n),
        magnitude=tensors.get("r_mag", n).exp(),
    )
    return made, Keep(rule="relu"), ()


def _jump_relu(tensors: Tensors) -> Made:
    encoder = tensors.get("W_enc", None, None)
    d_in, n = encoder.shape
    # It keeps b_dec for the decoder alone.
    made = Weights(
        encoder=encoder.T,
        bias=tensors.get("b_enc", n),
        decoders=(tensors.get("W_dec", n, d_in),),
        decoder_biases=(tensors.get("b_dec", d_in),),
        threshold=tensors.get("threshold", n),
    )
    return made, Keep(rule="threshold"), ()


def _shifted(tensors: Tensors) -> Weights:
    encoder, bias, decoder = _linear(tensors)
    shift = tensors.get("b_dec", encoder.shape[1])
    threshold = tensors.maybe("threshold")
    return Weights(
        encoder=encoder, bias=bias, shift=shift, decoders=(decoder,), decoder_biases=(shift,), threshold=threshold
    )


def _topk(tensors: Tensors) -> Made:
    k = Fields(tensors.path, {"k": tensors.get("k")}).count("k")
    return _shifted(tensors), Keep(rule="topk", k=k), ()


def _batch_topk(tensors: Tensors) -> Made:
    tensors.get("threshold")
    return _shifted(tensors), Keep(rule="threshold"), ()


def _matryoshka(tensors: Tensors) -> Made:
    encoder = tensors.get("W_enc", None, None)
    d_in, n = encoder.shape
    shift = tensors.get("b_dec", d_in)
    widths = tuple(accumulate(Fields(tensors.path, dict(tensors.values)).counts("group_sizes")))
    if widths[-1] != n:
        raise SettingsError(
            f"{tensors.path}: group_sizes add up to {widths[-1]}, and there are {n} latents; copy it again"
        )
    made = Weights(
        encoder=encoder.T,
        bias=tensors.get("b_enc", n),
        shift=shift,
        decoders=(tensors.get("W_dec", n, d_in),),
        decoder_biases=(shift,),
        threshold=tensors.get("threshold"),
    )
    return made, Keep(rule="threshold"), widths


CLASSES: dict[str, Callable[[Tensors], Made]] = {
    "AutoEncoder": _auto_encoder,
    "AutoEncoderNew": _auto_encoder_new,
    "GatedAutoEncoder": _gated,
    "JumpReluAutoEncoder": _jump_relu,
    "AutoEncoderTopK": _topk,
    "BatchTopKSAE": _batch_topk,
    "MatryoshkaBatchTopKSAE": _matryoshka,
}
