"""Shards of a harvest that lie at a URL: each is worked on in a folder of its machine, and what is new in it is sent.

Of a shard the URL holds its plan, the files of its checkpoints, what was added meanwhile to its files of rows, and
`sent.json`, put last, which names what of these counts. So a kill at any time leaves what was sent before.
"""

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
from pydantic import Field, NonNegativeInt, StringConstraints, ValidationError

from autointerp.errors import SettingsError
from autointerp.record import Record
from autointerp.remote.objects import fetch, put, reached, remove, remove_all
from autointerp.remote.path import RemotePath
from autointerp.transcoder.harvest.collector import PLACES, POOL, VECTORS, Arrays, Collector
from autointerp.transcoder.harvest.folders import PLAN
from autointerp.transcoder.harvest.patch_activations import ROW
from autointerp.transcoder.harvest.shared_plan import Shards, SharedPlan
from autointerp.transcoder.harvest.state import Plan, State

SENT = "sent.json"
EVERY = 60.0
"""Seconds between two times that a shard at work is sent."""
PAUSES = (1.0, 5.0, 15.0, 40.0)
"""Seconds before what could not be sent at the end is tried again."""
AT, SIZE = ".at", ".size"
"""After the name of a file of rows: where its pieces begin, and how many bytes it has."""


class Sent(Record):
    """sent.json: what of a shard is at the URL."""

    n_done: NonNegativeInt
    chain: tuple[Annotated[str, StringConstraints(pattern=r"^(done-\d{12}|more-\d{12}-\d{12})$")], ...] = ()
    """The last whole checkpoint, and those that follow on it."""
    rows: tuple[Annotated[str, StringConstraints(pattern=r"^rows-\d{12}-\d{12}\.npz$")], ...] = ()
    """Pieces of the files of rows, by the images that they are of."""
    places: tuple[NonNegativeInt, ...] = Field(default=())
    """Of each coder, rows of its file of places."""


@dataclass(frozen=True)
class _Rows:
    """Where the rows of one coder lie on disk."""

    pool: tuple[Path, tuple[int, int]]
    """The file, and its rows and columns."""
    vectors: tuple[Path, tuple[int, int]]
    places: Path
    n_places: int
    """Rows of the file of places that the last checkpoint knows of."""
    pooled: npt.NDArray[np.int64]
    """The image of each row of the pool."""


class StateAtUrl(State):
    """The folder of one shard, and its place at a URL.

    Args:
        folder: of this machine; what a lost process has left in it is gone on with where it is further than the URL.
        url: of the shard.
    """

    def __init__(self, folder: Path, url: RemotePath) -> None:
        super().__init__(folder)
        self.url = url
        self._sent = Sent(n_done=0)
        self._rows: list[_Rows] = []
        self._last = time.monotonic()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Fetches what is at the URL, and sends what is new at the end; a shard that is done is left at the URL alone.

        Raises:
            SettingsError: as in a folder, or the URL cannot be read or written.
        """
        with super().held():
            with reached(self.url):
                self._fetch()
            try:
                yield
            except BaseException:
                # What has stopped it is what is told.
                with suppress(OSError):
                    self._send()
                raise
            self._send_at_last()
            shard = None if (plan := self.plan()) is None else plan.shard
            if shard is not None and (shard.first == shard.stop or self._sent.n_done >= shard.stop):
                self.end()

    def begin(self, plan: Plan) -> None:
        """Writes the plan, here and at the URL."""
        super().begin(plan)
        with reached(self.url):
            put(self.folder / PLAN, self.url / PLAN)

    def commit(self, n_done: int, collectors: Sequence[Collector]) -> None:
        """Keeps what was gathered, and sends it where that was not done for a minute."""
        super().commit(n_done, collectors)
        self._note(collectors)
        if time.monotonic() - self._last >= EVERY:
            self._last = time.monotonic()
            # A store that is away for a while is sent more the next time.
            with suppress(OSError):
                self._send()

    def resume(self, collectors: Sequence[Collector]) -> int:
        """Brings the collectors to the last checkpoint, as in a folder."""
        done = super().resume(collectors)
        self._note(collectors)
        return done

    def n_done(self) -> int:
        """Returns how many images are done by what is at the URL."""
        with reached(self.url):
            return self._there().n_done

    def _there(self) -> Sent:
        try:
            return Sent.model_validate_json((self.url / SENT).read_bytes())
        except FileNotFoundError:
            return Sent(n_done=0)
        except ValidationError as error:
            raise SettingsError(f"{self.url / SENT}: is damaged; remove {self.url} to begin this shard anew") from error

    def _fetch(self) -> None:
        """Has here what is at the URL, or what was left here where that is more of the same."""
        plan = self._plan_there()
        if plan is None or self._own_plan() != plan:
            self._wipe()
        if plan is None:
            return
        (self.folder / PLAN).write_text(plan.model_dump_json(indent=2) + "\n", encoding="utf-8")
        self._sent = self._there()
        if self._sent.n_done <= super().n_done():
            return
        self._remove([*self._checkpoints(), *self._followers()])
        try:
            self._fetch_checkpoint()
        except FileNotFoundError:
            # Whoever held the shard before has removed it by now: it is run anew.
            self._remove([*self._checkpoints(), *self._followers()])
            self._sent = Sent(n_done=0)

    def _plan_there(self) -> Plan | None:
        try:
            return Plan.model_validate_json((self.url / PLAN).read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise SettingsError(f"{self.url / PLAN}: not the plan of a harvest; remove {self.url}") from error

    def _own_plan(self) -> Plan | None:
        try:
            return self.plan()
        except SettingsError:
            return None

    def _wipe(self) -> None:
        for old in self.folder.iterdir():
            if old.is_dir():
                shutil.rmtree(old)
            elif old.name != ".lock":
                old.unlink()

    def _fetch_checkpoint(self) -> None:
        for name in self._sent.rows:
            fetch(self.url / name, self.folder / name)
            _write_rows(self.folder / name, self.folder, len(self._sent.places))
            (self.folder / name).unlink()
        for name in self._sent.chain:
            for i in range(len(self._sent.places)):
                fetch(self.url / f"{name}/{i}.npz", self.folder / name / f"{i}.npz")

    def _note(self, collectors: Sequence[Collector]) -> None:
        """Remembers where the rows lie, which are sent once the files are closed."""
        self._rows = [
            _Rows(
                (c.pool.path, c.pool.shape),
                (c.vectors.path, c.vectors.shape),
                c.places.path,
                int(c.places.extent[:, 1].max()),
                c.lot.images,
            )
            for c in collectors
        ]

    def _send_at_last(self) -> None:
        for pause in PAUSES:
            try:
                self._send()
            except OSError:
                time.sleep(pause)
            else:
                return
        with reached(self.url):
            self._send()

    def _send(self) -> None:
        """Makes the URL hold what the last checkpoint here holds. Raises OSError."""
        chain, before = tuple(path.name for path in self._chain()), self._sent
        plan, n_done = self._own_plan(), super().n_done()
        if not self._rows or plan is None or plan.shard is None or n_done <= max(before.n_done, plan.shard.first):
            return
        images = range(max(before.n_done, plan.shard.first), n_done)
        name = f"rows-{images.start:012d}-{images.stop:012d}.npz"
        with tempfile.TemporaryDirectory(prefix="autointerp-") as folder:
            file = Path(folder) / name
            np.savez(file, allow_pickle=False, **_pieces(self._rows, images, before.places))
            put(file, self.url / name)
            for link in (link for link in chain if link not in before.chain):
                for i in range(len(self._rows)):
                    put(self.folder / link / f"{i}.npz", self.url / f"{link}/{i}.npz")
            now = Sent(
                n_done=n_done, chain=chain, rows=(*before.rows, name), places=tuple(r.n_places for r in self._rows)
            )
            (Path(folder) / SENT).write_text(now.model_dump_json(indent=2) + "\n", encoding="utf-8")
            put(Path(folder) / SENT, self.url / SENT)
        self._sent = now
        for link in (link for link in before.chain if link not in chain):
            remove_all(self.url / link)


def _pieces(rows: Sequence[_Rows], images: range, before: tuple[int, ...]) -> Arrays:
    """Returns what some images added to the files of rows, as bytes: [pieces, bytes] by file, and where each begins."""
    out: Arrays = {}
    for i, one in enumerate(rows):
        pooled = np.flatnonzero((one.pooled >= images.start) & (one.pooled < images.stop))
        ran = np.arange(images.start, images.stop)
        for ending, (path, shape), dtype, at in (
            (POOL, one.pool, np.float32, pooled),
            (VECTORS, one.vectors, np.float16, ran),
        ):
            of_row = shape[1] * np.dtype(dtype).itemsize
            stored = np.memmap(path, np.uint8, "r", shape=(shape[0], of_row))
            _add(out, f"{i}{ending}", stored[at], at * of_row, stored.size)
        start = before[i] if i < len(before) else 0
        added = np.fromfile(one.places, np.uint8, (one.n_places - start) * ROW.itemsize, offset=start * ROW.itemsize)
        places = np.array([start * ROW.itemsize], np.int64)
        _add(out, f"{i}{PLACES}", added[None], places, one.n_places * ROW.itemsize)
    return out


def _add(
    out: Arrays,
    name: str,
    data: npt.NDArray[np.uint8],
    at: npt.NDArray[np.int64],
    size: int,
) -> None:
    out[name], out[name + AT], out[name + SIZE] = data, at, np.array(size, np.int64)


def _write_rows(pieces: Path, folder: Path, n_coders: int) -> None:
    """Writes pieces of files of rows to where they were taken from.

    Raises:
        SettingsError: they are damaged.
    """
    try:
        with np.load(pieces, allow_pickle=False) as stored:
            for name in (f"{i}{end}" for i in range(n_coders) for end in (POOL, VECTORS, PLACES)):
                data, at, size = stored[name], stored[name + AT], int(stored[name + SIZE])
                if data.dtype != np.uint8 or data.ndim != 2 or at.shape != data.shape[:1] or (at < 0).any():
                    raise ValueError(f"{name} is no list of rows")
                with (folder / name).open("r+b" if (folder / name).exists() else "w+b") as file:
                    file.truncate(size)
                    for offset, row in zip(at.tolist(), data, strict=True):
                        file.seek(offset)
                        file.write(row.tobytes())
    except (ValueError, KeyError, BadZipFile) as error:
        raise SettingsError(
            f"{pieces.name}: is damaged at the URL of the shard; remove it there to begin anew"
        ) from error


@dataclass(frozen=True, slots=True)
class ShardsAtUrl(Shards):
    """The shards of a harvest at a URL, each of which has a folder on the machine that works on it."""

    url: RemotePath

    def state(self, index: int, of: int) -> State:
        """Returns where a shard keeps what it gathers."""
        return StateAtUrl(self.folder / f"{index}-of-{of}", self.url / f"{index}-of-{of}")

    def plan(self) -> SharedPlan | None:
        """Returns the common plan; None before it is there.

        Raises:
            SettingsError: it cannot be read.
        """
        with reached(self.url):
            try:
                return SharedPlan.model_validate_json((self.url / PLAN).read_bytes())
            except FileNotFoundError:
                return None
            except ValidationError as error:
                raise SettingsError(f"{self.url / PLAN}: not the plan of a harvest; remove {self.url}") from error

    def begin(self, plan: SharedPlan, decoders: Sequence[npt.NDArray[np.float32] | None]) -> SharedPlan:
        """Puts the common plan, which one process makes before any shard is begun; returns the one that holds.

        Raises:
            SettingsError: the URL cannot be written.
        """
        if (there := self.plan()) is not None:
            return there
        with reached(self.url), tempfile.TemporaryDirectory(prefix="autointerp-") as folder:
            for coder, decoder in zip(plan.coders, decoders, strict=True):
                if coder.decoder is not None and decoder is not None:
                    file = Path(folder) / coder.decoder
                    np.save(file, decoder, allow_pickle=False)
                    put(file, self.url / coder.decoder)
            (Path(folder) / PLAN).write_text(plan.model_dump_json(indent=2) + "\n", encoding="utf-8")
            put(Path(folder) / PLAN, self.url / PLAN)
        return plan

    def fetch_decoders(self, shared: SharedPlan) -> None:
        """Has here the decoders, which only a merge needs.

        Raises:
            SettingsError: they cannot be read.
        """
        with reached(self.url):
            for i, coder in enumerate(shared.coders):
                if coder.decoder is not None:
                    fetch(self.url / f"decoder-{i}.npy", self.folder / f"decoder-{i}.npy")

    def remove(self) -> None:
        """Removes all shards, here and at the URL, where no plan is left first."""
        with reached(self.url):
            remove(self.url / PLAN)
            remove_all(self.url)
        shutil.rmtree(self.folder, ignore_errors=True)
