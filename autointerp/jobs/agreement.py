"""`autointerp compare RUN`: how far the judges of one run agree on the very same questions."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np

from autointerp.errors import RunError, SettingsError, typed
from autointerp.record import Record
from autointerp.runs.folder import Run, open_run
from autointerp.runs.index import ScoreIndex
from autointerp.runs.info import ScoreStage
from autointerp.runs.judgings import judged_by, label_of, labels
from autointerp.schema import STRATA, Scored, Usage, Verdict
from autointerp.scoring.calibration import Calibration, Share, save_calibration
from autointerp.statistics.agreement import Agreed, agreed, tables_of
from autointerp.statistics.comparison import Estimate
from autointerp.statistics.rates import Floats
from autointerp.statistics.resampling import Draws
from autointerp.version import __version__

SCORER = "detection"
"""The scorer whose lines hold the judge's word on each image."""
MARGIN = "near the threshold"
"""The name here of images that count neither as active nor as silent, about which the judge is asked too."""
REPLICATES = 2_000
"""How often the bootstrap over features draws for the command."""
FEW = 10
"""Features below which an interval over them is too narrow."""


class JudgePair(Record):
    """Two judges of a run, on the questions that both were asked: an image, and the explanation of a feature."""

    first: str
    second: str
    reference: str | None
    """The second, where its answers are held to be right; None where neither's are."""
    questions: int
    """Questions that both were asked."""
    only_first: int
    """Questions that only the first was asked."""
    only_second: int
    unanswered_first: int
    """Of the questions that both were asked, those without a usable answer of the first."""
    unanswered_second: int
    unsure_first: int
    """Of them, those that the first answered by `unsure`."""
    unsure_second: int
    overall: Agreed
    strata: dict[str, Agreed]
    """By the stratum of the image: the top, the activation bands from low to high, silent, guided."""


class JudgesCompared(Record):
    """How far the judges of a run agree."""

    run: str
    judges: tuple[str, ...]
    pairs: tuple[JudgePair, ...]
    notes: tuple[str, ...]
    calibration: str | None = None
    """The file that was written with the first judge's error rates; None where none was asked for."""


@dataclass(frozen=True)
class _Side:
    """One judge of the run."""

    run: Run
    name: str
    stage: ScoreStage
    index: ScoreIndex

    @property
    def is_person(self) -> bool:
        return self.stage.judge.model.is_human


def compare_judges(
    run: str | Path,
    judges: Sequence[str] = (),
    *,
    reference: str | None = None,
    out: Path | None = None,
    draws: Draws,
) -> JudgesCompared:
    """Compares judges of a run on the questions that both of each two were asked.

    Args:
        run: the folder.
        judges: as `--judge` names them, two at least; all of the run by default.
        reference: the one whose answers are held to be right. By default that is the person of a pair with one.
        out: the file that is written with the error rates of one judge, as a calibration.
        draws: how the bootstrap over features is drawn.

    Raises:
        RunError: fewer than two judges scored the run, or two have no question in common.
        SettingsError: nobody of this name scored it, or a calibration is asked for where there is no single one.
    """
    opened = open_run(run)
    sides = _sides(opened, judges, reference)
    held = None if reference is None else label_of(judged_by(opened, reference))
    pairs = [_pair(*_ordered(one, other, held), held, draws) for one, other in combinations(sides, 2)]
    found = JudgesCompared(
        run=str(opened.path),
        judges=tuple(side.name for side in sides),
        pairs=tuple(pairs),
        notes=tuple(dict.fromkeys(_notes(sides, pairs))),
    )
    if out is None:
        return found
    save_calibration(_calibration(sides, pairs), out)
    return found.model_copy(update={"calibration": str(out)})


def _sides(run: Run, judges: Sequence[str], reference: str | None) -> list[_Side]:
    asked = [judged_by(run, name) for name in judges]
    if asked and reference is not None:
        asked.append(judged_by(run, reference))
    known = asked or [run.of_judging(name) for name in run.judged.judgings]
    runs = {one.judging: one for one in known}
    if len(runs) < 2:
        if judges:
            raise SettingsError(f"--judge {judges[0]}: name two judges at least, or none for all of the run")
        who = ", ".join(labels(run.judged).values()) or "nobody"
        raise RunError(
            f"{run.path}: was scored by {who} alone; add another judge's scores with autointerp score "
            f"{typed(run.path)} --judge-model J, or name two runs"
        )
    sides = [
        _Side(one, label_of(one) or "", stage, ScoreIndex(one.path / "scores.jsonl", one.judging))
        for one in runs.values()
        if (stage := one.stage) is not None
    ]
    # A judge without any answer would leave nothing to compare of the others, unless it was named.
    answering = [side for side in sides if SCORER in side.index.scorers]
    return answering if not judges and len(answering) > 1 else sides


def _ordered(one: _Side, other: _Side, reference: str | None) -> tuple[_Side, _Side]:
    """The reference second; else a person."""
    first_is = one.name == reference if reference in (one.name, other.name) else one.is_person and not other.is_person
    return (other, one) if first_is else (one, other)


@dataclass
class _Answers:
    """The answers of two judges, question by question."""

    first: list[float] = field(default_factory=list)
    second: list[float] = field(default_factory=list)
    feature: list[int] = field(default_factory=list)
    strata: list[str] = field(default_factory=list)
    questions: int = 0
    only_first: int = 0
    only_second: int = 0
    unanswered_first: int = 0
    unanswered_second: int = 0
    unsure_first: int = 0
    unsure_second: int = 0

    def add(self, place: int, first: Scored, second: Scored) -> None:
        """Takes the answers about one feature."""
        one, other = _asked(first), _asked(second)
        self.only_first += len(one.keys() - other.keys())
        self.only_second += len(other.keys() - one.keys())
        for image in one.keys() & other.keys():
            (stratum, a), (_, b) = one[image], other[image]
            self.questions += 1
            self.unanswered_first += a is None
            self.unanswered_second += b is None
            self.unsure_first += a == 0.5
            self.unsure_second += b == 0.5
            if a is not None and b is not None:
                self.first.append(a)
                self.second.append(b)
                self.feature.append(place)
                self.strata.append(stratum)

    def tables(self, n_features: int) -> dict[str, Floats]:
        """The answers counted by feature, for each stratum in the order from the strongest to silent."""
        strata, features = np.array(self.strata, object), np.array(self.feature, float)
        first, second = np.array(self.first), np.array(self.second)
        order = [*STRATA, MARGIN]
        out: dict[str, Floats] = {}
        for stratum in sorted(set(self.strata), key=lambda s: (order.index(s) if s in order else len(order), s)):
            own = strata == stratum
            out[stratum] = tables_of(first[own], second[own], features[own], n_features)
        return out


def _asked(score: Scored) -> dict[int, tuple[str, float | None]]:
    """The stratum and the answer of each image that the judge was asked about."""
    told: list[tuple[Verdict, str]] = [(v, v.stratum) for v in score.verdicts]
    told += [(v, MARGIN) for v in score.margin]
    return {v.image: (stratum, v.belief) for v, stratum in told}


def _answers(first: _Side, second: _Side) -> tuple[_Answers, int]:
    both = np.intersect1d(first.index.features(SCORER), second.index.features(SCORER))
    if not len(both):
        raise RunError(
            f"{first.run.path}: no feature has a score by {SCORER} of {first.name} and of {second.name}; score the "
            f"same features with --scorers {SCORER}"
        )
    answers = _Answers()
    lines = zip(first.index.scores(SCORER, both), second.index.scores(SCORER, both), strict=True)
    for place, (one, other) in enumerate(lines):
        if isinstance(one, Scored) and isinstance(other, Scored):
            answers.add(place, one, other)
    if not answers.questions:
        raise RunError(
            f"{first.run.path}: {first.name} and {second.name} were asked about no image in common; score with the "
            "same --active, --silent and --seed"
        )
    return answers, len(both)


def _pair(first: _Side, second: _Side, reference: str | None, draws: Draws) -> JudgePair:
    answers, n_features = _answers(first, second)
    held = second.name == reference or (reference is None and second.is_person and not first.is_person)
    tables = answers.tables(n_features)
    whole = sum(tables.values(), np.zeros((n_features, 3, 3)))
    return JudgePair(
        first=first.name,
        second=second.name,
        reference=second.name if held else None,
        questions=answers.questions,
        only_first=answers.only_first,
        only_second=answers.only_second,
        unanswered_first=answers.unanswered_first,
        unanswered_second=answers.unanswered_second,
        unsure_first=answers.unsure_first,
        unsure_second=answers.unsure_second,
        overall=agreed(whole, draws, with_rates=held),
        strata={stratum: agreed(own, draws, with_rates=held) for stratum, own in tables.items()},
    )


def _notes(sides: Sequence[_Side], pairs: Iterable[JudgePair]) -> Iterator[str]:
    for one, other in combinations(sides, 2):
        alike = other.stage.model_copy(update={"judge": one.stage.judge, "calibration": one.stage.calibration})
        if (differs := one.stage.differs(alike)) is not None:
            yield f"{one.name} and {other.name} were not asked alike: {differs}"
    for pair in pairs:
        if pair.reference is not None:
            yield f"the answers of {pair.reference} are the reference: where they are wrong, the other judge is blamed"
        if pair.overall.features < FEW:
            yield f"with fewer than {FEW} features the intervals are too narrow: score more of them by both judges"
    yield "the figures are over the questions that were asked; images do not count as many as they stand for"


def _calibration(sides: Sequence[_Side], pairs: Sequence[JudgePair]) -> Calibration:
    """The error rates of the first judge of a pair, with the second as the reference.

    Raises:
        SettingsError: there are several pairs, no reference, or too few answers.
    """
    if len(pairs) != 1 or pairs[0].reference is None:
        raise SettingsError(
            "--out: a calibration is of one judge against one reference; name two judges with --judge, one of whom is "
            "a person or named by --reference"
        )
    pair, by_name = pairs[0], {side.name: side for side in sides}
    side, reference, found = by_name[pair.first], by_name[pair.second], pairs[0].overall
    if found.sensitivity is None or found.specificity is None:
        side_of = "yes" if found.sensitivity is None else "no"
        raise SettingsError(f"--out: {pair.reference} answered no question by {side_of}; have it judge more images")
    settings, prompts = side.stage.settings, side.stage.prompts
    true, false = _bounds(found.sensitivity), _bounds(found.specificity)
    return Calibration(
        n_true=found.n_true,
        n_false=found.n_false,
        sensitivity=found.sensitivity.value,
        sensitivity_low=true[0],
        sensitivity_high=true[1],
        specificity=found.specificity.value,
        specificity_low=false[0],
        specificity_high=false[1],
        kinds=(),
        formats=(),
        order=None,
        agreements=(),
        near_yes=_false_yes(pair.strata.get("guided")),
        random_yes=_false_yes(pair.strata.get("silent")),
        position=None,
        unanswered=pair.unanswered_first,
        model=side.stage.judge.model,
        reference=reference.stage.judge.model,
        prompt=prompts.get("judge", ""),
        layout=settings.layout,
        per_call=settings.per_call,
        rendering=settings.rendering,
        side=settings.region.side,
        detail=side.stage.judge.detail,
        seed=settings.seed,
        usage=Usage(),
        created=_last(side, reference),
        version=__version__,
    )


def _bounds(estimate: Estimate) -> tuple[float, float]:
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.low, estimate.high


def _false_yes(found: Agreed | None) -> Share | None:
    """The share of yes where the reference says no."""
    if found is None or found.specificity is None:
        return None
    low, high = _bounds(found.specificity)
    return Share(value=1 - found.specificity.value, low=1 - high, high=1 - low, n=found.n_false)


def _last(*sides: _Side) -> str:
    """When the last answer came, so that the same answers make the same file."""
    features = ((side, side.index.features(SCORER)) for side in sides)
    return max(score.created for side, own in features for score in side.index.scores(SCORER, own))
