"""A population whose every activation is planted, and a slow harvest of it that keeps everything."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from autointerp.populations.images import Population, read_population
from autointerp.schema import Exemplar, FeatureRow
from autointerp.transcoder.activation import Encoded
from autointerp.transcoder.backbones.protocol import Hookpoint
from autointerp.transcoder.harvest.silent_sampling import by_lot, keys, uniform
from autointerp.transcoder.harvest.source import Source
from autointerp.transcoder.settings import HarvestSettings

ROWS, COLUMNS = 2, 3


def pictures(folder: Path, n: int) -> Population:
    """Noise pictures of 40x30 pixels whose first pixel holds their number; every third lies in `implausible`."""
    rng = np.random.default_rng(7)
    for i in range(n):
        pixels = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
        pixels[0, 0] = (i % 256, i // 256, 0)
        kind = "implausible" if i % 3 == 0 else "plausible"
        path = folder / f"{i:04d}" / kind / "picture.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(pixels).save(path)
    return read_population(folder)


def planted(n_images: int, n_latents: int, seed: int = 0) -> np.ndarray:
    """[images, 6 patches, latents]: latent j fires on about one image in j + 1, latent 0 on none; multiples of 1/8."""
    rng = np.random.default_rng(seed)
    levels = rng.integers(1, 400, (n_images, ROWS * COLUMNS, n_latents)) / 8
    on = rng.random((n_images, 1, n_latents)) < 1 / np.arange(1, n_latents + 1)
    spread = rng.random((n_images, ROWS * COLUMNS, n_latents)) < 0.4
    table = np.where(on & spread, levels, 0)
    table[:, :, 0] = 0
    return table.astype(np.float32)


class PlantedBackbone:
    """Knows a picture by its first pixel, and gives what was planted for it."""

    name = "planted"
    digest = "0" * 64
    side = 4
    patch_grid = (ROWS, COLUMNS)

    def __init__(self, table: np.ndarray) -> None:
        self.table = torch.from_numpy(table)
        width = table.shape[2]
        self.hookpoints = {"layer": Hookpoint("patches", width), "vector": Hookpoint("pooled", width)}
        self.n_run = 0

    def prepare(self, image: Image.Image) -> Tensor:
        r, g, _ = np.asarray(image)[0, 0].tolist()
        return torch.full((3, self.side, self.side), float(r + 256 * g))

    def run(self, batch: Tensor, hookpoints: Sequence[str], swap: object = None) -> dict[str, Tensor]:
        self.n_run += len(batch)
        found = self.table[batch[:, 0, 0, 0].long()]
        return {name: found if name == "layer" else found.amax(dim=1) for name in hookpoints}


class Everything:
    """Each channel is a latent."""

    def __init__(self, n_latents: int, widths: tuple[int, ...]) -> None:
        self.n_latents = n_latents
        self.widths = widths

    def encode(self, inputs: Tensor, /) -> Encoded:
        return Encoded(inputs, torch.arange(self.n_latents).expand_as(inputs))


class Few(Everything):
    """The three largest channels of a token are its latents; the lower of equal ones comes first."""

    def encode(self, inputs: Tensor, /) -> Encoded:
        values, indices = inputs.sort(dim=1, descending=True, stable=True)
        return Encoded(values[:, :3], indices[:, :3])


def three_largest(table: np.ndarray) -> np.ndarray:
    """The table as `Few` leaves it."""
    out = np.zeros_like(table)
    for image in range(len(table)):
        for patch in range(table.shape[1]):
            for latent in np.argsort(-table[image, patch], kind="stable")[:3]:
                out[image, patch, latent] = table[image, patch, latent]
    return out


def source(encoder: Everything, name: str = "coder", reads: str = "layer") -> Source:
    """A coder of the planted backbone that writes orthogonal directions."""
    decoder = np.eye(encoder.n_latents, dtype=np.float32)
    return Source(name, encoder, reads, reads, "planted", f"digest of {name}", decoder)


class SlowHarvest:
    """Goes through the latents one at a time, with every activation of every image at hand."""

    def __init__(self, table: np.ndarray, read: np.ndarray, settings: HarvestSettings, above: float) -> None:
        self.table = table
        self.peaks = table.max(axis=1)
        self.settings = settings
        self.above = above
        vectors = read.mean(axis=1)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        self.vectors = (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float16).astype(np.float64)
        lot = by_lot(len(table), settings.seed)
        self.pool = lot[: max(settings.n_pool, settings.n_silent)]
        self.base = set(lot[: settings.n_silent].tolist())

    def firing(self, latent: int) -> list[int]:
        """Images that fire it, the strongest first."""
        peak = self.peaks[:, latent]
        return sorted((i for i in range(len(peak)) if peak[i] > self.above), key=lambda i: (-peak[i], i))

    def active(self, latent: int) -> list[tuple[int, str, float]]:
        """Image, stratum and probability."""
        s, firing = self.settings, self.firing(latent)
        found = [(i, "top", 1.0) for i in firing[: s.n_top]]
        rest = firing[s.n_top :]
        key = {i: int(keys(s.seed, "reservoir", np.array([latent]), np.array([i]))[0]) for i in rest}
        chosen = set(sorted(rest, key=lambda i: key[i])[: s.reservoir])
        ordered = [i for i in reversed(rest) if i in chosen]
        n_bands = max(1, min(s.n_bands, len(ordered) // s.n_per_band)) if ordered else 0
        size, more = divmod(len(ordered), n_bands) if n_bands else (0, 0)
        for b in range(n_bands):
            band, ordered = ordered[: size + (b < more)], ordered[size + (b < more) :]
            drawn = sorted(band, key=lambda i: key[i])[: s.n_per_band]
            chance = len(drawn) / len(band) * len(chosen) / len(rest)
            found += [(i, f"q{b + 1}", chance) for i in reversed(band) if i in drawn]
        return found

    def silent(self, latent: int) -> list[tuple[int, str, float]]:
        """Image, stratum and probability."""
        active = [i for i, *_ in self.active(latent)]
        if not active:
            return []
        centre = self.vectors[self.pool].mean(axis=0)
        towards = self.vectors[active].mean(axis=0) - centre
        quiet = [i for i in self.pool.tolist() if self.peaks[i, latent] <= self.above]
        wish = {i: np.exp(12 * _cosine(self.vectors[i] - centre, towards)) for i in quiet}
        guided = _capped(wish, self.settings.n_guided)
        n, c, b = len(self.table), len(self.pool), len(self.base)
        found = []
        for i in sorted(quiet):
            draw = uniform(keys(self.settings.seed, "guided", np.array([latent]), np.array([i])))[0]
            chance = c / n * (b / c + guided[i] - b / c * guided[i])
            if draw < guided[i]:
                found.append((i, "guided", chance))
            elif i in self.base:
                found.append((i, "silent", chance))
        return sorted(found, key=lambda row: row[1] == "guided")

    def alike(self, latent: int) -> list[int]:
        """The silent images of the pool, those first that are most like the images that fire it."""
        centre = self.vectors[self.pool].mean(axis=0)
        towards = self.vectors[[i for i, *_ in self.active(latent)]].mean(axis=0) - centre
        quiet = sorted(i for i in self.pool.tolist() if self.peaks[i, latent] <= self.above)
        return sorted(quiet, key=lambda i: -_cosine(self.vectors[i] - centre, towards))

    def heat(self, image: int, latent: int) -> bytes:
        values = self.table[image, :, latent].astype(np.float32)
        return bytes(np.round(255 * (values / values.max())).astype(np.uint8).tolist())


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    lengths = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / lengths) if lengths else 0.0


def _capped(wish: dict[int, float], total: float) -> dict[int, float]:
    """Chances as the wishes have it, at most one half each, by bisection of their scale."""
    low, high = 0.0, 1e12
    for _ in range(200):
        middle = (low + high) / 2
        if sum(min(0.5, middle * w) for w in wish.values()) < total:
            low = middle
        else:
            high = middle
    return {i: min(0.5, high * w) for i, w in wish.items()}


def plain(exemplars: Sequence[Exemplar]) -> list[tuple[int, str, float]]:
    """What `SlowHarvest` tells of a row."""
    return [(e.image, e.stratum, e.probability) for e in exemplars]


def counts_of(row: FeatureRow) -> tuple[int, float, int | None]:
    """Images, maximum and images with the attribute."""
    return row.n_active, row.max_activation, row.n_active_attribute


FEW_ROWS = HarvestSettings(
    n_top=4,
    n_bands=2,
    n_per_band=3,
    n_reservoir=8,
    n_silent=15,
    n_guided=6,
    n_pool=40,
    density=0.2,
    seed=3,
    checkpoint_every=24,
)
"""So few of each sort that images compete for a place."""
