"""The run folder: run.json, explanations.jsonl, scores.jsonl, failures.jsonl; one writer at a time."""

import shutil
from collections.abc import Callable, Iterator, Set
from pathlib import Path
from types import TracebackType
from typing import Annotated, Literal, NamedTuple

from pydantic import BeforeValidator, ValidationError

from autointerp.errors import RunError, typed
from autointerp.reading import first_fault, in_short, read_json
from autointerp.record import Record
from autointerp.remote.path import local_path
from autointerp.runs.exchanges import FILE as EXCHANGES
from autointerp.runs.exchanges import LINE, ExchangeLine
from autointerp.runs.files import locked, replace_file
from autointerp.runs.index import EXPLANATION, FAILURE, ExplanationIndex, Ints, ScoreIndex
from autointerp.runs.jsonl import Appender, LineFile, read_lines
from autointerp.runs.option_names import option_of
from autointerp.runs.score_lines import SCORE
from autointerp.schema import Explanation, FailureRecord, Scored, Unscored
from autointerp.settings import ExplainSettings, ModelSettings, ScoreSettings, recorded, recorded_explain
from autointerp.unexplainable import UNEXPLAINABLE

FORMAT = "autointerp-run/1"
RECORDS = ("explanations.jsonl", "scores.jsonl")
REPLACED = ("run.json", "failures.jsonl", "part.json", "calibration.json", "parts/merged.json")
"""Files that are replaced in one step by whoever holds the lock."""
_REMEDY = {
    "explain": "use the same, or name another folder with --run",
    "score": "use the same, or score a copy of the folder from which you removed scores.jsonl",
}


class DumpReference(Record):
    """Which dump a run belongs to."""

    name: str
    path: str
    digest: str
    """As the dump reader computes it."""
    n_latents: int


FOREIGN = "foreign"
"""Name under which run.json states the digest of another method's file, among the prompts: the texts follow from it."""


class ExplainStage(Record):
    """How the explanations of a run came about."""

    model: ModelSettings
    settings: Annotated[ExplainSettings, BeforeValidator(recorded_explain)]
    prompts: dict[str, str]
    """Template name to the first 12 hex digits of its SHA-256."""


class ScoreStage(Record):
    """How the scores of a run came about."""

    judge: ModelSettings
    settings: Annotated[ScoreSettings, BeforeValidator(recorded)]
    prompts: dict[str, str]
    calibration: str | None = None
    """First 12 hex digits of the SHA-256 of the calibration that corrects the figures; it is in calibration.json."""


class RunInfo(Record):
    """run.json: all that decides the run's content besides the replies."""

    format: str = FORMAT
    version: str
    """Of the program that made it."""
    created: str
    dump: DumpReference
    explain: ExplainStage
    score: ScoreStage | None = None

    @property
    def is_adopted(self) -> bool:
        """Whether the explanations are those of another method: its explainer cannot be asked, nor be the judge."""
        return FOREIGN in self.explain.prompts


class Run:
    """A run folder, read; `writing` opens it for writing."""

    def __init__(self, path: Path, info: RunInfo) -> None:
        self.path = path
        self.info = info

    def explanations(self) -> Iterator[Explanation]:
        """In the order they were written; the last of a feature holds."""
        return read_lines(self.path / "explanations.jsonl", EXPLANATION)

    def scores(self) -> Iterator[Scored | Unscored]:
        """In the order they were written."""
        return read_lines(self.path / "scores.jsonl", SCORE)

    def failures(self) -> Iterator[FailureRecord]:
        """Every failure there ever was, also of features that succeeded later."""
        return read_lines(self.path / "failures.jsonl", FAILURE)

    def index(self) -> ExplanationIndex:
        """Which features are explained, and their explanations by id."""
        return ExplanationIndex(self.path / "explanations.jsonl")

    def explained(self) -> Ints:
        """Ids of the features that have an explanation, ascending."""
        return self.index().features

    def scored(self, scorer: str) -> Ints:
        """Ids of the features that have a score, or a reason for none, by this scorer; ascending."""
        return ScoreIndex(self.path / "scores.jsonl").features(scorer)

    def pending(self) -> list[FailureRecord]:
        """The latest failure of every (feature, stage) that has not succeeded since and is tried again."""
        return [f for f in self.open_failures() if f.kind != UNEXPLAINABLE]

    def unexplainable(self) -> dict[int, str]:
        """Why a feature can never be explained, for every one found so; `explain` does not ask about it again."""
        return {f.feature: f.message for f in self.open_failures() if f.kind == UNEXPLAINABLE}

    def open_failures(self, succeeded: Callable[[str], Set[int]] | None = None) -> list[FailureRecord]:
        """The latest failure of every (feature, stage) that has not succeeded since.

        Args:
            succeeded: gives the features that are explained, or that have a line of a scorer, by `explain` or the
                scorer's name; read from the run where it is not given.
        """
        # The passes of explaining fail and succeed together, so the latest failure of either stands for both.
        latest = {(f.feature, "explain" if f.stage.startswith("explain") else f.stage): f for f in self.failures()}
        of = succeeded or self._succeeded
        known = {stage: of(stage.removeprefix("score:")) for stage in {stage for _, stage in latest}}
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


class RunWriter:
    """A run folder opened for writing: holds its lock until closed.

    Args:
        path: the folder; made if missing.
        info: what run.json must say; a folder with another run.json is refused.

    Raises:
        RunError: the folder belongs to another run, is being written, or cannot be written.
    """

    def __init__(self, path: Path, info: RunInfo) -> None:
        self.run = Run(local_path(path), info)
        self._exchanges: Appender[ExchangeLine] | None = None
        self._new = not path.exists()
        try:
            path.mkdir(parents=True, exist_ok=True)
            busy = f"{path}: another autointerp is writing this run; wait for it, or name another --run"
            self._lock = locked(path / ".lock", busy)
        except OSError as e:
            raise RunError(f"{path}: the run folder cannot be written ({_why(e)}); name another with --run") from e
        try:
            for name in REPLACED:
                path.joinpath(f"{name}.part").unlink(missing_ok=True)
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
        """Appends one score to its file."""
        self._scores.append(record)

    def failure(self, record: FailureRecord) -> None:
        """Appends one failure to its file."""
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
        self._exchanges.append(line)

    def answers_at(self, stage: Literal["explain", "score"], base_url: str) -> None:
        """Corrects in run.json where the model of a stage is asked, once that is known."""
        info = self.run.info
        if stage == "explain":
            model = info.explain.model.model_copy(update={"base_url": base_url})
            self.run.info = info.model_copy(update={"explain": info.explain.model_copy(update={"model": model})})
        elif info.score is not None:
            judge = info.score.judge.model_copy(update={"base_url": base_url})
            self.run.info = info.model_copy(update={"score": info.score.model_copy(update={"judge": judge})})
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
        there = on_disk = open_run(self.run.path).info
        binding = self._has("explanations.jsonl")
        if not binding:
            # A first attempt that came to nothing, e.g. by a misspelt model, binds nobody.
            there = there.model_copy(update={"dump": wanted.dump, "explain": wanted.explain, "version": wanted.version})
        if not self._has("scores.jsonl"):
            there = there.model_copy(update={"score": None})
        if (differs := difference(there, wanted)) is not None:
            raise RunError(f"{self.run.path}: {'; '.join(differs)}")
        if not binding:
            self._unsettle(on_disk, wanted)
        merged = joined(there, wanted)
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


def joined(there: RunInfo, wanted: RunInfo) -> RunInfo:
    """What is asked for of a run that agrees with it, with the templates of scorers that ran before."""
    score = wanted.score or there.score
    if there.score is not None and score is not None:
        score = score.model_copy(update={"prompts": there.score.prompts | score.prompts})
    return there.model_copy(update={"score": score, "dump": wanted.dump})


class Difference(NamedTuple):
    """In what a run's settings differ from those asked for, and what to do about it, in words."""

    what: str
    remedy: str


def difference(there: RunInfo, wanted: RunInfo) -> Difference | None:
    """The first difference that matters between a run folder and what is asked for; None if they agree."""
    if there.dump.digest != wanted.dump.digest:
        return Difference(
            f"this run is of the dump {there.dump.name} ({there.dump.digest[:12]}), not {wanted.dump.name} "
            f"({wanted.dump.digest[:12]})",
            "name another folder with --run",
        )
    for stage in ("explain", "score"):
        old, new = getattr(there, stage), getattr(wanted, stage)
        if old is None or new is None or old == new:
            continue
        left, right = _flat(old.model_dump()), _flat(new.model_dump())
        names = [k for k in left | right if left.get(k) != right.get(k)]
        # Where the server stands does not change an answer, and each scorer's lines stand for themselves.
        names = [k for k in names if not k.endswith(".base_url") and k != "settings.scorers"]
        # A scorer that is added later brings a template of its own.
        names = [k for k in names if not k.startswith("prompts.") or (k in left and k in right)]
        if names:
            name = names[0]
            option = option_of(stage, name)
            what = f"this run's {stage} setting {option} is {left.get(name)!r}, not {right.get(name)!r}"
            return Difference(what, _REMEDY[stage])
    return None


def _why(error: OSError) -> str:
    return f"{error.strerror}: {error.filename}" if error.filename else error.strerror or str(error)


def _flat(value: object, prefix: str = "") -> dict[str, object]:
    if not isinstance(value, dict):
        return {prefix: value}
    out: dict[str, object] = {}
    for key, inner in value.items():
        out |= _flat(inner, f"{prefix}.{key}" if prefix else str(key))
    return out


def write_info(file: Path, info: RunInfo) -> None:
    """Replaces run.json in one step."""
    replace_file(file, info.model_dump_json(indent=2).encode() + b"\n")
