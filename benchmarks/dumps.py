"""Feature dumps for the benchmarks: many features over few images of noise that JPEG finds as hard as photographs."""

import hashlib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from autointerp.dump.format import DumpInfo
from autointerp.dump.writer import DumpWriter
from autointerp.schema import Box, Exemplar, FeatureRow

PIXELS = 448
QUALITY = 85
STRATA = (*["top"] * 20, *["q5"] * 20, *["silent"] * 20)
"""Of the exemplars of each feature, in stored order."""


def photograph(seed: int) -> bytes:
    """A 448-px JPEG of 45 to 55 kB."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (14, 14, 3), dtype=np.uint8)
    ground = np.asarray(Image.fromarray(coarse).resize((PIXELS, PIXELS), Image.Resampling.BICUBIC), dtype=np.int16)
    pixels = np.clip(ground + rng.normal(0, GRAIN, (PIXELS, PIXELS, 1)), 0, 255).astype(np.uint8)
    target = BytesIO()
    Image.fromarray(pixels).save(target, "JPEG", quality=QUALITY)
    return target.getvalue()


GRAIN = 6
"""Standard deviation of the noise, of 255; it decides the size of the file."""


def write_dump(folder: Path, *, n_features: int, photographs: Sequence[bytes]) -> None:
    """A dump whose features share the given images; each feature has exemplars at places of its own."""
    n_images = len(photographs)
    info = DumpInfo(
        name=f"{n_features} features",
        created="2026-01-01T00:00:00+00:00",
        created_by="benchmarks/dumps.py",
        model="none",
        hookpoint="none",
        n_latents=n_features,
        widths=(n_features,),
        n_images=n_images,
        active_above=0.0,
        patch_grid=None,
    )
    with DumpWriter(folder, info) as writer:
        for image, data in enumerate(photographs):
            digest = hashlib.sha256(data).hexdigest()
            writer.add_image(image, data=data, size=(PIXELS, PIXELS), sha256=digest)
        for feature in range(n_features):
            row = FeatureRow(feature, n_features, 40, 60.0, None, None)
            writer.add_feature(row, [_exemplar(feature, rank, n_images) for rank in range(len(STRATA))])


def _exemplar(feature: int, rank: int, n_images: int) -> Exemplar:
    image = (rank + 17 * feature) % n_images
    if STRATA[rank] == "silent":
        return Exemplar(image, 0.0, "silent", 0.5, None, None)
    x, y = (7 * feature + 13 * rank) % 224, (11 * feature + 5 * rank) % 224
    probability = 1.0 if STRATA[rank] == "top" else 0.5
    return Exemplar(image, 60.0 - rank, STRATA[rank], probability, Box(x, y, x + 200, y + 200), None)
