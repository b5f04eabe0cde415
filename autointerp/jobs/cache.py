"""`autointerp cache`: what the cache holds, what is broken in it, and what may go."""

import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import closing, nullcontext
from functools import partial
from math import inf
from pathlib import Path

from autointerp.commands.cache_info import CacheInfo
from autointerp.commands.cache_prune import CachePrune, bytes_of
from autointerp.commands.cache_verify import CacheVerify
from autointerp.dump.near_copies import FILE as NEAR_COPIES
from autointerp.dump.near_copies import looks_census
from autointerp.errors import RunError, SettingsError, one_line
from autointerp.images.manifest import FILE as MANIFEST
from autointerp.images.manifest import Manifest
from autointerp.images.pixel_file import FOLDER as PIXELS
from autointerp.images.pixel_file import PixelFile
from autointerp.job import Progress
from autointerp.lmm.cache import ANSWERS, DAMAGED, CacheError
from autointerp.lmm.cache_contents import ENDPOINT, Stored, remove_rows, stored_rows
from autointerp.lmm.cache_users import alone
from autointerp.lmm.images.store import FOLDER as PICTURES
from autointerp.places import cache_folder
from autointerp.record import Record, Several
from autointerp.runs.exchanges import FILE as EXCHANGES
from autointerp.runs.exchanges import LINE
from autointerp.runs.folder import open_run
from autointerp.settings import Location, ModelName
from autointerp.shards.remote_runs import RUNS, read_run

DAY = 86_400.0
MOST_LISTED = 100
"""Broken rows that are listed one by one."""
_KEY = 16
"""Hex digits of an answer's key that a run's exchanges state."""


class Part(Record):
    """A kind of things in the cache."""

    kind: str
    n: int
    size: int
    """How many bytes they take."""


class RunShare(Record):
    """What a run was given of the answers that the cache holds."""

    run: str
    n: int
    size: int
    missing: int
    """Answers that the run was given and the cache does not hold."""


class CacheContents(Record):
    """Says what a cache holds, by kind and by model."""

    folder: str
    size: int
    """Bytes of all its files."""
    parts: Several[Part]
    models: Several[Part]
    """Answers and embeddings by who gave them."""
    runs: Several[RunShare] = ()


class Checked(Record):
    """What is broken in a cache."""

    folder: str
    read: dict[str, int]
    """How many rows or images were read, by kind."""
    broken: dict[str, int]
    """How many of them are broken."""
    listed: Several[str]
    """One line for each broken row of answers, at most `MOST_LISTED`, and for each file that cannot be read."""


class Pruned(Record):
    """What was removed from a cache, or would be."""

    folder: str
    dry_run: bool
    removed: Several[Part]
    before: int
    after: int
    """Bytes of the folder; with `dry_run` an estimate."""


def info(settings: CacheInfo, *, progress: Progress | None = None) -> CacheContents:
    """Looks at all that is in the cache.

    Raises:
        SettingsError: there is no cache.
        CacheError: the file of answers cannot be read.
        RunError: a run cannot be read.
    """
    folder = _there(settings.cache)
    kinds, models = dict[str, Part](), dict[str, Part]()
    sizes: dict[str, int] = {}
    named = {str(run): _keys_of([run]) for run in settings.runs}
    for row in stored_rows(folder):
        _count(kinds, row.kind, row.size)
        if row.model:
            _count(models, row.model, row.size)
        if len(row.key) == 64:
            sizes[row.key[:_KEY]] = row.size
    shares = [
        RunShare(run=run, n=len(own), size=sum(sizes[k] for k in own), missing=len(keys) - len(own))
        for run, keys in named.items()
        for own in [keys & sizes.keys()]
    ]
    ordered = sorted(models.values(), key=lambda part: -part.size)
    parts = (*kinds.values(), *_beside(folder))
    return CacheContents(folder=str(folder), size=_size(folder), parts=parts, models=tuple(ordered), runs=tuple(shares))


def verify(settings: CacheVerify, *, progress: Progress | None = None) -> Checked:
    """Reads every row and every decoded image.

    Raises:
        SettingsError: there is no cache.
    """
    folder = _there(settings.cache)
    read, broken, listed = Counter[str](), Counter[str](), list[str]()
    try:
        for row in stored_rows(folder):
            read[row.kind] += 1
            if not row.sound:
                broken[row.kind] += 1
                listed.append(f"row {row.row} of {folder / ANSWERS}: {row.kind}, key {row.key[:_KEY] or 'unreadable'}")
    except CacheError as e:
        broken["files"] += 1
        listed.insert(0, str(e))
    for kind, file, count in _censuses(folder):
        try:
            n, bad = count()
        except sqlite3.Error as e:
            broken["files"] += 1
            listed.insert(0, f"{file}: cannot be read ({e}); it is made again when it is needed")
        else:
            read[kind] += n
            broken[kind] += bad
    return Checked(folder=str(folder), read=dict(read), broken=dict(+broken), listed=tuple(listed[:MOST_LISTED]))


def _censuses(folder: Path) -> Iterator[tuple[str, Path, Callable[[], tuple[int, int]]]]:
    """Yields what is kept of images: its kind, its file, and what counts it and what is broken of it."""
    yield "images seen", folder / MANIFEST, Manifest(folder).census
    for file in sorted(folder.glob(f"*{NEAR_COPIES}")):
        yield "near-copies", file, partial(looks_census, file)
    for place in sorted((folder / PIXELS).glob("*")):
        yield "decoded images", place, partial(_pixels_census, place)


def _pixels_census(place: Path) -> tuple[int, int]:
    with closing(PixelFile(place)) as pixels:
        return pixels.census()


def prune(settings: CachePrune, *, progress: Progress | None = None) -> Pruned:
    """Removes what was named, while no other process has the cache open.

    Raises:
        SettingsError: there is no cache, or nothing was named.
        CacheBusyError: another process has it open.
        CacheError: the file of answers cannot be read or written.
        RunError: a run cannot be read.
    """
    folder = _there(settings.cache)
    if settings.older is None and not settings.runs and not settings.pictures and settings.max_size is None:
        raise SettingsError("cache prune: name what may go, by --older DAYS, --run RUN, --pictures or --max-size SIZE")
    keys, before = _keys_of(settings.runs), _size(folder)
    with nullcontext() if settings.dry_run else alone(folder):
        rows = list(stored_rows(folder))
        doomed = _named(rows, keys, settings.older)
        places = _places(folder, pictures=settings.pictures)
        if settings.max_size is not None:
            places, doomed = _fitted(folder, rows, doomed, places, bytes_of(settings.max_size))
        gone = [row for row in rows if row.row in doomed]
        freed = sum(row.size for row in gone) + sum(_size(place) for place in places)
        removed = _parts(gone, places)
        if not settings.dry_run:
            for place in places:
                shutil.rmtree(place)
            remove_rows(folder, [row.row for row in gone])
    after = max(0, before - freed) if settings.dry_run else _size(folder)
    return Pruned(folder=str(folder), dry_run=settings.dry_run, removed=removed, before=before, after=after)


def _named(rows: Sequence[Stored], keys: AbstractSet[str], older: float | None) -> set[int]:
    """The numbers of the rows that are too old, or that a run was given; and of outcomes that follow from them."""
    until = time.time() - older * DAY if older is not None else -inf
    doomed = {row.row for row in rows if not _stays(row) and (row.time < until or _plain(row.key) in keys)}
    lost = {row.key for row in rows if row.row in doomed}
    return doomed | {row.row for row in rows if lost.intersection(row.answers)}


def _stays(row: Stored) -> bool:
    """Says of what is never removed: what an endpoint was found to understand, and what a person answered.

    The former takes calls to find out and no room; the latter would have to be asked again.
    """
    return row.kind == ENDPOINT or ModelName(row.model).is_human


def _plain(key: str) -> str:
    """What a run states of the key of an answer, or of the reply of a batch job to the same question."""
    own = key.removeprefix("completion:")
    return own[:_KEY] if len(own) == 64 else ""


def _places(folder: Path, *, pictures: bool) -> list[Path]:
    return sorted((folder / PIXELS).glob("*"), key=lambda p: p.stat().st_mtime) if pictures else []


def _kept_aside(folder: Path) -> list[Path]:
    """Damaged files, of which all that could be read was taken over."""
    return sorted(p for p in folder.glob(f"{DAMAGED}-*") if p.is_dir())


def _fitted(
    folder: Path, rows: Sequence[Stored], doomed: set[int], places: list[Path], most: int
) -> tuple[list[Path], set[int]]:
    """What else has to go, the cheapest to lose first, until the folder has that size."""
    gone, lost = list(places), set(doomed)
    left = _size(folder) - sum(_size(p) for p in gone) - sum(row.size for row in rows if row.row in lost)
    for place in (*_kept_aside(folder), *_places(folder, pictures=True)):
        if left > most and place not in gone:
            gone.append(place)
            left -= _size(place)
    for row in sorted(rows, key=lambda row: row.time):
        if left <= most:
            break
        if not _stays(row) and row.row not in lost:
            lost.add(row.row)
            left -= row.size
    return gone, lost


def _parts(rows: Iterable[Stored], places: Iterable[Path]) -> tuple[Part, ...]:
    kinds = dict[str, Part]()
    for row in rows:
        _count(kinds, row.kind, row.size)
    for place in places:
        _count(kinds, "decoded images" if place.parent.name == PIXELS else "damaged files", _size(place))
    return tuple(kinds.values())


def _beside(folder: Path) -> Iterator[Part]:
    """What lies beside the answers: one entry a dump, a run or a file."""
    for kind, found in (
        ("decoded images", (folder / PIXELS).glob("*")),
        ("generated pictures", (folder / PICTURES).glob("*/*")),
        ("images seen", folder.glob(MANIFEST)),
        ("near-copies", folder.glob(f"*{NEAR_COPIES}")),
        ("working copies of runs", (p for p in (folder / RUNS).glob("*") if p.is_dir())),
        ("damaged files", _kept_aside(folder)),
    ):
        sizes = [_size(path) for path in found]
        if sizes:
            yield Part(kind=kind, n=len(sizes), size=sum(sizes))


def _count(into: dict[str, Part], kind: str, size: int) -> None:
    was = into.get(kind, Part(kind=kind, n=0, size=0))
    into[kind] = Part(kind=kind, n=was.n + 1, size=was.size + size)


def _keys_of(runs: Iterable[Location]) -> set[str]:
    """The keys, as far as exchanges state them, of all answers that some runs were given.

    Raises:
        RunError: one cannot be read, or keeps no exchanges.
    """
    found: set[str] = set()
    for run in runs:
        with read_run(run) as folder:
            open_run(folder)
            path = folder / EXCHANGES
            if not path.is_file():
                raise RunError(f"{run}: keeps no exchanges, so that nobody knows which answers it was given")
            for number, line in enumerate(path.read_bytes().splitlines(), 1):
                try:
                    found |= {exchange.key for exchange in LINE.validate_json(line).exchanges}
                except ValueError as e:
                    raise RunError(
                        f"{path}:{number}: cannot be read ({one_line(str(e))[:200]}); delete the line"
                    ) from e
    return found


def _there(given: Path | None) -> Path:
    folder = cache_folder(given)
    if not folder.is_dir():
        raise SettingsError(f"{folder}: there is no cache; name its folder with --cache")
    return folder


def _size(path: Path) -> int:
    """Bytes of a file, or of all files of a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
