"""Runs at a URL: a working copy for as long as a command takes."""

import hashlib
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from autointerp.errors import RunError
from autointerp.pipeline import Stop
from autointerp.places import cache_folder
from autointerp.remote.path import AnyPath, Location, RemoteError, RemotePath, as_path, is_remote
from autointerp.runs.claims import BEAT
from autointerp.runs.figure_files import UnusableFiguresError
from autointerp.runs.files import locked
from autointerp.runs.parts import Place, Stage
from autointerp.runs.remote_copy import Mirror
from autointerp.shards.shards import PATIENCE, Shard

EVERY = 60.0
"""Seconds between two times that what is new in a run is sent."""
HURRIED = 5.0
"""The same once the work was asked to stop: it may be killed before what is in flight is done."""
LOOK = 1.0
"""Seconds in which a wish to stop is noticed."""
PAUSES = (5.0, 15.0, 45.0)
"""Seconds before a run that could not be sent at the end is sent again."""
RUNS = "runs"
"""Folder of the working copies, inside the cache."""

Kept = tuple[Path, Callable[[], None]]
"""The folder of a run, and what sends it to its URL at once."""


@contextmanager
def read_run(where: Location, *, exchanges: bool = True, figures: bool = False) -> Iterator[Path]:
    """The folder of a run that is only read: itself, or a copy of one at a URL, gone afterwards.

    Args:
        where: the run.
        exchanges: whether a copy has the questions as they were asked.
        figures: whether a copy has figures in place of lines that have them (`runs/figure_files.py`).

    Raises:
        RunError: it cannot be read.
    """
    place = as_path(where)
    if isinstance(place, Path):
        yield place
        return
    with tempfile.TemporaryDirectory(prefix="autointerp-run-") as folder:
        mirror = Mirror(place, Path(folder) / "run", exchanges=exchanges, figures=figures)
        mirror.pull()
        with _named(place, mirror.folder):
            yield mirror.folder


@contextmanager
def run_at(where: Location, *, cache: str | Path | None = None) -> Iterator[Path]:
    """The folder of a run that is worked on: itself, or a working copy of one at a URL.

    The copy is fetched first; what is new in it is sent every `EVERY` seconds, and once more at the end, however that
    comes about; then it is removed. If it could not be sent it stays, and the next command goes on with it.

    Args:
        where: the run.
        cache: folder of the answers, in which the working copy lies.

    Raises:
        RunError: it cannot be read or written, or somebody else works on it.
    """
    with working_copy(where, cache) as (folder, _):
        yield folder


@contextmanager
def kept_at(where: Location, *, writing: bool) -> Iterator[Kept]:
    """The same for what is kept beside a run, to read or to write, and what sends it at once; raises as `run_at`."""
    if writing:
        with working_copy(where, None) as (folder, mirror):
            yield folder, _at_once if mirror is None else mirror.send
    else:
        with read_run(where) as folder:
            yield folder, _at_once


def _at_once() -> None:
    """Sends nothing, since what is written in a folder is there."""


@contextmanager
def merged_at(where: Location) -> Iterator[Path]:
    """The same for a run whose parts are merged here: no shard may write one meanwhile; at the end files are whole."""
    with working_copy(where, None, parts=True, whole=True) as (folder, _):
        yield folder


@contextmanager
def piece_at(stage: Stage, run: Location, cache: Path | None, shard: Shard, stop: Stop) -> Iterator[Path]:
    """The folder of a run in which one of a crew works on a shard; what an earlier holder of it sent is there.

    Args:
        stage: that is worked on.
        run: whose shard it is.
        cache: folder of the answers, in which a working copy lies.
        shard: of the crew's.
        stop: as `working_copy` has it.

    Raises:
        RunError: it cannot be read or written.
    """
    with working_copy(run, cache, part=part_name(stage, shard), dealt=True, stop=stop) as (folder, _):
        yield folder


@contextmanager
def working_copy(
    where: Location,
    cache: str | Path | None,
    *,
    part: str | None = None,
    parts: bool = False,
    whole: bool = False,
    dealt: bool = False,
    stop: Stop | None = None,
) -> Iterator[tuple[Path, Mirror | None]]:
    """The folder of a run, and where it is a working copy what sends it.

    Args:
        where: the run.
        cache: folder of the answers, in which the working copy lies.
        part: name of the part that is written, where only one shard is worked on.
        parts: whether parts may be merged here.
        whole: whether one file is made of the segments of each at the end.
        dealt: as `Mirror` has it.
        stop: once it is asked, what is new is sent every `HURRIED` seconds.
    """
    place = as_path(where)
    if isinstance(place, Path):
        yield place, None
        return
    digest = hashlib.sha256(f"{place}\0{part or ''}".encode()).hexdigest()[:16]
    home = (cache_folder(cache) / RUNS).absolute()
    home.mkdir(parents=True, exist_ok=True)
    busy = f"{place}: another autointerp is writing this run; wait for it, or name another --run"
    # Whoever had a shard before is gone, or about to be.
    lock = locked(home / f"{digest}.lock", busy, patience=PATIENCE if dealt else 0.0)
    try:
        mirror = Mirror(place, home / digest, part, dealt=dealt)
        with _named(place, mirror.folder), _worked_on(mirror, parts=parts, whole=whole, stop=stop or Stop()):
            yield mirror.folder, mirror
    finally:
        lock.release()


def url_of(path: AnyPath, folder: Path, where: Location) -> AnyPath:
    """How a user knows a place in the run: below the run as it was named, where `folder` is but a copy."""
    place = as_path(where)
    if isinstance(place, RemotePath) and isinstance(path, Path):
        return place / path.relative_to(folder).as_posix()
    return path


def cache_for_crew(run: Location, cache: Path | None) -> Path | None:
    """Where a crew keeps answers: in one folder, or for a run at a URL where each of its nodes does by itself."""
    return cache if is_remote(run) else cache_folder(cache)


def part_name(stage: Stage, shard: Shard | None) -> str | None:
    """Of the part that a shard writes; None where there is no shard."""
    return None if shard is None else Place(stage, shard.index, shard.of).name


@contextmanager
def _worked_on(mirror: Mirror, *, parts: bool, whole: bool, stop: Stop) -> Iterator[None]:
    mirror.claim()
    try:
        if parts:
            mirror.claim_parts()
        mirror.pull()
        try:

            def pause() -> float:
                return EVERY if stop.reason is None else HURRIED

            with _now_and_then(lambda: BEAT, mirror.renew), _now_and_then(pause, mirror.send):
                yield
        finally:
            # A signal that comes now waits until all is sent; a second one ends at once.
            with Stop().on_interrupt_without_loop():
                _send_last(mirror, whole=whole)
                # Had somebody taken over since, they might have made whole files without what has come last.
                mirror.confirm()
                mirror.forget()
    finally:
        mirror.release()


def _send_last(mirror: Mirror, *, whole: bool) -> None:
    """Sends what is new, and bears with a store that is overloaded or away for a while."""
    for pause in PAUSES:
        try:
            return mirror.send(last=True, whole=whole)
        except RunError as error:
            why = error.__cause__
            if not isinstance(why, RemoteError) or isinstance(why.__cause__, PermissionError):
                raise
            time.sleep(pause)
    return mirror.send(last=True, whole=whole)


@contextmanager
def _now_and_then(pause: Callable[[], float], work: Callable[[], None]) -> Iterator[None]:
    """Does it again and again in a thread; where it fails, the next time may go better.

    Args:
        pause: seconds between two times, asked once in `LOOK` seconds.
        work: what is done.
    """
    ended = threading.Event()

    def body() -> None:
        last = time.monotonic()
        while not ended.wait(min(LOOK, pause())):
            if time.monotonic() - last >= pause():
                with suppress(RunError):
                    work()
                last = time.monotonic()

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
    except UnusableFiguresError:
        raise  # the lines are read instead
    except RunError as error:
        said = str(error)
        raise RunError(said if f"kept in {folder}" in said else said.replace(str(folder), str(place))) from error
