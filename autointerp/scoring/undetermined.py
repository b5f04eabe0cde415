"""What is said of features whose headline is too wide to say anything: how many they are, and what would narrow it."""

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import NamedTuple

from autointerp.dump.reader import Dump
from autointerp.schema import UNDETERMINED, Score, Scored
from autointerp.scoring.control_tests import SCORER as HEADLINE

LOOKED_AT = 16
"""Undetermined features whose evidence is looked at to say what would help."""


class _Headline(NamedTuple):
    """What is told of a feature's headline; its verdicts would take 70 kB."""

    value: float
    undetermined: bool
    n_silent: int
    """Silent images that were judged."""
    guided: bool
    """Whether they were drawn by likeness to the text."""

    @classmethod
    def of(cls, score: Scored) -> "_Headline":
        """Takes from a score what is told of it."""
        silent = [v for v in score.verdicts if not v.active]
        return cls(score.value, score.undetermined, len(silent), any(v.likeness is not None for v in silent))


def undetermined(scores: Iterable[Score], open_dump: Callable[[], Dump]) -> list[str]:
    """Says how many features have a headline too wide to say anything, if any do, and what would narrow it.

    Args:
        scores: the scores of the run; other scorers than detection are passed over. The last one of a feature holds.
        open_dump: opens the dump of the run; called only where a feature is undetermined.
    """
    latest = {s.feature: _Headline.of(s) for s in scores if s.scorer == HEADLINE and isinstance(s, Scored)}
    wide = {feature: found for feature, found in latest.items() if found.undetermined}
    if not wide:
        return []
    told = [found.value for found in latest.values() if not found.undetermined]
    mean = sum(found.value for found in latest.values()) / len(latest)
    others = f", {sum(told) / len(told):.3f} without them" if told else ""
    with open_dump() as dump:
        remedy = _remedy(dict(islice(wide.items(), LOOKED_AT)), dump)
    are = "is" if len(wide) == 1 else "are"
    return [
        f"{len(wide):,} of {len(latest):,} features {are} undetermined: the interval of {HEADLINE} is wider than "
        f"{UNDETERMINED:g} (mean {mean:.3f}{others}); {remedy}"
    ]


def _remedy(wide: Mapping[int, _Headline], dump: Dump) -> str:
    """What would judge more silent images of the features that are undetermined."""
    for feature, found in wide.items():
        room = len(dump.pool.images) if dump.pool and found.guided else len(dump.feature(feature).negatives)
        if found.n_silent < room:
            return "judge more images with --interval, --silent or --screen"
    if dump.pool is not None:
        return (
            "their silent rows are all judged: take more from the dump's pool, with --guide text and a higher --silent"
        )
    return "the dump holds no further silent images: harvest or import more of them (--silent)"
