"""visaebench: `sae.pt` or `model.safetensors`, a plain state, and `config.json` or `.yaml` with `sae_type`.

z = relu(W·x + b), of which `topk` keeps the largest, `batchtopk` what reaches one threshold and `jumprelu` what exceeds
each latent's (`visaebench/hub/sae_wrapper.py`). A state may have overcomplete's names; `sae_type` may then be `relu`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from autointerp.transcoder.coders import overcomplete, peer_names
from autointerp.transcoder.coders.files import Fields, Tensors, WeightFile
from autointerp.transcoder.coders.linear import Foreign, LinearCoder, LinearConfig, Weights
from autointerp.transcoder.coders.selection import Keep

NAME = "visaebench"
KINDS = ("topk", "batchtopk", "jumprelu", "relu")
NAMES = ("activation", "sae_type", "architecture")
"""Where the kind may stand, first things first."""
USUAL_THRESHOLD = 0.01
"""Of a jumprelu coder without thresholds, as visaebench has it."""
STANDARDISED = (
    "visaebench trains on standardised activations, and its files hold neither their mean nor their scale: latents are "
    "those of the activations as they are"
)


def read(file: WeightFile, settings: Sequence[Fields]) -> Foreign | None:
    """Reads a coder of visaebench; None where the files hold none.

    Raises:
        SettingsError: they hold one that is broken, or of a kind that this program cannot run.
    """
    tensors = file.tensors()
    cfg = next((f for f in settings if _is_ours(f)), None)
    theirs = overcomplete.is_state(tensors)
    if cfg is None or not (theirs or tensors.has("encoder.weight", "encoder.bias", "decoder.weight")):
        return None
    keep, threshold = _keep(cfg, tensors)
    if theirs:
        return overcomplete.linear(NAME, tensors, keep, threshold)._replace(note=STANDARDISED)
    encoder = tensors.get("encoder.weight", None, None)
    n, d_in = encoder.shape
    for name, there in (("hidden_dim", n), ("input_dim", d_in)):
        if name in cfg.values and cfg.count(name) != there:
            raise cfg.wrong(name, f"{there}, as the weights have it")
    out = tensors.maybe("decoder.bias", d_in)
    weights = Weights(
        encoder=encoder.float(),
        bias=tensors.get("encoder.bias", n).float(),
        decoders=(tensors.get("decoder.weight", n, d_in),),
        decoder_biases=() if out is None else (out,),
        threshold=threshold,
    )
    config = LinearConfig(format=NAME, kind="sae", d_in=d_in, d_out=d_in, widths=(n,), keep=keep)
    return Foreign(
        LinearCoder(config, weights), peer_names.UNKNOWN, peer_names.UNKNOWN, peer_names.UNKNOWN, STANDARDISED
    )


def _is_ours(fields: Fields) -> bool:
    return any(str(fields.values.get(name)).lower() in KINDS for name in NAMES) and "d_sae" not in fields.values


def _keep(cfg: Fields, tensors: Tensors) -> tuple[Keep, Tensor | None]:
    kind = next(str(cfg.values[name]).lower() for name in NAMES if name in cfg.values)
    match kind:
        case "topk":
            return Keep(rule="topk", k=cfg.count("k")), None
        case "batchtopk":
            return Keep(rule="threshold", inclusive=True), _threshold(cfg, tensors)
        case "jumprelu":
            named = next((n for n in ("jump_thresholds", "thresholds") if n in tensors.values), None)
            found = torch.tensor(USUAL_THRESHOLD) if named is None else tensors.get(named, None).float()
            return Keep(rule="threshold"), found
        case "relu":
            return Keep(rule="relu"), None
        case _:
            raise cfg.wrong("sae_type", f"one of {', '.join(KINDS)}")


def _threshold(cfg: Fields, tensors: Tensors) -> Tensor:
    if cfg.values.get("threshold") is None and "_running_threshold" in tensors.values:
        return tensors.get("_running_threshold").float()
    return torch.tensor(cfg.number("threshold"))
