"""The summary's figures over all features of a run, each with one plain sentence."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from autointerp.reports.arithmetic import Estimate, bin_counts, even_ranks, mean_estimate, share_estimate
from autointerp.reports.cards import Bar
from autointerp.reports.data import ReportData
from autointerp.reports.scorelines import Axis, Mark, ScorerPlan, axis_of, control_mark
from autointerp.reports.tally import MIXED, NONE, ONE, Column, Tally
from autointerp.reports.wording import (
    ScorerWords,
    count,
    dollars,
    headline_of,
    number,
    plural,
    scorer_order,
    scorer_words,
    share,
)
from autointerp.schema import Usage

N_BINS = 20
MAX_COLUMNS = 4
"""Scorers with a column in the table; the cards have them all."""
RELEVANT_FROM = 0.95
"""Share of attribute images from which a feature counts as relevant in the label form, as published."""


@dataclass(frozen=True, slots=True)
class StateShare:
    """How many features ended in one state."""

    state: str
    label: str
    count: str
    percent: float
    meaning: str


@dataclass(frozen=True, slots=True)
class Figure:
    """One number over features, its spread, and what it means."""

    title: str
    value: str
    interval: str
    """Empty where one feature gives none."""
    basis: str
    """Over which features."""
    meaning: str
    bars: tuple[Bar, ...]
    """How the features spread; empty for a share."""
    label: str
    """The drawing in words."""
    axis: Axis | None
    place: float
    low: float
    high: float
    """The value and its interval in percent of the axis."""
    ends: tuple[str, str]
    """What stands at the axis's ends."""
    controls: tuple[Mark, ...] = ()
    """Means of the same measure under hypotheses that should lose."""


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

    features: str
    states: tuple[StateShare, ...]
    figures: tuple[Figure, ...]
    shares: tuple[Figure, ...]
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
    axes = {s: axis_of(s, v.max(initial=-np.inf), v.min(initial=np.inf)) for s, v in known.items()}
    return ScorerPlan(tuple(scorers), tuple(columns), headline_of(columns), axes)


def summarise(data: ReportData, counted: Tally, choice: Choice, plan: ScorerPlan) -> Summary:
    """The figures over all features that the run knows."""
    total = counted.explaining + counted.judging
    return Summary(
        features=plural(len(counted.features), "feature"),
        states=_states(counted, data.n_features),
        figures=tuple(_mean_figures(counted, plan)),
        shares=_shares(counted),
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


def _mean_figures(counted: Tally, plan: ScorerPlan) -> Iterator[Figure]:
    for scorer in plan.scorers:
        words, column = scorer_words(scorer), counted.scores[scorer]
        if scorer == "relevance":
            # A model's yes or no has no mean of its own: it is a share of features, among the shares.
            words, column = replace(words, title="Attribute among active images"), counted.label_shares
        if len(column.values):
            means = {name: c.known.mean() for name, c in counted.controls.get(scorer, {}).items() if len(c.known)}
            controls = tuple(control_mark(name, float(mean), plan.axes[scorer]) for name, mean in means.items())
            yield replace(_mean_figure(words, column, plan.axes[scorer]), controls=controls)


def _mean_figure(words: ScorerWords, column: Column, axis: Axis) -> Figure:
    known = column.known
    estimate = mean_estimate(known, (axis.low, axis.high))
    unscored = len(column.values) - len(known)
    basis = f"mean over {plural(len(known), 'feature')}"
    if unscored:
        basis += f"; {count(unscored)} unscored and left out, not counted as zero"
    bars = _histogram(bin_counts(known, (axis.low, axis.high), N_BINS))
    label = f"Histogram of {words.title} over {plural(len(known), 'feature')}"
    return _figure(words.title, estimate, basis, words.meaning, axis, bars=bars, label=label)


def _histogram(counts: Sequence[int]) -> tuple[Bar, ...]:
    most, step = max(counts, default=0) or 1, 100 / N_BINS
    return tuple(Bar(round(i * step, 2), round(step * 0.84, 2), round(100 * n / most, 1)) for i, n in enumerate(counts))


def _shares(counted: Tally) -> tuple[Figure, ...]:
    figures: list[Figure] = []
    for name, column in counted.domains.items():
        meaning = (
            f"Share of features in whose images the second pass ({name}) names a shared error. It is the explainer's"
            " word on the top images, without a control: a model that likes to find errors raises it."
        )
        figures.append(_share_figure("Relevant features, as the model names them", column, meaning))
    if len(counted.label_shares.values):
        shares = counted.label_shares
        relevant = Column(shares.features, (shares.values >= RELEVANT_FROM).astype(np.float64))
        meaning = (
            f"Share of features of whose active images at least {100 * RELEVANT_FROM:.0f} % carry the dump's attribute,"
            " as published. On 20 images even 20 of 20 only shows that the true share is above 86 %."
        )
        figures.append(_share_figure("Relevant features, by label", relevant, meaning))
    return tuple(figures)


def _share_figure(title: str, column: Column, meaning: str) -> Figure:
    hits, n = int(np.sum(column.values)), len(column.values)
    basis = f"{count(hits)} of {plural(n, 'feature')}"
    return _figure(title, share_estimate(hits, n), basis, meaning, Axis(0.0, 1.0, None), in_percent=True)


def _figure(
    title: str,
    estimate: Estimate | None,
    basis: str,
    meaning: str,
    axis: Axis,
    *,
    bars: tuple[Bar, ...] = (),
    label: str = "",
    in_percent: bool = False,
) -> Figure:
    if estimate is None:
        return Figure(title, "—", "", basis, meaning, (), "", None, 0, 0, 0, ("", ""))
    said = share if in_percent else number
    low = estimate.value if estimate.low is None else estimate.low
    high = estimate.value if estimate.high is None else estimate.high
    interval = f"{said(low)} to {said(high)}" if estimate.n > 1 else ""
    return Figure(
        title=title,
        value=said(estimate.value),
        interval=interval,
        basis=basis,
        meaning=meaning,
        bars=bars,
        label=label,
        axis=axis,
        place=axis.place(estimate.value),
        low=axis.place(low),
        high=axis.place(high),
        ends=("0 %", "100 %") if in_percent else (f"{axis.low:g}", f"{axis.high:g}"),
    )


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
