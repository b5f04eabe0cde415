"""The recipe's figures: records of table.json, and how a coder's are gathered from its dump, run and activations."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from autointerp.dump.reader import open_dump
from autointerp.record import Record
from autointerp.reports.arithmetic import Estimate, mean_estimate, share_estimate
from autointerp.runs.folder import Run, open_run
from autointerp.schema import Score, Scored
from autointerp.scoring.control_tests import Separation, separations
from autointerp.transcoder.classification_metrics import Quality
from autointerp.transcoder.evaluation import CoderFigures, Effect
from autointerp.transcoder.harvest.encode import Peaks
from autointerp.transcoder.losses import HeldOut
from benchmarks.paper.population import Image
from benchmarks.paper.stages import LEAST_ACTIVE
from benchmarks.paper.truths import Found, Published, best_latents, relevance


class Figure(Record):
    """A figure over `n` things with its 95 % interval; no value where there is nothing to take it of."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    shuffled: float | None = None
    """The same when labels are dealt at random among the images."""


class Row(Record):
    """All figures of one coder."""

    coder: str
    n_latents: int
    n_often: int
    """Latents that fire on `LEAST_ACTIVE` images or more."""
    held_out: HeldOut | None
    """None for the layer's own units."""
    relevance: Figure
    """Label form, of all latents that fire."""
    relevance_often: Figure
    """Of those that fire on `LEAST_ACTIVE` labelled images or more."""
    relevance_lmm: Figure
    """LMM form, of the explained ones; no value with the embedded model, which is not asked."""
    associated: Figure | None
    accuracy: Figure
    """Mean over the scored features, as published in LanSE (arXiv 2508.18236)."""
    detection: Figure
    """Mean of the weighted F1."""
    controls: tuple[Separation, ...]
    best: tuple[Found, ...]


class Figures(Record):
    """table.json."""

    settings: dict[str, int | str]
    machine: str
    images: dict[str, int]
    """By what is wrong with them."""
    classifier: Quality
    """On images of things that training never saw."""
    constant: Quality
    """Of always saying the base rate."""
    effects: dict[str, tuple[Effect, ...]]
    """By coder, what the classifier says with it in the layer's place."""
    rows: tuple[Row, ...]
    seconds: dict[str, int]
    """By stage."""
    cpu: dict[str, int]
    """Likewise, of the processor."""


class Sources(NamedTuple):
    """Where a row's figures come from."""

    dump: Path
    run: Path
    peaks: Peaks
    figures: CoderFigures | None
    """None for the layer's own units, which are no coder."""


def row_of(name: str, found: Sources, images: Sequence[Image], seed: int) -> Row:
    """All figures of one coder; `images` are the rows of truth.csv, `seed` that of intervals and shuffles."""
    with open_dump(found.dump) as opened:
        above = opened.info.active_above
        active = opened.features_table()["n_active"].to_numpy()
    every, often = (relevance(found.peaks, above, images, seed, least=least) for least in (1, LEAST_ACTIVE))
    measured, associated = found.figures, found.figures.association if found.figures else None
    run = open_run(found.run)
    latest = _latest(run)
    means = {name: _mean(latest, name) for name in ("accuracy", "detection")}
    return Row(
        coder=name,
        n_latents=len(active),
        n_often=int((active >= LEAST_ACTIVE).sum()),
        held_out=measured.held_out if measured else None,
        relevance=_published(every),
        relevance_often=_published(often),
        relevance_lmm=_lmm(latest),
        associated=None
        if associated is None
        else Figure(
            value=associated.share,
            low=associated.low,
            high=associated.high,
            n=associated.n_firing,
            shuffled=associated.shuffled,
        ),
        accuracy=means["accuracy"],
        detection=means["detection"],
        controls=separations(latest, seed=seed),
        best=best_latents(found.peaks, images, seed),
    )


def _latest(run: Run) -> list[Score]:
    return list({(s.feature, s.scorer): s for s in run.scores()}.values())


def _mean(scores: Sequence[Score], scorer: str) -> Figure:
    values = [s.value for s in scores if s.scorer == scorer and isinstance(s, Scored)]
    return _figure(mean_estimate(np.array(values, np.float64), (0.0, 1.0)))


def _lmm(scores: Sequence[Score]) -> Figure:
    said = [s.value for s in scores if isinstance(s, Scored) and s.details.get("form") == "lmm"]
    return _figure(share_estimate(int(sum(said)), len(said)))


def _published(found: Published) -> Figure:
    return _figure(share_estimate(found.n_relevant, found.n_firing), found.shuffled)


def _figure(estimate: Estimate | None, shuffled: float | None = None) -> Figure:
    if estimate is None:
        return Figure(value=None, low=None, high=None, n=0)
    return Figure(value=estimate.value, low=estimate.low, high=estimate.high, n=estimate.n, shuffled=shuffled)
