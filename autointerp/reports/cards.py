"""Rows and cards: all that the report says of one feature, as the templates need it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from autointerp.candidates import Candidate, Cluster
from autointerp.dump.format import DumpInfo
from autointerp.reports.exchanges import Conversation, conversation
from autointerp.reports.hierarchy import Family, Hierarchy
from autointerp.reports.image_rows import ImageRows, PictureRow
from autointerp.reports.labels import count, plural, share
from autointerp.reports.pictures import PictureBook, Thumb
from autointerp.reports.records import Records
from autointerp.reports.strips import Strips
from autointerp.reports.summary import Choice
from autointerp.reports.two_sides import Other, both_sides, stronger
from autointerp.reports.unfired import CAUSAL, Unfired, unfired
from autointerp.schema import Explanation, FailureRecord, FeatureRow, PartScore, Score, Scored

SCORER = "detection"
"""Whose figures stand beside each explanation."""


class Meaning(NamedTuple):
    """Is one explanation with the candidates that mean the same."""

    best: Candidate
    cluster: Cluster | None
    """None where meanings were not told apart."""
    figures: PartScore | None
    """None where it has not been scored by itself."""


class Meanings(NamedTuple):
    """Holds all of a feature's sampled explanations."""

    kept: tuple[Meaning, ...]
    alternatives: tuple[Meaning, ...]
    """Those that beat chance too and were not told apart from these."""
    dropped: tuple[Meaning, ...]


def meanings_of(explanation: Explanation | None, score: Score | None) -> Meanings | None:
    """Sorts a feature's sampled explanations; returns None where its explanation was not chosen from several."""
    if explanation is None or explanation.sampled is None:
        return None
    candidates, clusters = explanation.sampled.candidates, {c.best: c for c in explanation.sampled.clusters}
    places = list(clusters) or list(range(len(candidates)))
    # Where none beat chance, the explanation is the best that there was.
    own = [i for i in places if candidates[i].text == explanation.text][:1]
    kept = [i for i, c in clusters.items() if c.kept and c.adds] or own
    beside = [i for i, c in clusters.items() if c.kept and i not in kept]
    figures = _figures(explanation, score)

    def told(places: Sequence[int]) -> tuple[Meaning, ...]:
        return tuple(Meaning(candidates[i], clusters.get(i), figures.get(candidates[i].text)) for i in places)

    return Meanings(told(kept), told(beside), told([i for i in places if i not in (*kept, *beside)]))


def _figures(explanation: Explanation, score: Score | None) -> dict[str, PartScore]:
    """Returns the parts' own figures by text, those of the whole where it is the only one."""
    if not isinstance(score, Scored):
        return {}
    if explanation.parts:
        return {part.text: part for part in score.parts}
    text, precision, recall = explanation.text, score.number("precision"), score.number("recall")
    if precision is None or recall is None:
        return {}
    whole = PartScore(text=text, value=score.value, low=score.low, high=score.high, precision=precision, recall=recall)
    return {text: whole}


Cell = float | int | str | None

N_FACE = 3
"""Pictures in a row of the table."""
N_FIRST = 6
"""Pictures of a feature at the top of the page."""


@dataclass(frozen=True, slots=True)
class Card:
    """Holds what the report says of one feature."""

    row: FeatureRow
    state: str
    """`one`, `none`, `mixed` or `failed`."""
    explanation: Explanation | None
    scores: dict[str, Score]
    failures: tuple[FailureRecord, ...]
    """What is still missing since it failed."""
    density: float | None
    """Share of all images on which it fires; None where it is not known."""
    fires_on: str
    """The share and number of images on which it fires, in words."""
    face: tuple[Thumb, ...]
    first: tuple[Thumb, ...]
    """Empty unless it stands at the top of the page."""
    bands: tuple[PictureRow, ...]
    seen: tuple[PictureRow, ...]
    errors: tuple[PictureRow, ...]
    network: tuple[PictureRow, ...]
    """What the network did on pictures made of its images; empty where it was not asked."""
    made: tuple[PictureRow, ...]
    """Pictures that were made of its explanation; empty where none were."""
    unfired: Unfired | None
    """Why the regions that are shown do not fire it by themselves; None where they do, or nobody looked."""
    both_sides: str | None
    """What the judge and pictures of the explanation come to together; None where one of them was not asked."""
    stronger: tuple[Other, ...]
    """Other latents that fire more strongly on pictures of the explanation."""
    family: Family | None
    """Its parents and children; None where it has none."""
    meanings: Meanings | None
    """Where its explanation was chosen from several sampled ones."""
    conversation: Conversation | None
    """What was asked about it and what came back; None where the run kept nothing of that."""

    @property
    def id(self) -> int:
        """Returns the feature's number."""
        return self.row.feature

    @property
    def search(self) -> str:
        """Returns the lower-case text that the search looks in."""
        if self.explanation is None:
            return ""
        domain = self.explanation.domain.text if self.explanation.domain is not None else ""
        return " ".join((self.explanation.text, *self.explanation.concepts, domain)).lower()

    def cells(self, scorers: Sequence[str]) -> list[Cell]:
        """Returns its row of the CSV file, with the columns of `columns_of`; a missing score leaves empty cells."""
        row, text = self.row, self.explanation.text if self.explanation is not None else ""
        cells: list[Cell] = [self.id, self.state, text, row.width, row.n_active, self.density, row.max_activation]
        for scorer in scorers:
            score = self.scores.get(scorer)
            cells += [score.value, score.low, score.high] if isinstance(score, Scored) else [None, None, None]
        return cells


def columns_of(scorers: Sequence[str]) -> list[str]:
    """Returns the heads of the CSV file; each scorer has its value and the bounds of its 95 % interval."""
    scores = [f"{scorer}{end}" for scorer in scorers for end in ("", "_low", "_high")]
    return ["feature", "state", "explanation", "width", "n_active", "density", "max_activation", *scores]


def fires_on(info: DumpInfo, n_active: int) -> str:
    """Says on how many images a feature fires, and on which share of them as far as that is known."""
    density = info.density_of(n_active)
    if info.uncounted(n_active):
        return f"at least {plural(n_active, 'image')}"
    if density is None:
        return f"{plural(n_active, 'image')} of the dump"
    whose = " of a sample" if info.population == "sample" else ""
    return f"{share(density)} of images{whose} ({count(n_active)})"


def cards(choice: Choice, records: Records, hierarchy: Hierarchy, book: PictureBook) -> Iterator[Card]:
    """Yields the cards in the order of the features; each makes its pictures as it comes."""
    data, shown = book.data, frozenset(choice.features)
    for number in choice.features:
        feature, explanation, scores = data.feature(number), records.explanation(number), records.scores(number)
        pictures = ImageRows(feature, book)
        n_first = N_FIRST if number in choice.first else 0
        card = Card(
            row=feature.row,
            state=records.state(number),
            explanation=explanation,
            scores=scores,
            failures=records.failures(number),
            density=data.info.density_of(feature.row.n_active),
            fires_on=fires_on(data.info, feature.row.n_active),
            face=pictures.face(explanation, N_FACE, data.shown_as),
            first=pictures.face(explanation, n_first, "outline"),
            bands=tuple(pictures.bands()),
            seen=tuple(pictures.seen(explanation)),
            errors=tuple(pictures.errors(scores.values())),
            network=tuple(Strips(feature, book).rows(scores)),
            made=tuple(Strips(feature, book).made(scores)),
            unfired=unfired(scores.get(CAUSAL)),
            both_sides=both_sides(scores),
            stronger=stronger(scores, lambda other: f"#f{other}" if other in shown else None),
            family=hierarchy.family(number, explanation),
            meanings=meanings_of(explanation, scores.get(SCORER)),
            conversation=conversation(data.exchanges(number)),
        )
        book.make()
        yield card
