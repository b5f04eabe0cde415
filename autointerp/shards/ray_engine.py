"""Shards on a Ray cluster: our own engine works on each, and only ids, paths and counts travel."""

import asyncio
import importlib.util
import logging
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autointerp.errors import AutointerpError, SettingsError, one_line
from autointerp.extras import how_to_install
from autointerp.job import JobResult
from autointerp.settings import Budget, EngineSettings
from autointerp.shards.builds import refuse_others
from autointerp.shards.dealing import LEAST, Board, Call, after, share_of
from autointerp.shards.ray_dealing import Dealing, GivenUp
from autointerp.shards.ray_workers import EVERY, Mailbox, Order, ShardWorker
from autointerp.shards.shards import Shard
from autointerp.signals import unchanged

if TYPE_CHECKING:
    from ray.actor import ActorHandle  # pyright: ignore[reportMissingImports]

ACTORS = 2
"""Actors where no number is given."""
_PATIENCE = 5.0
"""Seconds for a cluster's address to answer."""
_REFUSED = "InvalidAuthToken"
"""What the head says to whoever has another token than its own, or none (Ray 2.60)."""
_TOKEN = (
    "set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN to the token that its head was started with, or RAY_AUTH_TOKEN_PATH to "
    "a file that holds it"
)


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
            # One that is begun anew has forgotten what lost workers have spent, and no more.
            lasting = {"max_restarts": -1, "max_task_retries": -1}
            remote = ray.remote(Mailbox).options(num_cpus=0, scheduling_strategy=here(), **lasting)
            mailbox: ActorHandle = remote.remote()  # pyright: ignore[reportAssignmentType]
            listener = asyncio.create_task(_listen(mailbox, board))
            try:
                problem = await asyncio.to_thread(_dealing(call, shards, mailbox, size, board).run)
            finally:
                listener.cancel()
                with suppress(asyncio.CancelledError):
                    await listener
        if problem is not None:
            raise problem


def _dealing(call: Call, shards: Sequence[Shard], mailbox: "ActorHandle", size: int, board: Board) -> Dealing:
    """What deals the shards in a thread, and tells the board in its own."""
    import ray  # pyright: ignore[reportMissingImports]

    loop = asyncio.get_running_loop()
    worker = ray.remote(ShardWorker).options(num_cpus=1, scheduling_strategy="SPREAD")

    def hear(shard: Shard, said: object) -> None:
        loop.call_soon_threadsafe(_settle, board, shard, said)

    def say(text: str) -> None:
        loop.call_soon_threadsafe(board.note, text)

    return Dealing(
        call,
        _orders(shards, board.engine, size, board.result.spent),
        lambda: worker.remote(mailbox),  # pyright: ignore[reportArgumentType, reportReturnType]
        size,
        hear=hear,
        say=say,
        halt=mailbox.halt.remote,
        stop=board.stop,
    )


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


def _settle(board: Board, shard: Shard, said: object) -> None:
    match said:
        case JobResult():
            board.ended(shard.index, said)
            board.result.spent += said.spent
            board.result.stopped = board.result.stopped or (said.stopped and (board.stop.reason or said.stopped))
        case AutointerpError() | str():
            board.lost(shard.index)
        case GivenUp():
            board.note(f"shard {shard.index}/{shard.of} was not finished: {said.why}")
            board.lost(shard.index)
            board.given_up(shard.index)
        case _:
            raise AssertionError(f"no worker says {said!r}")


async def _listen(mailbox: "ActorHandle", board: Board) -> None:
    """Shows what the workers report, and tells them to stop when that is asked."""
    from ray.exceptions import RayError  # pyright: ignore[reportMissingImports]

    halted = False
    while True:
        try:
            if board.stop.reason is not None and not halted:
                halted = True
                await mailbox.halt.remote(board.stop.reason)  # pyright: ignore[reportGeneralTypeIssues]
            reports = await mailbox.read.remote()  # pyright: ignore[reportGeneralTypeIssues]
        except RayError:
            return  # it goes with the cluster, of which whoever deals the shards tells
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
        from ray.exceptions import RayError  # pyright: ignore[reportMissingImports]

    if ray.is_initialized():
        yield
        return
    here = {"num_cpus": size + 1, "include_dashboard": False} if address is None else {}
    try:
        # Ray would end the process at SIGTERM.
        with _muted(), unchanged():
            ray.init(address=address or "local", log_to_driver=False, logging_level=logging.CRITICAL, **here)
    except (ConnectionError, ValueError, RuntimeError, RayError) as e:
        raise unreachable(address, e, os.environ) from e
    try:
        yield
    finally:
        ray.shutdown()


def unreachable(address: str | None, error: Exception, environment: Mapping[str, str]) -> SettingsError:
    """What to say where Ray cannot be begun or reached, above all where a cluster's token is wanted.

    Where a token is refused, Ray's error says only that it failed to connect; the errors behind it name the refusal.

    Args:
        address: that was given.
        error: of `ray.init`.
        environment: of this process.
    """
    option = "--engine ray" if address is None else f"--ray-address {address}"
    own = getattr(error, "message", None)
    if isinstance(own, str):
        # An AuthenticationError of this side. Its text goes on with advice for other cases.
        remedy = "correct it in the environment" if address is None else _TOKEN
        return SettingsError(f"{option}: {one_line(own).rstrip('.')}; {remedy}")
    seen: BaseException | None = error
    while seen is not None:
        if _REFUSED in str(seen):
            sent = environment.get("RAY_AUTH_MODE", "").lower() == "token"
            why = "the token of this command is not that of the cluster" if sent else "the cluster asks for a token"
            return SettingsError(f"{option}: {why}; {_TOKEN}")
        seen = seen.__cause__ or seen.__context__
    return SettingsError(f"{option}: no Ray cluster can be reached: {one_line(str(error))}")


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

    # With `soft`, Ray puts it on any node where this one, as a head without cores, runs nothing else.
    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
