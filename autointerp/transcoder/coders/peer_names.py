"""Names that other tools give to models and to places in them, in this program's words."""

import re

from autointerp.transcoder.backbones.names import typed_backbone

UNKNOWN = "unknown"
"""Of a model or a hookpoint: the coder does not say."""

_BLOCK = r"(?:.*\.)?(?:blocks|layers?|h|resblocks|block)[._\[](?P<i>-?\d+)\]?"
_PLACES = (
    # transformer_lens and vit_prisma, whose `hook_mlp_in` and `hook_attn_in` come before the layer norm.
    (rf"{_BLOCK}\.hook_resid_post", "resid", 0),
    (rf"{_BLOCK}\.hook_(?:resid_pre|attn_in)", "resid", -1),
    (rf"{_BLOCK}\.hook_(?:resid_mid|mlp_in)", "resid.mid", 0),
    (rf"{_BLOCK}\.hook_mlp_out", "mlp.out", 0),
    (rf"{_BLOCK}\.hook_attn_out", "attn.out", 0),
    (rf"{_BLOCK}\.(?:ln2\.hook_normalized|mlp\.hook_in)", "mlp.in", 0),
    (rf"{_BLOCK}\.(?:ln1\.hook_normalized|attn\.hook_in)", "attn.in", 0),
    (rf"{_BLOCK}\.mlp\.hook_post", "mlp.hidden", 0),
    (rf"{_BLOCK}\.attn\.hook_z", "attn.z", 0),
    # dictionary_learning and its descendants.
    (r"(?:.*_)?res(?:id)?(?:_post|_out)?_layer_(?P<i>\d+)", "resid", 0),
    (r"(?:.*_)?mlp(?:_out)?_layer_(?P<i>\d+)", "mlp.out", 0),
    (r"(?:.*_)?attn(?:_out)?_layer_(?P<i>\d+)", "attn.out", 0),
    # Paths of submodules, as sparsify and nnsight name them: what the submodule gives.
    (_BLOCK, "resid", 0),
    (rf"{_BLOCK}\.mlp(?:\.fc2|\.c_proj)?", "mlp.out", 0),
    (rf"{_BLOCK}\.(?:attn|attention|self_attn)(?:\.(?:out_proj|o_proj|proj))?", "attn.out", 0),
)
_OURS = re.compile(
    r"blocks\.-?\d+\.(attn\.(in|z|out)|mlp\.(in|hidden|out)|resid(\.mid)?)(\.class)?|stages\.\d+|embed(\.class)?|pooled"
)
_NESTED = re.compile(r"(?:.*\.)?(?:layers|stages)\.\d+\.(?:blocks|layers)\.\d+.*")
"""A block of a stage, whose number among all blocks only the model says."""


def hookpoint(name: str | None) -> str:
    """Returns this program's name of a place; the name itself where it has none, `unknown` where none is given."""
    if not name:
        return UNKNOWN
    if _OURS.fullmatch(name) or _NESTED.fullmatch(name):
        return name
    for pattern, place, step in _PLACES:
        found = re.fullmatch(pattern, name)
        if found is not None:
            number = int(found["i"]) + step
            # What block 0 reads is no other block's output.
            return "embed" if step and number == -1 else f"blocks.{number}.{place}"
    return name


def known_hookpoint(name: str) -> str:
    """Returns this program's name of a place, or `unknown` where a name is none of a place."""
    found = hookpoint(name)
    return found if _OURS.fullmatch(found) else UNKNOWN


_DINOV2 = re.compile(r"(?:.*/)?dinov2_vit([sblg])14(_reg)?")
_SIZES = {"s": "small", "b": "base", "l": "large", "g": "giant"}
_OPENAI = re.compile(r"ViT-([BL])[-/](\d\d)(?:[-@](336)(?:px)?)?(?:-quickgelu)?(?:/openai)?")
_LAION = re.compile(r"(ViT-\w-\d\d)/(laion2b|datacomp_xl)_s(\d+)b_b(\d+)k")


def model(name: str | None) -> str:
    """Returns a backbone's name here: the hub's names are read by transformers, others by timm.

    It sees what its own preprocessing shows it, as it does in the other tools. A model of open_clip, of OpenAI's clip
    or of torch's hub is taken from the repository of the hub that holds it for transformers too.
    """
    if not name:
        return UNKNOWN
    bare = name.removeprefix("open-clip:").removeprefix("open_clip:").removeprefix("hf-hub:").removeprefix("timm:")
    if name.startswith("timm:") or re.fullmatch(r"timm/[a-z0-9_.]+", bare):
        return typed_backbone(f"timm:{bare.removeprefix('timm/')}")
    hub = _on_the_hub(bare)
    return typed_backbone(f"hf:{hub}" if "/" in hub else f"timm:{hub}")


def _on_the_hub(name: str) -> str:
    """Returns the repository of the hub that holds a model which tools know by another name."""
    if found := _DINOV2.fullmatch(name):
        return f"facebook/dinov2-{'with-registers-' if found[2] else ''}{_SIZES[found[1]]}"
    if found := _OPENAI.fullmatch(name):
        size, larger = ("base" if found[1] == "B" else "large"), f"-{found[3]}" if found[3] else ""
        return f"openai/clip-vit-{size}-patch{found[2]}{larger}"
    if found := _LAION.fullmatch(name):
        data = "laion2B" if found[2] == "laion2b" else "DataComp.XL"
        return f"laion/CLIP-{found[1]}-{data}-s{found[3]}B-b{found[4]}K"
    return name
