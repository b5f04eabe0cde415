"""What `--batch` records: the stages that a batch job is to answer, each with all that its command was told."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import filelock
from pydantic import Field, ValidationError

from autointerp.config import EngineSettings, ExplainSettings, ModelSettings, ScoreSettings
from autointerp.errors import RunError, SettingsError
from autointerp.lmm.address import OPENAI, check_urls
from autointerp.lmm.batch_book import Book
from autointerp.lmm.batch_events import Planned
from autointerp.record import Record
from autointerp.remote.path import Location, as_path
from autointerp.session import is_local
from autointerp.version import __version__

FORMAT = "autointerp-batch/1"
FOLDER = "batch"
PLAN = "plan.json"
ORDER = ("calibrate", "explain", "score")
"""Of the stages: each may read what those before it wrote."""


class ExplainPlan(Record):
    """`autointerp explain`, as it was asked for."""

    stage: Literal["explain"] = "explain"
    dump: str
    features: str
    width: int | None
    sample: int | None
    seed: int
    model: ModelSettings
    settings: ExplainSettings
    engine: EngineSettings
    prompts: str | None
    cache: str
    prices: str | None
    allow_outside: bool

    @property
    def name(self) -> str:
        """Of the stage."""
        return self.stage


class ScorePlan(Record):
    """`autointerp score`, as it was asked for."""

    stage: Literal["score"] = "score"
    features: str
    judge: ModelSettings
    settings: ScoreSettings
    engine: EngineSettings
    dump: str | None
    calibration: str | None
    random_dump: str | None
    prompts: str | None
    cache: str
    prices: str | None
    allow_outside: bool

    @property
    def name(self) -> str:
        """Of the stage."""
        return self.stage


class CalibratePlan(Record):
    """`autointerp calibrate`, as it was asked for."""

    stage: Literal["calibrate"] = "calibrate"
    model: ModelSettings
    out: str
    calls: int
    seed: int
    settings: ScoreSettings
    engine: EngineSettings
    prompts: str | None
    cache: str
    prices: str | None
    keep_images: str | None

    @property
    def name(self) -> str:
        """Of the stage: a folder may hold the calibrations of several judges."""
        return f"{self.stage} {Path(self.out).name}"


Stage = Annotated[ExplainPlan | ScorePlan | CalibratePlan, Field(discriminator="stage")]
AnyStage = ExplainPlan | ScorePlan | CalibratePlan


class BatchPlan(Record):
    """plan.json."""

    format: Literal["autointerp-batch/1"] = FORMAT
    version: str
    """Of the program that wrote it."""
    stages: tuple[Stage, ...]
    """In the order of ORDER; at most one of a name."""


def absolute(path: Location | None) -> str | None:
    """A path that holds from any working folder."""
    return None if path is None else str(as_path(path).resolve())


def absolute_features(features: str) -> str:
    """The choice of features, its file by a path that holds from any working folder."""
    text = features.strip()
    return f"@{absolute(text[1:])}" if text.startswith("@") else text


def check_model(model: ModelSettings, engine: EngineSettings | None = None) -> None:
    """Refuses what must not be recorded, or what no batch job reaches.

    Raises:
        SettingsError: the embedded model, an address that cannot be used or holds a password, or several addresses.
    """
    more = engine.more_base_urls if engine is not None else ()
    check_urls((model.base_url, *more))
    refuse_local(model)
    if more:
        raise SettingsError(
            f"--batch with {1 + len(more)} addresses: a batch job goes to one endpoint; give a single --base-url"
        )


def refuse_local(model: ModelSettings) -> None:
    """Refuses the embedded model.

    Raises:
        SettingsError: it is this one.
    """
    if is_local(model.model):
        raise SettingsError("--batch with --model local: the embedded model answers at once; leave --batch out")


def folder_of(run: str | Path) -> Path:
    """Where a run keeps its batch files."""
    return Path(run) / FOLDER


def read_plan(run: str | Path) -> BatchPlan:
    """The stages recorded for a run.

    Raises:
        RunError: there are none, or the plan cannot be read; names the file.
    """
    file = folder_of(run) / PLAN
    try:
        raw = json.loads(file.read_bytes())
    except FileNotFoundError as e:
        raise RunError(
            f"{run}: no batch is planned here; give the `explain`, `score` or `calibrate` command with --batch first"
        ) from e
    except (OSError, ValueError) as e:
        raise RunError(f"{file}: cannot be read ({e}); give the command with --batch again") from e
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        found = raw.get("format") if isinstance(raw, dict) else None
        raise RunError(
            f"{file}: format is {found!r}, this version reads {FORMAT!r}; give the command with --batch again"
        )
    try:
        return BatchPlan.model_validate(_addressed(raw))
    except ValidationError as e:
        first = e.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RunError(f"{file}: {where}: {first['msg']}; give the command with --batch again") from e


def _addressed(value: object) -> object:
    """A plan in which every model has an address: where an earlier version recorded none, it asked OpenAI."""
    if isinstance(value, list):
        return [_addressed(part) for part in value]
    if not isinstance(value, dict):
        return value
    out = {key: _addressed(part) for key, part in value.items()}
    if "base_url" in out and out["base_url"] is None and not is_local(str(out.get("model"))):
        out["base_url"] = OPENAI
    return out


def record(run: str | Path, stage: AnyStage) -> BatchPlan:
    """Adds a stage to the run's plan, in place of one of the same name.

    Raises:
        RunError: the plan that is there cannot be read, or another autointerp is at work on the batch.
    """
    with at_work(run) as folder:
        there = read_plan(run).stages if (folder / PLAN).exists() else ()
        stages = [*(s for s in there if s.name != stage.name), stage]
        plan = BatchPlan(version=__version__, stages=tuple(sorted(stages, key=lambda s: ORDER.index(s.stage))))
        with Book(folder, writing=True) as book:
            unsent = [f for f in book.files.values() if f.unsent and f.stage == stage.name]
            book.add(Planned(stage=stage.name))
            for file in unsent:
                (folder / file.name).unlink(missing_ok=True)
        draft = folder / f"{PLAN}.draft"
        draft.write_bytes(plan.model_dump_json(indent=2).encode() + b"\n")
        draft.replace(folder / PLAN)
    return plan


@contextmanager
def at_work(run: str | Path) -> Iterator[Path]:
    """Holds the run's batch folder, so that no two commands write the same requests.

    Raises:
        RunError: another autointerp holds it, or it cannot be written.
    """
    folder = folder_of(run)
    lock = filelock.FileLock(folder / ".lock", timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except filelock.Timeout as e:
        raise RunError(f"{folder}: another autointerp is at work on this batch; wait for it") from e
    except OSError as e:
        raise RunError(f"{folder}: cannot be written ({e.strerror})") from e
    try:
        yield folder
    finally:
        lock.release()
