"""The run folder: run.json, explanations.jsonl, scores.jsonl, failures.jsonl; one writer at a time."""

import copy
import importlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Set
from functools import cached_property, reduce
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from pydantic import TypeAdapter, ValidationError

from autointerp.errors import RunError, typed
from autointerp.interactive import Shown
from autointerp.reading import first_fault, in_short, read_json
from autointerp.remote.path import Location, local_path
from autointerp.runs.exchanges import FILE as EXCHANGES
from autointerp.runs.exchanges import LINE, ExchangeLine
from autointerp.runs.figure_files import judgings_in
from autointerp.runs.files import locked, replace_file
from autointerp.runs.index import EXPLANATION, FAILURE, ExplanationIndex, Ints, ScoreIndex, judging_of, keys, named
from autointerp.runs.info import FIRST, FORMAT, RunInfo, ScoreStage, difference, joined
from autointerp.runs.jsonl import Appender, LineFile, read_lines
from autointerp.runs.score_lines import SCORE
from autointerp.runs.segments import SEGMENTS
from autointerp.schema import Explanation, FailureRecord, Scored, Unscored
from autointerp.unexplainable import UNEXPLAINABLE

if TYPE_CHECKING:
    import pyarrow as pa

RECORDS = ("explanations.jsonl", "scores.jsonl")
REPLACED = ("run.json", "failures.jsonl", "part.json", "calibration*.json", "parts/merged.json")
"""Files that are replaced in one step by whoever holds the lock, as patterns of their names."""
_SCORE = "score:"
"""What stands before a scorer in the stage of a failure."""


class Run(Shown):
    """A run folder, read, with the scores of one of its judgings.

    Args:
        path: the folder.
        info: run.json.
        judging: whose scores are read.
    """

    def __init__(self, path: Path, info: RunInfo, judging: str = FIRST) -> None:
        self.path = path
        self.info = info
        self.judging = judging

    def of_judging(self, judging: str) -> Self:
        """The same run with the scores of another judging."""
        other = copy.copy(self)
        other.judging = judging
        return other

    @property
    def stage(self) -> ScoreStage | None:
        """How the scores that are read came about; None where nothing is scored."""
        return self.info.judgings.get(self.judging)

    @property
    def binding(self) -> RunInfo:
        """What run.json says, without judgings where nothing is scored: an attempt that scored nothing binds nobody."""
        file = self.path / "scores.jsonl"
        return self.info if file.exists() and file.stat().st_size else self.info.without_judgings()

    @cached_property
    def judged(self) -> RunInfo:
        """What run.json says, without further judgings that have no line, such as one that was killed before its first.

        Raises:
            RunError: there are further judgings, and a line is broken.
        """
        empty = set(self.info.more_scores)
        if not empty:
            return self.info
        for judging in _judgings_of(self.folders):
            empty.discard(judging)
            if not empty:
                break
        return reduce(RunInfo.without_judging, empty, self.info)

    @property
    def seen(self) -> RunInfo:
        """What run.json says, with the judging that is read as the only one."""
        return self.info.seen_by(self.judging)

    def explanations(self) -> Iterator[Explanation]:
        """In the order they were written; the last of a feature holds."""
        return read_lines(self.path / "explanations.jsonl", EXPLANATION)

    def scores(self, lines: TypeAdapter[Scored | Unscored] = SCORE) -> Iterator[Scored | Unscored]:
        """Those of the judging, in the order they were written; `lines` as for `all_scores`."""
        return (score for score in self.all_scores(lines) if score.judging == self.judging)

    def all_scores(self, lines: TypeAdapter[Scored | Unscored] = SCORE) -> Iterator[Scored | Unscored]:
        """Those of every judging, in the order they were written.

        Args:
            lines: how they are read; `FIGURES` leaves out most of a line.
        """
        return read_lines(self.path / "scores.jsonl", lines)

    def failures(self) -> Iterator[FailureRecord]:
        """Every failure there ever was, also of features that succeeded later."""
        return read_lines(self.path / "failures.jsonl", FAILURE)

    def explanations_table(self) -> "pa.Table":
        """The explanations as `autointerp.runs.tables.EXPLANATIONS` has them, a row a feature."""
        from autointerp.runs.tables import explanations_table  # with PyArrow, which most commands do without

        return explanations_table(self.explanations())

    def scores_table(self) -> "pa.Table":
        """The scores as `autointerp.runs.tables.SCORES` has them, a row for each feature, scorer and judging."""
        from autointerp.runs.tables import scores_table

        return scores_table(self.all_scores())

    def table(self, dump: Location | None = None) -> "pa.Table":
        """A row a feature: its explanation, what every scorer found, and what the dump says of it (docs/exports.md).

        Args:
            dump: where the run's dump is now, if it was moved.

        Raises:
            AutointerpError: the dump is not there, or a line of the run or a row of the dump is not as it should be.
        """
        # What joins a run and its dump stands above both, so it is named here and not imported.
        return importlib.import_module("autointerp.exports.table").table_of(self, dump)

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where its records are: the run itself, then its parts that are not merged, as far as they are read."""
        return (self.path,)

    def index(self) -> ExplanationIndex:
        """Which features are explained, and their explanations by id."""
        return ExplanationIndex(self.path / "explanations.jsonl")

    def explained(self) -> Ints:
        """Ids of the features that have an explanation, ascending."""
        return self.index().features

    def scored(self, scorer: str) -> Ints:
        """Ids of the features that have a score, or a reason for none, by this scorer and judging; ascending."""
        return ScoreIndex(self.path / "scores.jsonl", self.judging).features(scorer)

    def pending(self) -> list[FailureRecord]:
        """The latest failure of every (feature, stage) that has not succeeded since and is tried again."""
        return [f for f in self.open_failures() if f.kind != UNEXPLAINABLE]

    def unexplainable(self) -> dict[int, str]:
        """Why a feature can never be explained, for every one found so; `explain` does not ask about it again."""
        return {f.feature: f.message for f in self.open_failures() if f.kind == UNEXPLAINABLE}

    def open_failures(self, succeeded: Callable[[str], Set[int]] | None = None) -> list[FailureRecord]:
        """The latest failure of every (feature, stage) that has not succeeded since, other judgings left out.

        Args:
            succeeded: gives the features that are explained, or that have a line of a scorer, by `explain` or the
                scorer's name; read from the run where it is not given.
        """
        own = (f for f in self.failures() if not f.stage.startswith(_SCORE) or judging_of(f.stage) == self.judging)
        # The passes of explaining fail and succeed together, so the latest failure of either stands for both.
        latest = {(f.feature, "explain" if f.stage.startswith("explain") else f.stage): f for f in own}
        of = succeeded or self._succeeded
        known = {stage: of(_scorer_of(stage)) for stage in {stage for _, stage in latest}}
        return [f for (feature, stage), f in latest.items() if feature not in known[stage]]

    def _succeeded(self, stage: str) -> set[int]:
        return set((self.explained() if stage == "explain" else self.scored(stage)).tolist())


def open_run(path: str | Path) -> Run:
    """Reads a run from its folder.

    Raises:
        RunError: no such folder, or not one of this format.
    """
    path = local_path(path)
    file = path / "run.json"
    if (path / SEGMENTS).is_dir():
        raise RunError(
            f"{path}: is a copy of a run at a URL, whose lines lie in {SEGMENTS}/; make files of them: "
            f"autointerp merge {typed(path)}"
        )
    try:
        raw = read_json(file.read_bytes())
    except FileNotFoundError as e:
        why = "no run.json here; name a folder that `autointerp explain --run` made"
        if any((path / "parts").glob("*-of-*")):
            why = f"its shards are not merged yet: autointerp merge {typed(path)}"
        raise RunError(f"{path}: {why}") from e
    except (OSError, ValueError) as e:
        raise RunError(f"{file}: cannot be read ({e}); name a folder that `autointerp explain --run` made") from e
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        found = raw.get("format") if isinstance(raw, dict) else None
        raise RunError(f"{file}: format is {in_short(found)}, this version reads {FORMAT!r}")
    try:
        return Run(path, RunInfo.model_validate(raw))
    except ValidationError as e:
        raise RunError(f"{file}: {first_fault(e)}") from e


def _judgings_of(folders: Iterable[Path]) -> Iterator[str]:
    """The judging of each score and of each failure."""
    for folder in folders:
        yield from judgings_in(folder)
        yield from (judging_of(name) for _, name, _ in keys(folder / "scores.jsonl"))
        yield from (judging_of(failure.stage) for failure in read_lines(folder / "failures.jsonl", FAILURE))


def _scorer_of(stage: str) -> str:
    """The scorer that a failure is of; the stage itself of another one."""
    return stage.removeprefix(_SCORE).partition("@")[0]


class RunWriter:
    """A run folder opened for writing: holds its lock until closed.

    Args:
        path: the folder; made if missing.
        info: what run.json must say; a folder with another run.json is refused.
        judging: of which the scores are that are written.

    Raises:
        RunError: the folder belongs to another run, is being written, or cannot be written.
    """

    def __init__(self, path: Path, info: RunInfo, judging: str = FIRST) -> None:
        self.run = Run(local_path(path), info, judging)
        self._adds = False
        self._exchanges: Appender[ExchangeLine] | None = None
        self._new = not path.exists()
        try:
            path.mkdir(parents=True, exist_ok=True)
            busy = f"{path}: another autointerp is writing this run; wait for it, or name another --run"
            self._lock = locked(path / ".lock", busy)
        except OSError as e:
            raise RunError(f"{path}: the run folder cannot be written ({_why(e)}); name another with --run") from e
        try:
            for draft in (draft for name in REPLACED for draft in path.glob(f"{name}.part")):
                draft.unlink(missing_ok=True)
            self.run.info = self._agree(info)
            self._explanations = Appender(path / "explanations.jsonl", EXPLANATION)
            self._scores = Appender(path / "scores.jsonl", SCORE)
            self._failures = Appender(path / "failures.jsonl", FAILURE)
        except (OSError, RunError) as e:
            self._lock.release()
            if isinstance(e, RunError):
                raise
            raise RunError(f"{path}: the run folder cannot be written ({_why(e)}); name another with --run") from e

    def explanation(self, record: Explanation) -> None:
        """Appends one explanation to its file."""
        self._explanations.append(record)

    def score(self, record: Scored | Unscored) -> None:
        """Appends one score of the judging to its file."""
        judging = self.run.judging
        self._scores.append(record.model_copy(update={"judging": judging}) if judging else record)

    def failure(self, record: FailureRecord) -> None:
        """Appends one failure to its file, that of a scorer with the name of the judging."""
        if record.stage.startswith(_SCORE):
            record = record.model_copy(update={"stage": named(record.stage, self.run.judging)})
        self._failures.append(record)

    def exchanges(self, line: ExchangeLine) -> None:
        """Appends to the file of what was asked, which is made when there is something to keep.

        Raises:
            RunError: it cannot be made or written.
        """
        if self._exchanges is None:
            file = self.run.path / EXCHANGES
            try:
                self._exchanges = Appender(file, LINE)
            except OSError as e:
                raise RunError(
                    f"{file}: cannot be written ({e.strerror}); mend that, then run the same command again"
                ) from e
        stage = named(line.stage, self.run.judging) if line.stage == "score" else line.stage
        self._exchanges.append(line.model_copy(update={"stage": stage}))

    def answers_at(self, stage: Literal["explain", "score"], base_url: str) -> None:
        """Corrects in run.json where the model of a stage is asked, once that is known."""
        info = self.run.info
        if stage == "explain":
            model = info.explain.model.model_copy(update={"base_url": base_url})
            self.run.info = info.model_copy(update={"explain": info.explain.model_copy(update={"model": model})})
        elif (scored := self.run.stage) is not None:
            judge = scored.judge.model_copy(update={"base_url": base_url})
            self.run.info = info.with_judging(self.run.judging, scored.model_copy(update={"judge": judge}))
        write_info(self.run.path / "run.json", self.run.info)

    def close(self) -> None:
        """Writes through and lets go of the folder."""
        for appender in self._appenders:
            appender.close()
        self._lock.release()

    def _check(self) -> None:
        for appender in self._appenders:
            appender.check()

    @property
    def _appenders(self) -> list[LineFile]:
        kept = [] if self._exchanges is None else [self._exchanges]
        return [self._explanations, self._scores, self._failures, *kept]

    def _forget(self) -> None:
        """Removes a folder that was made for nothing, so that a mistyped setting leaves no trace."""
        try:
            self._check()
        except RunError:
            return  # what stands there now is somebody else's
        if self._new and not any(self._has(name) for name in (*RECORDS, "parts")) and not self.run.pending():
            shutil.rmtree(self.run.path, ignore_errors=True)
        elif self._adds:
            # Lines of several processes are merged past this writer.
            write_info(self.run.path / "run.json", Run(self.run.path, self.run.info).judged)

    def __enter__(self) -> "RunWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is not None:
                self._forget()
            else:
                self._check()
        finally:
            self.close()

    def _agree(self, wanted: RunInfo) -> RunInfo:
        file = self.run.path / "run.json"
        if not file.exists():
            stray = [name for name in RECORDS if self._has(name)]
            if stray:
                raise RunError(f"{self.run.path}: has {stray[0]} but no run.json; name another folder with --run")
            write_info(file, wanted)
            return wanted
        run = open_run(self.run.path)
        there, on_disk = run.binding, run.info
        binding = self._has("explanations.jsonl")
        if not binding:
            # A first attempt that came to nothing, e.g. by a misspelt model, binds nobody.
            there = there.model_copy(update={"dump": wanted.dump, "explain": wanted.explain, "version": wanted.version})
        if (differs := difference(there, wanted)) is not None:
            raise RunError(f"{self.run.path}: {'; '.join(differs)}")
        if not binding:
            self._unsettle(on_disk, wanted)
        merged = joined(there, wanted)
        self._adds = self.run.judging != FIRST and self.run.judging not in there.judgings
        if merged != on_disk:
            write_info(file, merged)
        return merged

    def _unsettle(self, before: RunInfo, wanted: RunInfo) -> None:
        """Drops what is settled of features under another dump or other settings: under these it may be otherwise."""
        same = (before.dump.digest, before.explain.settings) == (wanted.dump.digest, wanted.explain.settings)
        failures = [] if same else list(self.run.failures())
        kept = [f for f in failures if f.kind != UNEXPLAINABLE]
        if len(kept) < len(failures):
            lines = b"".join(FAILURE.dump_json(f) + b"\n" for f in kept)
            replace_file(self.run.path / "failures.jsonl", lines)

    def _has(self, name: str) -> bool:
        file = self.run.path / name
        return file.is_dir() or (file.exists() and file.stat().st_size > 0)


def _why(error: OSError) -> str:
    return f"{error.strerror}: {error.filename}" if error.filename else error.strerror or str(error)


def write_info(file: Path, info: RunInfo) -> None:
    """Replaces run.json in one step."""
    replace_file(file, info.model_dump_json(indent=2).encode() + b"\n")
