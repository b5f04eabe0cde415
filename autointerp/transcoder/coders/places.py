"""Names that other tools give to models and to places in them, in this program's words."""

import re

from autointerp.transcoder.backbones.names import typed_backbone

UNKNOWN = "unknown"
"""Of a model or a hookpoint: the coder does not say."""

_BLOCK = r"(?:.*\.)?(?:blocks|layers?|h|resblocks|block)[._\[](?P<i>\d+)\]?"
_PLACES = (
    # transformer_lens and vit_prisma; sparsify, which names submodules; dictionary_learning and its descendants.
    (rf"{_BLOCK}\.hook_resid_post", "resid", 0),
    (rf"{_BLOCK}\.hook_resid_pre", "resid", -1),
    (rf"{_BLOCK}\.hook_mlp_out", "mlp.out", 0),
    (rf"{_BLOCK}\.(?:ln2\.hook_normalized|hook_mlp_in)", "mlp.in", 0),
    (rf"{_BLOCK}\.mlp\.hook_post", "mlp.hidden", 0),
    (r"(?:.*_)?res(?:id)?(?:_post|_out)?_layer_(?P<i>\d+)", "resid", 0),
    (r"(?:.*_)?mlp(?:_out)?_layer_(?P<i>\d+)", "mlp.out", 0),
    (_BLOCK, "resid", 0),
    (rf"{_BLOCK}\.mlp", "mlp.out", 0),
)
_OURS = re.compile(r"blocks\.-?\d+\.(mlp\.(in|hidden|out)|resid)(\.class)?|pooled")


def hookpoint(name: str | None) -> str:
    """Returns this program's name of a place; the name itself where it has none, `unknown` where none is given."""
    if not name:
        return UNKNOWN
    if _OURS.fullmatch(name):
        return name
    for pattern, place, step in _PLACES:
        found = re.fullmatch(pattern, name)
        if found is not None and (number := int(found["i"]) + step) >= 0:
            return f"blocks.{number}.{place}"
    return name


def known_hookpoint(name: str) -> str:
    """Returns this program's name of a place, or `unknown` where a name is none of a place."""
    found = hookpoint(name)
    return found if _OURS.fullmatch(found) else UNKNOWN


def model(name: str | None) -> str:
    """Returns a backbone's name here: the hub's names are read by transformers, others by timm.

    It sees what its own preprocessing shows it, as it does in the other tools. A model of open_clip is taken from the
    same repository of the hub, which holds it for transformers too.
    """
    if not name:
        return UNKNOWN
    bare = name.removeprefix("open-clip:").removeprefix("hf-hub:").removeprefix("timm:")
    if name.startswith(("timm:", "timm/")):
        return typed_backbone(f"timm:{bare.removeprefix('timm/')}")
    return typed_backbone(f"hf:{bare}" if "/" in bare else f"timm:{bare}")
