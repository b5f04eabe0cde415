"""What a card says of sampled explanations: those kept with their scores, and those dropped."""

from typing import NamedTuple

from autointerp.candidates import Candidate, Cluster
from autointerp.reports.aggregates import plain
from autointerp.schema import Explanation, PartScore, Score, Scored

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
    dropped: tuple[Meaning, ...]


def meanings_of(explanation: Explanation | None, score: Score | None) -> Meanings | None:
    """Sorts a feature's sampled explanations; returns None where its explanation was not chosen from several.

    Args:
        explanation: of the feature.
        score: of the scorer `detection`.
    """
    if explanation is None or explanation.sampled is None:
        return None
    candidates, clusters = explanation.sampled.candidates, {c.best: c for c in explanation.sampled.clusters}
    places = list(clusters) or list(range(len(candidates)))
    # Where none beat chance, the explanation is the best that there was.
    own = [i for i in places if candidates[i].text == explanation.text][:1]
    kept = [i for i, c in clusters.items() if c.kept] or own
    figures = _figures(explanation, score)
    return Meanings(
        tuple(Meaning(candidates[i], clusters.get(i), figures.get(candidates[i].text)) for i in kept),
        tuple(Meaning(candidates[i], clusters.get(i), None) for i in places if i not in kept),
    )


def _figures(explanation: Explanation, score: Score | None) -> dict[str, PartScore]:
    """Returns the parts' own figures by text, those of the whole where it is the only one."""
    if not isinstance(score, Scored):
        return {}
    if explanation.parts:
        return {part.text: part for part in score.parts}
    text, precision, recall = explanation.text, plain(score, "precision"), plain(score, "recall")
    if precision is None or recall is None:
        return {}
    whole = PartScore(text=text, value=score.value, low=score.low, high=score.high, precision=precision, recall=recall)
    return {text: whole}
