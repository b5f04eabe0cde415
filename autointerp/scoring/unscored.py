"""What is said of explained features that a scorer left without a score: how many they are, and why."""

import re
from collections.abc import Iterable, Iterator
from itertools import chain

from autointerp.schema import Score, Scored

N_REASONS = 4
"""How many reasons are told, the most frequent first."""
_NUMBER = re.compile(r"^\d+(?= )")


class UnscoredReasons:
    """Counts features without a score by reason, while others read the scores."""

    def __init__(self) -> None:
        self._reasons: dict[tuple[str, int], str] = {}
        """By scorer and feature."""

    def counted(self, scores: Iterable[Score]) -> Iterator[Score]:
        """Yields the scores as they are; the last one of a feature and scorer holds."""
        for score in scores:
            if isinstance(score, Scored):
                self._reasons.pop((score.scorer, score.feature), None)
            else:
                self._reasons[score.scorer, score.feature] = score.reason
            yield score

    def lines(self) -> list[str]:
        """Says of each reason how many features it leaves unscored, and by which scorers.

        Reasons that differ in their first number alone, such as `3 held-out active images, 5 are needed`, are one.
        """
        told: dict[str, dict[int, set[str]]] = {}
        numbers: dict[str, set[int]] = {}
        for (scorer, feature), reason in self._reasons.items():
            first = _NUMBER.match(reason)
            kind = _NUMBER.sub("", reason)
            told.setdefault(kind, {}).setdefault(feature, set()).add(scorer)
            numbers.setdefault(kind, set()).update([int(first[0])] if first else [])
        often = sorted(told, key=lambda kind: (-len(told[kind]), kind))
        lines = [_line(kind, told[kind], numbers[kind]) for kind in often[:N_REASONS]]
        if more := len(often[N_REASONS:]):
            lines.append(f"scores.jsonl has {more:,} more reason{'s'[: more > 1]} why features are not scored")
        return lines


def _line(kind: str, by_feature: dict[int, set[str]], numbers: set[int]) -> str:
    whose = "1 feature is" if len(by_feature) == 1 else f"{len(by_feature):,} features are"
    scorers = ", ".join(sorted(set(chain.from_iterable(by_feature.values()))))
    span = " to ".join(map(str, sorted({min(numbers), max(numbers)}))) if numbers else ""
    return f"{whose} not scored by {scorers}: {span}{kind}"
