"""`autointerp batch submit`: goes through the recorded stages, writes what they would ask, and sends it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from autointerp.batch.client import Outbox, is_whole
from autointerp.batch.endpoints import CHAT, Endpoint
from autointerp.batch.manifest import BatchFile, Event
from autointerp.commands.batch_submit import BatchSubmit
from autointerp.errors import EndpointError, RunError, SettingsError
from autointerp.job import Progress
from autointerp.jobs.batch.job import Job, open_job
from autointerp.jobs.batch.next_step import next_step
from autointerp.jobs.batch.plan import StageResult
from autointerp.lmm.batch_replies import read_batch_reply
from autointerp.lmm.budget import Ledger
from autointerp.lmm.image_tokens import TokenEstimate
from autointerp.lmm.prices import cost
from autointerp.lmm.route import IMAGE_KEY_VARIABLES, api_key
from autointerp.remote.path import AnyPath, as_path
from autointerp.session.gateway import estimate
from autointerp.session.tasks import REPLIES
from autointerp.settings import Budget
from autointerp.shards.remote_runs import Kept


@dataclass
class SubmitResult:
    """Describes what submitting did."""

    run: AnyPath
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
    left: dict[str, dict[str, int]] = field(default_factory=dict)
    """What failed of finished stages and was not mended since, by stage and kind; no file asks it again."""
    finished: list[str] = field(default_factory=list)
    """Stages that have nothing left to ask."""
    complete: bool = False
    """Whether that is every stage."""
    tokens: int = 0
    """That the questions of now are expected to take."""
    pictures: int = 0
    """That are asked for now."""
    dollars: float | None = 0.0
    """The same at the price of a batch job; None where a price is not known."""
    stopped: str | None = None
    """`interrupted` or `over budget`."""
    problem: str | None = None
    """Why files were not sent."""
    next: str = ""
    """What to do."""


def run(
    settings: BatchSubmit, *, progress: Progress | None = None, under_way: bool = False, kept: Kept | None = None
) -> SubmitResult:
    """Writes the questions of the recorded stages that have no answer yet into batch files, and starts them.

    With `under_way`, what the endpoint works on counts against the budget. `kept` is the run where the caller has it
    open. Raises AutointerpError.
    """
    result = SubmitResult(as_path(settings.run))
    with open_job(settings, progress, kept=kept) as job:
        manifest, sends = job.manifest, not settings.files_only
        job.admit()
        if sends:
            _check_key(job)
        ledgers = _ledgers(job, settings.budget)
        _note_answered(job)
        if settings.again:
            for file in manifest.unsent:
                manifest.give_up(file, "abandoned")
        known = set(manifest.files)
        if sends:
            _hold(job, ledgers, under_way=under_way)
        _replay(job, ledgers, result)
        result.written = [file for name, file in manifest.files.items() if name not in known]
        if sends and result.stopped != "interrupted":
            _send(job, result)
        result.finished = [stage.name for stage in job.stages if stage.name in manifest.finished]
        result.complete = len(result.finished) == len(job.stages)
        result.waiting, result.files, result.left = manifest.n_open, list(manifest.files.values()), job.left()
        result.next = next_step(job.run, settings.run, result.files, finished=result.complete, left=result.left)
    return result


def _check_key(job: Job) -> None:
    """A key is better found missing now than after an hour of making pictures."""
    try:
        for stage in job.stages:
            for model in stage.models:
                api_key(model.base_url)
            for painter in stage.painters:
                api_key(painter.base_url, IMAGE_KEY_VARIABLES)
    except SettingsError as e:
        raise SettingsError(
            "no API key: set OPENAI_API_KEY (or AUTOINTERP_API_KEY), or only write the files with "
            "`autointerp batch submit RUN --files-only`"
        ) from e


def _ledgers(job: Job, budget: Budget | None) -> Mapping[str, Ledger]:
    """By stage: one for all of them, or one for each by the budget that its command was recorded with."""
    shared = None if budget is None else Ledger(budget, job.prices)
    return {s.name: shared or Ledger(s.settings.engine.budget, job.prices_of[s.name]) for s in job.stages}


def _note_answered(job: Job) -> None:
    """Enters which questions of files that were not sent have been answered otherwise, as by the command itself."""
    for file in [f for f in job.manifest.unsent if f.stage in job.prices_of]:
        cache = job.cache(file)
        there = [k for k in sorted(file.open) if cache.get(k) is not None or read_batch_reply(cache, k) is not None]
        if there:
            job.manifest.add(Event(event="taken", answered=tuple(there)))


def _hold(job: Job, ledgers: Mapping[str, Ledger], *, under_way: bool) -> None:
    """Reserves what older files may cost that are sent now; those that cannot be sent as they are, are given up.

    Those are partly answered, damaged on disk or beyond the budget; their questions are written again, as far as it
    reaches.
    """
    manifest = job.manifest
    for file in list(manifest.files.values()):
        # Perhaps started by a command that did not live to hear of it.
        if file.unsent and file.upload is not None and (batch := job.api(file).started(file.upload)) is not None:
            manifest.add(Event(event="started", file=file.name, batch=batch))
        # A stage that was recorded anew may ask another model.
        ledger = ledgers[file.stage] if file.model in job.prices_of.get(file.stage, ()) else None
        if file.running and under_way and ledger is not None:
            ledger.charge(file.model, file.expected)
        elif file.unsent and not is_whole(manifest.folder, file):
            manifest.give_up(file, "lost")
        elif file.unsent and len(file.open) < file.lines:
            manifest.give_up(file, "rewritten")
        elif file.unsent and ledger is not None and ledger.reserve(file.model, file.expected) is None:
            manifest.give_up(file, "over budget")


def _replay(job: Job, ledgers: Mapping[str, Ledger], result: SubmitResult) -> None:
    """Goes through the stages in order, as far as each has all its answers."""
    for stage in [stage for stage in job.stages if stage.name not in job.manifest.finished]:
        for final in (False, True):
            outbox = Outbox(job.manifest, stage.name, ledgers[stage.name], estimate, REPLIES, final=final)
            told = result.results[stage.name] = stage.run(outbox, job.progress, job.trust)
            result.stopped = told.stopped
            for endpoint, model, expected in outbox.expected:
                _add_up(job, result, endpoint, model, expected)
            if told.deferred or told.stopped:
                return
        job.manifest.add(Event(event="finished", stage=stage.name))


def _add_up(job: Job, result: SubmitResult, endpoint: Endpoint, model: str, expected: TokenEstimate) -> None:
    price = job.prices.get(model)
    if endpoint == CHAT:
        result.tokens += sum(expected)
    else:
        result.pictures += 1
    result.dollars = None if price is None or result.dollars is None else result.dollars + cost(price, *expected, 0)


def _send(job: Job, result: SubmitResult) -> None:
    try:
        for file in _sent(job):
            result.sent.append(file)
            job.progress.note(f"{file.name}: started as {file.batch}")
    except EndpointError as e:
        # What is written is kept, and said.
        result.problem = str(e)
    except KeyboardInterrupt:
        result.stopped = "interrupted"


def _sent(job: Job) -> Iterator[BatchFile]:
    """Uploads and starts what is not with an endpoint yet; every step is entered when it is done."""
    manifest, unsent = job.manifest, job.manifest.unsent
    for file in unsent:
        api, path = job.api(file), manifest.folder / file.name
        if file.upload is None:
            if not is_whole(manifest.folder, file):
                raise RunError(f"{path}: is not as it was written; run the same command again, which writes it anew")
            manifest.add(Event(event="uploaded", file=file.name, id=api.upload(path)))
            # By the upload it is found that a batch was started, should this process not live to say so.
            job.flush()
        assert file.upload is not None
        manifest.add(Event(event="started", file=file.name, batch=api.start(file.upload, file.name, file.endpoint)))
        yield file
