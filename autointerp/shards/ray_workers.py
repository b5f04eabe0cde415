"""What runs on the nodes of a Ray cluster: actors that work on shards, and the mailbox that they report to."""

import asyncio
import pickle
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from autointerp.errors import AutointerpError
from autointerp.job import JobResult, Watched
from autointerp.pipeline import Stop
from autointerp.settings import Budget, EngineSettings
from autointerp.shards.builds import build
from autointerp.shards.dealing import Call, Report, after
from autointerp.shards.shards import Shard
from autointerp.signals import told

if TYPE_CHECKING:
    from ray import ObjectRef  # pyright: ignore[reportMissingImports]
    from ray.actor import ActorHandle  # pyright: ignore[reportMissingImports]

EVERY = 1.0
"""Seconds between a worker's reports, and between looks at them."""
DRAINED = "drained"
"""Why a worker hands its shard back: its node is about to be shut down."""


@dataclass(frozen=True)
class Order:
    """A shard as it travels: its ids, and what it may use of the endpoint."""

    shard: Shard
    engine: EngineSettings
    budget: Budget | None
    """The shard's share; it does not flow to other shards, since workers come and go."""

    def left(self, spent: float) -> EngineSettings:
        """What may still be used, once lost workers have spent some of the budget."""
        if self.budget is None:
            return self.engine
        return after(self.engine.model_copy(update={"budget": self.budget}), spent)


class Begin(NamedTuple):
    """What a worker learns before it begins a shard."""

    halted: str | None
    """Why not to begin it, if so."""
    spent: float
    """Of its budget, by those who began it before."""


class Mailbox:
    """An actor between the workers and the display: takes reports, and passes on the wish to stop.

    Args:
        draining: the ids of the nodes that are about to be shut down; asked once in `EVERY` seconds, however many
            workers there are.
        clock: seconds.
    """

    def __init__(
        self,
        draining: "Callable[[], Mapping[str, int]] | None" = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reports: dict[int, Report] = {}
        self._new: set[int] = set()
        self._halted: str | None = None
        self._spent: Counter[int] = Counter()
        self._draining = draining or draining_nodes
        self._clock = clock
        self._asked: float | None = None
        self._going: Mapping[str, int] = {}

    def begin(self, shard: int, node: str) -> Begin:
        """A worker on a node is about to begin a shard, perhaps one that a lost worker held."""
        if (last := self._reports.pop(shard, None)) is not None:
            self._spent[shard] += last.spent  # pyright: ignore[reportArgumentType]
        return Begin(self._why_to_stop(node), self._spent[shard])

    def tell(self, shard: int, node: str, report: Report) -> str | None:
        """Takes a report; why to stop, if so."""
        self._reports[shard] = report
        self._new.add(shard)
        return self._why_to_stop(node)

    def halt(self, reason: str) -> None:
        """Whoever reports next is told to stop."""
        self._halted = self._halted or reason

    def read(self) -> dict[int, Report]:
        """The reports that were not read yet."""
        new = {shard: self._reports[shard] for shard in self._new if shard in self._reports}
        self._new.clear()
        return new

    def _why_to_stop(self, node: str) -> str | None:
        now = self._clock()
        if self._asked is None or now - self._asked >= EVERY:
            self._asked, self._going = now, self._draining()
        return self._halted or (DRAINED if node in self._going else None)


def draining_nodes() -> Mapping[str, int]:
    """The ids of the nodes of this process's cluster that are about to be shut down, and when, in ms since 1970 or 0.

    `ray start --block` says so at SIGTERM (from Ray 2.60 on), and so does `ray drain-node`. None where Ray does not
    tell: then such a node is simply lost.
    """
    try:
        from ray._private.state import state  # pyright: ignore[reportMissingImports]

        return state.get_draining_nodes()
    except (ImportError, AttributeError, RuntimeError):
        return {}


class ProgressReporter:
    """Tells the parent of a process, which has no display, how far it is: every `EVERY` seconds, and at the end.

    Args:
        send: takes a report; must not wait.
    """

    def __init__(self, send: Callable[[Report], None]) -> None:
        self._send = send
        self._done = {True: 0, False: 0}

    @contextmanager
    def show(self, stage: str, gateway: Watched, total: int, before: int) -> Iterator[None]:
        """Reports while the context lasts, from the job's own event loop; for use inside a running loop."""
        loop = asyncio.get_running_loop()

        def tell() -> None:
            now, done = gateway.limiter, self._done
            load = (now.in_flight, now.limit, now.endpoints, now.pause)
            self._send(Report(*load, deepcopy(gateway.tally), gateway.spent, before, done[False], failed=done[True]))

        def again() -> None:
            nonlocal handle
            tell()
            handle = loop.call_later(EVERY, again)

        handle = loop.call_soon(again)
        try:
            yield
        finally:
            handle.cancel()
            tell()

    def advance(self, *, failed: bool) -> None:
        """One more feature is through."""
        self._done[failed] += 1

    def note(self, text: str) -> None:
        """Nothing: what there is to say concerns all processes, and the parent says it."""


class ShardWorker:
    """An actor, one core: runs our own engine, an event loop of its own, over one shard a call.

    Args:
        mailbox: actor of `Mailbox`.
    """

    def __init__(self, mailbox: "ActorHandle") -> None:
        self._mailbox = mailbox

    def runs(self) -> tuple[str, str]:
        """The name of its machine, and the program that it runs there."""
        return socket.gethostname(), build()

    def work(self, packed: bytes) -> JobResult | AutointerpError:
        """What became of a shard; one that is handed back has stopped for `DRAINED`.

        Args:
            packed: the job and the order, pickled; a node of another version is noticed before it reads them.
        """
        import ray  # pyright: ignore[reportMissingImports]

        call: Call
        order: Order
        call, order = pickle.loads(packed)
        shard, node = order.shard, ray.get_runtime_context().get_node_id()
        # What Ray hands back has no type that a checker knows.
        begin: Begin = ray.get(self._mailbox.begin.remote(shard.index, node))  # pyright: ignore[reportAssignmentType]
        if begin.halted is not None:
            return JobResult(Path(), 0, 0, spent=begin.spent, stopped=begin.halted)
        stop, waiting = Stop(), []

        def send(report: Report) -> None:
            heed(ray.wait(waiting, num_returns=len(waiting), timeout=0)[0] if waiting else [])
            waiting.append(self._mailbox.tell.remote(shard.index, node, report))

        def heed(ready: list["ObjectRef"]) -> None:
            for halted in ray.get(ready):
                if halted is not None:
                    stop.ask(halted)
            waiting[:] = [ref for ref in waiting if ref not in ready]

        try:
            engine, reporter = order.left(begin.spent), ProgressReporter(send)
            # A node that is shut down lets its workers finish what is in flight.
            with told(lambda: stop.ask(DRAINED)):
                result = call(shard=shard, engine=engine, progress=reporter, stop=stop)
        except AutointerpError as e:
            return e
        # Whoever goes on with the shard asks the mailbox what was spent.
        heed(waiting)
        result.spent += begin.spent
        return result
