"""`autointerp batch collect`: puts the results of batch jobs into the cache, in whatever state they come."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from autointerp.batch.api import ENDED, GoneError, RemoteBatch
from autointerp.batch.endpoints import Endpoint
from autointerp.batch.lines import Answered, Errored, LineError, Reader, lines_of, of_chat, read_result, reply_of
from autointerp.batch.manifest import BatchFile, Event
from autointerp.commands.batch_collect import BatchCollect
from autointerp.errors import SettingsError
from autointerp.job import Progress
from autointerp.jobs.batch.job import Job, open_job
from autointerp.lmm.address import OPENAI
from autointerp.lmm.batch_replies import fault_of, put_batch_reply, read_batch_reply
from autointerp.lmm.images.request import A_PICTURE
from autointerp.lmm.images.response import read_picture
from autointerp.lmm.prices import cost
from autointerp.lmm.request import Completion
from autointerp.pipeline import run_async
from autointerp.remote.path import AnyPath, as_path
from autointerp.session.tasks import REPLIES
from autointerp.shards.remote_runs import Kept

GONE = "gone"
"""How a batch ended that the endpoint does not know any more, or whose results it has lost."""
_TOGETHER = 256
"""Completions written at a time; the cache writes them in one transaction."""
_N_SHOWN = 20
"""Broken lines that a result names."""

Chunk = dict[str, tuple[BatchFile, Completion]]
"""Answers to different questions, by key."""
Asked = tuple[Endpoint, str, str | None]
"""Who answers: an endpoint, a model and a server."""


@dataclass
class CollectResult:
    """Describes what collecting did."""

    run: AnyPath
    from_files: bool = False
    """Whether files were named, and no endpoint was asked."""
    lines: int = 0
    """Read."""
    answers: int = 0
    """Completions put into the cache, usable or not."""
    unusable: Counter[str] = field(default_factory=Counter)
    """Of them, by fault: refused, malformed."""
    pictures: int = 0
    """Of them, how many are pictures; they lie in the store of pictures."""
    repeated: int = 0
    """Lines whose question had its answer already."""
    errors: Counter[str] = field(default_factory=Counter)
    """Questions that the endpoint did not answer, by kind; they are written again."""
    messages: dict[str, str] = field(default_factory=dict)
    """What the endpoint said of the first of each kind."""
    hopeless: str | None = None
    """What to do where an endpoint answered nothing now, and said of a question that none can succeed."""
    old_errors: int = 0
    """Errors that say nothing new: read before, or of questions that a batch works on now."""
    unknown: int = 0
    """Lines of other runs."""
    n_broken: int = 0
    broken: list[str] = field(default_factory=list)
    """The first of the lines that could not be read: file, number, why."""
    missing: int = 0
    """Questions in files whose answers may still come."""
    unanswered: int = 0
    """Questions that the next `submit` writes again."""
    ended: dict[str, str] = field(default_factory=dict)
    """Files whose batch ended, and how."""
    running: dict[str, str] = field(default_factory=dict)
    """Files that the endpoint works on, and how far it is."""
    removed: list[str] = field(default_factory=list)
    """Files deleted, every line of them being answered."""
    input_tokens: int = 0
    output_tokens: int = 0
    dollars: float | None = 0.0
    """At the price of a batch job; None where a model's price is not known."""


def run(settings: BatchCollect, *, progress: Progress | None = None, kept: Kept | None = None) -> CollectResult:
    """Takes in results: those of finished batches at the endpoint, or files that are named.

    Files may come in any order, in parts, repeatedly, shuffled, torn, and hold lines of other runs; of several answers
    to one question the first usable one holds. `kept` is the run where the caller has it open. Raises AutointerpError
    for what you can mend.
    """
    result = CollectResult(as_path(settings.run), from_files=bool(settings.files))
    with open_job(settings, progress, kept=kept) as job:
        for path in settings.files:
            if not path.is_file():
                what = "is a folder" if path.is_dir() else "no such file"
                raise SettingsError(f"{path}: {what}; name a result file, or none to ask the endpoint")
        taker = Taker(job, result)
        for path in settings.files:
            taker.take(path)
        if not settings.files:
            for file in job.manifest.running:
                _look(job, file, taker, result, keep=settings.keep)
        taker.learn()
        result.hopeless = taker.hopeless
        for file in [] if settings.keep else [f for f in job.manifest.files.values() if not f.open]:
            path = job.manifest.folder / file.name
            if path.exists():
                path.unlink()
                result.removed.append(file.name)
        result.missing, result.unanswered = job.manifest.n_open, len(job.manifest.unanswered)
    return result


def _look(job: Job, file: BatchFile, taker: "Taker", result: CollectResult, *, keep: bool) -> None:
    """Takes in the results of a batch, if it has ended."""
    assert file.batch is not None
    try:
        there = job.api(file).look(file.batch)
    except GoneError as e:
        status, problems = GONE, [str(e)]
    else:
        if there.status not in ENDED:
            result.running[file.name] = there.progress
            return
        problems = _fetch_results(job, file, there, taker, keep=keep)
        status = GONE if problems else there.status
        problems += [there.problem] if there.problem else []
    if problems:
        result.messages.setdefault(status, problems[0])
    # Last, so that a kill before it only means to take the results once more.
    job.manifest.add(Event(event="ended", file=file.name, status=status))
    result.ended[file.name] = status


def _fetch_results(job: Job, file: BatchFile, there: RemoteBatch, taker: "Taker", *, keep: bool) -> list[str]:
    """Takes in the result files of a batch; gives what is said of those that are not there any more."""
    gone: list[str] = []
    for number, (remote, lines) in enumerate(there.results.items(), 1):
        target = job.manifest.folder / f"{file.name.removesuffix('.jsonl')}.results-{number}.jsonl"
        try:
            job.api(file).fetch(remote, target, lines)
        except GoneError as e:
            gone.append(str(e))
            continue
        taker.take(target, of=file)
        if not keep:
            target.unlink()
    return gone


class Taker:
    """Takes in result files, line by line: answers into the cache, errors into the manifest; counts into the result.

    A picture goes into the store when its line is read, so that no two are held at once.
    """

    def __init__(self, job: Job, result: CollectResult) -> None:
        self._job = job
        self._manifest = job.manifest
        self._result = result
        self._complaints: dict[Asked, tuple[BatchFile, str]] = {}
        self._understood: set[Asked] = set()
        self._remedies: dict[Asked, str] = {}

    @property
    def hopeless(self) -> str | None:
        """What the first endpoint said that answered nothing, and of a question that none can succeed."""
        return next((said for asked, said in self._remedies.items() if asked not in self._understood), None)

    def take(self, path: Path, of: BatchFile | None = None) -> None:
        """Puts what a file says into the cache and the manifest; `of`: the requests that an endpoint says it is of."""
        chunk: Chunk = {}
        errors: list[tuple[Errored, BatchFile, str]] = []
        for line, digest in self._lines(path):
            file = self._manifest.home.get(line.key)
            if file is None:
                self._result.unknown += 1
            elif isinstance(line, Answered):
                # What a line repeats must be in the cache before it is compared.
                if line.key in chunk or len(chunk) >= _TOGETHER:
                    self._put(chunk)
                    chunk = {}
                chunk[line.key] = (file, line.completion)
            elif (file is not of) if of is not None else (file.running or digest in self._manifest.errors_read):
                self._result.old_errors += 1  # of an earlier asking of a question, which is asked again now
            else:
                errors.append((line, file, digest))
        self._put(chunk)
        # Last, since an answer, wherever it stands, counts more than an error.
        self._fail(errors)

    def learn(self) -> None:
        """What the endpoint refused of all requests of a model is left out of the next ones."""
        for asked, (file, text) in self._complaints.items():
            simpler = self._manifest.dialect(*asked, self._job.cache(file)).without(text)
            if simpler is not None and asked not in self._understood:
                endpoint, model, base_url = asked
                told = Event(event="learnt", model=model, base_url=base_url, endpoint=endpoint, dialect=simpler)
                self._manifest.add(told)

    def _reader_of(self, key: str) -> Reader:
        """How the answer to a question is read."""
        file = self._manifest.home.get(key)
        if file is None or not file.pictures:
            return of_chat
        return partial(read_picture, model=file.model, store=self._job.store(file))

    def _lines(self, path: Path) -> Iterator[tuple[Answered | Errored, str]]:
        for number, line in enumerate(lines_of(path), 1):
            if not line.strip():
                continue
            self._result.lines += 1
            try:
                read = read_result(line, self._reader_of)
                yield read, hashlib.blake2b(line.strip(), digest_size=8).hexdigest()
            except LineError as e:
                self._result.n_broken += 1
                if len(self._result.broken) < _N_SHOWN:
                    torn = "" if line.endswith(b"\n") else ", torn at the end of the file"
                    self._result.broken.append(f"{path}:{number}: {e}{torn}")

    def _fail(self, errors: Sequence[tuple[Errored, BatchFile, str]]) -> None:
        if not errors:
            return
        failed: dict[str, str] = {}
        for line, file, _ in errors:
            if line.key in failed or not self._manifest.waits(line.key):
                self._result.repeated += 1
                continue
            failed[line.key] = line.kind
            self._result.messages.setdefault(line.kind, line.message)
            if line.remedy is not None:
                said = line.remedy.format(where=file.base_url or OPENAI, said=line.message)
                self._remedies.setdefault(_asked(file), said)
            if line.complaint is not None:
                self._complaints.setdefault(_asked(file), (file, line.complaint))
        self._result.errors.update(failed.values())
        by_kind = {kind: tuple(k for k in failed if failed[k] == kind) for kind in dict.fromkeys(failed.values())}
        digests = tuple(digest for _, _, digest in errors)
        self._manifest.add(Event(event="taken", failed=by_kind, lines=digests))

    def _put(self, chunk: Chunk) -> None:
        """Answers, each question once; they are in the cache before the manifest says so."""
        if not chunk:
            return
        new = {key: pair for key, pair in chunk.items() if self._wanted(key, *pair)}
        self._result.repeated += len(chunk) - len(new)

        async def write() -> None:
            async with asyncio.TaskGroup() as group:
                for key, (file, said) in new.items():
                    group.create_task(put_batch_reply(self._job.cache(file), key, said, self._dollars(file, said)))

        run_async(write)
        self._manifest.add(Event(event="taken", answered=tuple(chunk)))
        self._understood |= {_asked(file) for file, _ in chunk.values()}
        for key, (file, said) in new.items():
            self._count(file, said, fault_of(said, reply_of(file.shapes[key], REPLIES)))

    def _wanted(self, key: str, file: BatchFile, said: Completion) -> bool:
        cache = self._job.cache(file)
        if cache.get(key) is not None:
            return False
        if (there := read_batch_reply(cache, key)) is None:
            # Answered, and used up: a question asked a second time is open again.
            return self._manifest.waits(key) or key in self._manifest.lost
        reply = reply_of(file.shapes[key], REPLIES)
        return fault_of(there.completion, reply) is not None and fault_of(said, reply) is None

    def _dollars(self, file: BatchFile, said: Completion) -> float | None:
        price = self._job.prices.get(file.model)
        if file.pictures and price is not None:
            return 0.0 if said.finish == "content_filter" else cost(price, *A_PICTURE, 0)
        if price is None or (said.input_tokens == 0 and (price.rates.input or price.rates.output)):
            return None  # the endpoint reports no usage
        return cost(price, said.input_tokens, said.output_tokens, said.cached_tokens)

    def _count(self, file: BatchFile, said: Completion, fault: str | None) -> None:
        result, dollars = self._result, self._dollars(file, said)
        result.answers += 1
        result.pictures += file.pictures and fault is None
        if fault is not None:
            result.unusable[fault] += 1
        result.input_tokens += said.input_tokens
        result.output_tokens += said.output_tokens
        result.dollars = None if result.dollars is None or dollars is None else result.dollars + dollars


def _asked(file: BatchFile) -> Asked:
    return file.endpoint, file.model, file.base_url
