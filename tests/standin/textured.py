"""A backbone that sees no textures until its last block is trained on, and pictures that differ in texture alone."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from autointerp.transcoder.backbones.module import ModuleBackbone
from autointerp.transcoder.backbones.preparation import Preparation
from autointerp.transcoder.backbones.taps import Tap, block_taps

SIDE = 4


class Mlp(nn.Module):
    """Writes nothing at first."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(3, 8)
        self.fc2 = nn.Linear(8, 3)
        nn.init.zeros_(self.fc2.weight)
        nn.init.zeros_(self.fc2.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.fc1(x).relu())


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mlp = Mlp()

    def forward(self, x: Tensor) -> Tensor:
        return x + self.mlp(x)


class Textured(nn.Module):
    """Pixels of a 4 x 4 picture as tokens, through two blocks; pooled is their mean."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block(), Block()])

    def forward(self, batch: Tensor) -> Tensor:
        x = batch.flatten(2).transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        return x.mean(dim=1)


def module(seed: int = 0) -> Textured:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Textured()


def textured(name: str = "textured", *, seed: int = 0, device: str = "cpu") -> ModuleBackbone:
    """Stands in for the registry; its weights are the same for every seed."""
    made = module()
    taps = {**block_taps(name, made), "pooled": Tap("", "output", "pooled")}
    plain = Preparation(SIDE, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), Image.Resampling.NEAREST)
    return ModuleBackbone(name, made, plain, taps=taps, side=SIDE, patch_grid=(SIDE, SIDE), device=device)


def rough_and_smooth(folder: Path, n: int = 90) -> Path:
    """Pictures of 4 x 4 pixels, every third rough and in `implausible`; rough and smooth ones have the same mean."""
    chance = np.random.default_rng(3)
    for i in range(n):
        rough = i % 3 == 0
        level = chance.integers(110, 146, 3)
        swing = chance.permutation(np.repeat([-1, 1], SIDE * SIDE // 2)).reshape(SIDE, SIDE, 1) * (90 if rough else 5)
        pixels = np.clip(level + swing, 0, 255).astype(np.uint8)
        path = folder / ("implausible" if rough else "plausible") / f"{i:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return folder
