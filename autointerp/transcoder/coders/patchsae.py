"""PatchSAE and transcoder_circuits: a pickled {cfg, state_dict}, `.pt` or `.pkl.gz`.

z = relu((x - b_dec)·W_enc + b_enc) (`sae_training/sparse_autoencoder.py` of both).
"""

from collections.abc import Sequence

from autointerp.errors import SettingsError
from autointerp.transcoder.backbones.protocol import CLASS_TOKEN
from autointerp.transcoder.coders import peer_names
from autointerp.transcoder.coders.files import Fields, WeightFile
from autointerp.transcoder.coders.linear import Foreign, LinearCoder, LinearConfig, Weights
from autointerp.transcoder.coders.selection import Keep

PATCHSAE, CIRCUITS = "patchsae", "transcoder-circuits"
_MODULES = {"resid": "resid", "mlp": "mlp.out", "mlp_out": "mlp.out"}


def read(file: WeightFile, settings: Sequence[Fields]) -> Foreign | None:
    """Reads a coder of one of the two; None where the file holds none.

    Raises:
        SettingsError: it holds one that is broken, or of a kind that this program cannot run.
    """
    cfg = file.fields("cfg" if "cfg" in file.fields().values else "config")
    tensors = file.tensors("state_dict")
    name = PATCHSAE if "block_layer" in cfg.values else CIRCUITS
    if not tensors.has("W_enc", "b_enc", "W_dec", "b_dec") or not {"block_layer", "hook_point"} & cfg.values.keys():
        return None
    if cfg.flag("gated_sae", default=False):
        raise SettingsError(f"{file.path}: gated_sae: its own tool does not run gated coders, so this one does not")
    d_in, n = tensors.get("W_enc", None, None).shape
    d_out = tensors.get("W_dec", n, None).shape[1]
    transcoder = cfg.flag("is_transcoder", default=False)
    weights = Weights(
        encoder=tensors.get("W_enc", cfg.count("d_in", d_in), cfg.count("d_sae", n)).T,
        bias=tensors.get("b_enc", n),
        shift=tensors.get("b_dec", d_in),
        decoders=(tensors.get("W_dec", n, None if transcoder else d_in),),
        decoder_biases=(tensors.get("b_dec_out" if transcoder else "b_dec", d_out),),
    )
    config = LinearConfig(
        format=name,
        kind="transcoder" if transcoder else "sae",
        d_in=d_in,
        d_out=d_out,
        widths=(n,),
        keep=Keep(rule="relu"),
        dtype=tensors.dtype("W_enc"),
    )
    reads = _reads(cfg)
    writes = peer_names.hookpoint(cfg.name("out_hook_point")) if transcoder else reads
    return Foreign(LinearCoder(config, weights), peer_names.model(cfg.name("model_name")), reads, writes)


def _reads(cfg: Fields) -> str:
    if "block_layer" not in cfg.values:
        return peer_names.hookpoint(cfg.text("hook_point"))
    layer, module = cfg.values["block_layer"], cfg.text("module_name", "resid")
    if not isinstance(layer, int):
        raise cfg.wrong("block_layer", "a whole number")
    # Below 0 it counts from the last block, which the backbone decides.
    token = CLASS_TOKEN if cfg.flag("class_token", default=False) else ""
    return f"blocks.{layer}.{_MODULES.get(module, module)}{token}"
