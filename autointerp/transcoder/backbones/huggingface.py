"""Vision models of the package transformers, by name on the Hugging Face hub or by folder."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from PIL import Image
from torch import Tensor, nn

from autointerp.errors import SettingsError, one_line
from autointerp.extras import need
from autointerp.transcoder.backbones.module import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    ModuleBackbone,
    Preparation,
    Tap,
    block_taps,
)
from autointerp.transcoder.backbones.names import name_of

if TYPE_CHECKING:
    from transformers import PretrainedConfig  # pyright: ignore[reportMissingImports]

_VISION = {
    "clip": "CLIPVisionModelWithProjection",
    "clip_vision_model": "CLIPVisionModelWithProjection",
    "siglip": "SiglipVisionModel",
}
"""Of models that also read text, the class that sees; by the configuration's `model_type`."""


class _Pooled(nn.Module):
    """A model whose output is one vector an image.

    That is CLIP's projected image vector, the paper's h2; else the class token after the last layer; else, in models
    without one, what they pool themselves.
    """

    def __init__(self, model: nn.Module, n_patches: int) -> None:
        super().__init__()
        self.model = model
        self.n_patches = n_patches

    def forward(self, batch: Tensor) -> Tensor:
        """Maps [n, 3, side, side] to [n, width]."""
        said = self.model(pixel_values=batch)
        projected, tokens = getattr(said, "image_embeds", None), said.last_hidden_state
        if projected is not None:
            return projected
        if tokens.shape[1] > self.n_patches:
            return tokens[:, 0]
        return tokens.mean(dim=1) if said.pooler_output is None else said.pooler_output


def huggingface_backbone(name: str, *, crop: bool, random: bool, seed: int, device: str) -> ModuleBackbone:
    """Loads a vision model with its own input size, resampling and normalisation.

    A name is such as `openai/clip-vit-large-patch14`, or a folder that `save_pretrained` wrote; the other arguments are
    those of `load_backbone`.

    Raises:
        SettingsError: transformers is not installed, the model cannot be had or is of a kind it does not know, or it
            has no square patches or no blocks with an MLP.
    """
    need(f"--backbone hf:{name}", ("transformers",), "backbones")
    full = name_of(f"hf:{name}", crop=crop, random=random)
    model, vision, stated = _loaded(name, full, random=random, seed=seed)
    preparation = _preparation(stated, vision, crop=crop)
    patch = getattr(vision, "patch_size", None)
    if not isinstance(patch, int) or preparation.side % patch:
        raise SettingsError(f"--backbone {full}: no square patches that tile its input; wrap it with ModuleBackbone")
    full = name_of(f"hf:{name}", crop=preparation.shortest is not None, random=random)
    grid = preparation.side // patch
    taps = {n: Tap(f"model.{t.path}", t.side, t.kind) for n, t in block_taps(full, model).items()}
    return ModuleBackbone(
        full,
        _Pooled(model, grid**2),
        preparation,
        taps={**taps, "pooled": Tap("", "output", "pooled")},
        side=preparation.side,
        patch_grid=(grid, grid),
        device=device,
    )


def _loaded(
    name: str, full: str, *, random: bool, seed: int
) -> "tuple[nn.Module, PretrainedConfig, Mapping[str, object]]":
    """Returns a model, the configuration of its part that sees, and what preprocessor_config.json says."""
    import transformers  # pyright: ignore[reportMissingImports]

    try:
        config = transformers.AutoConfig.from_pretrained(name)
        kind = getattr(transformers, _VISION.get(config.model_type, "AutoModel"))
        vision = getattr(config, "vision_config", config)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            if random:
                model = kind.from_config(config) if kind is transformers.AutoModel else kind(vision)
            else:
                model = kind.from_pretrained(name)
        stated, _ = transformers.image_processing_utils.BaseImageProcessor.get_image_processor_dict(name)
    except (OSError, ValueError) as e:
        raise SettingsError(f"--backbone {full}: {one_line(str(e))[:200]}") from e
    return model, vision, stated


def _preparation(stated: Mapping[str, object], config: "PretrainedConfig", *, crop: bool) -> Preparation:
    """Reads what preprocessor_config.json says, the centre crop only if asked for."""
    side = _side(stated.get("crop_size")) or _side(stated.get("size")) or getattr(config, "image_size", 224)
    mean, std = stated.get("image_mean", IMAGENET_MEAN), stated.get("image_std", IMAGENET_STD)
    resample = stated.get("resample", Image.Resampling.BICUBIC)
    assert isinstance(mean, list | tuple)
    assert isinstance(std, list | tuple)
    assert isinstance(resample, int)
    shortest = max(side, _side(stated.get("size")) or side) if crop and _crops(stated) else None
    return Preparation(side, tuple(mean), tuple(std), Image.Resampling(resample), shortest)


def _crops(stated: Mapping[str, object]) -> bool:
    """Says whether a model's own preprocessing crops the middle of a picture brought to a shorter side."""
    size = stated.get("size")
    by_shorter = not isinstance(size, Mapping) or "shortest_edge" in size
    return stated.get("do_center_crop") is True and by_shorter


def _side(size: object) -> int | None:
    """Reads a size that is written as a number, {height, width} or {shortest_edge}."""
    if isinstance(size, Mapping):
        size = size.get("height", size.get("shortest_edge"))
    return size if isinstance(size, int) else None
