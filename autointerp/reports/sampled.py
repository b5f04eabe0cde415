"""What a card says of sampled explanations: those kept with their scores, those dropped, how collapsed they are."""

from dataclasses import dataclass

from autointerp.candidates import Candidate, Cluster, Sampled
from autointerp.reports.labels import count, interval_words, number, p_words, plural
from autointerp.reports.scorelines import Axis
from autointerp.schema import Explanation, PartScore, Score, Scored

SCORER = "detection"
"""Whose figures stand beside each explanation."""
AXIS = Axis(0.0, 1.0, None)


@dataclass(frozen=True, slots=True)
class Share:
    """One bar: how large a part of the candidates' draws one meaning takes."""

    title: str
    text: str
    percent: float


@dataclass(frozen=True, slots=True)
class PartFigures:
    """How one explanation does by itself."""

    f1: str
    interval: str
    precision: str
    recall: str
    place: float
    low: float
    high: float
    """F1 and its interval in percent of the axis."""
    label: str
    """The drawing in words."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """One explanation, and the candidates that mean the same."""

    text: str
    said: str
    """How often it came up; empty where meanings were not told apart."""
    chosen_by: str
    """Its score and p-value on the images kept for choosing."""
    shares: tuple[Share, ...]
    """By frequency, by score, under inverse probability weights; empty where meanings were not told apart."""
    figures: PartFigures | None
    """None where it has not been scored."""


@dataclass(frozen=True, slots=True)
class Meanings:
    """All of a feature's sampled explanations."""

    title: str
    basis: str
    """Of how many."""
    kept: tuple[Meaning, ...]
    collapse: str
    """The collapse index in words; empty where there is none."""
    chance: str
    """Whether the explanation beats chance; empty where there is none."""
    beats: bool
    counts: str
    """What became of the replies."""
    dropped: tuple[Meaning, ...]
    dropped_title: str
    axis: Axis = AXIS


def meanings_of(explanation: Explanation | None, score: Score | None) -> Meanings | None:
    """A feature's sampled explanations; None where its explanation was not chosen from several.

    Args:
        explanation: of the feature.
        score: of the scorer `detection`.
    """
    if explanation is None or explanation.sampled is None:
        return None
    found = explanation.sampled
    chosen = _chosen(found, explanation.text)
    scored = _figures(explanation, score)
    if found.clusters:
        kept = [_cluster(found, c, scored) for c in found.clusters if c.best in chosen]
        dropped = [_cluster(found, c, {}) for c in found.clusters if c.best not in chosen]
    else:
        kept = [_candidate(found.candidates[i], scored) for i in chosen]
        dropped = [_candidate(c, {}) for i, c in enumerate(found.candidates) if i not in chosen]
    return Meanings(
        title=("No explanation kept", "Explanation kept", "Explanations kept")[min(len(kept), 2)],
        basis=_basis(found, len(kept)),
        kept=tuple(kept),
        collapse=_collapse(found.collapse),
        chance=_chance(found, len(kept)) if kept else "",
        beats=found.beats_chance,
        counts=_counts(found),
        dropped=tuple(dropped),
        dropped_title=f"{'Meanings' if found.clusters else 'Candidates'} not kept ({count(len(dropped))})",
    )


def _chosen(found: Sampled, text: str) -> tuple[int, ...]:
    """Places of the candidates that the explanation is made of; where none beat chance, of the one that it is."""
    kept = tuple(c.best for c in found.clusters if c.kept)
    if kept:
        return kept
    places = [c.best for c in found.clusters] or range(len(found.candidates))
    return tuple(i for i in places if found.candidates[i].text == text)[:1]


def _figures(explanation: Explanation, score: Score | None) -> dict[str, PartFigures]:
    """By text: the parts' own figures, those of the whole where it is the only one."""
    if not isinstance(score, Scored):
        return {}
    if explanation.parts:
        return {part.text: _part(part) for part in score.parts}
    rates = [score.details.get(name) for name in ("precision", "recall")]
    precision, recall = (float(r) if isinstance(r, float | int) else 0.0 for r in rates)
    text = explanation.text
    whole = PartScore(text=text, value=score.value, low=score.low, high=score.high, precision=precision, recall=recall)
    return {text: _part(whole)} if None not in rates else {}


def _part(part: PartScore) -> PartFigures:
    f1, interval = number(part.value), interval_words(part.low, part.high)
    return PartFigures(
        f1=f1,
        interval=interval,
        precision=f"{part.precision:.2f}",
        recall=f"{part.recall:.2f}",
        place=AXIS.place(part.value),
        low=AXIS.place(part.low),
        high=AXIS.place(part.high),
        label=f"F1 of this explanation alone: {f1}, 95 % interval {interval}",
    )


def _cluster(found: Sampled, cluster: Cluster, scored: dict[str, PartFigures]) -> Meaning:
    n = len(found.candidates)
    text = found.candidates[cluster.best].text
    return Meaning(
        text=text,
        said=f"said {count(cluster.size)} of {plural(n, 'time')}",
        chosen_by=f"score {number(cluster.score)}, {p_words(cluster.p)}" + _beside(cluster),
        shares=(
            _share("said", cluster.size / n),
            _share("score", cluster.share_score),
            _share("IPS", cluster.share_ips),
        ),
        figures=scored.get(text),
    )


def _beside(cluster: Cluster) -> str:
    """Of a kept explanation that the whole does without."""
    return "" if cluster.adds or not cluster.kept else "; not in the text above, which does better without it"


def _candidate(candidate: Candidate, scored: dict[str, PartFigures]) -> Meaning:
    figures = [] if candidate.score is None else [f"score {number(candidate.score)}"]
    figures += [] if candidate.p is None else [p_words(candidate.p)]
    return Meaning(candidate.text, "", ", ".join(figures) or "not scored", (), scored.get(candidate.text))


def _share(title: str, value: float) -> Share:
    return Share(title, f"{100 * value:.0f} %", round(100 * value, 1))


def _basis(found: Sampled, kept: int) -> str:
    if not found.candidates:
        return "no candidate came"
    candidates = f"{plural(len(found.candidates), 'candidate')} sampled"
    if not found.clusters:
        return f"the best of {candidates}" if kept else candidates
    return f"{count(kept)} of {plural(len(found.clusters), 'meaning')}, {candidates}"


def _collapse(index: float | None) -> str:
    if index is None:
        return ""
    said = f"Collapse index {number(index)}: "
    if index in (0.0, 1.0):
        return said + ("all candidates mean the same." if index else "no two candidates mean the same.")
    return f"{said}two candidates drawn at random mean the same in {100 * index:.0f} % of draws."


def _chance(found: Sampled, kept: int) -> str:
    n = len(found.judged_on)
    images = f"the {plural(n, 'image')} kept for choosing" if n else "the images kept for choosing"
    if found.beats_chance:
        return f"{'Each explanation kept' if kept > 1 else 'It'} beats chance on {images}."
    return f"Nothing beat chance on {images}: this is only the best there was."


def _counts(found: Sampled) -> str:
    parts = [f"Asked {plural(found.asked, 'time')}"]
    for n, became in ((found.none, "saw no common property"), (found.failed, "could not be used")):
        parts += [f"{count(n)} of the replies {became}"] if n else []
    return "; ".join(parts) + "."
