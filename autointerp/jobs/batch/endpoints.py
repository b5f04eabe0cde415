"""The endpoints of a batch job: each opened once, and only where its address was given on this machine."""

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from autointerp.batch.api import BatchApi
from autointerp.batch.manifest import BatchFile
from autointerp.commands.explain import Explain
from autointerp.commands.score import Score
from autointerp.errors import one_line
from autointerp.job import Progress, refuse_unknown_dump
from autointerp.jobs.batch.plan import FOLDER, PLAN, BatchPlan, Stage
from autointerp.lmm.address import OPENAI
from autointerp.lmm.trust import admit
from autointerp.remote.path import Location, as_path
from autointerp.settings import ModelSettings


class Apis:
    """The Batch APIs that a batch job's files are with.

    Args:
        run: folder of the run, or of a calibration.
        stack: closes what was opened.
        trust: addresses that the folder names and that may be asked, though they were never given on this machine.
    """

    def __init__(self, run: str | Path, stack: ExitStack, trust: Iterable[str] = ()) -> None:
        self._run = Path(run)
        self._stack = stack
        self._trust = tuple(trust)
        self._open: dict[str | None, BatchApi] = {}

    def of(self, file: BatchFile) -> BatchApi:
        """The one of a file.

        Raises:
            SettingsError: there is no key, or only the run folder names the address.
        """
        if file.base_url not in self._open:
            admit([file.base_url], named_by=f"{self._run / FOLDER}", confirmed=self._trust)
            self._open[file.base_url] = self._stack.enter_context(BatchApi(file.base_url))
        return self._open[file.base_url]


def admit_plan(run: str | Path, plan: BatchPlan, trust: Iterable[str] = ()) -> None:
    """Makes sure that whoever a plan asks may be asked: models, and embedders, which no batch job reaches.

    Raises:
        SettingsError: only the run folder names an address.
        RunError: only the run folder names the URL of a dump.
    """
    named_by = f"{Path(run) / FOLDER / PLAN}"
    for where in (where for stage in plan.stages for where in _dumps(stage) if where is not None):
        refuse_unknown_dump(as_path(where), named_by, "if you trust it, record the command again with --batch here")
    asked = [model for stage in plan.stages for model in (*stage.models, *_embedders(stage))]
    urls = [model.base_url for model in asked if not model.model.is_local]
    admit(urls, named_by=named_by, confirmed=trust)


def _embedders(stage: Stage) -> tuple[ModelSettings, ...]:
    match stage.settings:
        case Score(settings=settings):
            return (settings.embedder,)
        case Explain(settings=settings) if settings.candidates is not None and settings.candidates.embedder is not None:
            return (settings.candidates.embedder,)
        case _:
            return ()


def _dumps(stage: Stage) -> tuple[Location | None, ...]:
    match stage.settings:
        case Score(dump=dump, random_dump=random):
            return (dump, random)
        case Explain(dump=dump):
            return (dump,)
        case _:
            return ()


def announce_files(progress: Progress, files: Iterable[BatchFile]) -> None:
    """Says which Batch APIs will be asked, before anything is sent."""
    for url in dict.fromkeys(file.base_url or OPENAI for file in files):
        progress.note(one_line(f"asking the Batch API at {url}"))
