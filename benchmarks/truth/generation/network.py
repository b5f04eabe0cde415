"""A network of which it is known which pixels cause which latent: colours by patch, places, and what is elsewhere."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from autointerp import ModuleBackbone
from autointerp.synthetic.drawing import COLOURS
from autointerp.transcoder.coder import SparseCoder
from autointerp.transcoder.coder_io import describe, save_coder
from autointerp.transcoder.settings import CoderConfig
from benchmarks.truth.generation.planted import LATENTS, PLACES, Planted

PATCHES, PIXELS = 8, 16
"""Patches each way, and pixels of a patch each way."""
SIDE = PATCHES * PIXELS
NAMES = tuple(COLOURS)
HERE, FAR, GATE, FLAGS = (i * len(NAMES) for i in range(4))
"""Where in a patch's vector the colours begin: of the patch, of the strongest patch, and whether it is anywhere."""
CORNER = FLAGS + len(PLACES)
WIDTH = CORNER + 1
RADIUS = 0.2
"""How far a pixel may be from a colour, in RGB of 0 to 1."""
HOOKPOINT = "mixed"
ABOVE = 0.02
"""A latent fires above this: a fiftieth of a patch in the purest colour."""


class Colours(nn.Module):
    """Gives each patch how much of each colour it has, and what it takes in from elsewhere, as attention would."""

    where: Tensor
    """[1, places and corner, rows, columns], 0 or 1."""

    def __init__(self, palette: Tensor) -> None:
        super().__init__()
        self.palette = nn.Parameter(palette)
        self.mixed = nn.Identity()
        where = torch.zeros(1, len(PLACES) + 1, PATCHES, PATCHES)
        for i, part in enumerate(PLACES):
            where[0, i][{"left": np.s_[:, :2], "right": np.s_[:, -2:], "top": np.s_[:4]}[part]] = 1
        where[0, -1, -1, -1] = 1
        self.register_buffer("where", where)

    def forward(self, pixels: Tensor) -> Tensor:
        """Runs pictures, [n, 3, side, side] of 0 to 1; returns [n, width, rows, columns]."""
        # The squared distance of each pixel to each colour, multiplied out.
        inner = functional.conv2d(pixels, self.palette[:, :, None, None])
        own, other = pixels.square().sum(dim=1, keepdim=True), self.palette.square().sum(dim=1)[:, None, None]
        apart = own - 2 * inner + other
        here = functional.avg_pool2d((1 - apart / RADIUS**2).relu(), PIXELS)
        far = here.amax(dim=(2, 3), keepdim=True).expand_as(here)
        gate = (far / ABOVE - 0.5).clamp(0, 1)
        return self.mixed(torch.cat([here, far, gate, self.where.expand(len(here), -1, -1, -1)], dim=1))


def prepared(image: Image.Image) -> Tensor:
    """Returns [3, side, side], 0 to 1: the whole picture."""
    square = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
    return torch.from_numpy(np.asarray(square, np.float32).transpose(2, 0, 1).copy() / 255)


def backbone(seed: int | None = None) -> ModuleBackbone:
    """Makes the planted network, or with a seed one of random weights."""
    palette = torch.tensor([COLOURS[name] for name in NAMES], dtype=torch.float32) / 255
    if seed is not None:
        palette = torch.rand(palette.shape, generator=torch.Generator().manual_seed(seed))
    name = "planted colours" if seed is None else f"random colours {seed}"
    return ModuleBackbone(name, Colours(palette), prepared, taps={HOOKPOINT: HOOKPOINT}, side=SIDE)


def write_coder(folder: Path, network: ModuleBackbone, seed: int | None = None) -> None:
    """Writes the coder whose latents are `LATENTS`, in their order; with a seed its rows are random."""
    n = len(LATENTS)
    config = CoderConfig(
        kind="sae", widths=(n,), k=n, sparsity="topk", normalise=False, decoder_rows="free", d_in=WIDTH, d_out=WIDTH
    )
    coder = SparseCoder(config)
    with torch.no_grad():
        if seed is not None:
            coder.start(seed)
        else:
            for i, latent in enumerate(LATENTS):
                row, bias = _row(latent)
                coder.encoder[i], coder.encoder_bias[i] = row, bias
                coder.decoders[0][i] = row
    save_coder(coder, describe(config, model=network.name, reads=HOOKPOINT, writes=HOOKPOINT), folder)


def _row(latent: Planted) -> tuple[Tensor, float]:
    """The encoder's row and bias: relu of their sum is what the table in planted.py says."""
    row = torch.zeros(WIDTH)
    own = [NAMES.index(colour) for colour in latent.colours]
    if latent.family == "displaced":
        row[[FAR + i for i in own]] = 1
        row[CORNER] = len(own)
        return row, -float(len(own))
    if latent.family == "together":
        row[HERE + own[0]], row[GATE + own[1]] = 1, 1
        return row, -1.0
    row[[HERE + i for i in own]] = 1
    if latent.place:
        row[FLAGS + list(PLACES).index(latent.place)] = 1
        return row, -1.0
    return row, 0.0
