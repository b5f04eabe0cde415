"""`autointerp status`: how far a run is and what its scores are so far."""

from collections import Counter
from pathlib import Path

import numpy as np

from autointerp.runs.folder import Run, open_run
from autointerp.schema import Record, Scored, Usage
from autointerp.scoring.statistics import mean_interval


class ScorerStatus(Record):
    """One scorer over all features."""

    scorer: str
    n: int
    """Features scored."""
    unscored: int
    mean: float | None
    """None where nothing is scored yet."""
    low: float | None
    high: float | None
    """95 % interval of the mean over features."""


class RunStatus(Record):
    """A run in numbers."""

    run: str
    dump: str
    explainer: str
    judge: str | None
    explained: int
    none: int
    """Of them, without a common property."""
    mixed: int
    pending: dict[str, int]
    """Features that failed and have not succeeded since, by `stage: kind`."""
    scorers: tuple[ScorerStatus, ...]
    usage: Usage
    """Of all explanations and scores, answers from the cache included."""


def status(run: str | Path) -> RunStatus:
    """Reads a run folder, which may be in the middle of being written.

    Raises:
        RunError: not a run folder, or a broken line in it.
    """
    opened = open_run(run)
    info, usage = opened.info, Usage()
    explained: dict[int, tuple[bool, bool]] = {}
    for e in opened.explanations():
        explained[e.feature] = (e.none, e.mixed)
        usage += e.usage
    scorers, judged = _scorers(opened)
    pending = Counter(f"{f.stage}: {f.kind}" for f in opened.pending())
    return RunStatus(
        run=str(opened.path),
        dump=info.dump.name,
        explainer=info.explain.model.model,
        judge=info.score.judge.model if info.score else None,
        explained=len(explained),
        none=sum(none for none, _ in explained.values()),
        mixed=sum(mixed for _, mixed in explained.values()),
        pending=dict(pending),
        scorers=scorers,
        usage=usage + judged,
    )


def _scorers(run: Run) -> tuple[tuple[ScorerStatus, ...], Usage]:
    values: dict[str, dict[int, float | None]] = {}
    usage = Usage()
    for s in run.scores():
        values.setdefault(s.scorer, {})[s.feature] = s.value if isinstance(s, Scored) else None
        if isinstance(s, Scored):
            usage += s.usage
    return tuple(_one(name, list(by_feature.values())) for name, by_feature in sorted(values.items())), usage


def _one(name: str, values: list[float | None]) -> ScorerStatus:
    known = np.array([v for v in values if v is not None])
    unscored = len(values) - len(known)
    if not len(known):
        return ScorerStatus(scorer=name, n=0, unscored=unscored, mean=None, low=None, high=None)
    mean = mean_interval(known, (0.0, 1.0))
    return ScorerStatus(scorer=name, n=len(known), unscored=unscored, mean=mean.value, low=mean.low, high=mean.high)
