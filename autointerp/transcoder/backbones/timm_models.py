"""Vision transformers of the package timm, by name."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from PIL import Image

from autointerp.errors import SettingsError, one_line
from autointerp.extras import need
from autointerp.transcoder.backbones.module import ModuleBackbone, Preparation, Tap, block_taps
from autointerp.transcoder.backbones.names import name_of

if TYPE_CHECKING:
    from torch import nn

_RESAMPLING = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "lanczos": Image.Resampling.LANCZOS,
}


def timm_backbone(name: str, *, crop: bool, random: bool, seed: int, device: str) -> ModuleBackbone:
    """Loads the model that timm knows as `name`, with its own input size, resampling, normalisation, and crop if asked.

    `pooled` is what its classification layer would read. A name is such as `vit_base_patch16_224`; the other arguments
    are those of `load_backbone`.

    Raises:
        SettingsError: timm is not installed, does not know the name or cannot get the weights, or the model has no
            square grid of patches or no blocks with an MLP.
    """
    need(f"--backbone timm:{name}", ("timm",), "backbones")
    from timm.data import resolve_model_data_config  # pyright: ignore[reportMissingImports]

    full = name_of(f"timm:{name}", crop=crop, random=random)
    model = _created(name, full, random=random, seed=seed)
    config = resolve_model_data_config(model)
    height, width = config["input_size"][1:]
    grid = getattr(getattr(model, "patch_embed", None), "grid_size", None)
    if height != width or grid is None or not hasattr(model, "head"):
        raise SettingsError(f"--backbone {full}: not a transformer over square patches of a square image")
    shortest = _shortest(config, height) if crop else None
    full = name_of(f"timm:{name}", crop=shortest is not None, random=random)
    return ModuleBackbone(
        full,
        model,
        Preparation(
            side=height,
            mean=tuple(config["mean"]),
            std=tuple(config["std"]),
            resample=_RESAMPLING.get(config["interpolation"], Image.Resampling.BICUBIC),
            shortest=shortest,
        ),
        taps={**block_taps(full, model), "pooled": Tap("head", "input", "pooled")},
        side=height,
        patch_grid=(int(grid[0]), int(grid[1])),
        device=device,
    )


def _created(name: str, full: str, *, random: bool, seed: int) -> "nn.Module":
    import timm  # pyright: ignore[reportMissingImports]

    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return timm.create_model(name, pretrained=not random, num_classes=0)
    except (OSError, RuntimeError, ValueError) as e:
        raise SettingsError(f"--backbone {full}: {one_line(str(e))[:200]}") from e


def _shortest(config: Mapping[str, object], side: int) -> int | None:
    """Reads to which shorter side the model's own preprocessing brings a picture; None where it stretches it."""
    share = config.get("crop_pct", 1.0)
    if config.get("crop_mode", "center") == "squash" or not isinstance(share, int | float):
        return None
    return max(side, int(side / share))
