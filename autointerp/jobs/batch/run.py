"""`autointerp batch status` and `batch run`: how far a batch job is, and driving it to its end."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from autointerp.batch.manifest import BatchFile
from autointerp.commands.batch_collect import BatchCollect
from autointerp.commands.batch_run import BatchRun
from autointerp.commands.batch_status import BatchJob
from autointerp.commands.batch_submit import BatchSubmit
from autointerp.errors import AutointerpError, EndpointError
from autointerp.job import OVER_BUDGET, Progress, Silent
from autointerp.jobs.batch import collect, submit
from autointerp.jobs.batch.collect import CollectResult
from autointerp.jobs.batch.job import Job, open_job
from autointerp.jobs.batch.next_step import next_step
from autointerp.jobs.batch.plan import StageResult
from autointerp.record import Record
from autointerp.remote.path import AnyPath, as_path
from autointerp.settings import Budget
from autointerp.shards.remote_runs import Kept, kept_at

_NOTHING = Budget("1 tokens")
"""A budget that no question fits into."""
IDLE_ROUNDS = 3
"""Rounds in a row that bring no answer before driving ends."""


class FileStatus(Record):
    """One file of requests: its state, and what the endpoint says of a batch that it works on."""

    file: str
    stage: str
    model: str
    lines: int
    pictures: bool
    """Whether these ask for pictures."""
    open: int
    """Of the lines, not answered yet."""
    state: str
    batch: str | None
    endpoint: str | None


class BatchStatus(Record):
    """A batch job in numbers."""

    run: str
    stages: dict[str, bool]
    """The recorded stages in order, and whether each is finished."""
    left: dict[str, dict[str, int]]
    """What failed of finished stages and was not mended since, by stage and kind."""
    files: tuple[FileStatus, ...]
    open: int
    """Questions in files whose answers may still come."""
    unanswered: dict[str, int]
    """Questions to be written again, by why."""
    next: str
    """What to do."""


def run_status(settings: BatchJob, *, progress: Progress | None = None) -> BatchStatus:
    """Reads a batch folder, which may be in the middle of being written, and asks the endpoint of running batches."""
    with open_job(settings, progress, writing=False) as job:
        manifest, files, left = job.manifest, list(job.manifest.files.values()), job.left()
        stages = {stage.name: stage.name in manifest.finished for stage in job.stages}
        return BatchStatus(
            run=str(settings.run),
            stages=stages,
            left=left,
            files=tuple(_file_status(job, file) for file in files),
            open=manifest.n_open,
            unanswered=dict(Counter(manifest.unanswered.values())),
            next=next_step(job.run, settings.run, files, finished=all(stages.values()), left=left),
        )


def _file_status(job: Job, file: BatchFile) -> FileStatus:
    said = None
    try:
        if file.running and file.batch is not None:
            said = job.api(file).look(file.batch).progress
    except AutointerpError as e:
        said = f"not known: {e}"
    told = {name: getattr(file, name) for name in ("stage", "model", "lines", "pictures", "state", "batch")}
    return FileStatus(file=file.name, open=len(file.open), endpoint=said, **told)


@dataclass
class DriveResult:
    """What driving a batch job did."""

    run: AnyPath
    rounds: int = 0
    results: dict[str, StageResult] = field(default_factory=dict)
    """What became of each stage, by name."""
    left: dict[str, dict[str, int]] = field(default_factory=dict)
    """What failed of finished stages and was not mended since, by stage and kind; no file asks it again."""
    collected: list[CollectResult] = field(default_factory=list)
    stopped: str | None = None
    """Why it ended before the last stage was finished."""
    idle: bool = False
    """Whether that is since answers stayed out, rather than by the budget or a signal."""
    next: str = ""
    """What to do."""

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do."""
        return self.stopped is None and not self.left and all(r.complete for r in self.results.values())


def run(
    settings: BatchRun, *, progress: Progress | None = None, sleep: Callable[[float], None] = time.sleep
) -> DriveResult:
    """Submits, waits, collects, and again, until every recorded stage is finished; can be killed and started again.

    The budget is for each round, and what an earlier start sent and nobody collected counts. Raises AutointerpError for
    what you can mend.
    """
    result, progress = DriveResult(as_path(settings.run)), progress or Silent()
    with kept_at(settings.run, writing=True) as kept:
        try:
            _drive(settings, result, progress, sleep, kept)
        except KeyboardInterrupt:
            result.stopped = "interrupted; the endpoint works on"
    return result


def _drive(
    settings: BatchRun, result: DriveResult, progress: Progress, sleep: Callable[[float], None], kept: Kept
) -> None:
    """Goes from round to round until all is done, or it must stop."""
    idle = 0
    while True:
        submitted = _submit(settings, result, progress, kept)
        if submitted.problem is not None:
            raise EndpointError(submitted.problem)
        result.stopped = submitted.stopped
        if submitted.complete or submitted.stopped not in (None, OVER_BUDGET):
            return
        answers = _wait(settings, result, None if submitted.sent else progress, progress, sleep, kept)
        hopeless = result.collected[-1].hopeless
        if submitted.stopped is not None or hopeless is not None:
            # What the answers settle is recorded; no more is asked.
            _submit(settings.model_copy(update={"budget": _NOTHING}), result, progress, kept, files_only=True)
            if hopeless is not None:
                raise EndpointError(hopeless)
            return
        idle = 0 if answers else idle + 1
        if idle >= IDLE_ROUNDS:
            result.stopped, result.idle = _why_idle(result.collected[-1]), True
            return


def _submit(
    settings: BatchRun, result: DriveResult, progress: Progress, kept: Kept, *, files_only: bool = False
) -> submit.SubmitResult:
    same = {name: getattr(settings, name) for name in ("run", "budget", "trust_address")}
    told = submit.run(
        BatchSubmit(files_only=files_only, **same), progress=progress, under_way=not files_only, kept=kept
    )
    result.results |= told.results
    result.left, result.next = told.left, told.next
    return told


def _wait(
    settings: BatchRun,
    result: DriveResult,
    first: Progress | None,
    progress: Progress,
    sleep: Callable[[float], None],
    kept: Kept,
) -> int:
    """Collects until no batch is left that the endpoint works on; gives how many answers came.

    Who is asked is said `first` alone, unless it has been where something was sent.
    """
    asked = BatchCollect(run=settings.run, keep=settings.keep, trust_address=settings.trust_address)
    result.rounds += 1
    said: dict[str, str] = {}
    answers = 0
    while True:
        told = collect.run(asked, progress=first, kept=kept)
        first, answers = None, answers + told.answers
        result.collected.append(told)
        for file, state in (told.running | told.ended).items():
            if said.get(file) != state:
                progress.note(f"{file}: {state}")
        said = told.running
        if not said or told.hopeless is not None:
            return answers
        sleep(settings.poll)


def _why_idle(last: CollectResult) -> str:
    said = [f"{kind}: {message}" for kind, message in last.messages.items()]
    why = f" ({'; '.join(said[:2])})" if said else ""
    return (
        f"{IDLE_ROUNDS} rounds in a row brought no answer{why}; {last.unanswered:,} "
        f"{'question is' if last.unanswered == 1 else 'questions are'} open: "
        "mend that and start again, or give the recorded command without --batch, which asks them directly"
    )
