"""The run as a whole: how its features ended, how scores spread beside their controls, the judge, cost and tree."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from autointerp.explorer import tree
from autointerp.explorer.html import page
from autointerp.explorer.index import Index
from autointerp.explorer.index_columns import BrokenIndexError, Floats
from autointerp.explorer.index_figures import STATES, density_of, figure, key_of, once, state_of, status
from autointerp.explorer.index_lines import Key, judges_of
from autointerp.explorer.query import Query
from autointerp.explorer.viewed import Viewed
from autointerp.reports.arithmetic import Axis, Estimate, bin_counts, heights, mean_estimate
from autointerp.reports.collect import judge_facts, notes_of
from autointerp.reports.labels import label_of, scorer_labels
from autointerp.reports.score_details import axis_of
from autointerp.runs.folder import Run
from autointerp.schema import Usage
from autointerp.scoring.calibration import Calibration, load_calibration
from autointerp.scoring.judge_calibration import kept_at

N_BINS = 20
ACROSS, UP = 36, 20
"""Cells of the drawing of score against density."""
STATE_NAMES = {
    "one": ("Explained", "one common property was named"),
    "mixed": ("Mixed", "several unrelated properties were named"),
    "none": ("None", "the explainer saw no common property"),
    "failed": ("Failed", "asked, without a usable answer; the next run asks again"),
    "unexplainable": ("Cannot be explained", "settled: no picture, or too few"),
    "unexplained": ("Not yet explained", "in the dump, not asked for or still to come"),
}
CLASSES = {"unexplainable": "never", "unexplained": "pending"}
"""The report's names of states, where they are others."""


@dataclass(frozen=True, slots=True)
class State:
    """Is how some features ended."""

    name: str
    shown: str
    """Of its class in the style."""
    title: str
    meaning: str
    n: int
    start: float
    """Where its part of the bar begins, in percent."""
    width: float


@dataclass(frozen=True, slots=True)
class Against:
    """Is a negative control of the same features."""

    title: str
    n: int
    value: float
    own: float
    """Mean of the features' own scores."""
    difference: Estimate


@dataclass(frozen=True, slots=True)
class Bar:
    """Is a bin of a histogram."""

    height: float
    n: int
    low: float
    high: float
    address: str


@dataclass(frozen=True, slots=True)
class Spread:
    """Is how the scores of one scorer and judge spread over features."""

    key: Key
    title: str
    meaning: str
    estimate: Estimate | None
    axis: Axis
    bars: tuple[Bar, ...]
    unscored: int
    undetermined: int
    controls: tuple[Against, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """Is a part of the drawing of score against density."""

    x: float
    y: float
    width: float
    height: float
    ink: float
    """Share of the darkest, 0 to 1."""
    n: int
    address: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """Is the score against the density of all features that have both."""

    cells: tuple[Cell, ...]
    n: int
    low: int
    high: int
    """Exponents of ten between which the density lies."""
    correlation: float | None
    """Of ranks."""


def routes(viewed: Viewed) -> list[Route]:
    """The page `/overview`, and the levels of its tree."""
    branches = tree.Branches(viewed)

    def show(request: Request) -> Response:
        for index in viewed.indices:
            index.refresh()
        index, query = viewed.index, Query.of(request.query_params)
        key = key_of(index, query.by)
        run = index.run.of_judging(key.judging) if index.run is not None and key is not None else index.run
        calibration = _calibration(run)
        return page(
            viewed,
            "overview.html.j2",
            "Overview",
            here="/overview",
            states=states_of(index),
            spreads=[once(index.now, ("spread", one), lambda one=one: spread(index, one)) for one in index.keys],
            drawing=once(index.now, ("drawing", key), lambda: drawing(index, key)) if key else None,
            key=key,
            judges=judges_of(index.keys),
            facts={} if run is None else judge_facts(run.seen, calibration),
            notes=() if run is None else notes_of(run.seen, viewed.dump, calibration),
            costs=costs(index),
            level=branches.level(None),
            axis=axis_of(key.scorer) if key else None,
        )

    return [Route("/overview", show), *tree.routes(branches)]


def _calibration(run: Run | None) -> Calibration | None:
    """The judge's calibration, if the scores were made with one and it is still there."""
    if run is None or run.stage is None or run.stage.calibration is None:
        return None
    file = kept_at(run.path, run.judging)
    return load_calibration(file) if file.exists() else None


def states_of(index: Index) -> list[State]:
    """How the features ended, those of no state left out."""
    counts = np.bincount(state_of(index.now), minlength=len(STATES)).tolist()
    out: list[State] = []
    at = 0.0
    for name, n in zip(STATES, counts, strict=True):
        width = 100 * n / max(1, index.now.n)
        if n:
            out.append(State(name, CLASSES.get(name, name), *STATE_NAMES[name], n, at, width))
        at += width
    return out


def spread(index: Index, key: Key) -> Spread:
    """How scores spread, beside their controls."""
    values, said = figure(index, key), status(index, key)
    known = values[np.isfinite(values)].astype(np.float64)
    axis = axis_of(key.scorer, known.max(initial=-np.inf), known.min(initial=np.inf))
    counts = bin_counts(known, (axis.low, axis.high), N_BINS)
    edges = np.linspace(axis.low, axis.high, N_BINS + 1).tolist()
    labels = scorer_labels(key.scorer)
    bars = [
        Bar(height, n, low, high, Query(by=key.name, score_from=round(low, 6), score_to=round(high, 6)).address())
        for height, n, low, high in zip(heights(counts), counts, edges[:-1], edges[1:], strict=True)
    ]
    return Spread(
        key=key,
        title=labels.title,
        meaning=labels.meaning,
        estimate=mean_estimate(known, (axis.low, axis.high)),
        axis=axis,
        bars=tuple(bars),
        unscored=int((said == 3).sum()),
        undetermined=int((said == 2).sum()),
        controls=tuple(_controls(index, key, values)),
    )


def _controls(index: Index, key: Key, values: Floats) -> Iterator[Against]:
    for name in index.figures(key):
        if not name.startswith("control_"):
            continue
        control = name.removeprefix("control_")
        other = index.now.floats(index.scores_column(key, f"control.{control}"))
        both = np.isfinite(values) & np.isfinite(other)
        apart = mean_estimate((values[both] - other[both]).astype(np.float64), (-2.0, 2.0))
        if apart is not None:
            yield Against(label_of(control), apart.n, float(other[both].mean()), float(values[both].mean()), apart)


def drawing(index: Index, key: Key) -> Drawing | None:
    """The score against the density; None where no feature has both."""
    score, density = figure(index, key).astype(np.float64), density_of(index, index.now)
    there = np.isfinite(score) & (density > 0)
    if not there.any():
        return None
    x, y = np.log10(density[there]), score[there]
    low, high = math.floor(x.min()), max(math.floor(x.min()) + 1, math.ceil(x.max()))
    axis = axis_of(key.scorer, y.max(), y.min())
    counts, across, up = np.histogram2d(x, y, (ACROSS, UP), ((low, high), (axis.low, axis.high)))
    most = math.log1p(counts.max())
    cells = [
        Cell(
            x=round(100 * i / ACROSS, 2),
            y=round(100 - 100 * (j + 1) / UP, 2),
            width=round(100 / ACROSS, 2),
            height=round(100 / UP, 2),
            ink=round(0.12 + 0.88 * math.log1p(counts[i, j]) / most, 2),
            n=int(counts[i, j]),
            address=_cell_address(key, (10 ** across[i : i + 2]).tolist(), up[j : j + 2].tolist()),
        )
        for i, j in np.argwhere(counts)
    ]
    return Drawing(tuple(cells), int(there.sum()), low, high, _rank_correlation(x, y))


def _cell_address(key: Key, density: Sequence[float], score: Sequence[float]) -> str:
    first, second = (float(f"{value:.6g}") for value in density)
    return Query(
        by=key.name,
        density_from=first,
        density_to=second,
        score_from=round(score[0], 6),
        score_to=round(score[1], 6),
    ).address()


def _rank_correlation(x: Floats, y: Floats) -> float | None:
    """Spearman's: the correlation of ranks, ties by their mean rank."""
    if len(x) < 3:
        return None
    one, other = _ranks(x), _ranks(y)
    return float(np.corrcoef(one, other)[0, 1]) if one.std() and other.std() else None


def _ranks(values: Floats) -> Floats:
    _, at, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[at]


def costs(index: Index) -> dict[str, Usage]:
    """What was used, by who used it and in all; every answer counts that a line of the run speaks of."""
    asked = "SELECT stage, calls, input_tokens, cached_tokens, output_tokens, dollars FROM used"
    names = ("calls", "input_tokens", "cached_tokens", "output_tokens", "dollars")
    rows = index.connect().execute(asked).fetchall()
    try:
        used = {stage: Usage(**dict(zip(names, rest, strict=True))) for stage, *rest in rows}
    except ValidationError as error:
        raise BrokenIndexError("what was used") from error
    out, judges = {"Explaining": used["explain"]} if "explain" in used else {}, judges_of(index.keys)
    for key in index.keys:
        if key.name in used:
            out[f"{scorer_labels(key.scorer).short}, {judges[key]}"] = used[key.name]
    total = Usage()
    for one in out.values():
        total += one
    return out | {"Together": total} if out else {}
