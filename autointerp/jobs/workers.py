"""Several processes on this machine, each with an event loop of its own, for when one core is full."""

import asyncio
import contextlib
import multiprocessing
import os
import queue
import signal
import threading
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from autointerp.settings import EngineSettings
from autointerp.errors import AutointerpError, SettingsError
from autointerp.jobs.common import JobResult
from autointerp.jobs.sharding import Shard
from autointerp.jobs.shares import Purse, share_of
from autointerp.jobs.spreading import Board, Call, Report
from autointerp.jobs.telling import Teller
from autointerp.pipeline import Stop

_TRIES = 3
"""Processes that may be lost over one shard."""
_TICK = 0.2
"""Seconds between looks at whether to stop."""
_ORPHANED = 10.0
"""Seconds that a process whose parent is gone takes to write down what is in flight."""


@dataclass(frozen=True)
class _Deal:
    """A shard for a process, and what it may use of the endpoint."""

    shard: Shard
    engine: EngineSettings


@dataclass(frozen=True)
class _Halt:
    """What is in flight shall finish, nothing new begin."""

    reason: str


@dataclass
class _Worker:
    """A process as its parent knows it."""

    number: int
    process: SpawnProcess
    connection: Connection
    deal: _Deal | None = None
    granted: float = 0.0
    report: Report = field(default_factory=Report)


@dataclass(frozen=True)
class Processes:
    """Processes of this machine; shards are dealt as each becomes free, a lost one's shard goes to another."""

    size: int

    async def work(self, call: Call, shards: Sequence[Shard], board: Board) -> None:
        """Has each shard worked on, until all are done or `board.stop` is asked.

        Raises:
            AutointerpError: what stopped one process would stop all.
        """
        await _Shift(call, deque(shards), board, min(self.size, board.engine.concurrency)).run()


class _Shift:
    """One set of shards from the first deal to the last report."""

    def __init__(self, call: Call, pending: deque[Shard], board: Board, size: int) -> None:
        self._call = call
        self._pending = pending
        self._board = board
        self._size = min(size, len(pending))
        self._purse = Purse.of(board.engine.budget)
        self._purse.left -= board.result.spent
        self._workers: list[_Worker] = []
        self._lost: Counter[int] = Counter()
        self._short: list[Shard] = []
        self._problem: AutointerpError | None = None
        self._halted = False
        self._met = False
        self._tried_with = 0.0

    async def run(self) -> None:
        try:
            while self._deal_all():
                busy = {w.connection: w for w in self._workers}
                for ready in await asyncio.to_thread(wait, list(busy), _TICK):
                    self._hear(busy[ready])  # pyright: ignore[reportArgumentType]
            for worker in self._workers:
                _send(worker.connection, None)
            for worker in self._workers:
                await asyncio.to_thread(worker.process.join, _ORPHANED)
        finally:
            for worker in self._workers:
                self._dismiss(worker)
        if self._problem is not None:
            raise self._problem
        if (self._short or self._pending) and self._board.stop.reason is None and self._board.result.stopped is None:
            self._board.result.stopped = "over budget"

    def _deal_all(self) -> bool:
        """Gives a shard to every process that has none; whether any process is at work."""
        stopping = self._board.stop.reason is not None or self._problem is not None
        if stopping and not self._halted:
            self._halted = True
            for worker in self._workers:
                if worker.deal is not None:
                    _send(worker.connection, _Halt(self._board.stop.reason or "stopped"))
        while not stopping and self._pending and not self._purse.empty and (free := self._free()) is not None:
            self._deal(free, self._pending.popleft())
        if not stopping and self._short and not any(w.deal for w in self._workers):
            self._last_of_the_budget()
        return any(w.deal for w in self._workers)

    def _last_of_the_budget(self) -> None:
        """One process gets what the others left of the budget, for a shard that ran out of its share."""
        free = self._free()
        if free is not None and not self._purse.empty and self._purse.left > self._tried_with:
            self._tried_with = self._purse.left
            self._deal(free, self._short.pop(0), alone=True)

    def _free(self) -> _Worker | None:
        idle = next((w for w in self._workers if w.deal is None), None)
        if idle is None and len(self._workers) < self._size:
            idle = _started(self._call, {w.number for w in self._workers})
            self._workers.append(idle)
        return idle

    def _deal(self, worker: _Worker, shard: Shard, *, alone: bool = False) -> None:
        holders = sum(w.deal is not None for w in self._workers)
        worker.granted = self._purse.grant(1 if alone else self._size - holders)
        engine = share_of(self._board.engine, worker.number, self._size)
        worker.deal = _Deal(shard, engine.model_copy(update={"budget": self._purse.text(worker.granted)}))
        worker.report = Report()
        _send(worker.connection, worker.deal)

    def _hear(self, worker: _Worker) -> None:
        try:
            said = worker.connection.recv()
        except (EOFError, OSError):
            self._miss(worker)
            return
        self._met = True
        assert worker.deal is not None
        shard = worker.deal.shard
        match said:
            case Report():
                worker.report = said
                self._board.heard(shard.index, said)
            case JobResult():
                self._settle(worker)
                if said.stopped == "over budget":
                    self._short.append(shard)
                else:
                    self._tried_with = 0.0
                self._board.ended(shard.index, said)
            case AutointerpError():
                self._settle(worker)
                self._board.lost(shard.index)
                self._problem = self._problem or said
            case _:
                raise TypeError(said)

    def _settle(self, worker: _Worker, *, lost: bool = False) -> None:
        # Nobody knows what a lost one spent since its last report, so all that it might have spent counts.
        spent = max(worker.granted, worker.report.spent) if lost else worker.report.spent
        self._purse.settle(worker.granted, spent)
        self._board.result.spent += spent
        worker.deal, worker.granted = None, 0.0

    def _miss(self, worker: _Worker) -> None:
        """A process is gone: by a bug, whose traceback it has printed, or killed."""
        self._workers.remove(worker)
        worker.process.join(_ORPHANED)
        code = worker.process.exitcode
        how = f"killed by signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        self._dismiss(worker)
        if worker.deal is None:
            return
        shard = worker.deal.shard
        self._settle(worker, lost=True)
        self._board.lost(shard.index)
        self._lost[shard.index] += 1
        again = self._lost[shard.index] < _TRIES
        then = "another takes it over" if again else f"its features stay pending after {_TRIES} tries"
        self._board.note(f"worker {worker.number + 1} was lost at shard {shard.index}/{shard.of} ({how}); {then}")
        if again:
            self._pending.appendleft(shard)
        else:
            self._board.given_up(shard.index)
        if not self._met and self._lost.total() >= _TRIES:
            self._problem = SettingsError(
                "--workers: the processes end before they begin; in a script of your own, call this under "
                "`if __name__ == '__main__':`"
            )

    def _dismiss(self, worker: _Worker) -> None:
        worker.connection.close()
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        worker.process.close()


def _started(call: Call, taken: set[int]) -> _Worker:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    number = next(i for i in range(len(taken) + 1) if i not in taken)
    process = context.Process(target=_serve, args=(there, call), name=f"autointerp-{number}", daemon=True)
    process.start()
    there.close()  # so that its end is seen here when the process ends
    return _Worker(number, process, here)  # pyright: ignore[reportArgumentType] - of this platform's kind


def _send(connection: Connection, said: object) -> None:
    # Where the other side is gone, whoever receives from it finds out.
    with contextlib.suppress(OSError):
        connection.send(said)


class _Inbox:
    """What the parent says, heard by a thread of its own while a shard is worked on."""

    def __init__(self, connection: Connection) -> None:
        self.deals: queue.SimpleQueue[_Deal | None] = queue.SimpleQueue()
        self._connection = connection
        self._halted: str | None = None
        self._stop = Stop()
        threading.Thread(target=self._listen, name="inbox", daemon=True).start()

    def stop(self) -> Stop:
        """For the next shard."""
        self._stop = Stop()
        if self._halted is not None:
            self._stop.ask(self._halted)
        return self._stop

    def _listen(self) -> None:
        while True:
            try:
                said = self._connection.recv()
            except (EOFError, OSError):
                self._halt("the parent process is gone")
                threading.Timer(_ORPHANED, os._exit, (1,)).start()
                said = None
            if isinstance(said, _Halt):
                self._halt(said.reason)
            else:
                self.deals.put(said)
                if said is None:
                    return

    def _halt(self, reason: str) -> None:
        self._halted = reason
        self._stop.ask(reason)


def _serve(connection: Connection, call: Call) -> None:
    """Works on shards until there are no more."""
    # Ctrl-C reaches the parent alone, which passes it on once.
    if hasattr(os, "setsid"):
        os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    inbox = _Inbox(connection)
    while (deal := inbox.deals.get()) is not None:
        teller = Teller(lambda report: _send(connection, report))
        try:
            said = call(shard=deal.shard, engine=deal.engine, progress=teller, stop=inbox.stop())
        except AutointerpError as e:
            said = e
        _send(connection, said)
    # The timer of an orphan must not keep it.
    connection.close()
    os._exit(0)
