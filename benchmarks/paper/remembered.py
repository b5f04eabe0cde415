"""The backbone with a memory: what its lower blocks make of a picture is kept, since frozen and tuned share them."""

import hashlib
import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from autointerp.images.manifest import Manifest
from autointerp.places import cache_folder
from autointerp.populations.images import read_population
from autointerp.transcoder.backbones.dinov2 import NAME, SMALL, VisionTransformer, read_weights, weights_file
from autointerp.transcoder.backbones.module import ModuleBackbone
from autointerp.transcoder.backbones.preparation import Preparation
from autointerp.transcoder.backbones.taps import Tap, block_taps
from autointerp.transcoder.batches import prepared_batches

BATCH = 16
"""Images run at once."""


class Remembering(VisionTransformer):
    """Keeps what the first blocks make of each picture, 395 kB of it, exactly; their own hookpoints are never passed.

    Args:
        n_below: blocks whose work is kept; their weights must stay as they are.
    """

    def __init__(self, n_below: int) -> None:
        super().__init__(SMALL)
        self.n_below = n_below
        self.folder: Path | None = None
        """Where it is kept; None remembers nothing."""

    def tokens(self, batch: Tensor) -> Tensor:
        """Maps [n, 3, side, side] to [n, 1 + patches, width], as its parent does."""
        if self.folder is None:
            return super().tokens(batch)
        x = self._below(batch, self.folder)
        for block in self.blocks[self.n_below :]:
            x = block(x)
        return self.norm(x)

    @torch.no_grad()
    def _below(self, batch: Tensor, folder: Path) -> Tensor:
        files = [folder / f"{hashlib.sha256(one.numpy().tobytes()).hexdigest()}.npy" for one in batch]
        missing = [i for i, file in enumerate(files) if not file.exists()]
        if missing:
            some = batch[missing]
            patches = self.patches(some).flatten(2).transpose(1, 2)
            x = torch.cat([self.class_token.expand(len(some), -1, -1), patches], dim=1) + self.positions
            for block in self.blocks[: self.n_below]:
                x = block(x)
            for i, one in zip(missing, x, strict=True):
                half = files[i].with_suffix(f".{os.getpid()}.npy")
                np.save(half, one.numpy())
                half.replace(files[i])
        return torch.from_numpy(np.stack([np.load(file) for file in files]))


def remembering(folder: Path, n_below: int) -> ModuleBackbone:
    """Loads `dinov2-small`, by its name and digest, with a memory in a folder.

    Raises:
        SettingsError: the package with the weights is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model = Remembering(n_below)
    model.load_state_dict(read_weights(weights_file()))
    taps = {**block_taps(NAME, model), "pooled": Tap("", "output", "pooled")}
    made = ModuleBackbone(
        NAME, model, Preparation(SMALL.side), taps=taps, side=SMALL.side, patch_grid=(SMALL.grid, SMALL.grid)
    )
    # From here on: what a module passes is found out with all its blocks at work.
    model.folder = folder
    return made


def remember(backbone: ModuleBackbone, images: Path, hookpoint: str, some: slice) -> None:
    """Runs some of the images of a folder up to a hookpoint above the blocks whose work is kept."""
    population = read_population(images, manifest=Manifest(cache_folder()))
    for _, pixels in prepared_batches(backbone, population.images[some], size=BATCH):
        backbone.run(pixels, [hookpoint])
