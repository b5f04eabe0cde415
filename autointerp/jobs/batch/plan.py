"""What `--batch` records: the stages that a batch job is to answer, each with all that its command was told."""

import importlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from pydantic import ValidationError

from autointerp.batch.client import Outbox
from autointerp.batch.manifest import Event, Manifest
from autointerp.commands.calibrate import Calibrate
from autointerp.commands.explain import Explain
from autointerp.commands.score import Score
from autointerp.errors import RunError, SettingsError, one_line
from autointerp.job import Progress
from autointerp.lmm.address import OPENAI, checked_url
from autointerp.lmm.trust import is_known_place, remember_place
from autointerp.options import Command
from autointerp.places import cache_folder
from autointerp.reading import first_fault, in_short, read_json
from autointerp.remote.path import AnyPath, as_path
from autointerp.runs.files import locked, replace_file
from autointerp.runs.index import named
from autointerp.settings import (
    PIPELINE,
    EngineSettings,
    Execution,
    ModelName,
    ModelSettings,
    PictureSettings,
    recorded,
    recorded_explain,
)
from autointerp.transcoder.settings import NetworkChoice
from autointerp.version import __version__

FORMAT = "autointerp-batch/1"
FOLDER = "batch"
PLAN = "plan.json"
RECORDS: Mapping[str, type[Calibrate | Explain | Score]] = {"calibrate": Calibrate, "explain": Explain, "score": Score}
"""The commands that can be recorded, in the order of the stages: each may read what those before it wrote."""


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


@dataclass(frozen=True)
class Stage:
    """Holds one recorded command."""

    kind: str
    """Its name, one of RECORDS."""
    settings: Calibrate | Explain | Score
    judging: str = ""
    """Of a score: which judging of the run."""

    @property
    def name(self) -> str:
        """The name of the stage; a folder may hold several calibrations, and scores of several judgings."""
        return named(self.settings.stage, self.judging)

    @property
    def models(self) -> list[ModelSettings]:
        """The models that are asked; raises RunError where the run cannot be read."""
        return cast("list[ModelSettings]", self._job("models")(self.settings))

    @property
    def embedders(self) -> list[ModelSettings]:
        """The embedders that are asked, which no batch job reaches."""
        if isinstance(self.settings, Score):
            return [self.settings.settings.embedder]
        plan = self.settings.settings.candidates if isinstance(self.settings, Explain) else None
        return [plan.embedder] if plan is not None and plan.embedder is not None else []

    @property
    def painters(self) -> list[PictureSettings]:
        """Who makes pictures on a server."""
        made = None if isinstance(self.settings, Calibrate) else self.settings.settings.pictures
        return [] if made is None or made.model.startswith(PIPELINE) else [made]

    @property
    def dumps(self) -> list[AnyPath]:
        """The dumps that are read."""
        given = [self.settings.dump] if isinstance(self.settings, Explain | Score) else []
        random = [self.settings.random_dump] if isinstance(self.settings, Score) else []
        return [as_path(where) for where in (*given, *random) if where is not None]

    @property
    def cache(self) -> Path:
        """The folder of the answers."""
        return cache_folder(self.settings.cache)

    def run(self, outbox: Outbox, progress: Progress, trust: Iterable[str]) -> StageResult:
        """Gives the recorded command again, with its questions going into the outbox; raises what it raises."""
        # The budget is the outbox's, and nothing is sent that could be too fast.
        free = {"budget": None, "requests_per_minute": None, "tokens_per_minute": None}
        changed: dict[str, object] = {"engine": self.settings.engine.model_copy(update=free)}
        if isinstance(self.settings, Score):
            changed["trust_address"] = tuple(trust)
        told = self._job("run")(self.settings.model_copy(update=changed), outbox=outbox, progress=progress)
        return cast("StageResult", told)

    def _job(self, function: str) -> Callable[..., object]:
        # The commands themselves record, so that they cannot be imported from here at the top.
        return getattr(importlib.import_module(f"autointerp.jobs.{self.kind}"), function)


def check_models(models: Sequence[ModelSettings], engine: EngineSettings, network: NetworkChoice | None = None) -> None:
    """Refuses what must not be recorded, or what no batch job reaches.

    Raises:
        SettingsError: the embedded model, an address that cannot be used or holds a password, several addresses, or a
            backbone without a name.
    """
    if network is not None and not isinstance(network.backbone, str | None):
        raise SettingsError("batch: a backbone that is an object cannot be recorded; name one that can be loaded")
    urls = {*(model.base_url for model in models[:1]), *engine.more_base_urls}
    for url in urls:
        checked_url(url)
    if any(model.model.is_local for model in models):
        raise SettingsError("--batch with --model local: the embedded model answers at once; leave --batch out")
    if any(model.model.is_transformers for model in models):
        raise SettingsError("--batch with --steer: the model runs in this process; leave --batch out")
    if any(model.model.is_human for model in models):
        raise SettingsError("--batch with --judge-model human: a person answers on a page; leave --batch out")
    if len(urls) > 1:
        raise SettingsError(
            f"--batch with {len(urls)} addresses: a batch job goes to one endpoint; give a single --base-url"
        )


def folder_of(run: str | Path) -> Path:
    """Where a run keeps its batch files."""
    return Path(run) / FOLDER


def read_plan(run: str | Path) -> tuple[Stage, ...]:
    """The stages recorded for a run, in the order of RECORDS; raises RunError where there are none to read."""
    return tuple(_stage(Path(run), number, raw) for number, raw in enumerate(_raw_stages(run)))


def planned(run: str | Path) -> tuple[str, ...]:
    """The names of the commands that are recorded for a run; raises RunError where there are none to read."""
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


def _stage(run: Path, number: int, raw: object) -> Stage:
    where, remedy = f"{folder_of(run) / PLAN}: stages.{number}", "give the command with --batch again"
    name = raw.get("stage") if isinstance(raw, dict) else None
    if not isinstance(raw, dict) or not isinstance(name, str) or name not in RECORDS:
        raise RunError(f"{where}: stage is {in_short(name)}, not one of {', '.join(RECORDS)}; {remedy}")
    values = {k: value for k, value in raw.items() if k not in ("stage", "execution", "exchanges", "judging")}
    if "run" in RECORDS[name].model_fields:
        values["run"] = run
    if "settings" in values:
        values["settings"] = (recorded_explain if name == "explain" else recorded)(values["settings"])
    if "execution" in RECORDS[name].model_fields:
        values["execution"] = {"exchanges": raw.get("exchanges", True)}
    elif "sides" not in values and isinstance(shown := values.get("settings"), dict):
        # An earlier version planted whole scenes of one size, whatever the run shows.
        values |= {"sides": (), "settings": {**shown, "rendering": "full"}}
    try:
        settings = _in_its_place(RECORDS[name].model_validate(_addressed(values)), run)
        return Stage(name, settings, str(raw.get("judging", "")))
    except ValidationError as e:
        raise RunError(f"{where}.{first_fault(e)}; {remedy}") from e


def _in_its_place(settings: Calibrate | Explain | Score, run: Path) -> Calibrate | Explain | Score:
    """The settings with what a command writes in the folder that it was recorded for, wherever that is now."""
    if isinstance(settings, Calibrate):
        return settings.model_copy(update={"out": str(run / settings.target.name)})
    if isinstance(settings, Score):
        # What is adopted from elsewhere is in the run before the command is recorded.
        return settings.model_copy(update={"explanations": None, "new_run": None, "layer": None})
    return settings


def refuse_unknown_folders(run: str | Path, stages: Iterable[Stage]) -> None:
    """Refuses to write where only a plan says, so that a folder from elsewhere reaches nothing beside itself.

    Raises:
        RunError: a folder that is neither in the run nor the cache of this command, and that no command of this
            machine recorded.
    """
    home, own = Path(run).resolve(), cache_folder(None).resolve()
    for stage in stages:
        places = {"cache": stage.cache, "keep_images": getattr(stage.settings, "keep_images", None)}
        for what, folder in places.items():
            if folder is None or is_known_place("folders", folder) or home in folder.resolve().parents:
                continue
            if what == "cache" and folder.resolve() == own:
                continue
            here = f"set AUTOINTERP_CACHE={folder}, or " if what == "cache" else ""
            raise RunError(
                f"{folder_of(run) / PLAN}: {stage.name} would write into {one_line(str(folder))} ({what}), which was "
                f"never given on this machine; if that is right, {here}record the command again with --batch here"
            )


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


def record(run: str | Path, kind: str, settings: Command, *, judging: str = "") -> None:
    """Adds a command to the run's plan, in place of one of the same stage.

    Args:
        run: folder of the run.
        kind: the name of the command.
        settings: of the command; its paths are recorded as absolute ones.
        judging: of a score, the judging of the run.

    Raises:
        RunError: the plan that is there cannot be read or written, or another autointerp is at work on the batch.
    """
    stage = Stage(kind, cast("Explain", settings), judging)
    settings = settings.model_copy(update={"cache": stage.cache}).absolute()
    remember_place("folders", stage.cache)
    if isinstance(settings, Calibrate) and settings.keep_images is not None:
        remember_place("folders", settings.keep_images)
    added = {"stage": kind, **settings.model_dump(mode="json", exclude={"run", "execution"})}
    if not getattr(settings, "execution", Execution()).exchanges:
        added["exchanges"] = False
    if judging:
        added["judging"] = judging
    order = list(RECORDS)
    with at_work(run) as folder:
        there = _raw_stages(run) if (folder / PLAN).exists() else []
        stages = [*(s for s in there if isinstance(s, dict) and _name(s) != stage.name), added]
        stages.sort(key=lambda s: order.index(s["stage"]) if s.get("stage") in order else len(order))
        with Manifest(folder, writing=True) as manifest:
            unsent = [file for file in manifest.unsent if file.stage == stage.name]
            manifest.add(Event(event="planned", stage=stage.name))
            for file in unsent:
                (folder / file.name).unlink(missing_ok=True)
        plan = {"format": FORMAT, "version": __version__, "stages": stages}
        try:
            replace_file(folder / PLAN, json.dumps(plan, indent=2, ensure_ascii=False).encode() + b"\n")
        except OSError as e:
            raise RunError(
                f"{folder / PLAN}: cannot be written ({e.strerror}); mend that, then give the command again"
            ) from e


def _name(raw: Mapping[str, object]) -> str:
    kind = str(raw.get("stage"))
    return f"{kind} {Path(str(raw['out'])).name}" if "out" in raw else named(kind, str(raw.get("judging", "")))


@contextmanager
def at_work(run: str | Path) -> Iterator[Path]:
    """Holds the run's batch folder, so that no two commands write the same requests.

    Raises:
        RunError: another autointerp holds it, or it cannot be written.
    """
    folder = folder_of(run)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = locked(folder / ".lock", f"{folder}: another autointerp is at work on this batch; wait for it")
    except OSError as e:
        raise RunError(f"{folder}: cannot be written ({e.strerror})") from e
    try:
        yield folder
    finally:
        lock.release()
