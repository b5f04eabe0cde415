"""`autointerp batch status` and `batch run`: how far a batch job is, and driving it to its end."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from autointerp.batch.manifest import BatchFile, Book
from autointerp.commands.batch_run import BatchRun
from autointerp.commands.batch_status import BatchJob
from autointerp.errors import AutointerpError, EndpointError
from autointerp.job import OVER_BUDGET, Progress, Silent
from autointerp.jobs.batch.collect import batch_collect, progress_of
from autointerp.jobs.batch.endpoints import Apis, announce_files
from autointerp.jobs.batch.kinds import KINDS
from autointerp.jobs.batch.plan import Kind, StageResult, folder_of, planned, read_plan
from autointerp.jobs.batch.results import CollectResult
from autointerp.jobs.batch.submit import SubmitResult, batch_submit
from autointerp.lmm.address import is_openai
from autointerp.record import Record
from autointerp.settings import Budget

_NOTHING = Budget("1 tokens")
"""A budget that no question fits into."""
IDLE_ROUNDS = 3
"""Rounds in a row that bring no answer before driving ends."""


class FileStatus(Record):
    """One file of requests."""

    file: str
    stage: str
    model: str
    lines: int
    open: int
    """Of them, not answered yet."""
    state: str
    """written, uploaded, started, done; completed, expired, cancelled, failed, abandoned."""
    batch: str | None
    endpoint: str | None
    """What the endpoint says of a batch that it works on; None of others."""


class BatchStatus(Record):
    """A batch job in numbers."""

    run: str
    stages: dict[str, bool]
    """The recorded stages in order, and whether each is finished."""
    files: tuple[FileStatus, ...]
    open: int
    """Questions in files whose answers may still come."""
    unanswered: dict[str, int]
    """Questions to be written again, by why."""
    next: str
    """What to do."""


def batch_status(
    run: str | Path, kinds: Mapping[str, Kind], *, trust: Iterable[str] = (), progress: Progress | None = None
) -> BatchStatus:
    """Reads a batch folder, which may be in the middle of being written, and asks the endpoint of running batches.

    Args:
        run: folder of the run, or of a calibration.
        kinds: by name, the commands that can be recorded.
        trust: as for `batch_submit`.
        progress: is told who is asked.

    Raises:
        RunError: there is no batch, or its manifest cannot be read.
    """
    plan = read_plan(run, kinds)
    with ExitStack() as stack:
        book = stack.enter_context(Book(folder_of(run), writing=False))
        apis = Apis(run, stack, trust)
        announce_files(progress or Silent(), [f for f in book.files.values() if f.running])
        files: list[FileStatus] = []
        for file in book.files.values():
            said = _endpoint_says(file, apis) if file.running else None
            files.append(
                FileStatus(
                    file=file.name,
                    stage=file.stage,
                    model=file.model,
                    lines=file.lines,
                    open=len(file.open),
                    state=file.state,
                    batch=file.batch,
                    endpoint=said,
                )
            )
    why: dict[str, int] = {}
    for kind in book.unanswered.values():
        why[kind] = why.get(kind, 0) + 1
    stages = {stage.name: stage.name in book.finished for stage in plan.stages}
    return BatchStatus(
        run=str(run),
        stages=stages,
        files=tuple(files),
        open=book.n_open,
        unanswered=why,
        next=next_step(run, list(book.files.values()), finished=all(stages.values())),
    )


def _endpoint_says(file: BatchFile, apis: Apis) -> str:
    assert file.batch is not None
    try:
        return progress_of(apis.of(file).look(file.batch))
    except AutointerpError as e:
        return f"not known: {e}"


def next_step(run: str | Path, files: list[BatchFile], *, finished: bool) -> str:
    """What to do next, in a line."""
    unsent, taking = [f for f in files if f.unsent], f"autointerp batch collect {run}"
    if unsent:
        first = folder_of(run) / unsent[0].name
        if is_openai(unsent[0].base_url):
            return f"autointerp batch submit {run}, which sends it to OpenAI; if answered elsewhere, {taking} OUT"
        more = f" (and so the other {len(unsent) - 1})" if len(unsent) > 1 else ""
        return (
            f"vllm run-batch -i {first} -o OUT --model {unsent[0].model}{more}, then "
            f"{taking} OUT; or autointerp batch submit {run}, which sends what is not sent"
        )
    if any(f.running for f in files):
        return f"{taking} when the batches have ended, or autointerp batch run {run}, which waits"
    if finished:
        return _after(run)
    return f"autointerp batch submit {run}"


def _after(run: str | Path) -> str:
    if not (Path(run) / "run.json").exists():
        return "nothing, all is done"
    scored = "score" in planned(run)
    return f"autointerp report {run}" if scored else f"autointerp score {run}, with --batch for a batch job"


@dataclass
class DriveResult:
    """What driving a batch job did."""

    run: Path
    rounds: int = 0
    results: dict[str, StageResult] = field(default_factory=dict)
    """What became of each stage, by name."""
    collected: list[CollectResult] = field(default_factory=list)
    stopped: str | None = None
    """Why it ended before the last stage was finished."""
    idle: bool = False
    """Whether that is since answers stayed out, rather than by the budget or a signal."""

    @property
    def halted(self) -> bool:
        """Whether the budget or a signal ended it early."""
        return self.stopped is not None and not self.idle

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do."""
        return self.stopped is None and all(r.complete for r in self.results.values())


def batch_run(
    run: str | Path,
    kinds: Mapping[str, Kind],
    *,
    poll: float,
    keep: bool = False,
    budget: Budget | None = None,
    trust: Iterable[str] = (),
    progress: Progress | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> DriveResult:
    """Submits, waits, collects, and again, until every recorded stage is finished; can be killed and started again.

    Args:
        run: folder of the run, or of a calibration.
        kinds: by name, the commands that can be recorded.
        poll: seconds between looks at the endpoint.
        keep: as for `batch_collect`.
        budget: as for `batch_submit`, for each round; what an earlier start sent and nobody collected counts.
        trust: as for `batch_submit`.
        progress: is told of each step.
        sleep: waits so many seconds.

    Raises:
        AutointerpError: something that you can mend; the message says how.
    """
    result, progress, trust, idle = DriveResult(Path(run)), progress or Silent(), tuple(trust), 0
    collect = partial(batch_collect, run, kinds, keep=keep, trust=trust)
    try:
        while True:
            submitted = batch_submit(run, kinds, budget=budget, under_way=True, trust=trust, progress=progress)
            result.results |= submitted.results
            _refuse_problem(submitted)
            # Who is asked has been said where something was sent.
            first = partial(collect, progress=None if submitted.sent else progress)
            if submitted.stopped == OVER_BUDGET:
                result.rounds += 1
                _wait(first, collect, poll, progress, sleep, result)
                _record_what_is_paid(run, kinds, trust, progress, result)
            if submitted.complete or submitted.stopped:
                result.stopped = submitted.stopped
                return result
            result.rounds += 1
            before = len(result.collected)
            _wait(first, collect, poll, progress, sleep, result)
            idle = 0 if any(c.answers for c in result.collected[before:]) else idle + 1
            if idle >= IDLE_ROUNDS:
                result.stopped, result.idle = _why_idle(result.collected[-1]), True
                return result
    except KeyboardInterrupt:
        result.stopped = "interrupted; the endpoint works on"
        return result


def _refuse_problem(submitted: SubmitResult) -> None:
    if submitted.problem is not None:
        raise EndpointError(submitted.problem)


def _wait(
    first: Callable[[], CollectResult],
    then: Callable[[], CollectResult],
    poll: float,
    progress: Progress,
    sleep: Callable[[float], None],
    result: DriveResult,
) -> None:
    """Collects until no batch is left that the endpoint works on."""
    said: dict[str, str] = {}
    collected = first()
    while True:
        result.collected.append(collected)
        for file, state in (collected.running | collected.ended).items():
            if said.get(file) != state:
                progress.note(f"{file}: {state}")
        said = collected.running
        if not collected.running:
            return
        sleep(poll)
        collected = then()


def _record_what_is_paid(
    run: str | Path, kinds: Mapping[str, Kind], trust: Sequence[str], progress: Progress, result: DriveResult
) -> None:
    """Records what the answers to what was sent settle; no more is asked."""
    told = batch_submit(run, kinds, files_only=True, budget=_NOTHING, trust=trust, progress=progress)
    result.results |= told.results


def _why_idle(last: CollectResult) -> str:
    said = [f"{kind}: {message}" for kind, message in last.messages.items()]
    why = f" ({'; '.join(said[:2])})" if said else ""
    return (
        f"{IDLE_ROUNDS} rounds in a row brought no answer{why}; {last.unanswered:,} "
        f"{'question is' if last.unanswered == 1 else 'questions are'} open: "
        "mend that and start again, or give the recorded command without --batch, which asks them directly"
    )


def run_status(settings: BatchJob, *, progress: Progress | None = None) -> BatchStatus:
    """Reads the batch folder and asks the endpoint.

    Raises:
        AutointerpError: something that you can mend; the message says how.
    """
    return batch_status(settings.run, KINDS, trust=settings.trust_address, progress=progress)


def run(settings: BatchRun, *, progress: Progress | None = None) -> DriveResult:
    """Submits, waits and collects until all is done.

    Raises:
        AutointerpError: something that you can mend; the message says how.
    """
    return batch_run(
        settings.run,
        KINDS,
        poll=settings.poll,
        keep=settings.keep,
        budget=settings.budget,
        trust=settings.trust_address,
        progress=progress,
    )
