"""What `--batch` records: the stages that a batch job is to answer, each with all that its command was told."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import filelock
from pydantic import ValidationError

from autointerp.batch.events import Planned
from autointerp.batch.manifest import Book
from autointerp.errors import RunError, SettingsError
from autointerp.lmm.address import OPENAI, check_urls
from autointerp.lmm.cache import cache_folder
from autointerp.options import Command
from autointerp.reading import in_short, read_json
from autointerp.settings import EngineSettings, ModelName, ModelSettings
from autointerp.version import __version__

FORMAT = "autointerp-batch/1"
FOLDER = "batch"
PLAN = "plan.json"
ORDER = ("calibrate", "explain", "score")
"""Of the stages: each may read what those before it wrote."""


class StageResult(Protocol):
    """What going through a stage did."""

    selected: int
    done: int
    failed: int
    deferred: int
    stopped: str | None

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do."""
        ...


class Plannable(Protocol):
    """The settings of a command that can be recorded for a batch job."""

    @property
    def stage(self) -> str:
        """The name of the stage; a folder may hold several calibrations."""
        ...

    @property
    def engine(self) -> EngineSettings:
        """How the endpoint is used."""
        ...

    @property
    def prices(self) -> Path | None:
        """The user's own price file."""
        ...

    @property
    def cache(self) -> Path | None:
        """The folder of the answers."""
        ...


@dataclass(frozen=True)
class Kind:
    """A command that can be recorded for a batch job."""

    record: type[Command]
    run: Callable[..., StageResult]
    """Called with the settings, `outbox` and `progress`."""
    models: Callable[..., list[ModelSettings]]
    """The models that are asked, from the settings."""


@dataclass(frozen=True)
class Stage:
    """A recorded command."""

    kind: Kind
    settings: Plannable

    @property
    def name(self) -> str:
        """The name of the stage."""
        return self.settings.stage

    @property
    def models(self) -> list[ModelSettings]:
        """The models that are asked.

        Raises:
            RunError: the run cannot be read.
        """
        return self.kind.models(self.settings)

    @property
    def cache(self) -> Path:
        """The folder of the answers."""
        return cache_folder(self.settings.cache)


@dataclass(frozen=True)
class BatchPlan:
    """The recorded commands, in the order of ORDER, at most one of a name."""

    stages: tuple[Stage, ...]


def check_models(models: Sequence[ModelSettings], engine: EngineSettings) -> None:
    """Refuses what must not be recorded, or what no batch job reaches.

    Raises:
        SettingsError: the embedded model, an address that cannot be used or holds a password, or several addresses.
    """
    urls = {*(model.base_url for model in models[:1]), *engine.more_base_urls}
    check_urls(urls)
    for model in models:
        refuse_local(model)
    if len(urls) > 1:
        raise SettingsError(
            f"--batch with {len(urls)} addresses: a batch job goes to one endpoint; give a single --base-url"
        )


def refuse_local(model: ModelSettings) -> None:
    """Refuses the embedded model.

    Raises:
        SettingsError: it is this one.
    """
    if model.model.is_local:
        raise SettingsError("--batch with --model local: the embedded model answers at once; leave --batch out")


def folder_of(run: str | Path) -> Path:
    """Where a run keeps its batch files."""
    return Path(run) / FOLDER


def read_plan(run: str | Path, kinds: Mapping[str, Kind]) -> BatchPlan:
    """The stages recorded for a run.

    Args:
        run: the run's folder.
        kinds: by name, the commands that can be recorded.

    Raises:
        RunError: there are none, or the plan cannot be read; names the file.
    """
    file = folder_of(run) / PLAN
    return BatchPlan(tuple(_stage(Path(run), file, number, raw, kinds) for number, raw in enumerate(_raw_stages(run))))


def planned(run: str | Path) -> tuple[str, ...]:
    """The names of the commands that are recorded for a run.

    Raises:
        RunError: there are none, or the plan cannot be read; names the file.
    """
    return tuple(str(raw.get("stage")) for raw in _raw_stages(run) if isinstance(raw, dict))


def _raw_stages(run: str | Path) -> list[object]:
    file = folder_of(run) / PLAN
    try:
        raw = read_json(file.read_bytes())
    except FileNotFoundError as e:
        raise RunError(
            f"{run}: no batch is planned here; give the `explain`, `score` or `calibrate` command with --batch first"
        ) from e
    except (OSError, ValueError) as e:
        raise RunError(f"{file}: cannot be read ({e}); give the command with --batch again") from e
    if not isinstance(raw, dict) or raw.get("format") != FORMAT or not isinstance(raw.get("stages"), list):
        found = raw.get("format") if isinstance(raw, dict) else None
        raise RunError(
            f"{file}: format is {in_short(found)}, this version reads {FORMAT!r}; give the command with --batch again"
        )
    return raw["stages"]


def _stage(run: Path, file: Path, number: int, raw: object, kinds: Mapping[str, Kind]) -> Stage:
    name = raw.get("stage") if isinstance(raw, dict) else None
    if not isinstance(raw, dict) or not isinstance(name, str) or name not in kinds:
        raise RunError(
            f"{file}: stages.{number}: stage is {in_short(name)}, not one of {', '.join(kinds)}; give the command with "
            "--batch again"
        )
    kind = kinds[name]
    values = {key: value for key, value in raw.items() if key != "stage"}
    if "run" in kind.record.model_fields:
        values["run"] = run
    try:
        return Stage(kind, cast("Plannable", kind.record.model_validate(_addressed(values))))
    except ValidationError as e:
        first = e.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in (f"stages.{number}", *first["loc"]))
        raise RunError(f"{file}: {where}: {first['msg']}; give the command with --batch again") from e


def _addressed(value: object) -> object:
    """A plan in which every model has an address: where an earlier version recorded none, it asked OpenAI."""
    if isinstance(value, list):
        return [_addressed(part) for part in value]
    if not isinstance(value, dict):
        return value
    out = {key: _addressed(part) for key, part in value.items()}
    if "base_url" in out and out["base_url"] is None and not ModelName(out.get("model") or "").is_local:
        out["base_url"] = OPENAI
    return out


def record(run: str | Path, kind: str, settings: Command) -> None:
    """Adds a command to the run's plan, in place of one of the same stage.

    Args:
        run: folder of the run.
        kind: the name of the command.
        settings: of the command; its paths are recorded as absolute ones.

    Raises:
        RunError: the plan that is there cannot be read, or another autointerp is at work on the batch.
    """
    name = cast("Plannable", settings).stage
    settings = settings.model_copy(update={"cache": cache_folder(cast("Plannable", settings).cache)}).absolute()
    added = {"stage": kind, **settings.model_dump(mode="json", exclude={"run", "execution"})}
    with at_work(run) as folder:
        there = _raw_stages(run) if (folder / PLAN).exists() else []
        stages = [*(s for s in there if isinstance(s, dict) and _name(s) != name), added]
        stages.sort(key=lambda s: ORDER.index(s["stage"]) if s.get("stage") in ORDER else len(ORDER))
        with Book(folder, writing=True) as book:
            unsent = [f for f in book.files.values() if f.unsent and f.stage == name]
            book.add(Planned(stage=name))
            for file in unsent:
                (folder / file.name).unlink(missing_ok=True)
        draft = folder / f"{PLAN}.draft"
        plan = {"format": FORMAT, "version": __version__, "stages": stages}
        draft.write_text(json.dumps(plan, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        draft.replace(folder / PLAN)


def _name(raw: Mapping[str, object]) -> str:
    kind = str(raw.get("stage"))
    return f"{kind} {Path(str(raw['out'])).name}" if "out" in raw else kind


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
