"""The judgings of a run by name: which one a command goes on with, and which one a reader asks for."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Generic, TypeVar

from autointerp.errors import SettingsError
from autointerp.runs.folder import Run
from autointerp.runs.index import judging_of
from autointerp.runs.info import FIRST, RunInfo, ScoreStage
from autointerp.runs.jsonl import JsonLines
from autointerp.schema import FailureRecord, Scored, Unscored

T = TypeVar("T", Scored | Unscored, FailureRecord)

NAME_OF_FIRST = "first"
"""How `--judge JUDGE@…` names the first judging, which has no digest in score lines."""


def judging_for(run: Run, stage: ScoreStage) -> str:
    """The name of the judging that agrees with what is asked for; a new one where none does."""
    there = run.binding.judgings
    if FIRST not in there:
        return FIRST
    agreeing = [name for name, known in there.items() if known.differs(stage) is None]
    if agreeing:
        return agreeing[0]
    # Templates of single scorers are not in the digest, since they come when a scorer is added.
    names = (stage.digest if n == 1 else f"{stage.digest}.{n}" for n in count(1))
    return next(name for name in names if name not in there)


def labels(info: RunInfo) -> Mapping[str, str]:
    """How `--judge` names each judging: by its judge, and where a judge has several, by their digests as well."""
    judgings = info.judgings
    of = Counter(stage.judge.model for stage in judgings.values())
    return {
        name: stage.judge.model if of[stage.judge.model] == 1 else _long(name, stage)
        for name, stage in judgings.items()
    }


def judged_by(run: Run, judge: str | None) -> Run:
    """The run with the scores of the judging that is asked for; those of the first one where none is.

    Args:
        run: any reading of it.
        judge: `JUDGE`, or where a judge has several judgings `JUDGE@DIGEST` or `JUDGE@first`; None for the first.

    Raises:
        SettingsError: nobody of this name judged the run, or one judge has several judgings.
    """
    if judge is None:
        return run.of_judging(FIRST)
    known = labels(run.judged)
    judgings = run.judged.judgings
    found = [name for name, stage in judgings.items() if judge in (known[name], *_names(name, stage))]
    if len(found) == 1:
        return run.of_judging(found[0])
    if found:
        several = " or ".join(known[name] for name in found)
        raise SettingsError(f"--judge {judge}: judged {run.path} in {len(found)} ways; give {several}")
    who = f"it was scored by {', '.join(known.values())}" if known else "nothing in it is scored yet"
    raise SettingsError(f"--judge {judge}: did not score {run.path}; {who}")


def label_of(run: Run) -> str | None:
    """How `--judge` names the judging that is read; None where nothing is scored."""
    return labels(run.judged).get(run.judging)


def beside(run: Run) -> str | None:
    """Names the judgings that are not read, in a sentence; None where there are none."""
    others = [label for name, label in labels(run.judged).items() if name != run.judging]
    if not others:
        return None
    whose = f"these are the scores of {label_of(run)}"
    return f"{whose}; the run has those of {_and(others)} as well, which --judge shows"


def added(run: Run, name: str, stage: ScoreStage) -> str | None:
    """Says that a judging adds scores, in what it differs from those that are there, and how to go on with these.

    Args:
        run: as it is before.
        name: of the judging.
        stage: how it scores.

    Returns:
        What there is to say; None for the first judging, and for one that has lines already.
    """
    there = run.judged.judgings
    if name == FIRST or name in there:
        return None
    own = [known for known in there.values() if known.judge.model == stage.judge.model]
    if own:
        said = f"the scores that are there stay, whose {own[-1].differs(stage)}: new ones are added beside them"
        back = "those that are there"
    else:
        judge = there[FIRST].judge.model
        said = f"the scores of {judge} stay: those of {stage.judge.model} are added beside them"
        back = f"those of {judge}"
    return (
        f"{said}, and all that the cache does not hold is asked anew; to go on with {back} instead, give the judge and "
        "the options that they were made with"
    )


def _names(name: str, stage: ScoreStage) -> Iterator[str]:
    """What a judging may be called besides its label; the embedded model goes without its version as well."""
    yield stage.judge.model
    yield _long(name, stage)
    if stage.judge.model.is_local:
        yield "local"


def _long(name: str, stage: ScoreStage) -> str:
    return f"{stage.judge.model}@{name or NAME_OF_FIRST}"


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


@dataclass(frozen=True, slots=True)
class OwnLines(Generic[T]):
    """The records of a file that are of one judging."""

    lines: JsonLines[T]
    own: Callable[[T], T | None]
    """Gives the record as the judging alone would have it; None for one of another judging."""

    def __iter__(self) -> Iterator[tuple[int, T]]:
        """Every one of them with its place; raises RunError as the lines do."""
        for place, record in self.lines:
            if (mine := self.own(record)) is not None:
                yield place, mine

    def __getitem__(self, place: int) -> T:
        """The record at a place that iterating gave; raises RunError as the lines do."""
        mine = self.own(self.lines[place])
        assert mine is not None
        return mine


def own_scores(lines: JsonLines[Scored | Unscored], judging: str) -> OwnLines[Scored | Unscored]:
    """The scores of a judging."""
    return OwnLines(lines, lambda score: score if score.judging == judging else None)


def own_failures(lines: JsonLines[FailureRecord], judging: str) -> OwnLines[FailureRecord]:
    """The failures of explaining, and those of a judging with the bare names of its scorers."""

    def own(failure: FailureRecord) -> FailureRecord | None:
        if failure.stage.startswith("explain"):
            return failure
        stage = failure.stage.partition("@")[0]
        return failure.model_copy(update={"stage": stage}) if judging_of(failure.stage) == judging else None

    return OwnLines(lines, own)
