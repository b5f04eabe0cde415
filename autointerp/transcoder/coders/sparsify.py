"""sparsify: `cfg.json` and `sae.safetensors`.

z = topk(relu(W·(x - b_dec) + b)), or the largest of each of k groups; y = z·W_dec + b_dec + W_skip·x. A transcoder
reads x as it is (`sparsify/sparse_coder.py`, `fused_encoder.py`). Where it belongs is said by the folder's name alone.
"""

from collections.abc import Sequence

from autointerp.errors import SettingsError
from autointerp.transcoder.coders import peer_names
from autointerp.transcoder.coders.files import Fields, WeightFile
from autointerp.transcoder.coders.linear import Foreign, LinearCoder, LinearConfig, Weights
from autointerp.transcoder.coders.selection import Keep

NAME = "sparsify"


def read(file: WeightFile, settings: Sequence[Fields]) -> Foreign | None:
    """Reads a coder of sparsify; None where the files hold none.

    Raises:
        SettingsError: they hold one that is broken, or of a kind that this program cannot run.
    """
    tensors = file.tensors()
    cfg = next((f for f in settings if {"d_in", "k"} <= f.values.keys() and "d_sae" not in f.values), None)
    if cfg is None or not tensors.has("encoder.weight", "encoder.bias", "b_dec"):
        return None
    if cfg.flag("signed", default=False):
        raise SettingsError(f"{cfg.path}: signed activations cannot be run; train it without them")
    d_in = cfg.count("d_in")
    n = len(tensors.get("encoder.weight", None, d_in))
    d_out = len(tensors.get("b_dec", None))
    transcoder = cfg.flag("transcode", default=False) or d_out != d_in
    bias = tensors.get("b_dec", d_out)
    weights = Weights(
        encoder=tensors.get("encoder.weight", n, d_in),
        bias=tensors.get("encoder.bias", n),
        shift=None if transcoder else bias,
        decoders=(tensors.get("W_dec", n, d_out),),
        decoder_biases=(bias,),
        skip=tensors.get("W_skip", d_out, d_in) if cfg.flag("skip_connection", default=False) else None,
    )
    config = LinearConfig(
        format=NAME,
        kind="transcoder" if transcoder else "sae",
        d_in=d_in,
        d_out=d_out,
        widths=(n,),
        keep=_keep(cfg, n),
        fused=True,
        dtype=tensors.dtype("encoder.weight"),
    )
    reads, writes = _places(file.path.parent.resolve().name, transcoder)
    return Foreign(LinearCoder(config, weights), peer_names.UNKNOWN, reads, writes)


def _keep(cfg: Fields, n: int) -> Keep:
    k = cfg.count("k")
    match cfg.text("activation", "topk"):
        case "topk":
            return Keep(rule="topk", k=min(k, n))
        case "groupmax":
            if n % k:
                raise cfg.wrong("k", f"a divisor of the {n} latents, which form groups")
            return Keep(rule="groupmax", k=k)
        case _:
            raise cfg.wrong("activation", "topk or groupmax")


def _places(folder: str, transcoder: bool) -> tuple[str, str]:
    """Returns the hookpoints of a folder that is named after the submodule, as sparsify names it."""
    named = peer_names.known_hookpoint(folder)
    if not transcoder or not named.endswith(".mlp.out"):
        return named, named
    # A transcoder reads what goes into the submodule.
    return named.removesuffix("out") + "in", named
