"""SAELens: `cfg.json` and `sae_weights.safetensors`.

z = f((norm(x) - b_dec)·W_enc + b_enc); transcoders take nothing off (`sae_lens/saes/*.py`). Coders of before version 6
keep everything at the top of `cfg.json` (`sae_lens/loading/pretrained_sae_loaders.py: handle_pre_6_0_config`).
"""

from collections.abc import Sequence

from autointerp.errors import SettingsError
from autointerp.transcoder.coders import peer_names
from autointerp.transcoder.coders.files import Fields, Tensors, WeightFile
from autointerp.transcoder.coders.linear import Foreign, LinearCoder, LinearConfig, Weights, normalise_of
from autointerp.transcoder.coders.selection import Keep

NAME = "saelens"
KINDS = ("standard", "gated", "topk", "abstopk", "jumprelu")
TRANSCODERS = ("transcoder", "skip_transcoder", "jumprelu_transcoder", "jumprelu_skip_transcoder")
RUN = ("layer_norm", "constant_norm_rescale")
"""Normalisations that SAELens does whenever it encodes; others are folded into the weights at the end of training."""
_OLD = {"hook_point": "hook_name", "activation_fn_str": "activation_fn"}
_DTYPES = ("float32", "float64", "float16", "bfloat16")


def read(file: WeightFile, settings: Sequence[Fields]) -> Foreign | None:
    """Reads a coder of SAELens; None where the files hold none.

    Raises:
        SettingsError: they hold one that is broken, or of a kind that this program cannot run.
    """
    tensors = file.tensors()
    cfg = next(
        (Fields(f.path, {_OLD.get(k, k): v for k, v in f.values.items()}) for f in settings if _is_ours(f)), None
    )
    if cfg is None or not tensors.has("W_enc", "W_dec", "b_dec"):
        return None
    about = cfg.inner("metadata") if "metadata" in cfg.values else cfg
    architecture = _architecture(cfg)
    coder = _coder(cfg, architecture, tensors)
    reads = peer_names.hookpoint(about.name("hook_name"))
    writes = peer_names.hookpoint(about.name("hook_name_out")) if architecture in TRANSCODERS else reads
    return Foreign(coder, peer_names.model(about.name("model_name")), reads, writes, _note(cfg))


def _is_ours(fields: Fields) -> bool:
    return {"d_in", "d_sae"} <= fields.values.keys() and bool(
        {"architecture", "metadata", "hook_name", "hook_point", "sae_lens_version"} & fields.values.keys()
    )


def _architecture(cfg: Fields) -> str:
    found = cfg.text("architecture", "standard")
    if found == "standard" and cfg.text("activation_fn", "relu") == "topk":
        found = "topk"
    if found not in (*KINDS, *TRANSCODERS):
        known = ", ".join((*KINDS, *TRANSCODERS))
        raise SettingsError(f"{cfg.path}: architecture {found!r} cannot be run; of SAELens' coders {known} can")
    return found


def _coder(cfg: Fields, architecture: str, tensors: Tensors) -> LinearCoder:
    d_in, n = cfg.count("d_in"), cfg.count("d_sae")
    transcoder = architecture in TRANSCODERS
    d_out = cfg.count("d_out", d_in) if transcoder else d_in
    normalise = normalise_of(cfg)
    config = LinearConfig(
        format=NAME,
        kind="transcoder" if transcoder else "sae",
        d_in=d_in,
        d_out=d_out,
        widths=(n,),
        keep=_keep(cfg, architecture),
        normalise=normalise,
        denormalise=normalise != "none" and not transcoder,
        dtype=_dtype(cfg),
        scaled_rows=architecture == "gated",
    )
    return LinearCoder(config, _weights(cfg, architecture, tensors, config))


def _weights(cfg: Fields, architecture: str, tensors: Tensors, config: LinearConfig) -> Weights:
    d_in, d_out, n = config.d_in, config.d_out, config.n_latents
    gated = architecture == "gated"
    encoder, encoder_bias = tensors.get("W_enc", d_in, n).T, tensors.get("b_mag" if gated else "b_enc", n)
    decoder, bias = tensors.get("W_dec", n, d_out), tensors.get("b_dec", d_out)
    shifts = config.kind == "sae" and cfg.flag("apply_b_dec_to_input", default=True)
    # Latents are then ranked, and given, times the length of what they write.
    rescales = architecture in ("topk", "abstopk") and cfg.flag("rescale_acts_by_decoder_norm", default=False)
    lengths = decoder.norm(dim=-1)
    return Weights(
        encoder=encoder,
        bias=encoder_bias,
        shift=bias if shifts else None,
        scale=lengths if rescales else None,
        decoders=(decoder / lengths[:, None] if rescales else decoder,),
        decoder_biases=(bias,),
        threshold=tensors.get("threshold", n) if architecture.startswith("jumprelu") else None,
        gate_bias=tensors.get("b_gate", n) if gated else None,
        magnitude=tensors.get("r_mag", n).exp() if gated else None,
        skip=tensors.get("W_skip", d_out, d_in) if "skip" in architecture else None,
    )


def _keep(cfg: Fields, architecture: str) -> Keep:
    if architecture in ("topk", "abstopk"):
        old = cfg.inner("activation_fn_kwargs")
        k = cfg.count("k") if "k" in cfg.values or not old.values else old.count("k")
        return Keep(rule="topk" if architecture == "topk" else "abs-topk", k=k)
    if architecture.startswith("jumprelu"):
        return Keep(rule="threshold")
    return Keep(rule="tanh" if cfg.text("activation_fn", "relu") == "tanh-relu" else "relu")


def _note(cfg: Fields) -> str | None:
    found = cfg.values.get("normalize_activations")
    if found in (None, False, "none", *RUN):
        return None
    return (
        f"normalize_activations is {found!r}, which was never folded into the weights; it reads activations as they "
        "are, as SAELens does too"
    )


def _dtype(cfg: Fields) -> str:
    found = cfg.text("dtype", "float32").removeprefix("torch.")
    if found not in _DTYPES:
        raise cfg.wrong("dtype", f"one of {', '.join(_DTYPES)}")
    return found
