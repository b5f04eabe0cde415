"""ViT-Prisma: `weights.pt` or `n_images_N.pt`, a pickled {cfg, state_dict}, often with `config.json` beside it.

z = f((norm(x) - b_dec)·W_enc + b_enc), f a relu or the top k; gated ones have a gate of the same directions
(`vit_prisma/sae/sae.py` and `transcoder.py`).
"""

from collections.abc import Sequence

from autointerp.errors import SettingsError
from autointerp.transcoder.backbones.protocol import CLASS_TOKEN
from autointerp.transcoder.coders import peer_names
from autointerp.transcoder.coders.files import Fields, Tensors, WeightFile
from autointerp.transcoder.coders.linear import Foreign, LinearCoder, LinearConfig, Weights, normalise_of
from autointerp.transcoder.coders.selection import Keep

NAME = "vit-prisma"
ACTIVATIONS = ("relu", "tanh-relu", "topk")
FOLDED = (
    "it was trained on a model whose layer norms were folded, as ViT-Prisma did by default until early 2025, mostly "
    "with centred weights: activations are those of the model as it is, so that latents may differ from the tool's"
)


def read(file: WeightFile, settings: Sequence[Fields]) -> Foreign | None:
    """Reads a coder of ViT-Prisma; None where the file holds none.

    Raises:
        SettingsError: it holds one that is broken, or of a kind that this program cannot run.
    """
    # Its own loader takes the pickled settings where there are both.
    cfg = next((f for f in (file.fields("cfg"), *settings) if _is_prisma(f)), None)
    tensors = file.tensors("state_dict") if "state_dict" in file.fields().values else file.tensors()
    if cfg is None or not tensors.has("W_enc", "W_dec", "b_dec"):
        return None
    transcoder = cfg.flag("is_transcoder", default=False)
    _check(cfg)
    coder = _coder(cfg, tensors, transcoder)
    layer = cfg.values.get("hook_point_layer")
    reads = peer_names.hookpoint(f"blocks.{_only(layer)}.{cfg.text('layer_subtype', 'hook_resid_post')}")
    if cfg.flag("cls_token_only", default=False):
        reads += CLASS_TOKEN
    writes = reads
    if transcoder:
        out = _only(cfg.values.get("out_hook_point_layer", layer))
        writes = peer_names.hookpoint(f"blocks.{out}.{cfg.text('layer_out_subtype', 'hook_mlp_out')}")
    folded = cfg.inner("vit_model_cfg").name("normalization_type") == "LNPre"
    return Foreign(coder, peer_names.model(cfg.name("model_name")), reads, writes, FOLDED if folded else None)


def _is_prisma(fields: Fields) -> bool:
    return {"hook_point_layer", "layer_subtype"} <= fields.values.keys()


def _check(cfg: Fields) -> None:
    if (architecture := cfg.text("architecture", "standard")) not in ("standard", "gated"):
        raise SettingsError(f"{cfg.path}: architecture {architecture!r} cannot be run; standard and gated ones can")
    if cfg.values.get("hook_point_head_index") is not None:
        raise SettingsError(f"{cfg.path}: hook_point_head_index: coders of one attention head cannot be run")


def _coder(cfg: Fields, tensors: Tensors, transcoder: bool) -> LinearCoder:
    d_in = cfg.count("d_in")
    n = tensors.get("W_enc", d_in, None).shape[1]
    d_out = cfg.count("d_out", d_in) if transcoder else d_in
    gated = cfg.text("architecture", "standard") == "gated" and not transcoder
    weights = Weights(
        encoder=tensors.get("W_enc", d_in, n).T,
        bias=tensors.get("b_mag" if gated else "b_enc", n),
        shift=tensors.get("b_dec", d_in),
        decoders=(tensors.get("W_dec", n, d_out),),
        decoder_biases=(tensors.get("b_dec_out" if transcoder else "b_dec", d_out),),
        gate_bias=tensors.get("b_gate", n) if gated else None,
        magnitude=tensors.get("r_mag", n).exp() if gated else None,
        skip=tensors.maybe("W_skip", d_out, d_in) if transcoder else None,
    )
    normalise = normalise_of(cfg)
    config = LinearConfig(
        format=NAME,
        kind="transcoder" if transcoder else "sae",
        d_in=d_in,
        d_out=d_out,
        widths=(n,),
        keep=_keep(cfg),
        normalise=normalise,
        denormalise=normalise != "none",
        scaled_rows=gated,
        dtype=tensors.dtype("W_enc"),
    )
    return LinearCoder(config, weights)


def _keep(cfg: Fields) -> Keep:
    match cfg.text("activation_fn_str", "relu"):
        case "relu":
            return Keep(rule="relu")
        case "tanh-relu":
            return Keep(rule="tanh")
        case "topk":
            return Keep(rule="topk", k=cfg.inner("activation_fn_kwargs").count("k"))
        case _:
            raise cfg.wrong("activation_fn_str", f"one of {', '.join(ACTIVATIONS)}")


def _only(layer: object) -> object:
    """Returns a layer, of which some files give a list of one."""
    return layer[0] if isinstance(layer, list | tuple) and len(layer) == 1 else layer
