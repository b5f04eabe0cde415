"""Vision models of the package timm, by name."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from PIL import Image

from autointerp.errors import SettingsError, excerpt
from autointerp.extras import need
from autointerp.transcoder.backbones.module import ModuleBackbone, from_a_library
from autointerp.transcoder.backbones.names import name_of
from autointerp.transcoder.backbones.preparation import Preparation
from autointerp.transcoder.backbones.taps import Grid, Tap, block_taps, stages_of

if TYPE_CHECKING:
    from torch import nn

_OUT_OF_ORDER = ("Hiera", "HieraDet")
"""Classes of models whose tokens are not row by row."""
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
        SettingsError: timm is not installed, does not know the name or cannot get the weights, or the model is neither
            a transformer over a square grid of patches nor a network of stages.
    """
    need(f"--backbone timm:{name}", ("timm",), "backbones")
    from timm.data import resolve_model_data_config  # pyright: ignore[reportMissingImports, reportPrivateImportUsage]

    full = name_of(f"timm:{name}", crop=crop, random=random)
    model = _created(name, full, random=random, seed=seed)
    config = resolve_model_data_config(model)
    height, width = config["input_size"][1:]
    if height != width:
        raise SettingsError(f"--backbone {full}: takes pictures of {width} x {height} pixels, and not square ones")
    shortest = _shortest(config, height) if crop else None
    full = name_of(f"timm:{name}", crop=shortest is not None, random=random)
    prepare = Preparation(
        side=height,
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        resample=_RESAMPLING.get(config["interpolation"], Image.Resampling.BICUBIC),
        shortest=shortest,
        to_even=shortest is not None,
    )
    with from_a_library(full):
        taps, grid = _taps(model, full)
        return ModuleBackbone(
            full,
            model,
            prepare,
            taps=taps,
            side=height,
            patch_grid=grid,
            device=device,
            class_token=getattr(model, "cls_token", model) is not None,
        )


def _taps(model: "nn.Module", full: str) -> tuple[dict[str, Tap], Grid | None]:
    """Returns a model's hookpoints and the grid of its patches, None where that changes from stage to stage."""
    if type(model).__name__ in _OUT_OF_ORDER:
        raise SettingsError("its patches lie in windows, not row by row, so that heat maps would lie wrong")
    grid = getattr(getattr(model, "patch_embed", None), "grid_size", None)
    stages = stages_of(model)
    if len(stages) == 1 and grid is not None and hasattr(model, "head"):
        pooled = Tap("head", "input", "pooled")
        return {**block_taps(full, model), "pooled": pooled}, (int(grid[0]), int(grid[1]))
    # With no classes, the whole model gives what its last layer would read.
    taps = block_taps(full, model) if len(stages) > 1 else _stages(model)
    return {**taps, "pooled": Tap("", "output", "pooled")}, None


def _stages(model: "nn.Module") -> dict[str, Tap]:
    """Returns what timm itself takes for a network's stages."""
    places = [str(place["module"]) for place in getattr(model, "feature_info", None) or ()]
    if not places:
        raise SettingsError("it is neither a transformer over square patches nor a network of stages")
    return {f"stages.{i}": Tap(place) for i, place in enumerate(places)}


def _created(name: str, full: str, *, random: bool, seed: int) -> "nn.Module":
    import timm  # pyright: ignore[reportMissingImports]

    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return timm.create_model(name, pretrained=not random, num_classes=0)
    except (OSError, RuntimeError, ValueError) as e:
        raise SettingsError(f"--backbone {full}: {excerpt(str(e))}") from e


def _shortest(config: Mapping[str, object], side: int) -> int | None:
    """Reads to which shorter side the model's own preprocessing brings a picture; None where it stretches it."""
    share = config.get("crop_pct", 1.0)
    if config.get("crop_mode", "center") == "squash" or not isinstance(share, int | float):
        return None
    return max(side, int(side / share))
