"""Whether active images can be told from silent ones by how their cells look, and not by what they show."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from autointerp.scoring.sampling import Item
from benchmarks.truth.looking.judge import Looking
from benchmarks.truth.looking.pixels import COLOURED, DIM, Pixels, extremes
from benchmarks.truth.looking.population import Planted
from benchmarks.truth.looking.things import Bools, Floats, Things

FOLDS = 5
RIDGE = 1.0
STEPS = 30


@dataclass(frozen=True)
class Cell:
    """One cell: geometry, sharpness and emptiness, and whether the feature fires on the image."""

    showing: str
    feature: int
    active: bool
    values: tuple[float, ...]
    misread: bool | None = None
    """Whether the decoder made something else of a whole image than was drawn; None for a part of one."""


def statistics_of(showing: str, planted: Planted, items: Sequence[Item], judge: Looking) -> list[Cell]:
    """Of every cell that a judge was shown of a feature's images."""
    out: list[Cell] = []
    by_image = dict(zip((i.exemplar.image for i in items), items, strict=True))
    for digest, cells in judge.cells.items():
        for tile, cell, things in zip(judge.shown[digest], cells, judge.seen[digest], strict=True):
            wrong = _looks(things, 0) != _looks(planted.things, tile.image) if tile.rendering == "full" else None
            out.append(Cell(showing, planted.number, by_image[tile.image].active, measured(cell), wrong))
    return out


def _looks(things: Things, row: int) -> list[tuple[int, ...]]:
    """The hue, texture and dot of each thing of a picture, from left to right."""
    there = np.flatnonzero(things.there[row])
    left_to_right = there[np.argsort(things.x[row, there])]
    return [tuple(int(c[row, at]) for c in (things.hue, things.texture, things.dot)) for at in left_to_right]


def measured(cell: Pixels) -> tuple[float, ...]:
    """Width, height and shape; how sharp the brightness is; how much of it is empty; where what is there lies."""
    height, width = cell.shape[:2]
    bright, low = extremes(cell)
    coloured = (bright - low >= COLOURED * bright) & (bright > DIM)
    sharp = ndimage.laplace(bright)
    rows, columns = coloured.mean(axis=1), coloured.mean(axis=0)
    border = np.concatenate([coloured[0], coloured[-1], coloured[:, 0], coloured[:, -1]]).mean()
    centre = coloured[height // 3 : -(height // 3), width // 3 : -(width // 3)].mean()
    return (
        float(width),
        float(height),
        width / height,
        float(np.log1p(sharp.std())),
        float(bright.std()),
        float(coloured.mean()),
        float(border),
        float(centre),
        float((rows > 0).mean()),
        float((columns > 0).mean()),
    )


def auroc(cells: Sequence[Cell]) -> float:
    """How well a logistic model of the statistics and their squares tells active from silent, features held out.

    It is fitted on four fifths of the features and ranks the cells of each of the others; the mean over features.
    """
    values = np.array([c.values for c in cells])
    active, feature = np.array([c.active for c in cells]), np.array([c.feature for c in cells])
    table = (values - values.mean(axis=0)) / np.maximum(values.std(axis=0), 1e-9)
    table = np.concatenate([np.ones((len(table), 1)), table, table**2], axis=1)
    found: list[float] = []
    for fold in range(FOLDS):
        out = feature % FOLDS == fold
        if out.any() and not out.all():
            score = table[out] @ _fitted(table[~out], active[~out])
            found += [ranked(score[feature[out] == f], active[out][feature[out] == f]) for f in np.unique(feature[out])]
    return float(np.mean(found)) if found else float("nan")


def _fitted(table: Floats, active: Bools) -> Floats:
    """Ridge logistic regression by Newton's steps, active and silent weighing alike."""
    weight = np.where(active, 0.5 / active.mean(), 0.5 / (1 - active.mean()))
    out = np.zeros(table.shape[1])
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-np.clip(table @ out, -30, 30)))
        slope = table.T @ (weight * (active - p)) - RIDGE * out
        curve = (table * (weight * p * (1 - p))[:, None]).T @ table + RIDGE * np.eye(len(out))
        out += np.linalg.solve(curve, slope)
    return out


def ranked(score: Floats, active: Bools) -> float:
    """The chance that an active one scores above a silent one, ties counting half (Mann & Whitney 1947)."""
    difference = score[active][:, None] - score[~active][None, :]
    return float(np.mean((difference > 0) + 0.5 * (difference == 0)))
