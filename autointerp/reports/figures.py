"""The summary's figures: each scorer's mean, relevance over the run, and sampled explanations, with intervals."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from autointerp.reports.aggregates import EXPLAIN, Aggregates, Column
from autointerp.reports.arithmetic import Axis, Estimate, bin_counts, mean_estimate, share_estimate
from autointerp.reports.labels import count, label_of, number, plural, scorer_labels, share
from autointerp.reports.score_details import CHANCE, Row
from autointerp.reports.summary import ScorerPlan
from autointerp.schema import UNDETERMINED
from autointerp.scoring.control_tests import SCORER as CONTROLLED
from autointerp.scoring.control_tests import Separation
from autointerp.scoring.fdr import LEVEL, discovered, false_positives

N_BINS = 20
KEPT = (
    "The share of features with two explanations or more that are told apart: each holds for images that fire the"
    " feature which the others leave, on images kept for choosing. The headline scores all of them together, as one"
    " text. Alternatives that beat chance and were not told apart are not counted; the cards list them."
)
COLLAPSE = (
    "The chance that two different candidates of a feature mean the same: 1 where the explainer always says one thing,"
    " near 0 where it hardly says anything twice. It describes the explainer and says nothing on whether an explanation"
    " is right."
)
MISLED = (
    "The share of features of which the meaning that came up most often is not the one with the highest score: whoever"
    " takes the most frequent answer is misled there."
)
RELEVANT_FROM = 0.95
"""Share of attribute images from which a feature counts as relevant in the label form, as published."""
SHARES = Axis(0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Figure:
    """Is one number over features, with its spread and what it means."""

    title: str
    basis: str
    """Over which features."""
    meaning: str
    estimate: Estimate | None = None
    percent: bool = False
    """Whether it is a share of features."""
    instead: str = "—"
    """What stands there without an estimate."""
    axis: Axis = SHARES
    counts: tuple[int, ...] = ()
    """How the features spread over the axis, in equal bins; empty for a share."""
    controls: tuple[Row, ...] = ()
    """The same measure under hypotheses that should lose."""
    undetermined: str = ""
    """How many of the features are undetermined, in words; empty where none is."""
    separations: tuple[Separation, ...] = ()
    """Controls tested against the explanations' own scores."""


STEERED = {
    "nothing": "nothing added",
    "random": "a random direction",
    "other": "another feature's direction",
}
"""The controls of a steered explanation, in words."""
UNSTEERED = (
    "The share of features of which the steered model says the same under this control as with the feature's own"
    " direction. Where it is high, the texts say what the model sees anyway, and not what the feature means to it."
)


def figures_of(counted: Aggregates, plan: ScorerPlan, attribute: str | None) -> Iterator[Figure]:
    """Yields all figures over features, in the order of the page.

    Args:
        counted: the run.
        plan: its scorers.
        attribute: of the dump.
    """
    for scorer in plan.scorers:
        figure = _score_figure(counted, plan, scorer)
        if figure is not None:
            yield figure
    for domain, column in counted.below(EXPLAIN, "domain").items():
        yield _named_figure(domain, column.known, counted)
    if len(counted.score("relevance", "p").known):
        yield _tested_figure(counted, attribute or "the attribute")
    if len(shares := counted.score("relevance", "label_share").known):
        yield _share_figure(
            "Relevant features, by label",
            shares >= RELEVANT_FROM,
            f"The share of features of whose active images at least {100 * RELEVANT_FROM:.0f} % carry the dump's"
            " attribute, as published. On 20 images even 20 of 20 only shows that the true share is above 86 %.",
        )
    yield from sampled_figures(counted)
    for kind, words in STEERED.items():
        if len(same := counted.column(EXPLAIN, "steered", kind).known):
            yield _share_figure(f"Says the same with {words}", same > 0, UNSTEERED)


def _score_figure(counted: Aggregates, plan: ScorerPlan, scorer: str) -> Figure | None:
    """Averages a scorer over features; returns None where it has nothing to average."""
    labels, axis = scorer_labels(scorer), plan.axes[scorer]
    if scorer == "relevance":
        # A model's yes or no has no mean of its own: it is a share of features, among the shares.
        column = counted.score(scorer, "label_share")
        base = counted.base_rate
        controls = [] if base is None else [Row(label_of("base_rate"), base)]
        labels = replace(labels, title="Attribute among active images")
    else:
        column = counted.score(scorer)
        controls = _mean_controls(counted, scorer)
    if not len(column.values):
        return None
    known = column.known
    return Figure(
        title=labels.title,
        basis=_basis(counted, scorer, column),
        meaning=labels.meaning,
        undetermined=_undetermined(counted, scorer),
        estimate=mean_estimate(known, (axis.low, axis.high)),
        axis=axis,
        counts=tuple(bin_counts(known, (axis.low, axis.high), N_BINS)),
        controls=tuple(controls),
        separations=counted.separations if scorer == CONTROLLED else (),
    )


def _mean_controls(counted: Aggregates, scorer: str) -> list[Row]:
    """Averages the controls that are not in the table of tests, where both sides are of the same features."""
    tested = {s.control for s in counted.separations} if scorer == CONTROLLED else set()
    columns = counted.below(f"score:{scorer}", "control")
    means = {name: float(c.known.mean()) for name, c in columns.items() if len(c.known) and name not in tested}
    return [Row(label_of(name), mean, line=name == CHANCE) for name, mean in means.items()]


def _basis(counted: Aggregates, scorer: str, column: Column) -> str:
    basis = f"mean over {plural(len(column.known), 'feature')}"
    if unscored := len(column.values) - len(column.known):
        basis += f"; {count(unscored)} unscored and left out, not counted as zero (their cards say why)"
    if wide := _undetermined(counted, scorer):
        basis += f"; {wide}"
    if unsure := int(counted.score(scorer, "unsure").known.sum()) if scorer == CONTROLLED else 0:
        basis += f"; {plural(unsure, 'judgement')} unsure, which the features' intervals cover"
    if unanswered := int(counted.score(scorer, "unanswered").known.sum()):
        basis += f"; {plural(unanswered, 'judgement')} without a usable answer, which the features' intervals cover"
    return basis


def _undetermined(counted: Aggregates, scorer: str) -> str:
    """Says how many features have an interval that is too wide to say anything, and what the others score."""
    wide = counted.score(scorer, "undetermined")
    n = int(wide.known.sum())
    if not n:
        return ""
    narrow = counted.score(scorer).known[wide.known == 0]
    mean = f"the mean of the others is {number(float(narrow.mean()))}" if len(narrow) else "there are no others"
    return f"{count(n)} undetermined, with an interval wider than {UNDETERMINED:g}: {mean}"


def _named_figure(domain: str, named: NDArray[np.float64], counted: Aggregates) -> Figure:
    """Holds the model's word on the features' own images beside its word on shuffled sets, where it gave one."""
    own = counted.score("relevance", "named").known
    shuffled = counted.below("score:relevance", "control").get("shuffled")
    meaning = (
        f"The share of features in whose top images the second pass ({domain}) names a shared error. It is the"
        " explainer's word"
    )
    title = "Relevant features, as the model names them"
    if shuffled is None or not len(own):
        return _share_figure(
            title, named > 0, f"{meaning} and has no control: a model that likes to find errors raises it."
        )
    hits, n = int(shuffled.known.sum()), len(shuffled.known)
    found = false_positives(int(own.sum()), len(own), hits, n)
    rate = found.shuffled
    control = Row(
        f"{label_of('shuffled')}s, {count(hits)} of {count(n)}:", rate.value, rate.low, rate.high, float(found.p)
    )
    meaning += (
        ". The control is the same question about image sets that were shuffled between features and share nothing: it"
        " tells how often an error is named without ground. The p-value is one-sided, of Fisher's exact test; the null"
        " hypothesis is that errors are named in features no more often than in shuffled sets."
    )
    return replace(_share_figure(title, named > 0, meaning), controls=(control,))


def _tested_figure(counted: Aggregates, attribute: str) -> Figure:
    p = counted.score("relevance", "p")
    tested = discovered(p.features, p.values)
    hits, n = count(len(tested.discovered)), count(tested.n_tested)
    base = "its share in all images"
    if counted.base_rate is not None:
        how = "" if counted.base_rate_exact else " by estimate from the images drawn"
        base += f", {share(counted.base_rate)}{how},"
    return Figure(
        "Features associated with the attribute",
        "tested against the base rate",
        f"{hits} of {plural(tested.n_tested, 'feature')} are associated with {attribute} at a false discovery rate of"
        f" {100 * LEVEL:.0f} %: the images that fire them carry it more often than {base} explains. Each feature is"
        " tested by Fisher's exact test, one-sided; the p-values are corrected for the number of features after"
        " Benjamini and Hochberg (1995).",
        instead=f"{hits} of {n}",
    )


def _share_figure(title: str, hits: NDArray[np.bool_], meaning: str) -> Figure:
    n = len(hits)
    basis = f"{count(int(hits.sum()))} of {plural(n, 'feature')}"
    return Figure(title, basis, meaning, share_estimate(int(hits.sum()), n), percent=True)


def sampled_figures(counted: Aggregates) -> Iterator[Figure]:
    """Yields how many of several sampled explanations were told apart, and how collapsed they were."""
    kept = counted.column(EXPLAIN, "kept").known
    if len(kept):
        one, two, more, none = (int(np.sum(x)) for x in (kept == 1, kept == 2, kept >= 3, kept == 0))
        yield Figure(
            "Features with several explanations",
            f"features by explanations told apart: one {count(one)} · two {count(two)} · three or more"
            f" {count(more)} · none {count(none)}",
            KEPT,
            share_estimate(two + more, len(kept)),
            percent=True,
        )
    if len(collapse := counted.column(EXPLAIN, "collapse").known):
        yield Figure(
            "Collapse index",
            f"mean over {plural(len(collapse), 'feature')}",
            COLLAPSE,
            mean_estimate(collapse, (0.0, 1.0)),
            counts=tuple(bin_counts(collapse, (0.0, 1.0), N_BINS)),
        )
    if len(misled := counted.column(EXPLAIN, "misled").known):
        yield _share_figure("Most frequent is not the best", misled > 0, MISLED)
