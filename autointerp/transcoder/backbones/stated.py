"""What a model's own preprocessing does, read from the settings of a processor of transformers."""

import math
from collections.abc import Mapping

from PIL import Image

from autointerp.transcoder.backbones.preparation import IMAGENET_MEAN, IMAGENET_STD, Channels, Preparation

CONVNEXT_SHARE, CONVNEXT_WHOLE = 224 / 256, 384
"""ConvNeXt's processor crops this share of the shorter side, and from this side on stretches the whole."""


def preparation(stated: Mapping[str, object], vision: object, *, crop: bool) -> Preparation:
    """Reads what preprocessor_config.json says.

    Args:
        stated: its content.
        vision: the configuration of the part of the model that sees, where the processor states no size.
        crop: whether the model's own crop of the middle is to be done.
    """
    side = _naflex(stated, vision) or _side(stated.get("crop_size")) or _side(stated.get("size"))
    side = side or _side(getattr(vision, "image_size", None)) or 224
    mean = _channels(stated.get("image_mean") or IMAGENET_MEAN)
    std = _channels(stated.get("image_std") or IMAGENET_STD)
    resample = stated.get("resample")
    resample = resample if isinstance(resample, int) else Image.Resampling.BICUBIC
    if stated.get("do_normalize") is False:
        mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    shortest = _shortest(stated, side) if crop else None
    return Preparation(side, mean, std, Image.Resampling(resample), shortest)


def _channels(numbers: object) -> Channels:
    assert isinstance(numbers, list | tuple)
    red, green, blue = (float(n) for n in numbers)
    return red, green, blue


def _shortest(stated: Mapping[str, object], side: int) -> int | None:
    """Returns to which shorter side a picture is brought before its middle is cropped; None where it is stretched."""
    kind = str(stated.get("image_processor_type", stated.get("feature_extractor_type", "")))
    if kind.startswith("ConvNext") or "crop_pct" in stated:
        share = stated.get("crop_pct") or CONVNEXT_SHARE
        assert isinstance(share, int | float)
        return max(side, int(side / share)) if side < CONVNEXT_WHOLE else None
    size = stated.get("size")
    by_shorter = not isinstance(size, Mapping) or "shortest_edge" in size
    # The base view of a model that also looks at tiles is the stretched whole.
    tiled = stated.get("image_grid_pinpoints") is not None
    if stated.get("do_center_crop") is not True or not by_shorter or tiled:
        return None
    return max(side, _side(size) or side)


def _naflex(stated: Mapping[str, object], vision: object) -> int | None:
    """Returns the side of a square of as many patches as a model for any shape takes; None of other models."""
    most = stated.get("max_num_patches", getattr(vision, "num_patches", None))
    patch = stated.get("patch_size", getattr(vision, "patch_size", None))
    if not isinstance(most, int) or not isinstance(patch, int) or hasattr(vision, "image_size"):
        return None
    return patch * math.isqrt(most)


def _side(size: object) -> int | None:
    """Reads a size that is written as a number, two of them, {height, width} or {shortest_edge}."""
    if isinstance(size, Mapping):
        size = size.get("height", size.get("shortest_edge"))
    if isinstance(size, list | tuple) and size:
        size = size[0]
    return size if isinstance(size, int) else None
