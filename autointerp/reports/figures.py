"""The summary's figures: each scorer's mean, relevance over the run, and sampled explanations, with intervals."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from autointerp.reports.aggregates import Relevance, Tally
from autointerp.reports.arithmetic import Estimate, bin_counts, mean_estimate, share_estimate
from autointerp.reports.cards import Bar
from autointerp.reports.columns import Column
from autointerp.reports.controls import Against, against_of
from autointerp.reports.data import ReportData
from autointerp.reports.labels import (
    ScorerWords,
    count,
    interval_words,
    number,
    p_words,
    plural,
    scorer_words,
    share,
    words_of,
)
from autointerp.reports.scorelines import Axis, Mark, ScorerPlan, control_mark
from autointerp.scoring.control_tests import SCORER as CONTROLLED
from autointerp.scoring.control_tests import Separation
from autointerp.scoring.fdr import LEVEL, discovered, false_positives

N_BINS = 20
RELEVANT_FROM = 0.95
"""Share of attribute images from which a feature counts as relevant in the label form, as published."""


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
    against: tuple[Against, ...] = ()
    """Controls tested against the explanations' own scores."""


def mean_figures(data: ReportData, counted: Tally, plan: ScorerPlan) -> Iterator[Figure]:
    """The mean of each scorer that gave a verdict or a reason for none."""
    for scorer in plan.scorers:
        words, column = scorer_words(scorer), counted.scores[scorer]
        axis, controls = plan.axes[scorer], _mean_controls(counted, scorer, data.separations)
        if scorer == "relevance":
            # A model's yes or no has no mean of its own: it is a share of features, among the shares.
            words, column = replace(words, title="Attribute among active images"), counted.label_shares
            base = counted.relevance.base_rate
            controls = {} if base is None else {"base_rate": base}
        if len(column.values):
            made = _mean_figure(words, column, axis, counted.unanswered.get(scorer, 0))
            marks = tuple(control_mark(name, value, axis) for name, value in controls.items())
            against = against_of(data.separations, axis) if scorer == CONTROLLED else ()
            yield replace(made, controls=marks, against=against)


def _mean_controls(counted: Tally, scorer: str, separations: Sequence[Separation]) -> Mapping[str, float]:
    """Means of the controls, but of those that stand in the table: only there are both sides of the same features."""
    told = {s.control for s in separations} if scorer == CONTROLLED else set()
    columns = counted.controls.get(scorer, {})
    return {name: float(c.known.mean()) for name, c in columns.items() if len(c.known) and name not in told}


def _mean_figure(words: ScorerWords, column: Column, axis: Axis, unanswered: int) -> Figure:
    known = column.known
    estimate = mean_estimate(known, (axis.low, axis.high))
    unscored = len(column.values) - len(known)
    basis = f"mean over {plural(len(known), 'feature')}"
    if unscored:
        basis += f"; {count(unscored)} unscored and left out, not counted as zero"
    if unanswered:
        basis += f"; {plural(unanswered, 'judgement')} unanswered, each score's interval holds the doubt"
    bars = _histogram(bin_counts(known, (axis.low, axis.high), N_BINS))
    label = f"Histogram of {words.title} over {plural(len(known), 'feature')}"
    return _figure(words.title, estimate, basis, words.meaning, axis, bars=bars, label=label)


def _histogram(counts: Sequence[int]) -> tuple[Bar, ...]:
    most, step = max(counts, default=0) or 1, 100 / N_BINS
    return tuple(Bar(round(i * step, 2), round(step * 0.84, 2), round(100 * n / most, 1)) for i, n in enumerate(counts))


def share_figures(data: ReportData, counted: Tally) -> Iterator[Figure]:
    """Relevance over the run: as the model names it, as a tested effect, and as published."""
    for name, column in counted.domains.items():
        yield _named_figure(name, column, counted.relevance)
    if len(counted.relevance.p.known):
        yield _tested_figure(counted.relevance, data.attribute or "the attribute")
    if len(counted.label_shares.values):
        shares = counted.label_shares
        relevant = Column(shares.features, (shares.values >= RELEVANT_FROM).astype(np.float64))
        meaning = (
            f"Share of features of whose active images at least {100 * RELEVANT_FROM:.0f} % carry the dump's attribute,"
            " as published. On 20 images even 20 of 20 only shows that the true share is above 86 %."
        )
        yield _share_figure("Relevant features, by label", relevant, meaning)


def sampled_figures(counted: Tally) -> Iterator[Figure]:
    """Where several explanations were sampled of each feature: how many were kept, and how collapsed they were."""
    kept, collapse, misled = counted.sampled.kept, counted.sampled.collapse, counted.sampled.misled
    n = kept.known
    if len(n):
        rows = (("one", n == 1), ("two", n == 2), ("three or more", n > 2), ("none", n == 0))
        basis = "features by explanations that beat chance: " + " · ".join(
            f"{name} {count(int(of.sum()))}" for name, of in rows
        )
        meaning = (
            "Share of features that keep two explanations or more, different in meaning, each of which beat chance on"
            " images kept for choosing. The headline scores all of them together, as one text."
        )
        several = Column(kept.features[np.isfinite(kept.values)], (n > 1).astype(np.float64))
        yield replace(_share_figure("Features with several explanations", several, meaning), basis=basis)
    if len(collapse.known):
        words = ScorerWords(
            "Collapse index",
            "Collapse",
            "Chance that two different candidates of a feature mean the same: 1 where the explainer always says one"
            " thing, near 0 where it hardly says anything twice. It speaks of the explainer and says nothing on whether"
            " an explanation is right.",
        )
        yield _mean_figure(words, Column(np.arange(len(collapse.known)), collapse.known), Axis(0.0, 1.0, None), 0)
    if len(known := misled.known):
        meaning = (
            "Share of features of which the meaning that came up most often is not the one with the highest score:"
            " whoever takes the most frequent answer is misled there."
        )
        yield _share_figure("Most frequent is not the best", Column(np.arange(len(known)), known), meaning)


def _named_figure(domain: str, column: Column, relevance: Relevance) -> Figure:
    """The model's word on the features' own images, beside its word on shuffled sets where those were asked about."""
    named, shuffled = relevance.named.known, relevance.shuffled.known
    meaning = (
        f"Share of features in whose images the second pass ({domain}) names a shared error. It is the explainer's"
        " word on the top images"
    )
    title = "Relevant features, as the model names them"
    if not (len(named) and len(shuffled)):
        alone = f"{meaning}, without a control: a model that likes to find errors raises it."
        return _share_figure(title, column, alone)
    found = false_positives(int(named.sum()), len(named), int(shuffled.sum()), len(shuffled))
    rate = found.shuffled
    mark = Mark(
        f"{words_of('shuffled')}s, {count(int(shuffled.sum()))} of {count(len(shuffled))}:",
        share(rate.value),
        Axis(0.0, 1.0, None).place(rate.value),
        f"{share(rate.low)} to {share(rate.high)}",
        p_words(found.p),
    )
    meaning += (
        "; the same question about shuffled image sets, which share nothing, tells how often it names an error without"
        " ground. The p-value is of the features being no better than those sets."
    )
    return _share_figure(title, column, meaning, controls=(mark,))


def _tested_figure(relevance: Relevance, attribute: str) -> Figure:
    known = np.isfinite(relevance.p.values)
    tested = discovered(relevance.p.features[known], relevance.p.values[known])
    hits, n = count(len(tested.discovered)), count(tested.n_tested)
    base = "its share in all images"
    if relevance.base_rate is not None:
        base += f", {share(relevance.base_rate)}{'' if relevance.exact else ' by estimate from the images drawn'}"
    meaning = (
        f"{hits} of {plural(tested.n_tested, 'feature')} are associated with {attribute} at a false discovery rate of"
        f" {100 * LEVEL:.0f} %: the images that fire them carry it more often than {base}, explains. Fisher's exact"
        " test, one-sided, corrected for the number of features after Benjamini and Hochberg (1995)."
    )
    title = "Features associated with the attribute"
    return Figure(title, f"{hits} of {n}", "", "tested against the base rate", meaning, (), "", None, 0, 0, 0, ("", ""))


def _share_figure(title: str, column: Column, meaning: str, controls: tuple[Mark, ...] = ()) -> Figure:
    hits, n = int(np.sum(column.values)), len(column.values)
    basis = f"{count(hits)} of {plural(n, 'feature')}"
    axis = Axis(0.0, 1.0, None)
    return _figure(title, share_estimate(hits, n), basis, meaning, axis, controls=controls, in_percent=True)


def _figure(
    title: str,
    estimate: Estimate | None,
    basis: str,
    meaning: str,
    axis: Axis,
    *,
    bars: tuple[Bar, ...] = (),
    label: str = "",
    controls: tuple[Mark, ...] = (),
    in_percent: bool = False,
) -> Figure:
    if estimate is None:
        return Figure(title, "—", "", basis, meaning, (), "", None, 0, 0, 0, ("", ""))
    said = share if in_percent else number
    low = estimate.value if estimate.low is None else estimate.low
    high = estimate.value if estimate.high is None else estimate.high
    interval = ""
    if estimate.n > 1:
        interval = f"{share(low)} to {share(high)}" if in_percent else interval_words(low, high)
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
        ends=("0 %", "100 %") if in_percent else (f"{axis.low:g}".replace("-", "−"), f"{axis.high:g}"),
        controls=controls,
    )
