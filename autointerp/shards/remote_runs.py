"""Runs at a URL: a working copy for as long as a command takes."""

import hashlib
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from autointerp.errors import RunError, SettingsError
from autointerp.pipeline import Stop
from autointerp.places import cache_folder
from autointerp.remote.path import AnyPath, Location, RemotePath, as_path, is_remote
from autointerp.runs.files import locked
from autointerp.runs.parts import Place, Stage
from autointerp.runs.remote_copy import BEAT, Mirror
from autointerp.settings import Execution
from autointerp.shards.shards import Shard

EVERY = 300.0
"""Seconds between two times that a run which is worked on is sent."""
RUNS = "runs"
"""Folder of the working copies, inside the cache."""


@contextmanager
def read_run(where: Location) -> Iterator[Path]:
    """The folder of a run that is only read: itself, or a copy of one at a URL, gone afterwards.

    Raises:
        RunError: it cannot be read.
    """
    place = as_path(where)
    if isinstance(place, Path):
        yield place
        return
    with tempfile.TemporaryDirectory(prefix="autointerp-run-") as folder:
        mirror = Mirror(place, Path(folder) / "run")
        mirror.pull()
        with _named(place, mirror.folder):
            yield mirror.folder


@contextmanager
def run_at(where: Location, *, cache: str | Path | None = None, part: str | None = None) -> Iterator[Path]:
    """The folder of a run that is worked on: itself, or a working copy of one at a URL.

    The copy is fetched first, sent every `EVERY` seconds, and once more at the end, however that comes about; then it
    is removed. If it could not be sent it stays, and the next command goes on with it.

    Args:
        where: the run.
        cache: folder of the answers, in which the working copy lies.
        part: name of the part that is written, where only one shard is worked on.

    Raises:
        RunError: it cannot be read or written, or somebody else works on it.
    """
    place = as_path(where)
    if isinstance(place, Path):
        yield place
        return
    digest = hashlib.sha256(f"{place}\0{part or ''}".encode()).hexdigest()[:16]
    home = (cache_folder(cache) / RUNS).absolute()
    home.mkdir(parents=True, exist_ok=True)
    busy = f"{place}: another autointerp is writing this run; wait for it, or name another --run"
    lock = locked(home / f"{digest}.lock", busy)
    try:
        mirror = Mirror(place, home / digest, part)
        with _named(place, mirror.folder):
            yield from _worked_on(mirror)
    finally:
        lock.release()


@contextmanager
def work_at(
    stage: Stage, run: Location, execution: Execution, cache: Path | None, shard: Shard | None
) -> Iterator[Path]:
    """The folder of a run that a stage works on, as `run_at` gives it.

    Raises:
        SettingsError: the run is at a URL, and the command needs a folder.
        RunError: it cannot be read or written, or somebody else works on it.
    """
    if execution.batch or execution.engine == "ray":
        refuse_url(run, "--batch" if execution.batch else "--engine ray")
    with run_at(run, cache=cache, part=part_name(stage, shard)) as folder:
        yield folder


def url_of(path: AnyPath, folder: Path, where: Location) -> AnyPath:
    """How a user knows a place in the run: below the run as it was named, where `folder` is but a copy."""
    place = as_path(where)
    if isinstance(place, RemotePath) and isinstance(path, Path):
        return place / path.relative_to(folder).as_posix()
    return path


def refuse_url(where: Location, what: str) -> None:
    """Raises SettingsError where the run is at a URL, since `what` needs a folder."""
    if is_remote(where):
        raise SettingsError(f"{what}: needs a run in a folder of this machine, not at a URL (docs/many-machines.md)")


def part_name(stage: Stage, shard: Shard | None) -> str | None:
    """Of the part that a shard writes; None where there is no shard."""
    return None if shard is None else Place(stage, shard.index, shard.of).name


def _worked_on(mirror: Mirror) -> Iterator[Path]:
    mirror.claim()
    try:
        mirror.pull()
        try:
            with _now_and_then(BEAT, mirror.renew), _now_and_then(EVERY, mirror.send):
                yield mirror.folder
        finally:
            # A signal that comes now waits until all is sent; a second one ends at once.
            with Stop().on_interrupt_without_loop():
                mirror.send(last=True)
                mirror.forget()
    finally:
        mirror.release()


@contextmanager
def _now_and_then(every: float, work: Callable[[], None]) -> Iterator[None]:
    """Does it every so many seconds in a thread; where it fails, the next time may go better."""
    ended = threading.Event()

    def body() -> None:
        while not ended.wait(every):
            with suppress(RunError):
                work()

    thread = threading.Thread(target=body, name="autointerp-send")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def _named(place: RemotePath, folder: Path) -> Iterator[None]:
    """Names the run by its URL where a message names the copy, which is gone when it is read."""
    try:
        yield
    except RunError as error:
        said = str(error)
        raise RunError(said if f"kept in {folder}" in said else said.replace(str(folder), str(place))) from error
