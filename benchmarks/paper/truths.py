"""What is known of the images against what latents do: relevance, the best latent of each error, coarse and fine."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from autointerp.record import Record
from autointerp.statistics.rates import Bools, Floats, Ints
from autointerp.transcoder.evaluation import Estimate, Images, area
from autointerp.transcoder.harvest.encode import Peaks
from benchmarks.paper.population import DISTORTED, UNSEEN, Image
from benchmarks.paper.scenes import KINDS, PAIRS

N_SHUFFLES = 20
ERRORS = (*KINDS, DISTORTED)
RELEVANT = np.float32(0.95)
"""Share of images with an error among those that fire a latent from which it is relevant as published."""


class Told(Record):
    """How well something tells one kind of error from sound images of the same sort, of unseen things."""

    kind: str
    auroc: Estimate
    n_with: int
    n_without: int
    """Images with the error, and sound ones."""


class Best(Told):
    """The latent of a prefix that tells one kind of error best, chosen on images of known things."""

    width: int
    """Of the prefix."""
    latent: int


def told(scores: Floats, rows: Sequence[Image], kind: str, seed: int) -> Told:
    """Measures how well scores tell one kind of error on images of unseen things.

    Args:
        scores: [n], higher where there is an error.
        rows: of the same images.
        kind: of error.
        seed: of the interval, which takes things and not images for independent.
    """
    about = [i for i, r in enumerate(rows) if r.part == UNSEEN and (r.kind == kind or _comparable(r, kind))]
    wrong = np.array([rows[i].kind == kind for i in about])
    group = np.unique([rows[i].group for i in about], return_inverse=True)[1]
    auroc = area(scores[about], Images(wrong, np.ones(len(about), np.bool_), group), seed=seed)
    assert auroc is not None, "there are unseen images with the error and without"
    return Told(kind=kind, auroc=auroc, n_with=int(wrong.sum()), n_without=int((~wrong).sum()))


def best_latents(peaks: Peaks, rows: Sequence[Image], widths: Sequence[int], seed: int) -> tuple[Best, ...]:
    """Finds, for each kind of error and prefix, the latent of highest AUROC on known things, measured on unseen ones.

    Args:
        peaks: [n, n_latents].
        rows: of the same images.
        widths: of the prefixes.
        seed: of the intervals.
    """
    out: list[Best] = []
    for kind in ERRORS:
        known = [i for i, r in enumerate(rows) if r.part != UNSEEN and (r.kind == kind or _comparable(r, kind))]
        found = aurocs(peaks[known], np.array([rows[i].kind == kind for i in known]))
        for width in widths:
            latent = int(np.argmax(found[:width]))
            measured = told(peaks[:, latent].astype(np.float64), rows, kind, seed)
            out.append(Best(width=width, latent=latent, **dict(measured)))
    return tuple(out)


def _comparable(row: Image, kind: str) -> bool:
    """Sound images of the same sort: of errors that need two things, scenes of two."""
    if row.label != "0" or (kind == DISTORTED) != (row.n_things == 0):
        return False
    return row.n_things == 2 if kind in PAIRS else True


def aurocs(peaks: Peaks, wrong: Bools) -> Floats:
    """Computes the AUROC of each latent, ties counting half (Mann & Whitney 1947); shape [n_latents]."""
    from scipy.stats import rankdata

    ranks = rankdata(peaks, axis=0)
    n_wrong, n_sound = int(wrong.sum()), int((~wrong).sum())
    return (ranks[wrong].sum(axis=0) - n_wrong * (n_wrong + 1) / 2) / (n_wrong * n_sound)


class Relevance(NamedTuple):
    """Relevance in the label form as published: latents of whose firing images 95 % have an error."""

    n_firing: int
    n_relevant: int
    shuffled: float
    """Mean share of relevant ones when labels are dealt at random among the images."""


def relevance(fires: Bools, wrong: Bools, seed: int, *, least: int = 1) -> Relevance:
    """Counts relevant latents among those that fire on at least `least` images.

    Args:
        fires: [n, n_latents].
        wrong: whether each of these images has an error, [n].
        seed: of the shuffles.
        least: images.
    """
    often = fires[:, fires.sum(axis=0) >= least].astype(np.float32)
    active = often.sum(axis=0)
    if not len(active):
        return Relevance(0, 0, 0.0)
    chance = np.random.default_rng((0x5F1, seed))
    shuffled = [_relevant(often, active, chance.permutation(wrong)).mean() for _ in range(N_SHUFFLES)]
    return Relevance(len(active), int(_relevant(often, active, wrong).sum()), float(np.mean(shuffled)))


def _relevant(fires: Peaks, active: Peaks, wrong: Bools) -> Bools:
    return wrong.astype(np.float32) @ fires >= RELEVANT * active


def means_of_bands(values: Floats, of: Ints, widths: Sequence[int]) -> tuple[float | None, ...]:
    """Computes the mean over the latents that each prefix adds to the one before; None where there are none.

    Args:
        values: one for each latent, [n].
        of: the numbers of these latents, [n].
        widths: of the prefixes.
    """
    bands = [values[(of >= below) & (of < width)] for below, width in pairwise((0, *widths))]
    return tuple(float(band.mean()) if len(band) else None for band in bands)


def shares_of(fires: Bools) -> npt.NDArray[np.float64]:
    """Returns the share of the images on which each latent fires, [n_latents]."""
    return fires.mean(axis=0, dtype=np.float64)
