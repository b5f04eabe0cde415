"""An explainer and a judge who know what is on each picture, in the place of a multimodal model.

The explainer is shown what a model is shown, the strongest images of a latent and as many silent ones, and names the
fact that sets the first apart. The judge says of other images whether the fact is true of them. Both read the scenes'
records and never err, so that coders are compared and not a model.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from autointerp.statistics.rates import Bools, Ints, weighted_rates
from autointerp.transcoder.harvest.encode import Peaks
from benchmarks.paper.population import DISTORTED, Image
from benchmarks.paper.scenes import KINDS

N_SHOWN = 16
"""Strongest images that the explainer sees, and silent ones."""
N_TOP = 20
"""Strongest unseen images that accuracy is taken of, at most, as published in LanSE (arXiv 2508.18236)."""
LEAST_UNSEEN = 10
"""Unseen images that a latent must fire on to be judged."""
ERRORS = frozenset({*KINDS, DISTORTED, "a physical error"})


class Facts(NamedTuple):
    """What is true of which image."""

    names: tuple[str, ...]
    true: Bools
    """Shape [n, facts]."""


class Judged(NamedTuple):
    """What the explainer and the judge make of the latents that fire often enough; arrays of one length."""

    latents: Ints
    facts: Ints
    """The fact that each latent's text names."""
    accuracy: Peaks
    """Share of the strongest unseen images of which it is true."""
    f1: Peaks
    """Over all unseen images."""
    other_f1: Peaks
    """The same of the text of another latent."""
    generality: Peaks
    """Share of all unseen images of which the text is true."""
    names_error: Bools


def facts_of(rows: Sequence[Image]) -> Facts:
    """Lists all facts of the images of a table."""
    names = tuple(sorted({fact for row in rows for fact in row.facts}))
    number = {name: i for i, name in enumerate(names)}
    true = np.zeros((len(rows), len(names)), np.bool_)
    for i, row in enumerate(rows):
        true[i, [number[fact] for fact in row.facts]] = True
    return Facts(names, true)


def judge(peaks: Peaks, above: float, facts: Facts, hidden: Bools, seed: int) -> Judged:
    """Explains latents by images of known things, and scores the texts on images of unseen ones.

    Args:
        peaks: [n, n_latents].
        above: activation above which a latent fires.
        facts: of the same images.
        hidden: whether an image shows unseen things, [n].
        seed: of the silent images, and of whose text another latent gets.
    """
    known, unseen = np.flatnonzero(~hidden), np.flatnonzero(hidden)
    fires = peaks > np.float32(above)
    often = (fires[known].sum(axis=0) >= N_SHOWN) & (fires[unseen].sum(axis=0) >= LEAST_UNSEEN)
    latents = np.flatnonzero(often)
    chance = np.random.default_rng((0x1D6E, seed))
    told = np.array([explain(peaks[known, i], fires[known, i], facts.true[known], chance) for i in latents], np.int64)
    others = np.array([chance.choice(told) for _ in latents], np.int64)
    true, ones = facts.true[unseen], np.ones(len(unseen))
    accuracy, f1, other_f1 = (np.zeros(len(latents), np.float32) for _ in range(3))
    for row, (latent, fact, other) in enumerate(zip(latents, told, others, strict=True)):
        on = fires[unseen, latent]
        strongest = np.argsort(-peaks[unseen, latent], kind="stable")[: min(N_TOP, int(on.sum()))]
        accuracy[row] = true[strongest, fact].mean()
        f1[row], other_f1[row] = (
            weighted_rates(on.astype(np.float64), true[:, text].astype(np.float64), ones).f1 for text in (fact, other)
        )
    error = np.array([name in ERRORS for name in facts.names])
    return Judged(latents, told, accuracy, f1, other_f1, true.mean(axis=0).astype(np.float32)[told], error[told])


def explain(peaks: Peaks, fires: Bools, true: Bools, chance: np.random.Generator) -> int:
    """Names the fact whose share among the strongest images is furthest above that among silent ones.

    Args:
        peaks: of one latent, [n].
        fires: [n].
        true: [n, facts].
        chance: draws the silent images.

    Returns:
        The number of the fact; of equals the one that is true of fewer images.
    """
    shown = np.argsort(-peaks, kind="stable")[:N_SHOWN]
    silent = np.flatnonzero(~fires)
    beside = chance.choice(silent, min(N_SHOWN, len(silent)), replace=False) if len(silent) else shown
    apart = true[shown].mean(axis=0) - true[beside].mean(axis=0)
    return int(np.lexsort((true.sum(axis=0), -apart))[0])
