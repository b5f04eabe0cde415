"""`autointerp batch collect`: puts the results of batch jobs into the cache, in whatever state they come."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from autointerp.batch.api import BatchApi, GoneError, RemoteBatch
from autointerp.batch.events import Ended
from autointerp.batch.manifest import PART, BatchFile, Book
from autointerp.commands.batch_collect import BatchCollect
from autointerp.errors import SettingsError
from autointerp.job import Progress, Silent
from autointerp.jobs.batch.endpoints import Apis, announce_files
from autointerp.jobs.batch.kinds import KINDS
from autointerp.jobs.batch.plan import Kind, at_work, read_plan
from autointerp.jobs.batch.results import CollectResult, Taker

GONE = "gone"
"""How a batch ended that the endpoint does not know any more, or whose results it has lost."""


def batch_collect(
    run: str | Path,
    kinds: Mapping[str, Kind],
    files: Sequence[str | Path] = (),
    *,
    keep: bool = False,
    trust: Iterable[str] = (),
    progress: Progress | None = None,
) -> CollectResult:
    """Takes in results: those of finished batches at the endpoint, or files that you name.

    Files may come in any order, in parts, repeatedly, shuffled, torn, and hold lines of other runs; of several answers
    to one question the first usable one holds.

    Args:
        run: folder of the run, or of a calibration.
        kinds: by name, the commands that can be recorded.
        files: output of `vllm run-batch` or downloaded; empty to ask the endpoint.
        keep: leaves the files of requests, and what was downloaded, in `RUN/batch`.
        trust: as for `batch_submit`.
        progress: is told who is asked.

    Raises:
        AutointerpError: something that you can mend; the message says how.
    """
    plan = read_plan(run, kinds)
    paths = [Path(file) for file in files]
    for path in paths:
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "no such file"
            raise SettingsError(f"{path}: {what}; name a result file, or none to ask the endpoint")
    result = CollectResult(Path(run), from_files=bool(paths))
    with at_work(run) as folder, Book(folder, writing=True) as book, ExitStack() as stack:
        taker = Taker(run, plan, book, result, stack)
        for path in paths:
            taker.take(path)
        if not paths:
            announce_files(progress or Silent(), [f for f in book.files.values() if f.running])
            _fetch(book, taker, result, Apis(run, stack, trust), keep=keep)
        taker.learn()
        if not keep:
            _remove(book, result)
        result.missing, result.unanswered = book.n_open, len(book.unanswered)
    return result


def _fetch(book: Book, taker: Taker, result: CollectResult, apis: Apis, *, keep: bool) -> None:
    """Downloads and takes in the results of every batch that has ended."""
    for file in [f for f in book.files.values() if f.running]:
        api, batch = apis.of(file), file.batch
        assert batch is not None
        try:
            there = api.look(batch)
        except GoneError as e:
            status, problems = GONE, [str(e)]
        else:
            if not there.ended:
                result.running[file.name] = progress_of(there)
                continue
            problems = _fetch_results(book, file, there, api, taker, keep=keep)
            status = GONE if problems else there.status
            problems += [there.problem] if there.problem else []
        if problems:
            result.messages.setdefault(status, problems[0])
        # Last, so that a kill before it only means to take the results once more.
        book.add(Ended(file=file.name, status=status))
        result.ended[file.name] = status


def _fetch_results(
    book: Book, file: BatchFile, there: RemoteBatch, api: BatchApi, taker: Taker, *, keep: bool
) -> list[str]:
    """Takes in the result files of a batch; gives what is said of those that are not there any more."""
    gone: list[str] = []
    for number, remote in enumerate(there.results, 1):
        target = book.folder / f"{file.name.removesuffix('.jsonl')}.results-{number}.jsonl"
        draft = target.with_name(target.name + PART)
        try:
            api.fetch(remote, draft)
        except GoneError as e:
            gone.append(str(e))
            continue
        draft.replace(target)
        taker.take(target, of=file)
        if not keep:
            target.unlink()
    return gone


def progress_of(batch: RemoteBatch) -> str:
    """How far a batch is, in words."""
    failed = f", {batch.failed:,} failed" if batch.failed else ""
    return f"{batch.status}, {batch.done:,} of {batch.total:,} answered{failed}"


def _remove(book: Book, result: CollectResult) -> None:
    for file in list(book.on_disk()):
        if not file.open:
            (book.folder / file.name).unlink()
            result.removed.append(file.name)


def run(settings: BatchCollect, *, progress: Progress | None = None) -> CollectResult:
    """Takes in the results.

    Raises:
        AutointerpError: something that you can mend; the message says how.
    """
    return batch_collect(
        settings.run,
        KINDS,
        settings.files,
        keep=settings.keep,
        trust=settings.trust_address,
        progress=progress,
    )
