"""overcomplete: a whole module pickled by `torch.save`, or its state.

z = relu(W·x + b) of its default encoder, of which TopK keeps the largest, and Jump and BatchTopK what reaches a
threshold (`overcomplete/sae/*.py`). A state does not say which class it is of, and lacks BatchTopK's threshold.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from autointerp.errors import SettingsError
from autointerp.pickles import Plain, attributes_of
from autointerp.transcoder.coders import peer_names
from autointerp.transcoder.coders.files import Fields, Tensors, WeightFile, tensors_in
from autointerp.transcoder.coders.linear import Foreign, LinearCoder, LinearConfig, Weights
from autointerp.transcoder.coders.selection import Keep

NAME = "overcomplete"
ENCODERS = ("encoder.final_block.0", "encoder")
"""Its default encoder, and one that is tied to the dictionary or was untied from it."""
RELU = "torch.nn.modules.activation.ReLU"
DICTIONARY = "dictionary._weights"


def read(file: WeightFile, settings: Sequence[Fields]) -> Foreign | None:
    """Reads a coder of overcomplete; None where the file holds none.

    Raises:
        SettingsError: it holds one that is broken, or of a kind that this program cannot run.
    """
    module = file.content if isinstance(file.content, Plain) and file.content.kind.startswith("overcomplete.") else None
    tensors = Tensors(file.path, _state(file.path, module)) if module else file.tensors()
    if module is None and not is_state(tensors):
        return None
    keep, threshold = _of_module(file, module) if module else _of_state(tensors)
    return linear(NAME, tensors, keep, threshold)


def is_state(tensors: Tensors) -> bool:
    """Says whether tensors have the names of overcomplete's dictionaries."""
    return DICTIONARY in tensors.values or tensors.has("dictionary.C", "dictionary.W")


def linear(name: str, tensors: Tensors, keep: Keep, threshold: Tensor | None) -> Foreign:
    """Makes a coder of overcomplete's tensors.

    Raises:
        SettingsError: its encoder is more than one linear layer.
    """
    home = next((e for e in ENCODERS if f"{e}.weight" in tensors.values or f"{e}.bias" in tensors.values), ENCODERS[-1])
    known = (f"{home}.weight", f"{home}.bias")
    others = sorted(n for n in tensors.values if n.startswith("encoder.") and n not in known)
    if others := [n for n in others if not n.startswith("encoder.tied_to.")]:
        raise SettingsError(
            f"{tensors.path}: its encoder has {others[0]}; of overcomplete's encoders only the default linear one and "
            "tied ones can be run"
        )
    dictionary = _dictionary(tensors)
    weight = tensors.maybe(known[0], *dictionary.shape)
    encoder = dictionary if weight is None else weight
    n, d_in = encoder.shape
    weights = Weights(encoder=encoder, bias=tensors.maybe(known[1], n), decoders=(dictionary,), threshold=threshold)
    config = LinearConfig(
        format=name,
        kind="sae",
        d_in=d_in,
        d_out=d_in,
        widths=(n,),
        keep=keep,
        fused=True,
        dtype=tensors.dtype(known[0] if weight is not None else _dictionary_name(tensors)),
    )
    return Foreign(LinearCoder(config, weights), peer_names.UNKNOWN, peer_names.UNKNOWN, peer_names.UNKNOWN)


def _dictionary_name(tensors: Tensors) -> str:
    return DICTIONARY if DICTIONARY in tensors.values else "dictionary.W"


def _dictionary(tensors: Tensors) -> Tensor:
    """Returns [n_latents, d_in]: what each latent writes."""
    if tensors.has("dictionary.C"):
        made = tensors.get("dictionary.W", None, None) @ tensors.get("dictionary.C", None, None)
        made = made + tensors.get("dictionary.Relax", *made.shape)
    else:
        made = tensors.get(DICTIONARY, None, None)
    multiplier = tensors.maybe("dictionary.multiplier")
    return made if multiplier is None else made * multiplier.exp()


def _of_module(file: WeightFile, module: Plain) -> tuple[Keep, Tensor | None]:
    """Returns what a pickled module keeps, and its threshold."""
    own = Fields(file.path, attributes_of(module))
    name = module.kind.rpartition(".")[2].removeprefix("RA")
    encoder = attributes_of(attributes_of(own.values.get("_modules")).get("encoder"))
    last = attributes_of(encoder.get("_modules")).get("final_activation")
    if isinstance(last, Plain) and last.kind != RELU:
        raise SettingsError(f"{file.path}: its encoder ends in {last.kind}; only those that end in a ReLU can be run")
    match name:
        case "SAE":
            return Keep(rule="relu"), None
        case "TopKSAE":
            return Keep(rule="topk", k=own.count("top_k")), None
        case "BatchTopKSAE":
            # The threshold is that of the class, and the same for a module that is still in training mode.
            return Keep(rule="threshold", inclusive=True), torch.tensor(own.number("running_threshold"))
        case "JumpSAE":
            return _jump(Tensors(file.path, _state(file.path, module)))
        case _:
            raise SettingsError(f"{file.path}: {name} cannot be run; SAE, TopKSAE, BatchTopKSAE and JumpSAE can")


def _of_state(tensors: Tensors) -> tuple[Keep, Tensor | None]:
    if "thresholds" in tensors.values:
        return _jump(tensors)
    raise SettingsError(
        f"{tensors.path}: does not say whether it is of an SAE, a TopKSAE or a BatchTopKSAE; save the whole module with"
        ' torch.save(sae), or put a config.json beside it with {"sae_type": "relu"}, {"sae_type": "topk", "k": …} or '
        '{"sae_type": "batchtopk", "threshold": …}'
    )


def _jump(tensors: Tensors) -> tuple[Keep, Tensor]:
    return Keep(rule="threshold", inclusive=True), tensors.get("thresholds", None).exp()


def _state(path: Path, module: Plain) -> dict[str, Tensor]:
    """Returns the tensors of a pickled module and of those inside it, by the names that its state would have."""
    found: dict[str, Tensor] = {}
    own = attributes_of(module)
    for part in ("_parameters", "_buffers"):
        found |= tensors_in(path, attributes_of(own.get(part)))
    inner: Mapping[str, object] = attributes_of(own.get("_modules"))
    for name, child in inner.items():
        if isinstance(child, Plain):
            found |= {f"{name}.{n}": t for n, t in _state(path, child).items()}
    return found
