"""`autointerp compare`: whether one run scores better than another, on the same features and images where it can."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import comb
from pathlib import Path

import numpy as np

from autointerp.errors import RunError, SettingsError, typed
from autointerp.record import Record
from autointerp.runs.folder import Run, open_run
from autointerp.runs.index import ScoreIndex, holds
from autointerp.runs.judgings import judged_by, label_of
from autointerp.runs.setting_differences import differing, varied
from autointerp.schema import Scored, Unscored, Verdict
from autointerp.scoring.common_images import matched
from autointerp.scoring.control_tests import SCORER as CONTROLLED
from autointerp.scoring.scorer_list import SCORERS
from autointerp.statistics.comparison import Contrast, paired, unpaired
from autointerp.statistics.exact import holm
from autointerp.statistics.resampling import Draws

CONTROL = "other"
"""The control that `over_control` holds scores against."""
LEVEL = 0.05
"""p-values above it show nothing."""


class RunSide(Record):
    """One of the two runs."""

    run: str
    dump: str
    explainer: str
    judge: str | None


class ScorerComparison(Record):
    """A and B under one scorer."""

    scorer: str
    contrast: Contrast
    p_holm: float
    """The p-value adjusted for the number of scorers compared."""
    images: int
    """Judgements of the same image for the same feature, over all features; 0 where values as scored are compared."""
    as_scored: int
    """Features scored in both whose values are those of each run's own images; all where the scorer has no images."""
    unscored_a: int
    """Features that A gives a reason for no score; they are in no mean."""
    unscored_b: int
    only_a: int
    """Features of A that B says nothing of."""
    only_b: int


class OverControl(Record):
    """By how much detection of a feature's own explanation exceeds that of another feature's, asked in the same way.

    A judge or a picture that makes every score higher makes this no larger.
    """

    control: str
    contrast: Contrast


class Comparison(Record):
    """Two runs under each scorer that both have; differences are B − A."""

    a: RunSide
    b: RunSide
    paired: bool
    """Whether both are of one dump, so that the same features are compared."""
    features: int
    """Paired: features compared by any scorer. Else 0."""
    differ: tuple[str, ...]
    """Settings in which the runs differ, each as `name: A | B`."""
    varied: tuple[str, ...]
    """The choices behind them, each as `--option: A | B`, without what follows from another one."""
    scorers: tuple[ScorerComparison, ...]
    over_control: OverControl | None
    """How far an own explanation beats another feature's; None where the runs have no controlled feature in common."""
    notes: tuple[str, ...]

    def named(self, a: str, b: str) -> "Comparison":
        """The same with other names for the two runs."""
        return self.model_copy(
            update={"a": self.a.model_copy(update={"run": a}), "b": self.b.model_copy(update={"run": b})}
        )


def compare_runs(
    run_a: str | Path,
    run_b: str | Path,
    *,
    scorers: Iterable[str] | None = None,
    seed: int = 0,
    replicates: int = 10_000,
    judges: Sequence[str | None] = (None, None),
) -> Comparison:
    """Compares the scores of two runs; their dumps need not be there any more.

    Of one dump, features scored in both are paired, and detection and accuracy are computed anew on the images that
    both judged. Of two dumps, the runs are compared as two samples of features.

    Args:
        run_a: folder of the run to compare with.
        run_b: folder of the run in question.
        scorers: names; those that both runs have by default.
        seed: of the bootstrap and the permutations.
        replicates: of either.
        judges: whose scores are taken of each run, as `--judge` names them; None for the first judge.

    Raises:
        RunError: not a run, nothing scored, or nothing in common.
        SettingsError: a scorer that not both have, a judge that scored neither, or twice the same scores.
    """
    one, two = (Side(judged_by(open_run(run), judge)) for run, judge in zip((run_a, run_b), judges, strict=True))
    if one.same_as(two):
        raise SettingsError(f"{run_b}: the same run twice; name two runs, or two judges of it with --judge")
    found = contrasts(one, two, scorers, Draws(replicates, seed))
    tested = [f.contrast for f in found.scorers]
    return found.judged(adjusted(tested), _adjusting(tested))


@dataclass(frozen=True)
class _Found:
    """What one scorer found."""

    scorer: str
    columns: "_Columns"
    contrast: Contrast


@dataclass(frozen=True)
class Contrasts:
    """Two runs under each scorer that both have, before p-values are adjusted for how many are tested."""

    a: "Side"
    b: "Side"
    paired: bool
    scorers: tuple[_Found, ...]
    left_out: tuple[str, ...]
    draws: Draws

    def judged(self, p_holm: Sequence[float], notes: Iterable[str] = ()) -> Comparison:
        """The comparison, given the adjusted p-value of each scorer, and notes on the adjusting."""
        found = [f.contrast for f in self.scorers]
        features = [f.columns.features for f in self.scorers]
        choices = varied(self.a.run.seen, self.b.run.seen)
        return Comparison(
            a=self.a.described(),
            b=self.b.described(),
            paired=self.paired,
            features=len(np.unique(np.concatenate(features))) if self.paired else 0,
            differ=differing(self.a.run.seen, self.b.run.seen),
            varied=choices,
            scorers=tuple(
                _record(f.scorer, f.columns, f.contrast, p) for f, p in zip(self.scorers, p_holm, strict=True)
            ),
            over_control=_over_control(self) if self.paired else None,
            notes=(*self.left_out, *_caveats(self.a, self.b, choices, found), *notes),
        )


def contrasts(a: "Side", b: "Side", scorers: Iterable[str] | None, draws: Draws) -> Contrasts:
    """Compares two runs under each scorer.

    Raises:
        RunError: nothing in common.
        SettingsError: a scorer that not both have.
    """
    is_paired = a.run.info.dump.digest == b.run.info.dump.digest
    found: list[_Found] = []
    left_out: list[str] = []
    for scorer in _names(a, b, scorers):
        columns = _paired_columns(scorer, a, b) if is_paired else _unpaired_columns(scorer, a, b)
        if not len(columns.a) or not len(columns.b):
            where = "both runs" if is_paired else "one of the runs"
            left_out.append(f"{scorer}: left out, no feature is scored in {where}")
            continue
        test = paired if is_paired else unpaired
        found.append(_Found(scorer, columns, test(np.array(columns.a), np.array(columns.b), draws)))
    if not found:
        raise RunError(f"{a.run.path} and {b.run.path}: {left_out[0]}; score the same features in both")
    return Contrasts(a, b, is_paired, tuple(found), tuple(left_out), draws)


@dataclass
class _Columns:
    """Scores of one scorer, ready to compare."""

    a: "array[float]" = field(default_factory=lambda: array("d"))
    b: "array[float]" = field(default_factory=lambda: array("d"))
    features: "array[int]" = field(default_factory=lambda: array("q"))
    images: int = 0
    as_scored: int = 0
    unscored_a: int = 0
    unscored_b: int = 0
    only_a: int = 0
    only_b: int = 0


class Side:
    """A run with its score lines.

    Raises:
        RunError: nothing is scored, or a line is broken.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.index = ScoreIndex(run.path / "scores.jsonl", run.judging)
        if not self.index.scorers:
            raise RunError(f"{run.path}: nothing is scored yet; `autointerp score {typed(run.path)}` does that")

    def same_as(self, other: "Side") -> bool:
        """Whether both are the scores of one judging."""
        return (self.run.path.resolve(), self.run.judging) == (other.run.path.resolve(), other.run.judging)

    def verdicts(self, score: Scored) -> tuple[Verdict, ...]:
        """The judgements behind a score: its own, or those of the scorer whose line holds them for it."""
        scorer = SCORERS.get(score.scorer)
        keeper = scorer.verdicts_with if scorer else None
        if score.verdicts or keeper is None or not holds(self.index.features(keeper), score.feature):
            return score.verdicts
        kept = next(self.index.scores(keeper, np.array([score.feature])))
        return kept.verdicts if isinstance(kept, Scored) else ()

    def described(self) -> RunSide:
        """What the result says of it."""
        info = self.run.info
        return RunSide(
            run=str(self.run.path),
            dump=info.dump.name,
            explainer=info.explain.model.model,
            judge=label_of(self.run),
        )


def judges_of(judges: Sequence[str], n: int) -> Sequence[str | None]:
    """The judge of each of `n` runs: the one that is named for all, or one for each; None for the first judge.

    Raises:
        SettingsError: neither one is named nor one for each.
    """
    if len(judges) not in (0, 1, n):
        raise SettingsError(f"--judge: {len(judges)} judges for {n} runs; name one for all, or one for each run")
    return [None] * n if not judges else list(judges) * (n // len(judges))


def _names(a: Side, b: Side, asked: Iterable[str] | None) -> list[str]:
    common = [name for name in a.index.scorers if name in b.index.scorers]
    if not common:
        raise RunError(
            f"{a.run.path} has scores by {', '.join(a.index.scorers)}, {b.run.path} by {', '.join(b.index.scorers)}; "
            "score both with one scorer"
        )
    names = common if asked is None else list(dict.fromkeys(asked))
    if unknown := [name for name in names if name not in common]:
        raise SettingsError(f"--scorers {unknown[0]}: not in both runs; they have {', '.join(common)}")
    if not names:
        raise SettingsError(f"--scorers: no scorer is named; both runs have {', '.join(common)}")
    return names


def _paired_columns(scorer: str, a: Side, b: Side) -> _Columns:
    both = np.intersect1d(a.index.features(scorer), b.index.features(scorer))
    known = SCORERS.get(scorer)
    out = _Columns(only_a=len(a.index.features(scorer)) - len(both), only_b=len(b.index.features(scorer)) - len(both))
    for left, right in zip(a.index.scores(scorer, both), b.index.scores(scorer, both), strict=True):
        out.unscored_a += isinstance(left, Unscored)
        out.unscored_b += isinstance(right, Unscored)
        if isinstance(left, Unscored) or isinstance(right, Unscored):
            continue
        same = matched(known, a.verdicts(left), b.verdicts(right)) if known else None
        out.features.append(left.feature)
        out.a.append(same.a if same else left.value)
        out.b.append(same.b if same else right.value)
        out.images += same.images if same else 0
        out.as_scored += same is None
    return out


def _unpaired_columns(scorer: str, a: Side, b: Side) -> _Columns:
    out = _Columns()
    for score in a.index.scores(scorer, a.index.features(scorer)):
        out.unscored_a += isinstance(score, Unscored)
        if isinstance(score, Scored):
            out.a.append(score.value)
    for score in b.index.scores(scorer, b.index.features(scorer)):
        out.unscored_b += isinstance(score, Unscored)
        if isinstance(score, Scored):
            out.b.append(score.value)
    out.as_scored = len(out.a) + len(out.b)
    return out


def adjusted(found: Sequence[Contrast]) -> list[float]:
    """P-values after Holm; a scorer without any difference cannot be a finding and does not count (Tarone 1990)."""
    varying = [i for i, contrast in enumerate(found) if contrast.equal < 1]
    out = [1.0] * len(found)
    for i, p in zip(varying, holm([found[i].tested.p for i in varying]), strict=True):
        out[i] = p
    return out


def _record(scorer: str, columns: _Columns, contrast: Contrast, p_holm: float) -> ScorerComparison:
    return ScorerComparison(
        scorer=scorer,
        contrast=contrast,
        p_holm=p_holm,
        images=columns.images,
        as_scored=columns.as_scored,
        unscored_a=columns.unscored_a,
        unscored_b=columns.unscored_b,
        only_a=columns.only_a,
        only_b=columns.only_b,
    )


def _over_control(found: Contrasts) -> OverControl | None:
    """Contrasts detection less its control over the features that carry it in both runs."""
    a, b = found.a, found.b
    if CONTROLLED not in a.index.scorers or CONTROLLED not in b.index.scorers:
        return None
    both = np.intersect1d(a.index.features(CONTROLLED), b.index.features(CONTROLLED))
    gaps: list[tuple[float, float]] = []
    for left, right in zip(a.index.scores(CONTROLLED, both), b.index.scores(CONTROLLED, both), strict=True):
        one, two = _gap(left), _gap(right)
        if one is not None and two is not None:
            gaps.append((one, two))
    if not gaps:
        return None
    table = np.array(gaps)
    return OverControl(control=CONTROL, contrast=paired(table[:, 0], table[:, 1], found.draws))


def _gap(score: Scored | Unscored) -> float | None:
    control = score.controls.get(CONTROL) if isinstance(score, Scored) else None
    return None if control is None or isinstance(score, Unscored) else score.value - control.value


def _least_p(contrast: Contrast) -> float:
    """The smallest p-value that so many features can have."""
    if contrast.tested.by != "exact":
        return 0.0
    n, m = contrast.n_a, contrast.n_b
    return 2 / 2**n if contrast.paired else (1 + (n == m)) / comb(n + m, n)


def _caveats(a: Side, b: Side, choices: Sequence[str], found: Sequence[Contrast]) -> Iterator[str]:
    judges = [side.described().judge or "an unknown judge" for side in (a, b)]
    if judges[0] != judges[1]:
        yield f"A was judged by {judges[0]} and B by {judges[1]}: part of a difference may be the judge's"
    if len(choices) > 1:
        yield f"A and B differ in {len(choices)} settings: a difference between them is not the work of one of them"
    for name, side in (("A", a), ("B", b)):
        if side.run.info.is_adopted:
            yield f"which images {name}'s explanations are made from is not known: some may be among those judged"
    least = max((_least_p(contrast) for contrast in found if contrast.equal < 1), default=0.0)
    if least > LEVEL:
        yield f"with so few features p cannot fall below {least:.2g}, whatever they say; score more of them"


def _adjusting(found: Sequence[Contrast]) -> Iterator[str]:
    """Says for how many scorers the p-values of two runs allow, where they are several."""
    varying = sum(contrast.equal < 1 for contrast in found)
    if varying > 1:
        yield (
            f"p (Holm) allows for the {varying} scorers tested; scorers that read the same answers, as detection "
            "and accuracy do, are no independent evidence: choose one beforehand with --scorers to test it alone"
        )
