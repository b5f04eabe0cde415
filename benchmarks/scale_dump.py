"""A dump of the size that `harvest` makes by default, over few images: what its rows take on disk."""

import hashlib
from pathlib import Path

import numpy as np

from autointerp.dump.format import DumpInfo
from autointerp.dump.writer import DumpWriter
from autointerp.schema import Exemplar, FeatureRow
from benchmarks.dumps import PIXELS, photograph

GRID = 14
STRATA = (*["top"] * 24, *["q4"] * 5, *["q3"] * 5, *["q2"] * 5, *["q1"] * 5, *["silent"] * 60, *["guided"] * 40)
N_IMAGES = 400


def write(folder: Path, n_features: int) -> None:
    """Every exemplar of a feature is another image; active ones have a heat map with one soft peak."""
    chance = np.random.default_rng(0)
    info = DumpInfo(
        name=f"{n_features} features",
        created="2026-01-01T00:00:00+00:00",
        created_by="benchmarks/scale_dump.py",
        model="none",
        hookpoint="none",
        n_latents=n_features,
        widths=(n_features,),
        n_images=1_000_000,
        active_above=0.0,
        patch_grid=(GRID, GRID),
    )
    data = photograph(0)
    with DumpWriter(folder, info) as writer:
        for image in range(N_IMAGES):
            own = data + image.to_bytes(4, "big")  # what follows the end of a JPEG is not looked at
            digest, group = hashlib.sha256(own).hexdigest(), f"image-{image}"
            # They look the same: without groups of their own they would be near-duplicates.
            writer.add_image(image, data=own, size=(PIXELS, PIXELS), sha256=digest, group=group)
        for number in range(n_features):
            histogram = tuple(int(n) for n in np.sort(chance.poisson(200, 50))[::-1])
            row = FeatureRow(number, n_features, sum(histogram), 60.0, None, histogram)
            images = chance.choice(N_IMAGES, len(STRATA), replace=False)
            writer.add_feature(row, [_row(int(i), s, chance) for i, s in zip(images, STRATA, strict=True)])


def _row(image: int, stratum: str, chance: np.random.Generator) -> Exemplar:
    if stratum in ("silent", "guided"):
        return Exemplar(image, float(-chance.random()), stratum, float(chance.uniform(1e-4, 1e-2)), None, None)
    across, down = np.meshgrid(np.arange(GRID), np.arange(GRID))
    x, y = chance.uniform(2, GRID - 2, 2)
    heat = 255 * np.exp(-((across - x) ** 2 + (down - y) ** 2) / 4) + chance.uniform(0, 12, (GRID, GRID))
    probability = 1.0 if stratum == "top" else 0.02
    activation = float(chance.uniform(1, 60))
    return Exemplar(image, activation, stratum, probability, None, np.clip(heat, 0, 255).astype(np.uint8).tobytes())
