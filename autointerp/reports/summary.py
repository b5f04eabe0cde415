"""What stands above the table: which features are shown, how they ended, figures over all of them, and the cost."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autointerp.reports.aggregates import MIXED, NONE, ONE, Tally
from autointerp.reports.arithmetic import even_ranks
from autointerp.reports.columns import Column
from autointerp.reports.controls import Banner, banner_of
from autointerp.reports.data import ReportData
from autointerp.reports.figures import Figure, mean_figures, sampled_figures, share_figures
from autointerp.reports.labels import count, dollars, headline_of, plural, scorer_order, scorer_words
from autointerp.reports.scorelines import CHANCE, ScorerPlan, axis_of
from autointerp.schema import Usage

MAX_COLUMNS = 4
"""Scorers with a column in the table; the cards have them all."""


@dataclass(frozen=True, slots=True)
class StateShare:
    """How many features ended in one state."""

    state: str
    label: str
    count: str
    percent: float
    meaning: str


@dataclass(frozen=True, slots=True)
class Cost:
    """What one stage used."""

    stage: str
    calls: str
    given: str
    cached: str
    written: str
    price: str


@dataclass(frozen=True, slots=True)
class Summary:
    """All above the table."""

    banner: Banner | None
    """None where nothing has been scored."""
    features: str
    states: tuple[StateShare, ...]
    figures: tuple[Figure, ...]
    sampled: tuple[Figure, ...]
    """Of sampled explanations; empty where none were."""
    costs: tuple[Cost, ...]
    price_note: str
    selection: str
    cut: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """Which features have a row and a card."""

    features: tuple[int, ...]
    """Ascending."""
    sentence: str
    cut: bool


def choose(counted: Tally, headline: str | None, limit: int) -> Choice:
    """At most `limit` features, evenly over the ranks of the headline score so that good and bad both appear.

    Features without that score rank below all others and are chosen in the same proportion.
    """
    features = counted.features
    n = len(features)
    if n <= limit:
        all_of = "The one feature has" if n == 1 else f"All {count(n)} features have"
        return Choice(tuple(features.tolist()), f"{all_of} a row and a card." if n else "No feature yet.", False)
    ranked = np.lexsort((features, _ranking(features, counted.scores[headline]))) if headline else np.arange(n)
    chosen = np.sort(features[ranked[even_ranks(n, limit)]])
    how = "their numbers"
    if headline is not None:
        how = f"the ranks of “{scorer_words(headline).title}”, with the unscored ones below the lowest"
    sentence = (
        f"{count(limit)} of {count(n)} features have a row and a card, picked evenly over {how}: not the best"
        f" ones. The figures above count all {count(n)}."
    )
    return Choice(tuple(chosen.tolist()), sentence, True)


def _ranking(features: NDArray[np.int64], column: Column) -> NDArray[np.float64]:
    values = np.full(len(features), -np.inf)
    kept, at, there = np.intersect1d(features, column.features, assume_unique=True, return_indices=True)
    assert len(kept) <= len(features)
    values[at] = np.where(np.isnan(column.values[there]), -np.inf, column.values[there])
    return values


def scorer_plan(counted: Tally) -> ScorerPlan:
    """The scorers of a run in their order; each axis holds all values of its scorer."""
    scorers = scorer_order(set(counted.scores))
    known = {s: counted.scores[s].known for s in scorers}
    columns = [s for s in scorers if len(known[s])][:MAX_COLUMNS]
    axes = {s: axis_of(s, v.max(initial=-np.inf), v.min(initial=np.inf), _chance(counted, s)) for s, v in known.items()}
    return ScorerPlan(tuple(scorers), tuple(columns), headline_of(columns), axes)


def _chance(counted: Tally, scorer: str) -> float | None:
    """What guessing scores, on average where it differs between features; None where the scores do not say."""
    column = counted.controls.get(scorer, {}).get(CHANCE)
    return float(column.known.mean()) if column is not None and len(column.known) else None


def summarise(data: ReportData, counted: Tally, choice: Choice, plan: ScorerPlan) -> Summary:
    """The figures over all features that the run knows."""
    total = counted.explaining + counted.judging
    return Summary(
        banner=banner_of(data.separations) if counted.scores else None,
        features=plural(len(counted.features), "feature"),
        states=_states(counted, data.n_features),
        figures=(*mean_figures(data, counted, plan), *share_figures(data, counted)),
        sampled=tuple(sampled_figures(counted)),
        costs=_costs((("Explaining", counted.explaining), ("Judging", counted.judging), ("Together", total))),
        price_note=_price_note(total, len(counted.states.features)),
        selection=choice.sentence,
        cut=choice.cut,
    )


def _states(counted: Tally, n_features: int) -> tuple[StateShare, ...]:
    values = counted.states.values
    waiting = max(0, n_features - len(counted.features))
    whole = max(n_features, len(counted.features), 1)
    rows = (
        ("one", "Explained", int(np.sum(values == ONE)), "one common property was named"),
        ("mixed", "Mixed", int(np.sum(values == MIXED)), "several unrelated properties were named"),
        ("none", "None", int(np.sum(values == NONE)), "the explainer saw no common property"),
        ("failed", "Failed", len(counted.failed), "asked, without a usable answer; the next run asks again"),
        ("pending", "Not yet explained", waiting, "in the dump, not asked for or still to come"),
    )
    return tuple(StateShare(s, label, count(n), round(100 * n / whole, 3), meaning) for s, label, n, meaning in rows)


def _price_note(total: Usage, n_explained: int) -> str:
    if total.dollars is None:
        return "No price is known for the models of this run."
    note = "Prices come from public lists, and count answers found in the cache as if they had been asked anew."
    if total.dollars and n_explained:
        note += f" {dollars(total.dollars / n_explained)} for each explained feature, judging included."
    return note


def _costs(stages: Sequence[tuple[str, Usage]]) -> tuple[Cost, ...]:
    return tuple(
        Cost(
            stage=name,
            calls=count(usage.calls),
            given=count(usage.input_tokens),
            cached=count(usage.cached_tokens),
            written=count(usage.output_tokens),
            price="not known" if usage.dollars is None else dollars(usage.dollars),
        )
        for name, usage in stages
    )
