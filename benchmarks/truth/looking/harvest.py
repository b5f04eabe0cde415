"""Writes the dump of one feature: the pictures that a harvest would have stored, with heat maps of where it fired."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autointerp.dump.format import DumpInfo
from autointerp.dump.writer import DumpWriter
from autointerp.schema import Exemplar, FeatureRow
from autointerp.synthetic.evidence import inclusion, systematic
from benchmarks.truth.looking.pixels import draw, size_of
from benchmarks.truth.looking.population import Planted
from benchmarks.truth.looking.things import Floats, Ints

GRID = (16, 16)
FLOOR = 12
"""Heat away from the region, of 255."""
BANDS = ("q3", "q2", "q1")
PROBES = 40
"""Active pictures, at most, with which the silent ones are compared."""


@dataclass(frozen=True)
class Size:
    """How many rows a feature gets at most."""

    top: int
    band: int
    """Of each of three."""
    silent: int
    guided: int


def write_dump(folder: Path, planted: Planted, size: Size, silent_heat: str) -> None:
    """Writes the dump of a feature, with its pictures.

    Args:
        folder: must not exist.
        planted: the feature.
        size: how much is stored.
        silent_heat: what silent rows say of where the feature came nearest to firing: `none`, `zeros` or `nearest`.
    """
    rows = _rows(planted, size, silent_heat)
    info = DumpInfo(
        name="looking",
        created="2026-01-01T00:00:00Z",
        created_by="benchmarks.truth.looking",
        model="planted",
        hookpoint="truth",
        n_latents=1,
        widths=(1,),
        n_images=planted.world.n,
        active_above=1.0,
        patch_grid=GRID,
        attribute=None,
    )
    with DumpWriter(folder, info) as writer:
        for image in sorted(e.image for e in rows):
            side = size_of(image, planted.world.scale)
            writer.add_image(image, data=draw(planted.things, image, planted.world.scale), size=(side, side))
        highest = float(planted.activation.max())
        writer.add_feature(FeatureRow(0, 1, int(planted.fires.sum()), highest, None, None), rows)


def _rows(planted: Planted, size: Size, silent_heat: str) -> list[Exemplar]:
    """The strongest, thirds of the others by activation, and silent pictures drawn uniformly and by likeness."""
    level = planted.activation
    chance = np.random.default_rng((0x4A2, planted.number))
    fires = np.flatnonzero(planted.fires)
    fires = fires[np.argsort(-level[fires], kind="stable")]
    drawn = [("top", int(i), 1.0) for i in fires[: size.top]]
    for name, band in zip(BANDS, np.array_split(fires[size.top :], len(BANDS)), strict=True):
        n = min(size.band, len(band))
        drawn += [(name, int(i), n / len(band)) for i in np.sort(chance.choice(band, n, replace=False))]
    active = [Exemplar(i, float(level[i]), stratum, p, None, _heat(*planted.region(i))) for stratum, i, p in drawn]
    return active + _silent(planted, size, silent_heat, np.array([i for _, i, _ in drawn[:PROBES]]), chance)


def _silent(
    planted: Planted, size: Size, silent_heat: str, probes: Ints, chance: np.random.Generator
) -> list[Exemplar]:
    silent = np.flatnonzero(~planted.fires)
    uniform = size.silent / len(silent)
    guided = _guided(planted.embedding, probes, silent, size.guided)
    either = uniform + guided - uniform * guided
    by_chance, by_likeness = chance.choice(len(silent), size.silent, replace=False), systematic(guided, chance)
    heat = {"none": lambda i: None, "zeros": lambda i: bytes(GRID[0] * GRID[1])}.get(
        silent_heat, lambda i: _heat(*planted.region(i))
    )
    return [
        Exemplar(int(silent[j]), float(planted.activation[silent[j]]), name, float(either[j]), None, heat(silent[j]))
        for name, rows in (("silent", np.setdiff1d(by_chance, by_likeness)), ("guided", by_likeness))
        for j in np.sort(rows)
    ]


def _guided(embedding: Floats, probes: Ints, silent: Ints, n: int) -> Floats:
    """Chances in proportion to 1/rank of the likeness to the likest active picture."""
    near = np.max(embedding[silent] @ embedding[probes].T, axis=1)
    rank = np.empty(len(silent))
    rank[np.argsort(-near, kind="stable")] = np.arange(1, len(silent) + 1)
    return inclusion(1 / rank, n)


def _heat(x: float, y: float, side: float) -> bytes:
    """Of each cell the share that a square covers, 255 for the most."""
    edges = np.arange(GRID[0] + 1) / GRID[0]
    down, across = (
        np.clip(np.minimum(at + side / 2, edges[1:]) - np.maximum(at - side / 2, edges[:-1]), 0, None) for at in (y, x)
    )
    heat = np.outer(down, across)
    return np.maximum(FLOOR, np.round(255 * heat / heat.max())).astype(np.uint8).tobytes()
