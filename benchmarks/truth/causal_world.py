"""A planted network that knows which pixels cause which latent, and pictures of marks for it.

A picture is grey with coloured marks of one cell or a few. A patch sees its own cell, and some latents look at others
too, as attention lets them:

| latent | fires | at | region alone fires it | silent without the region |
|---|---|---|---|---|
| local | where a cell is red | that cell | always | always |
| displaced | if any cell is blue | the lower right corner, which is never blue | never | never |
| context | where a cell is green, if one is yellow elsewhere | the green cell | never | always |
| redundant | where a cell is cyan; half of the pictures have two, far apart | the stronger one | always | with one |
| mixed | where a cell is magenta, if that is bright or one is white elsewhere | the magenta cell | if bright | always |
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from autointerp.transcoder.backbones.protocol import Hookpoint

CELLS, PIXELS = 8, 16
"""Cells each way, and pixels of a cell each way."""
SIDE = CELLS * PIXELS
LATENTS = ("local", "displaced", "context", "redundant", "mixed")
ABOVE = 0.3
"""A latent fires above this."""
BRIGHT = 0.7
"""From this activation on a magenta cell fires `mixed` without a white one."""
SHARE = 0.2
"""Of the pictures that fire each latent."""
COLOURS: Mapping[str, tuple[int, int, int]] = {
    "red": (1, 0, 0),
    "green": (0, 1, 0),
    "blue": (0, 0, 1),
    "yellow": (1, 1, 0),
    "cyan": (0, 1, 1),
    "magenta": (1, 0, 1),
    "white": (1, 1, 1),
}
CORNER = (CELLS - 1, CELLS - 1)
Floats = npt.NDArray[np.float64]


class PlantedNetwork:
    """Gives each latent at each patch; a backbone whose units are the latents."""

    name = "planted marks"
    digest = "1" * 64
    side = SIDE
    patch_grid = (CELLS, CELLS)

    def __init__(self) -> None:
        self.hookpoints = {"marks": Hookpoint("patches", len(LATENTS))}
        self.n_run = 0

    def prepare(self, image: Image.Image) -> Tensor:
        """Returns [3, side, side], 0 to 1: the whole picture."""
        square = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
        return torch.from_numpy(np.asarray(square, np.float32).transpose(2, 0, 1).copy() / 255)

    def run(self, batch: Tensor, hookpoints: Sequence[str], swap: object = None) -> dict[str, Tensor]:
        """Returns the activations, [n, patches, latents]."""
        self.n_run += len(batch)
        cells = batch.reshape(len(batch), 3, CELLS, PIXELS, CELLS, PIXELS).mean(dim=(3, 5)).permute(0, 2, 3, 1)
        found = torch.from_numpy(np.stack([activations(c) for c in cells.double().numpy()]).astype(np.float32))
        return {name: found for name in hookpoints}


def purity(cells: Floats, colour: str) -> Floats:
    """How much each cell has of a colour and of no other, 0 to 1: [rows, columns]."""
    on = np.array(COLOURS[colour], bool)
    lit = cells[..., on].min(axis=-1)
    other = cells[..., ~on].max(axis=-1) if not on.all() else np.full(lit.shape, 0.5)
    return np.clip(lit - other, 0, None) * (2 if on.all() else 1)


def activations(cells: Floats) -> Floats:
    """Returns [patches, latents] of a picture's cells, [rows, columns, 3]."""
    there = {colour: purity(cells, colour) for colour in COLOURS}
    maps = {name: np.zeros((CELLS, CELLS)) for name in LATENTS}
    maps["local"] = there["red"]
    maps["displaced"][CORNER] = there["blue"].max()
    maps["context"] = there["green"] * (there["yellow"].max() > ABOVE)
    maps["redundant"] = there["cyan"]
    bright = there["magenta"] > BRIGHT
    maps["mixed"] = there["magenta"] * (bright | (there["white"].max() > ABOVE))
    return np.stack([maps[name].ravel() for name in LATENTS], axis=1)


MARKS = {"local": ("red",), "displaced": ("blue",), "context": ("green", "yellow"), "mixed": ("magenta", "white")}
"""The mark of each latent, and the one that it needs beside it."""


def picture(rng: np.random.Generator) -> Image.Image:
    """Draws a picture of 128 x 128 pixels with the marks of some latents."""
    cells = np.full((CELLS, CELLS, 3), 0.4) + rng.normal(0, 0.01, (CELLS, CELLS, 1))
    # Marks lie apart, and none in the corner where `displaced` fires.
    free = [(y, x) for y in range(0, CELLS, 2) for x in range(0, CELLS, 2) if (y, x) != (6, 6)]
    places = iter(rng.permutation(free).tolist())
    for name in LATENTS:
        if rng.random() >= SHARE:
            continue
        level = rng.uniform(0.4, 1.0)
        if name == "redundant":
            _apart(cells, level, both=rng.random() < 0.5)
            continue
        bare = name == "mixed" and level > BRIGHT
        for colour, strength in zip(MARKS[name][: 1 if bare else 2], (level, 0.9), strict=False):
            y, x = next(places)
            cells[y, x] = strength * np.array(COLOURS[colour])
    pixels = np.clip(255 * cells, 0, 255).repeat(PIXELS, axis=0).repeat(PIXELS, axis=1)
    return Image.fromarray(np.round(pixels).astype(np.uint8), "RGB")


def _apart(cells: Floats, level: float, *, both: bool) -> None:
    """Puts one or two cyan cells where no other mark is, each outside the region around the other."""
    cells[1, 1] = level * np.array(COLOURS["cyan"])
    if both:
        cells[7, 5] = 0.9 * cells[1, 1]


def write_pictures(folder: Path, n: int, seed: int) -> None:
    """Writes `n` pictures as PNG files."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    for i in range(n):
        picture(rng).save(folder / f"{i:05d}.png")
