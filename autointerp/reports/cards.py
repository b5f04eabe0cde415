"""Rows and cards: all that the report says of one feature, as the templates need it."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from autointerp.reports.arithmetic import log_heights
from autointerp.reports.data import ReportData
from autointerp.reports.hierarchy import Families, Family
from autointerp.reports.image_rows import Strip, pictures_of
from autointerp.reports.labels import count, number, share, usage_words
from autointerp.reports.pictures import PictureBook, Thumb
from autointerp.reports.sampled import SCORER, Meanings, meanings_of
from autointerp.reports.scorelines import Cell, ScoreLine, ScorerPlan, score_cell, score_line
from autointerp.schema import Explanation, FailureRecord, Feature, Score, Scored


@dataclass(slots=True)
class Evidence:
    """The records of one feature."""

    explanation: Explanation | None = None
    scores: dict[str, Score] = field(default_factory=dict)
    failures: list[FailureRecord] = field(default_factory=list)

    def open_failures(self) -> tuple[FailureRecord, ...]:
        """The latest failure of each stage that has not been made since."""
        latest = {f.stage: f for f in self.failures if not self._made(f.stage)}
        return tuple(latest.values())

    def _made(self, stage: str) -> bool:
        if stage.startswith("score:"):
            return stage.removeprefix("score:") in self.scores
        return self.explanation is not None


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a small histogram, in percent of the drawing."""

    left: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Card:
    """One feature."""

    feature: int
    state: str
    """`one`, `none`, `mixed` or `failed`."""
    failing: bool
    """Something is still missing because it failed."""
    explanation: Explanation | None
    search: str
    """Lower-case text that the search looks in."""
    width: int
    density: str
    density_value: float
    n_active: str
    max_activation: str
    attribute: str
    """How many of the images that fire it carry the attribute; empty where the dump has none."""
    histogram: tuple[Bar, ...]
    face: tuple[Thumb, ...]
    bands: tuple[Strip, ...]
    seen: tuple[Strip, ...]
    errors: tuple[Strip, ...]
    disagreements: int
    """Judged images on which judge and feature disagree."""
    cells: tuple[Cell, ...]
    lines: tuple[ScoreLine, ...]
    failures: tuple[FailureRecord, ...]
    usage: str
    family: Family | None
    """The broader and narrower features around it; None where there are none."""
    meanings: Meanings | None
    """Where its explanation was chosen from several sampled ones."""


def gather(
    data: ReportData, chosen: Collection[int], beside: Collection[int], headline: str | None
) -> dict[int, Evidence]:
    """The records of some features, of those that have any; the last explanation and the last of a scorer hold.

    Args:
        data: the run and its dump.
        chosen: features whose records are all kept.
        beside: features of which no score is kept but the headline's, and that without its verdicts.
        headline: the scorer that cards are chosen by.
    """
    found: defaultdict[int, Evidence] = defaultdict(Evidence)
    both = {*chosen, *beside}
    for explanation in data.explanations():
        if explanation.feature in both:
            found[explanation.feature].explanation = explanation
    for score in data.scores():
        if score.feature in chosen:
            found[score.feature].scores[score.scorer] = score
        elif score.feature in both and score.scorer == headline:
            found[score.feature].scores[score.scorer] = _without_verdicts(score)
    for failure in data.failures():
        if failure.feature in both:
            found[failure.feature].failures.append(failure)
    return dict(found)


def _without_verdicts(score: Score) -> Score:
    return score.model_copy(update={"verdicts": ()}) if isinstance(score, Scored) else score


def cards(
    data: ReportData,
    chosen: Sequence[int],
    plan: ScorerPlan,
    book: PictureBook,
    found: Mapping[int, Evidence],
    families: Families,
) -> Iterator[Card]:
    """The cards of `chosen` in their order; each makes its pictures as it comes.

    Args:
        data: the run and its dump.
        chosen: features, each with an explanation or an open failure.
        plan: the scorers of the run.
        book: receives the pictures.
        found: the records of `chosen`, and of the features that their cards name.
        families: those features.
    """
    explanations = {feature: evidence.explanation for feature, evidence in found.items()}
    for feature in chosen:
        evidence = found[feature]
        family = families.of(feature, explanations, evidence.explanation)
        yield _card(data, data.feature(feature), evidence, plan, book, family)
        book.make()


def _card(
    data: ReportData,
    feature: Feature,
    evidence: Evidence,
    plan: ScorerPlan,
    book: PictureBook,
    family: Family | None,
) -> Card:
    row, explanation = feature.row, evidence.explanation
    scores = [evidence.scores[s] for s in plan.scorers if s in evidence.scores]
    failures = evidence.open_failures()
    density = row.n_active / data.n_images if data.n_images else 0.0
    pictures = pictures_of(feature, explanation, scores, book)
    return Card(
        feature=feature.id,
        state=_state(explanation),
        failing=bool(failures),
        explanation=explanation,
        search=_search_text(explanation),
        width=row.width,
        density=share(density),
        density_value=density,
        n_active=count(row.n_active),
        max_activation=number(row.max_activation),
        attribute="" if row.n_active_attribute is None else count(row.n_active_attribute),
        histogram=histogram_bars(row.histogram or ()),
        face=pictures.face,
        bands=pictures.bands,
        seen=pictures.seen,
        errors=pictures.errors,
        disagreements=sum(strip.n for strip in pictures.errors),
        cells=tuple(score_cell(evidence.scores.get(s), plan.axes[s]) for s in plan.columns),
        lines=tuple(score_line(s, plan.axes[s.scorer]) for s in scores),
        failures=failures,
        usage=usage_words(explanation.usage) if explanation is not None else "",
        family=family,
        meanings=meanings_of(explanation, evidence.scores.get(SCORER)),
    )


def _state(explanation: Explanation | None) -> str:
    if explanation is None:
        return "failed"
    return "none" if explanation.none else "mixed" if explanation.mixed else "one"


def _search_text(explanation: Explanation | None) -> str:
    if explanation is None:
        return ""
    domain = explanation.domain.text if explanation.domain is not None else ""
    return " ".join((explanation.text, *explanation.concepts, domain)).lower()


def histogram_bars(counts: Sequence[int]) -> tuple[Bar, ...]:
    """Bars whose heights go with the logarithm of the counts."""
    step = 100 / max(len(counts), 1)
    return tuple(
        Bar(round(i * step, 2), round(step * 0.8, 2), round(100 * height, 1))
        for i, height in enumerate(log_heights(counts))
    )
