"""What is said of explained features that a scorer left without a score: how many they are, and why."""

import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import numpy as np

from autointerp.arrays import Ints, last_of_each
from autointerp.schema import Score, Unscored

N_REASONS = 4
"""How many reasons are told, the most frequent first."""
_NUMBER = re.compile(r"^\d+(?= )")
_SCORED = -1


class UnscoredReasons:
    """Counts features without a score by reason, while others read the scores; keeps some bytes of each of these."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        """Of each reason a number; `_SCORED` stands for none."""
        self._lines: dict[str, tuple[array[int], array[int]]] = {}
        """By scorer: features, and why they have no score."""
        self._highest: dict[str, int] = {}
        """By scorer the highest feature met: what comes behind it takes nothing back."""

    def counted(self, scores: Iterable[Score]) -> Iterator[Score]:
        """Yields the scores as they are; the last one of a feature and scorer holds."""
        for score in scores:
            is_new = score.feature > self._highest.get(score.scorer, -1)
            if is_new:
                self._highest[score.scorer] = score.feature
            if isinstance(score, Unscored):
                self._add(score, self._codes.setdefault(score.reason, len(self._codes)))
            elif not is_new:
                self._add(score, _SCORED)
            yield score

    def _add(self, score: Score, code: int) -> None:
        features, codes = self._lines.setdefault(score.scorer, (array("q"), array("i")))
        features.append(score.feature)
        codes.append(code)

    def lines(self) -> list[str]:
        """Says of each reason how many features it leaves unscored, and by which scorers.

        Reasons that differ in their first number alone, such as `3 held-out active images, 5 are needed`, are one.
        """
        told: dict[str, dict[str, list[Ints]]] = {}
        numbers: dict[str, set[int]] = {}
        reasons = list(self._codes)
        for scorer, lines in self._lines.items():
            features, codes = (np.array(column, np.int64) for column in lines)
            latest = last_of_each(features)
            features, codes = features[latest], codes[latest]
            for code in np.unique(codes[codes != _SCORED]).tolist():
                first = _NUMBER.match(reasons[code])
                kind = _NUMBER.sub("", reasons[code])
                told.setdefault(kind, {}).setdefault(scorer, []).append(features[codes == code])
                numbers.setdefault(kind, set()).update([int(first[0])] if first else [])
        sizes = {kind: len(np.unique(np.concatenate([*chain(*own.values())]))) for kind, own in told.items()}
        often = sorted(told, key=lambda kind: (-sizes[kind], kind))
        lines = [_line(kind, sizes[kind], sorted(told[kind]), numbers[kind]) for kind in often[:N_REASONS]]
        if more := len(often[N_REASONS:]):
            lines.append(f"scores.jsonl has {more:,} more reason{'s'[: more > 1]} why features are not scored")
        return lines


def _line(kind: str, n: int, scorers: Sequence[str], numbers: set[int]) -> str:
    whose = "1 feature is" if n == 1 else f"{n:,} features are"
    span = " to ".join(map(str, sorted({min(numbers), max(numbers)}))) if numbers else ""
    return f"{whose} not scored by {', '.join(scorers)}: {span}{kind}"
