"""A batch job that is open for one command: what was recorded and done, and its endpoints and caches."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from autointerp.batch.api import BatchApi
from autointerp.batch.manifest import BatchFile, Manifest
from autointerp.commands.batch_collect import BatchCollect
from autointerp.commands.batch_status import BatchJob
from autointerp.commands.batch_submit import BatchSubmit
from autointerp.commands.calibrate import Calibrate
from autointerp.commands.score import Score
from autointerp.errors import one_line
from autointerp.job import Progress, Silent, refuse_unknown_dump
from autointerp.jobs.batch.plan import FOLDER, PLAN, Stage, at_work, folder_of, read_plan, refuse_unknown_folders
from autointerp.lmm.address import OPENAI
from autointerp.lmm.cache import Cache
from autointerp.lmm.images.store import FOLDER as PICTURES
from autointerp.lmm.images.store import PictureStore
from autointerp.lmm.prices import Price, batch_multiplier
from autointerp.lmm.trust import admit
from autointerp.runs.folder import open_run
from autointerp.schema import FailureRecord
from autointerp.scoring.random_weights_control import FOLDER as RANDOM
from autointerp.session.gateway import find_price
from autointerp.session.pictures import find_picture_price
from autointerp.shards.remote_runs import Kept, kept_at

Prices = Mapping[str, Price | None]
"""What models cost in a batch job, by name; None where it is not known."""
Settings = BatchSubmit | BatchCollect | BatchJob


@dataclass
class Job:
    """What the commands of a batch job share: endpoints and caches are opened once, and closed with the stack."""

    run: Path
    """The folder of the run, or of the working copy of one at a URL."""
    flush: Callable[[], None]
    """Sends what is new to the URL, before something is begun elsewhere that would be paid twice were it forgotten."""
    stages: tuple[Stage, ...]
    manifest: Manifest
    trust: tuple[str, ...]
    """Addresses that the folder names and that may be asked, though they were never given on this machine."""
    progress: Progress
    stack: ExitStack
    _apis: dict[tuple[str | None, bool], BatchApi] = field(default_factory=dict)
    _caches: dict[Path, Cache] = field(default_factory=dict)

    @cached_property
    def prices_of(self) -> Mapping[str, Prices]:
        """The prices of each stage's models; raises SettingsError where a price file cannot be used."""
        return {stage.name: _prices(stage) for stage in self.stages}

    @cached_property
    def prices(self) -> Prices:
        """The prices of all models."""
        return {model: price for prices in self.prices_of.values() for model, price in prices.items()}

    def api(self, file: BatchFile) -> BatchApi:
        """The Batch API of a file; raises SettingsError without a key, or where only the run folder names it."""
        # A server that makes pictures may have a key of its own.
        at = (file.base_url, file.pictures)
        if at not in self._apis:
            admit([file.base_url], named_by=f"{self.run / FOLDER}", confirmed=self.trust)
            what = " for pictures" if file.pictures else ""
            self.progress.note(one_line(f"asking the Batch API{what} at {file.base_url or OPENAI}"))
            self._apis[at] = api = BatchApi(file.base_url, pictures=file.pictures)
            self.stack.callback(api.close)
        return self._apis[at]

    def cache(self, file: BatchFile) -> Cache:
        """The cache of a file's stage; of one that is recorded no more, that of the first stage."""
        folder = self._folder(file)
        if folder not in self._caches:
            self._caches[folder] = self.stack.enter_context(Cache(folder))
        return self._caches[folder]

    def store(self, file: BatchFile) -> PictureStore:
        """Where the pictures go that a file asks for: beside the answers."""
        return PictureStore(self._folder(file) / PICTURES)

    def _folder(self, file: BatchFile) -> Path:
        return next((s for s in self.stages if s.name == file.stage), self.stages[0]).cache

    def admit(self) -> None:
        """Raises SettingsError or RunError where only the run folder names an address of a model, or a dump's URL."""
        named_by = f"{self.run / FOLDER / PLAN}"
        for where in (where for stage in self.stages for where in stage.dumps):
            refuse_unknown_dump(where, named_by, "if you trust it, record the command again with --batch here")
        asked = [model for stage in self.stages for model in (*stage.models, *stage.embedders)]
        urls = [model.base_url for model in asked if model.model.has_server]
        urls += [painter.base_url for stage in self.stages for painter in stage.painters]
        admit(urls, named_by=named_by, confirmed=self.trust)

    def left(self) -> dict[str, dict[str, int]]:
        """What failed of finished stages, by stage and kind, and has not been mended since by the command itself."""
        finished = [stage for stage in self.stages if stage.name in self.manifest.finished]
        return {stage.name: dict(kinds) for stage in finished if (kinds := self._failed(stage))}

    def _failed(self, stage: Stage) -> Counter[str]:
        if isinstance(stage.settings, Calibrate):
            return Counter() if stage.settings.target.exists() else Counter(["no calibration"])
        failures = [f for f in _pending(self.run, stage.judging) if f.stage.startswith(stage.kind)]
        if isinstance(stage.settings, Score) and stage.settings.random_dump is not None:
            failures += _pending(self.run / RANDOM)
        return Counter(failure.kind for failure in failures)


@contextmanager
def open_job(
    settings: Settings, progress: Progress | None, *, writing: bool = True, kept: Kept | None = None
) -> Iterator[Job]:
    """Opens the batch job of a run, to write in it for one command at a time.

    Args:
        settings: of the command.
        progress: is told who is asked.
        writing: whether it may be written to.
        kept: the run's folder and what sends it, where the caller has them open.

    Raises:
        RunError: there is none, it cannot be read, it names folders to write to that were never given on this
            machine, or another autointerp is at work on it.
    """
    with ExitStack() as stack:
        run, flush = kept or stack.enter_context(kept_at(settings.run, writing=writing))
        stages = read_plan(run)
        if writing:
            refuse_unknown_folders(run, stages)
        folder = stack.enter_context(at_work(run)) if writing else folder_of(run)
        manifest = stack.enter_context(Manifest(folder, writing=writing))
        yield Job(run, flush, stages, manifest, settings.trust_address, progress or Silent(), stack)


def _pending(run: Path, judging: str = "") -> list[FailureRecord]:
    return open_run(run).of_judging(judging).pending() if (run / "run.json").exists() else []


def _prices(stage: Stage) -> Prices:
    out: dict[str, Price | None] = {}
    for model in stage.models:
        price = find_price(model, stage.settings.prices)
        out[model.model] = None if price is None else price.times(batch_multiplier(model.model))
    for painter in stage.painters:
        out[painter.model] = find_picture_price(painter, stage.settings.prices, batch=True)
    return out
