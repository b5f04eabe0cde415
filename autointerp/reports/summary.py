"""What stands above the cards: which features have one, which are shown first, how all of them ended, what it cost."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autointerp.reports.aggregates import EXPLAIN, MIXED, NONE, ONE, Aggregates
from autointerp.reports.arithmetic import Axis, drawn_ranks, even_ranks
from autointerp.reports.labels import count, headline_of, scorer_labels, scorer_order
from autointerp.reports.score_details import CHANCE, axis_of

MAX_COLUMNS = 4
"""Scorers with a column in the table; the cards have them all."""


@dataclass(frozen=True, slots=True)
class ScorerPlan:
    """Says which scorers a page shows, and where."""

    scorers: tuple[str, ...]
    """All of the run, in the order of the report."""
    columns: tuple[str, ...]
    """Those with a column in the table: the first few that scored anything."""
    headline: str | None
    """The column by which cards are chosen and the table is filtered."""
    axes: Mapping[str, Axis]
    """One for each of `scorers`."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Says which features have a row and a card."""

    features: tuple[int, ...]
    """Ascending."""
    first: Mapping[int, str]
    """Those that stand at the top of the page, with their rank in words: the best, the median and the worst."""
    among: str
    """Among how many these are ranked, in words; empty where all features are."""
    sentence: str
    cut: bool


def scorer_plan(counted: Aggregates) -> ScorerPlan:
    """Orders the scorers of a run; each axis holds all values of its scorer."""
    scorers = scorer_order(counted.scorers)
    known = {s: counted.score(s).known for s in scorers}
    columns = [s for s in scorers if len(known[s])][:MAX_COLUMNS]
    axes = {s: axis_of(s, v.max(initial=-np.inf), v.min(initial=np.inf), _chance(counted, s)) for s, v in known.items()}
    return ScorerPlan(tuple(scorers), tuple(columns), headline_of(columns), axes)


def _chance(counted: Aggregates, scorer: str) -> float | None:
    """Returns what guessing scores, on average where it differs between features; None where the scores do not say."""
    known = counted.column(f"score:{scorer}", "control", CHANCE).known
    return float(known.mean()) if len(known) else None


def choose(counted: Aggregates, headline: str | None, limit: int, seed: int | None = None) -> Choice:
    """Chooses at most `limit` features, evenly over the ranks of the headline score so that good and bad both appear.

    Features are ranked by the lower bound of that score, since a high value with a wide interval is no evidence. Those
    without that score, or of which it is undetermined, rank below all others and are chosen in the same proportion. The
    best, the median and the worst of the others are always among them, as far as `limit` goes.

    Args:
        counted: the run.
        headline: the scorer that features are ranked by; None: by their numbers.
        limit: at least 1.
        seed: where it is not None, the features are drawn by it, one from each of `limit` equal strata of ranks.
    """
    features = counted.features
    n = len(features)
    ranks = even_ranks(n, limit) if seed is None else drawn_ranks(n, limit, seed)
    if headline is None:
        ranked, first, how, n_unranked = features, dict.fromkeys(ranks[:3].tolist(), ""), "their numbers", 0
    else:
        ranked, n_unranked = _ranked(features, counted, headline)
        first = _first(n_unranked, n, limit)
        how = (
            f"the ranks of “{scorer_labels(headline).title}” by lower bound, with the unscored and undetermined ones"
            " below the lowest"
        )
    chosen = tuple(np.sort(ranked[_holding(ranks, list(first))]).tolist())
    shown = {int(ranked[rank]): first[rank] for rank in sorted(first, reverse=headline is not None)}
    among = f"of {count(n - n_unranked)} ranked" if n_unranked else ""
    if n <= limit:
        who = "The one feature has" if n == 1 else f"All {count(n)} features have"
        return Choice(chosen, shown, among, f"{who} a row and a card." if n else "No feature yet.", cut=False)
    picked = _picked(how, limit, seed, has_undrawn=headline is not None and bool(first))
    sentence = (
        f"{count(limit)} of {count(n)} features have a row and a card. {picked} The figures of the summary count all"
        f" {count(n)}."
    )
    return Choice(chosen, shown, among, sentence, cut=True)


def _picked(how: str, limit: int, seed: int | None, *, has_undrawn: bool) -> str:
    """Says how the features that have a card were chosen."""
    if seed is None:
        return f"They are picked evenly over {how}, so they are not the best ones."
    drawn = f"They are a random sample by seed {seed}: one from each of {count(limit)} equal strata of {how}."
    undrawn = " Those at the top of the page were not drawn: each stands in for the nearest one." if has_undrawn else ""
    return f"{drawn}{undrawn}"


def _ranked(features: NDArray[np.int64], counted: Aggregates, headline: str) -> tuple[NDArray[np.int64], int]:
    """Sorts features by the lower bound of their score, equal ones by the score; counts those without a rank.

    The unscored and the undetermined ones have none, and stand before the lowest.
    """
    value, low, wide = (counted.score(headline, name) for name in ("value", "low", "undetermined"))
    scores, bounds = np.full(len(features), -np.inf), np.full(len(features), -np.inf)
    ranked = low.features[wide.values == 0]
    at, there = np.searchsorted(features, ranked), np.isin(ranked, features)
    scores[at[there]] = value.values[np.searchsorted(value.features, ranked[there])]
    bounds[at[there]] = low.values[wide.values == 0][there]
    return features[np.lexsort((features, scores, bounds))], int(np.isneginf(bounds).sum())


def _first(n_unranked: int, n: int, limit: int) -> dict[int, str]:
    """Returns the ranks of the best, the worst and the median of the ranked features, as they are kept."""
    if n_unranked >= n - 1:
        return {n - 1: "The one ranked feature"} if n_unranked < n else {}
    found: dict[int, str] = {n - 1: "Best", n_unranked: "Worst"}
    found.setdefault(n_unranked + (n - n_unranked - 1) // 2, "Median")
    return dict(list(found.items())[:limit])


def _holding(ranks: NDArray[np.int64], wanted: list[int]) -> NDArray[np.int64]:
    """Puts each of `wanted` in the place of the nearest of `ranks`."""
    held, free = ranks.copy(), np.ones(len(ranks), bool)
    for rank in wanted:
        at = int(np.argmin(np.where(free, np.abs(ranks - rank), np.inf)))
        held[at], free[at] = rank, False
    return held


def states_of(counted: Aggregates, n_features: int, n_never: int) -> dict[str, int]:
    """Counts how many of the `n_features` of the dump ended in each state; `n_never` can never be explained."""
    values = counted.column(EXPLAIN, "state").values
    found = {name: int(np.sum(values == state)) for name, state in (("one", ONE), ("mixed", MIXED), ("none", NONE))}
    pending = max(0, n_features - len(counted.features) - n_never)
    return found | {"failed": len(counted.failed), "never": n_never, "pending": pending}
