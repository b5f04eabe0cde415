"""What is said of features whose headline is too wide to say anything: how many they are, and what would narrow it."""

from array import array
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from autointerp.arrays import Mask, last_of_each
from autointerp.dump.reader import Dump
from autointerp.schema import UNDETERMINED, Score, Scored
from autointerp.scoring.control_tests import SCORER as HEADLINE
from autointerp.statistics.rates import Floats

LOOKED_AT = 16
"""Undetermined features whose evidence is looked at to say what would help."""


class _Judged(NamedTuple):
    """The silent images that a feature was judged on."""

    n: int
    guided: bool
    """Whether they were drawn by likeness to the text."""

    @classmethod
    def of(cls, score: Scored) -> "_Judged":
        """Takes from a score what is told of it, where it was read without its verdicts from its details."""
        silent = [v for v in score.verdicts if not v.active]
        n = len(silent) if silent else int(score.number("n_silent") or 0)
        return cls(n, "guided_from" in score.details or any(v.likeness is not None for v in silent))


def undetermined(scores: Iterable[Score], open_dump: Callable[[], Dump]) -> list[str]:
    """Says how many features have a headline too wide to say anything, if any do, and what would narrow it.

    Args:
        scores: the scores of the run; other scorers than detection are passed over. The last one of a feature holds.
        open_dump: opens the dump of the run; called only where a feature is undetermined.
    """
    value, wide, looked_at = _headlines(scores)
    if not wide.any():
        return []
    others = f", {value[~wide].mean():.3f} without them" if not wide.all() else ""
    with open_dump() as dump:
        remedy = _remedy(looked_at, dump)
    are = "is" if wide.sum() == 1 else "are"
    return [
        f"{wide.sum():,} of {len(value):,} features {are} undetermined: the interval of {HEADLINE} is wider than "
        f"{UNDETERMINED:g} (mean {value.mean():.3f}{others}); {remedy}"
    ]


def _headlines(scores: Iterable[Score]) -> tuple[Floats, Mask, dict[int, _Judged]]:
    """Of each feature its headline and whether it is undetermined, and what some of those were judged on."""
    features, values, flags = array("q"), array("d"), array("b")
    silent, guided = array("q"), array("b")
    for s in scores:
        if s.scorer != HEADLINE or not isinstance(s, Scored):
            continue
        judged = _Judged.of(s)
        features.append(s.feature)
        values.append(s.value)
        flags.append(s.undetermined)
        silent.append(judged.n)
        guided.append(judged.guided)
    numbers = np.array(features, np.int64)
    latest = last_of_each(numbers)
    wide = np.array(flags, np.bool_)[latest]
    places = np.arange(len(numbers))[latest][wide][:LOOKED_AT].tolist()
    looked_at = {features[at]: _Judged(silent[at], bool(guided[at])) for at in places}
    return np.array(values, float)[latest], wide, looked_at


def _remedy(wide: Mapping[int, _Judged], dump: Dump) -> str:
    """What would judge more silent images of the features that are undetermined."""
    for feature, found in wide.items():
        room = len(dump.pool.images) if dump.pool and found.guided else len(dump.feature(feature).negatives)
        if found.n < room:
            return "judge more images with --interval, --silent or --screen"
    if dump.pool is not None:
        return (
            "their silent rows are all judged: take more from the dump's pool, with --guide text and a higher --silent"
        )
    return "the dump holds no further silent images: harvest or import more of them (--silent)"
