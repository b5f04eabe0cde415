"""Which files of requests go to the endpoint: those that were not sent, without what was answered meanwhile."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

from autointerp.batch.api import BatchApi
from autointerp.batch.events import Started, Taken, Uploaded
from autointerp.batch.files import abandon, without_answered
from autointerp.batch.manifest import BatchFile, Book
from autointerp.job import Progress
from autointerp.jobs.batch.budgets import Ledgers
from autointerp.jobs.batch.endpoints import Apis, announce_files
from autointerp.jobs.batch.plan import BatchPlan
from autointerp.lmm.batch_replies import read_batch_reply
from autointerp.lmm.cache import Cache


def note_answered(plan: BatchPlan, book: Book) -> None:
    """Enters which questions of files that were not sent have been answered otherwise, as by the command itself.

    Raises:
        SettingsError: the cache cannot be opened.
    """
    with ExitStack() as stack:
        caches: dict[Path, Cache] = {}
        folders = {stage.name: stage.cache for stage in plan.stages}
        for file in [f for f in book.files.values() if f.unsent and f.stage in folders]:
            folder = folders[file.stage]
            if folder not in caches:
                caches[folder] = stack.enter_context(Cache(folder))
            cache = caches[folder]
            there = [k for k in sorted(file.open) if cache.get(k) is not None or read_batch_reply(cache, k) is not None]
            if there:
                book.add(Taken(answered=tuple(there)))


def hold(book: Book, ledgers: Ledgers, *, under_way: bool) -> None:
    """Reserves what older files may cost that are sent now; those that the budget does not cover are given up.

    Their questions are then written again, as far as it does.
    """
    for file in list(book.files.values()):
        if file.running and under_way:
            ledgers.count(file)
        elif file.unsent and file.upload is not None:
            ledgers.count(file)  # perhaps started by a command that did not live to hear of it
        elif file.unsent and not (book.folder / file.name).exists():
            abandon(book, file, "lost")
        elif file.unsent and not ledgers.covers(file):
            abandon(book, file, "over budget")


def send(run: Path, book: Book, progress: Progress, trust: Iterable[str] = ()) -> Iterator[BatchFile]:
    """Uploads and starts what is not with an endpoint yet; every step is entered when it is done.

    Raises:
        EndpointError: the endpoint does not take one.
        SettingsError: only the run folder names an endpoint's address.
    """
    unsent = [f for f in book.files.values() if f.unsent]
    announce_files(progress, unsent)
    with ExitStack() as stack:
        apis = Apis(run, stack, trust)
        for file in unsent:
            yield _send_one(book, file, apis.of(file))


def _send_one(book: Book, file: BatchFile, api: BatchApi) -> BatchFile:
    started = api.started(file.upload) if file.upload is not None else None
    if started is None:
        file = without_answered(book, file)
        if file.upload is None:
            book.add(Uploaded(file=file.name, id=api.upload(book.folder / file.name)))
        assert file.upload is not None
        started = api.start(file.upload, file.name)
    book.add(Started(file=file.name, batch=started))
    return file
