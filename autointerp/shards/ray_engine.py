"""Shards on a Ray cluster: Ray Data deals them, our own engine works on each, and only ids, paths and counts travel."""

import asyncio
import importlib.util
import logging
import os
import pickle
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from autointerp.errors import AutointerpError, EndpointError, SettingsError, one_line
from autointerp.extras import how_to_install
from autointerp.job import JobResult, Watched
from autointerp.pipeline import Stop
from autointerp.settings import Budget, EngineSettings
from autointerp.shards.builds import build, differing, refuse_others
from autointerp.shards.dealing import LEAST, Board, Call, Report, after, share_of
from autointerp.shards.shards import Shard
from autointerp.signals import told, unchanged

if TYPE_CHECKING:
    from ray.actor import ActorHandle  # pyright: ignore[reportMissingImports]

EVERY = 1.0
"""Seconds between a worker's reports, and between looks at them."""
ACTORS = 2
"""Actors where no number is given."""
TRIES = 3
"""Workers that may be lost over one shard."""
_PATIENCE = 5.0
"""Seconds for a cluster's address to answer."""

Batch = dict[str, list[object]]


@dataclass(frozen=True)
class RayCluster:
    """Workers on a Ray cluster, one core each; a lost one's shard goes on where its part ends."""

    size: int
    address: str | None
    """Of a running cluster, None to begin one on this machine."""

    async def work(self, call: Call, shards: Sequence[Shard], board: Board) -> None:
        """Has each shard worked on, until all are done or `board.stop` is asked.

        Raises:
            AutointerpError: Ray is not installed or not there, or what stopped one worker would stop all.
        """
        size = min(self.size, board.engine.concurrency)
        with connected(self.address, size):
            import ray  # pyright: ignore[reportMissingImports]

            refuse_others()
            # Not a decorator: this module is read where Ray is not installed.
            actor = ray.remote(Mailbox).options(num_cpus=0, scheduling_strategy=here())
            mailbox: ActorHandle = actor.remote()  # pyright: ignore[reportAssignmentType]
            listener = asyncio.create_task(_listen(mailbox, board))
            loop = asyncio.get_running_loop()
            orders = list(_orders(shards, board.engine, size, board.result.spent))

            def hear(shard: Shard, said: object) -> None:
                loop.call_soon_threadsafe(_settle, board, shard, said)

            try:
                problem = await asyncio.to_thread(_deal, call, orders, mailbox, size, hear, board.stop)
            finally:
                listener.cancel()
                with suppress(asyncio.CancelledError):
                    await listener
        if problem is not None:
            raise problem


class Begin(NamedTuple):
    """What a worker learns before it begins a shard."""

    halted: str | None
    tries: int
    """How often the shard was begun before."""
    spent: float
    """Of its budget, by those who began it."""


class Mailbox:
    """An actor between the workers and the display: takes reports, and passes on the wish to stop."""

    def __init__(self) -> None:
        self._reports: dict[int, Report] = {}
        self._new: set[int] = set()
        self._halted: str | None = None
        self._tries: Counter[int] = Counter()
        self._spent: Counter[int] = Counter()

    def begin(self, shard: int) -> Begin:
        """A worker is about to begin a shard, perhaps one that a lost worker held."""
        if (last := self._reports.pop(shard, None)) is not None:
            self._spent[shard] += last.spent  # pyright: ignore[reportArgumentType]
        self._tries[shard] += 1
        return Begin(self._halted, self._tries[shard] - 1, self._spent[shard])

    def tell(self, shard: int, report: Report) -> str | None:
        """Takes a report; why to stop, if so."""
        self._reports[shard] = report
        self._new.add(shard)
        return self._halted

    def halt(self, reason: str) -> None:
        """Whoever reports next is told to stop."""
        self._halted = self._halted or reason

    def read(self) -> dict[int, Report]:
        """The reports that were not read yet."""
        new = {shard: self._reports[shard] for shard in self._new if shard in self._reports}
        self._new.clear()
        return new


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
    """What Ray Data makes one of for each worker: runs our own engine, an event loop of its own, over one shard a call.

    Args:
        call: the job.
        mailbox: actor of `Mailbox`.
    """

    def __init__(self, call: Call, mailbox: "ActorHandle") -> None:
        self._call = call
        self._mailbox = mailbox

    def __call__(self, batch: Batch) -> Batch:
        """The number of the shard of a one-row batch, and what became of it, pickled."""
        if (other := differing([(socket.gethostname(), build())], str(batch["build"][0]))) is not None:
            # A node that has come since the others were asked.
            return {"shard": [batch["shard"][0]], "said": [pickle.dumps(other)]}
        order = pickle.loads(bytes(batch["order"][0]))  # pyright: ignore[reportArgumentType]
        assert isinstance(order, Order)
        return {"shard": [order.shard.index], "said": [pickle.dumps(self._work(order))]}

    def _work(self, order: "Order") -> JobResult | AutointerpError | None:
        import ray  # pyright: ignore[reportMissingImports]

        # What Ray hands back has no type that a checker knows.
        begin: Begin = ray.get(self._mailbox.begin.remote(order.shard.index))  # pyright: ignore[reportAssignmentType]
        if begin.tries >= TRIES:
            return None
        stop, waiting = Stop(), []
        if begin.halted is not None:
            stop.ask(begin.halted)

        def send(report: Report) -> None:
            ready = ray.wait(waiting, num_returns=len(waiting), timeout=0)[0] if waiting else []
            for halted in ray.get(ready):
                if halted is not None:
                    stop.ask(halted)
            waiting[:] = [ref for ref in waiting if ref not in ready]
            waiting.append(self._mailbox.tell.remote(order.shard.index, report))

        try:
            engine, reporter = order.left(begin.spent), ProgressReporter(send)
            # A node that is shut down lets its workers finish what is in flight.
            with told(lambda: stop.ask("interrupted")):
                result = self._call(shard=order.shard, engine=engine, progress=reporter, stop=stop)
        except AutointerpError as e:
            return e
        result.spent += begin.spent
        return result


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


def _orders(shards: Sequence[Shard], engine: EngineSettings, size: int, spent: float) -> Iterator[Order]:
    """What each shard may use, where other waves have spent some of the budget."""
    whole = after(engine, spent).budget
    lengths = [len(s.ids) if s.ids is not None else 0 for s in shards]
    for shard, n in zip(shards, lengths, strict=True):
        share = None
        if whole is not None:
            share = Budget.of(max(whole.limit * n / sum(lengths), LEAST[whole.unit]), whole.unit)
        # Any of the shards may be worked on at once, so none gets what is over when the whole is divided.
        yield Order(shard, share_of(engine, 0, size), share)


def _deal(
    call: Call,
    orders: "Sequence[Order]",
    mailbox: "ActorHandle",
    size: int,
    hear: Callable[[Shard, object], None],
    stop: Stop,
) -> AutointerpError | None:
    """Runs the shards through Ray Data; what stopped one of them and would stop all, if so."""
    import ray  # pyright: ignore[reportMissingImports]
    from ray.data import ActorPoolStrategy, DataContext  # pyright: ignore[reportMissingImports]
    from ray.exceptions import RayError  # pyright: ignore[reportMissingImports]

    context = DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    # A bug over one shard does not end the others.
    context.max_errored_blocks = -1
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    rows = [{"shard": order.shard.index, "build": build(), "order": pickle.dumps(order)} for order in orders]
    # One shard at a time, since a lost worker's shards are all begun anew.
    pool = ActorPoolStrategy(size=size, max_tasks_in_flight_per_actor=1)
    done = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
        ShardWorker, fn_constructor_args=(call, mailbox), batch_size=1, compute=pool, num_cpus=1
    )
    pending = {order.shard.index: order.shard for order in orders}
    problem: AutointerpError | None = None
    try:
        for row in done.iter_rows():
            said = pickle.loads(row["said"])
            hear(pending.pop(int(row["shard"])), said)
            if isinstance(said, AutointerpError):
                problem = problem or said
                mailbox.halt.remote("stopped")
    except RayError as e:
        # A signal that ends a whole job ends Ray's own processes too.
        if stop.reason is None:
            problem = problem or EndpointError(f"--engine ray: {one_line(str(e))[:300]}")
    for shard in pending.values():
        hear(shard, None)
    return problem


def _settle(board: Board, shard: Shard, said: object) -> None:
    match said:
        case JobResult():
            board.ended(shard.index, said)
            board.result.spent += said.spent
            board.result.stopped = board.result.stopped or said.stopped
        case AutointerpError():
            board.lost(shard.index)
        case _:
            board.note(f"shard {shard.index}/{shard.of} was not finished: its workers were lost, or met a bug")
            board.lost(shard.index)
            board.given_up(shard.index)


async def _listen(mailbox: "ActorHandle", board: Board) -> None:
    """Shows what the workers report, and tells them to stop when that is asked."""
    halted = False
    while True:
        if board.stop.reason is not None and not halted:
            halted = True
            await mailbox.halt.remote(board.stop.reason)  # pyright: ignore[reportGeneralTypeIssues]
        reports = await mailbox.read.remote()  # pyright: ignore[reportGeneralTypeIssues]
        for shard, report in reports.items():
            board.heard(shard, report)
        await asyncio.sleep(EVERY)


@contextmanager
def connected(address: str | None, size: int) -> Iterator[None]:
    """In touch with a cluster: the one at the address, one begun here, or the one that the caller is in touch with.

    Raises:
        SettingsError: Ray is not installed, or no cluster is there.
    """
    if importlib.util.find_spec("ray") is None:
        raise SettingsError(f"--engine ray: Ray is not installed; {how_to_install('ray')}")
    _reach(address)
    # Before Ray is loaded: it would report its use over the network.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # What its core says of restarted actors is no concern of the user's; lost workers are reported by name.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    with unchanged():
        import ray  # pyright: ignore[reportMissingImports]

    if ray.is_initialized():
        yield
        return
    here = {"num_cpus": size + 1, "include_dashboard": False} if address is None else {}
    try:
        # Ray would end the process at SIGTERM.
        with _muted(), unchanged():
            ray.init(address=address or "local", log_to_driver=False, logging_level=logging.CRITICAL, **here)
    except (ConnectionError, ValueError, RuntimeError) as e:
        raise SettingsError(f"--ray-address {address}: no Ray cluster can be reached: {one_line(str(e))}") from e
    try:
        yield
    finally:
        ray.shutdown()


def _reach(address: str | None) -> None:
    """Ray itself tries for minutes."""
    host, colon, port = (address or "").removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=_PATIENCE).close()
    except OSError as e:
        raise SettingsError(f"--ray-address {address}: nothing answers there ({e.strerror or e})") from e


@contextmanager
def _muted() -> Iterator[None]:
    """Keeps from stderr what Ray's core says about its own log level; errors are raised all the same."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def here() -> object:
    """Where the display is: a lost node shall not take the mailbox with it."""
    import ray  # pyright: ignore[reportMissingImports]
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # pyright: ignore[reportMissingImports]

    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
