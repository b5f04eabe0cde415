"""A backbone of one linear layer, coders of it that are perfect or do nothing, and pictures with a planted colour."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from autointerp.transcoder.backbones.module import ModuleBackbone
from autointerp.transcoder.backbones.preparation import Preparation
from autointerp.transcoder.backbones.taps import Tap
from autointerp.transcoder.coder import SparseCoder
from autointerp.transcoder.settings import CoderConfig

MIX = torch.tensor([[1.0, 0.5, 0.0], [0.0, 1.0, 0.0], [0.0, 0.25, 2.0]])
"""[d_in, d_out]: what the layer multiplies a pixel with."""


class Layered(nn.Module):
    """Mixes the colours of a 4 x 4 picture's pixels; pooled is their mean."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 3, 1, bias=False)
        self.layer.weight.data.copy_(MIX.T[:, :, None, None])

    def forward(self, batch: Tensor) -> Tensor:
        return self.layer(batch).mean(dim=(2, 3))


def layered(name: str = "layered", *, seed: int = 0, device: str = "cpu") -> ModuleBackbone:
    """Stands in for the registry, which would need a package with weights."""
    taps = {
        "early": Tap("layer", "input"),
        "layer.in": Tap("layer", "input"),
        "layer.out": Tap("layer", "output"),
        "pooled": Tap("", "output", "pooled"),
    }
    return ModuleBackbone(name, Layered(), Preparation(4), taps=taps, side=4, patch_grid=(4, 4))


def coder(*, perfect: bool) -> SparseCoder:
    """Six latents, a channel's positive part or its negative one each; perfect ones write what the layer writes."""
    made = SparseCoder(CoderConfig(d_in=3, d_out=3, widths=(3, 6), k=6, sparsity="topk"))
    if perfect:
        made.encoder.data.copy_(torch.cat([torch.eye(3), -torch.eye(3)]))
        made.decoders[0].data.copy_(torch.cat([MIX, -MIX]))
    return made.eval()


def red_and_blue(folder: Path, n: int = 60) -> Path:
    """Pictures of noise around red, every third, in `implausible`, or blue, in `plausible`."""
    chance = np.random.default_rng(0)
    for i in range(n):
        red = i % 3 == 0
        pixels = chance.integers(0, 100, (16, 16, 3))
        pixels[..., 0 if red else 2] += 120
        path = folder / ("implausible" if red else "plausible") / f"{i:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(path)
    return folder


def colour_pairs(folder: Path, n: int = 24) -> Path:
    """Pairs of noise and the same with one channel raised, `red` and `blue`, in both directions; a group a scene."""
    chance, lines = np.random.default_rng(1), ["image_a,image_b,attribute,direction,group"]
    (folder / "pictures").mkdir(parents=True)
    for i in range(n):
        plain = chance.integers(0, 100, (16, 16, 3))
        Image.fromarray(plain.astype(np.uint8)).save(folder / "pictures" / f"{i}.png")
        for channel, name in ((0, "red"), (2, "blue")):
            raised = plain.copy()
            raised[..., channel] += 100
            Image.fromarray(raised.astype(np.uint8)).save(folder / "pictures" / f"{i}-{name}.png")
            ends = (f"pictures/{i}.png", f"pictures/{i}-{name}.png")
            lines.append(",".join((*ends, name, "+") if i % 2 else (*ends[::-1], name, "-")) + f",{i}")
    (folder / "pairs.csv").write_text("\n".join(lines) + "\n")
    return folder / "pairs.csv"
