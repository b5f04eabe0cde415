"""Holds several runs against the first of them, with p-values that allow for all tests together."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from pathlib import Path

from autointerp.errors import SettingsError
from autointerp.jobs.compare import Comparison, Contrasts, RunSide, Side, adjusted, contrasts
from autointerp.record import Record
from autointerp.runs.folder import open_run
from autointerp.runs.judgings import judged_by
from autointerp.statistics.resampling import Draws


class Comparisons(Record):
    """Each of several runs held against the same one; differences are (the run) − (the base)."""

    base: RunSide
    others: tuple[Comparison, ...]
    """A is the base in each; p-values are adjusted (Holm) for all scorers of all runs."""
    tests: int
    """How many tests that are: scorers without any difference do not count."""
    notes: tuple[str, ...]

    def named(self, names: Sequence[str]) -> "Comparisons":
        """The same with other names for the runs, the base first."""
        base = self.base.model_copy(update={"run": names[0]})
        others = (found.named(names[0], name) for found, name in zip(self.others, names[1:], strict=True))
        return self.model_copy(update={"base": base, "others": tuple(others)})


def compare_many(
    runs: Sequence[str | Path],
    *,
    scorers: Iterable[str] | None = None,
    seed: int = 0,
    replicates: int = 10_000,
    judges: Sequence[str | None] | None = None,
) -> Comparisons:
    """Compares each further run with the first one, as `compare_runs` compares two.

    Args:
        runs: folders, two at least.
        scorers: as for `compare_runs`.
        seed: as for `compare_runs`.
        replicates: as for `compare_runs`.
        judges: as for `compare_runs`, one for each run.

    Raises:
        RunError: not a run, nothing scored, or nothing in common with the first.
        SettingsError: a scorer that not all have, a judge that did not score a run, or twice the same scores.
    """
    names = None if scorers is None else tuple(scorers)
    of = judges or [None] * len(runs)
    base, *others = sides = [Side(judged_by(open_run(run), judge)) for run, judge in zip(runs, of, strict=True)]
    _refuse_twice(sides)
    found = [contrasts(base, other, names, Draws(replicates, seed)) for other in others]
    tested = [f.contrast for one in found for f in one.scorers]
    p_values = iter(adjusted(tested))
    compared = tuple(one.judged([next(p_values) for _ in one.scorers]) for one in found)
    n = sum(contrast.equal < 1 for contrast in tested)
    return Comparisons(base=base.described(), others=compared, tests=n, notes=tuple(_notes(found, n)))


def _refuse_twice(sides: Sequence[Side]) -> None:
    for one, other in combinations(sides, 2):
        if one.same_as(other):
            raise SettingsError(f"{other.run.path}: the same run twice; name each run once, or two judges of it")


def _notes(found: Sequence[Contrasts], tests: int) -> Iterator[str]:
    if tests > 1:
        yield f"p (Holm) allows for all {tests} tests of this comparison; fewer runs or --scorers make it less strict"
    if not all(one.paired for one in found):
        yield "runs of another dump than the first one's are compared as samples of features, not feature by feature"
