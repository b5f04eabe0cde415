"""`autointerp batch submit`: goes through the recorded stages, writes what they would ask, and sends it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from autointerp.batch.client import Outbox
from autointerp.batch.events import Finished
from autointerp.batch.files import abandon
from autointerp.batch.manifest import BatchFile, Book
from autointerp.commands.batch_submit import BatchSubmit
from autointerp.errors import EndpointError, SettingsError
from autointerp.job import Progress, Silent
from autointerp.jobs.batch.budgets import Ledgers
from autointerp.jobs.batch.endpoints import admit_plan
from autointerp.jobs.batch.kinds import KINDS
from autointerp.jobs.batch.plan import BatchPlan, Kind, Stage, StageResult, at_work, read_plan, refuse_local
from autointerp.jobs.batch.upload import hold, note_answered, send
from autointerp.lmm.image_tokens import TokenEstimate
from autointerp.lmm.keys import api_key
from autointerp.lmm.prices import Price, cost
from autointerp.options import Command
from autointerp.session.gateway import estimate
from autointerp.session.tasks import REPLIES
from autointerp.settings import Budget, ModelSettings


@dataclass
class SubmitResult:
    """What submitting did."""

    run: Path
    written: list[BatchFile] = field(default_factory=list)
    """Files of now."""
    sent: list[BatchFile] = field(default_factory=list)
    """Files that the endpoint works on from now."""
    waiting: int = 0
    """Questions that stand in files and are not answered yet, those of now included."""
    files: list[BatchFile] = field(default_factory=list)
    """All files of the batch job."""
    results: dict[str, StageResult] = field(default_factory=dict)
    """What became of each stage that was gone through, by name."""
    finished: list[str] = field(default_factory=list)
    """Stages that have nothing left to ask."""
    planned: list[str] = field(default_factory=list)
    """All stages."""
    tokens: int = 0
    """That the questions of now are expected to take."""
    dollars: float | None = 0.0
    """The same at the price of a batch job; None where a price is not known."""
    expected: list[tuple[str, TokenEstimate]] = field(default_factory=list)
    """Model and tokens of each question of now."""
    stopped: str | None = None
    """`interrupted` or `over budget`."""
    problem: str | None = None
    """Why files were not sent."""

    @property
    def complete(self) -> bool:
        """Whether every stage is finished."""
        return len(self.finished) == len(self.planned)


def batch_submit(
    run: str | Path,
    kinds: Mapping[str, Kind],
    *,
    files_only: bool = False,
    again: bool = False,
    budget: Budget | None = None,
    under_way: bool = False,
    trust: Iterable[str] = (),
    progress: Progress | None = None,
) -> SubmitResult:
    """Writes the questions of the recorded stages that have no answer yet into batch files, and starts them.

    Args:
        run: folder of the run, or of a calibration.
        kinds: by name, the commands that can be recorded.
        files_only: leaves the files for `vllm run-batch` or the like.
        again: writes again what stands in files that no endpoint works on.
        budget: for what is written and sent now, of all stages together, at the price of a
            batch job; None for those of the recorded commands, each for its own stage.
        under_way: counts against the budget what the endpoint works on, too.
        trust: addresses that the folder names and that may be asked, though they were never given on this machine.
        progress: shows how far it is.

    Raises:
        AutointerpError: something that you can mend; the message says how.
    """
    progress, trust = progress or Silent(), tuple(trust)
    plan = read_plan(run, kinds)
    admit_plan(run, plan, trust)
    _check_models(plan, files_only=files_only)
    with at_work(run) as folder, Book(folder, writing=True) as book:
        ledgers = Ledgers(plan, budget)
        note_answered(plan, book)
        if again:
            for file in [f for f in book.files.values() if f.unsent]:
                abandon(book, file, "abandoned")
        result = SubmitResult(Path(run), planned=[stage.name for stage in plan.stages])
        known = set(book.files)
        if not files_only:
            hold(book, ledgers, under_way=under_way)
        _replay(plan, book, ledgers, progress, result, trust)
        result.written = [f for name, f in book.files.items() if name not in known]
        _add_up(result, ledgers.prices)
        if not files_only and result.stopped != "interrupted":
            _send(book, result, progress, trust)
        result.waiting = book.n_open
        result.files = list(book.files.values())
    return result


def _check_models(plan: BatchPlan, *, files_only: bool) -> None:
    """A key is better found missing now than after an hour of making pictures."""
    for stage in plan.stages:
        for model in stage.models:
            refuse_local(model)
            if not files_only:
                _check_key(model)


def _check_key(model: ModelSettings) -> None:
    try:
        api_key(model.base_url)
    except SettingsError as e:
        raise SettingsError(
            "no API key: set OPENAI_API_KEY (or AUTOINTERP_API_KEY), or only write the files with "
            "`autointerp batch submit RUN --files-only`"
        ) from e


def _replay(
    plan: BatchPlan, book: Book, ledgers: Ledgers, progress: Progress, result: SubmitResult, trust: Sequence[str]
) -> None:
    """Goes through the stages in order, as far as each has all its answers."""
    for stage in plan.stages:
        if stage.name not in book.finished:
            for final in (False, True):
                outbox = Outbox(book, stage.name, ledgers.of(stage.name), estimate, REPLIES, final=final)
                told = run_stage(stage, outbox, progress, trust)
                result.expected += outbox.expected
                result.results[stage.name] = told
                result.stopped = told.stopped
                if told.deferred or told.stopped:
                    return
            book.add(Finished(stage=stage.name))
        result.finished.append(stage.name)


def run_stage(stage: Stage, outbox: Outbox, progress: Progress, trust: Sequence[str] = ()) -> StageResult:
    """The recorded command, with its questions going into the outbox.

    Raises:
        AutointerpError: as the command itself.
    """
    # The budget is the outbox's, and nothing is sent that could be too fast.
    free = {"budget": None, "requests_per_minute": None, "tokens_per_minute": None}
    settings = cast("Command", stage.settings)
    changed: dict[str, object] = {"engine": stage.settings.engine.model_copy(update=free)}
    if "trust_address" in type(settings).model_fields:
        changed["trust_address"] = tuple(trust)
    return stage.kind.run(settings.model_copy(update=changed), outbox=outbox, progress=progress)


def _add_up(result: SubmitResult, prices: Mapping[str, Price | None]) -> None:
    for model, (tokens_in, tokens_out) in result.expected:
        price = prices[model]
        result.tokens += tokens_in + tokens_out
        if price is None or result.dollars is None:
            result.dollars = None
        else:
            result.dollars += cost(price, tokens_in, tokens_out, 0)


def _send(book: Book, result: SubmitResult, progress: Progress, trust: Sequence[str]) -> None:
    try:
        for file in send(result.run, book, progress, trust):
            result.sent.append(file)
            progress.note(f"{file.name}: started as {file.batch}")
    except EndpointError as e:
        # What is written is kept, and said.
        result.problem = str(e)
    except KeyboardInterrupt:
        result.stopped = "interrupted"


def run(settings: BatchSubmit, *, progress: Progress | None = None) -> SubmitResult:
    """Writes and sends.

    Raises:
        AutointerpError: something that you can mend; the message says how.
    """
    return batch_submit(
        settings.run,
        KINDS,
        files_only=settings.files_only,
        again=settings.again,
        budget=settings.budget,
        trust=settings.trust_address,
        progress=progress,
    )
