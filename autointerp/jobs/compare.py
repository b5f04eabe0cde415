"""`autointerp compare`: whether one run scores better than another, on the same features and images where it can."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import comb
from pathlib import Path

import numpy as np

from autointerp.commands.compare import Compare
from autointerp.errors import RunError, SettingsError, typed
from autointerp.job import Progress
from autointerp.record import Record
from autointerp.remote.path import as_path
from autointerp.runs.folder import Run, RunInfo, open_run
from autointerp.runs.index import ScoreIndex, holds
from autointerp.schema import Scored, Unscored, Verdict
from autointerp.scoring.common_images import matched
from autointerp.scoring.scorer_list import SCORERS
from autointerp.shards.remote_runs import read_run
from autointerp.statistics.comparison import Contrast, paired, unpaired
from autointerp.statistics.exact import holm
from autointerp.statistics.resampling import Draws

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
    scorers: tuple[ScorerComparison, ...]
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

    Raises:
        RunError: not a run, nothing scored, or nothing in common.
        SettingsError: a scorer that not both have, or twice the same run.
    """
    one, two = _Side(open_run(run_a)), _Side(open_run(run_b))
    if one.run.path.resolve() == two.run.path.resolve():
        raise SettingsError(f"{run_b}: the same run twice; name two runs")
    is_paired = one.run.info.dump.digest == two.run.info.dump.digest
    found: list[tuple[str, _Columns, Contrast]] = []
    notes: list[str] = []
    for scorer in _names(one, two, scorers):
        columns = _paired_columns(scorer, one, two) if is_paired else _unpaired_columns(scorer, one, two)
        if not len(columns.a) or not len(columns.b):
            where = "both runs" if is_paired else "one of the runs"
            notes.append(f"{scorer}: left out, no feature is scored in {where}")
            continue
        test = paired if is_paired else unpaired
        contrast = test(np.array(columns.a), np.array(columns.b), Draws(replicates, seed))
        found.append((scorer, columns, contrast))
    if not found:
        raise RunError(f"{run_a} and {run_b}: {notes[0]}; score the same features in both")
    adjusted = _adjusted([contrast for _, _, contrast in found])
    return Comparison(
        a=one.described(),
        b=two.described(),
        paired=is_paired,
        features=len(np.unique(np.concatenate([columns.features for _, columns, _ in found]))) if is_paired else 0,
        differ=_differ(one.run.info, two.run.info),
        scorers=tuple(_record(*f, p) for f, p in zip(found, adjusted, strict=True)),
        notes=(*notes, *_caveats(one, two, [contrast for _, _, contrast in found])),
    )


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


class _Side:
    """A run with its score lines.

    Raises:
        RunError: nothing is scored, or a line is broken.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.index = ScoreIndex(run.path / "scores.jsonl")
        if not self.index.scorers:
            raise RunError(f"{run.path}: nothing is scored yet; `autointerp score {typed(run.path)}` does that")

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
            judge=info.score.judge.model if info.score else None,
        )


def _names(a: _Side, b: _Side, asked: Iterable[str] | None) -> list[str]:
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


def _paired_columns(scorer: str, a: _Side, b: _Side) -> _Columns:
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


def _unpaired_columns(scorer: str, a: _Side, b: _Side) -> _Columns:
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


def _adjusted(found: Sequence[Contrast]) -> list[float]:
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


def _differ(a: RunInfo, b: RunInfo) -> tuple[str, ...]:
    left, right = _flat(a), _flat(b)
    return tuple(f"{k}: {left.get(k)} | {right.get(k)}" for k in sorted({*left, *right}) if left.get(k) != right.get(k))


def _flat(info: RunInfo) -> dict[str, object]:
    """Every setting that can change an explanation or a score, by dotted name."""
    out: dict[str, object] = {"dump": f"{info.dump.name} ({info.dump.digest[:12]})"}
    left: list[tuple[str, object]] = [("explain", info.explain.model_dump())]
    left += [("score", info.score.model_dump())] if info.score else []
    while left:
        name, value = left.pop()
        if isinstance(value, dict):
            left += [(f"{name}.{key}", inner) for key, inner in value.items()]
        elif not name.endswith((".base_url", "settings.scorers")):
            out[name] = value
    return out


def _least_p(contrast: Contrast) -> float:
    """The smallest p-value that so many features can have."""
    if contrast.tested.by != "exact":
        return 0.0
    n, m = contrast.n_a, contrast.n_b
    return 2 / 2**n if contrast.paired else (1 + (n == m)) / comb(n + m, n)


def _caveats(a: _Side, b: _Side, found: Sequence[Contrast]) -> Iterator[str]:
    judges = [side.described().judge or "an unknown judge" for side in (a, b)]
    if judges[0] != judges[1]:
        yield f"A was judged by {judges[0]} and B by {judges[1]}: part of a difference may be the judge's"
    for name, side in (("A", a), ("B", b)):
        if side.run.info.is_adopted:
            yield f"which images {name}'s explanations are made from is not known: some may be among those judged"
    varying = [contrast for contrast in found if contrast.equal < 1]
    least = max((_least_p(contrast) for contrast in varying), default=0.0)
    if least > LEVEL:
        yield f"with so few features p cannot fall below {least:.2g}, whatever they say; score more of them"
    if len(varying) > 1:
        yield (
            f"p (Holm) allows for the {len(varying)} scorers tested; scorers that read the same answers, as detection "
            "and accuracy do, are no independent evidence: choose one beforehand with --scorers to test it alone"
        )


def run(settings: Compare, *, progress: Progress | None = None) -> Comparison:
    """Compares the scores of two runs.

    Raises:
        AutointerpError: something that you can mend; the message says how.
    """
    with read_run(settings.run_a) as a, read_run(settings.run_b) as b:
        found = compare_runs(a, b, scorers=settings.scorers, seed=settings.seed)
    return found.named(str(as_path(settings.run_a)), str(as_path(settings.run_b)))
