"""Deals shards to actors of a Ray cluster, one at a time each: a lost actor's shard goes to whoever is free first."""

import pickle
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from autointerp.errors import AutointerpError, EndpointError, one_line
from autointerp.job import JobResult
from autointerp.pipeline import Stop
from autointerp.shards.builds import build, differing
from autointerp.shards.dealing import Call
from autointerp.shards.ray_workers import DRAINED, EVERY, Order
from autointerp.shards.shards import Shard

if TYPE_CHECKING:
    from ray import ObjectRef  # pyright: ignore[reportMissingImports]
    from ray.actor import ActorHandle  # pyright: ignore[reportMissingImports]

TRIES = 3
"""Workers that may be lost over one shard."""
AGAIN = "again"
"""What is said of a shard whose worker was lost, or handed it back: another goes on with it."""
SLOW = 30.0
"""Seconds without a worker, after which that is said."""
NO_CORE = "no core of the Ray cluster is free for a worker yet; waiting for one"


class GivenUp(NamedTuple):
    """What is said of a shard with which nobody goes on."""

    why: str


class Dealing:
    """Shards on their way to actors.

    Ray Data's pool of actors knows no shard that is handed back half done, and keeps a lost actor's shard for its
    successor, which may have to wait for a core until the others are through.

    Args:
        call: the job.
        orders: the shards, dealt in this order.
        make: begins an actor of `ShardWorker`, which waits for a free core.
        size: actors at once.
        hear: told what became of a shard: a `JobResult`, an error that would stop all, `AGAIN` or `GivenUp`.
        say: told what the user should know, in a line.
        halt: asks all workers to stop.
        stop: looked at before a shard is given to an actor.
    """

    def __init__(
        self,
        call: Call,
        orders: Iterable[Order],
        make: "Callable[[], ActorHandle]",
        size: int,
        *,
        hear: Callable[[Shard, object], None],
        say: Callable[[str], None],
        halt: Callable[[str], None],
        stop: Stop,
    ) -> None:
        self._call, self._make, self._size = call, make, size
        self._hear, self._say, self._halt, self._stop = hear, say, halt, stop
        self._waiting = deque(orders)
        self._starting: dict[ObjectRef, ActorHandle] = {}
        self._busy: dict[ObjectRef, tuple[ActorHandle, Order]] = {}
        self._lost: Counter[int] = Counter()
        self._never_began = 0
        self._problem: AutointerpError | None = None

    def run(self) -> AutointerpError | None:
        """Deals until all shards are through, or the work is to stop; what would stop every worker, if so."""
        import ray  # pyright: ignore[reportMissingImports]
        from ray.exceptions import RayError  # pyright: ignore[reportMissingImports]

        idle_since, said = time.monotonic(), False
        try:
            while self._busy or (self._waiting and not self._is_over):
                self._fill()
                ready, _ = ray.wait([*self._starting, *self._busy], timeout=EVERY)
                for ref in ready:
                    self._began(ref) if ref in self._starting else self._ended(ref)
                if self._busy:
                    idle_since, said = time.monotonic(), False
                elif not said and time.monotonic() - idle_since > SLOW:
                    self._say(NO_CORE)
                    said = True
        except RayError as e:
            self._cluster_lost(e)
        finally:
            self._dismiss()
        return self._problem

    @property
    def _is_over(self) -> bool:
        return self._problem is not None or self._stop.reason is not None

    def _fill(self) -> None:
        """Begins as many actors as there is work for."""
        wanted = 0 if self._is_over else min(self._size, len(self._waiting) + len(self._busy))
        for _ in range(wanted - len(self._starting) - len(self._busy)):
            actor = self._make()
            self._starting[actor.runs.remote()] = actor

    def _began(self, ref: "ObjectRef") -> None:
        import ray  # pyright: ignore[reportMissingImports]
        from ray.exceptions import RayError  # pyright: ignore[reportMissingImports]

        actor = self._starting.pop(ref)
        try:
            runs = ray.get(ref)
        except RayError as e:
            self._never_began += 1
            if self._never_began >= TRIES * self._size:
                self._fail(EndpointError(f"--engine ray: no worker can be begun: {one_line(str(e))[:300]}"))
            return
        self._never_began = 0
        # A node may have come since the others were asked.
        if (other := differing([runs], build())) is not None:
            self._fail(other)
        self._give(actor)

    def _give(self, actor: "ActorHandle") -> None:
        """Gives an actor the next shard, or sends it away."""
        import ray  # pyright: ignore[reportMissingImports]

        if self._is_over or not self._waiting:
            ray.kill(actor)
            return
        order = self._waiting.popleft()
        self._busy[actor.work.remote(pickle.dumps((self._call, order)))] = (actor, order)

    def _ended(self, ref: "ObjectRef") -> None:
        import ray  # pyright: ignore[reportMissingImports]
        from ray.exceptions import RayError, RayTaskError  # pyright: ignore[reportMissingImports]

        actor, order = self._busy.pop(ref)
        try:
            said = ray.get(ref)
        except RayError as e:
            cause = e.cause if isinstance(e, RayTaskError) else e
            if isinstance(cause, RayError):
                # A node that was taken away is no sign of a shard that ends its workers.
                self._lost[order.shard.index] += not getattr(cause, "preempted", False)
                ray.kill(actor)
                self._again(order)
                return
            # A bug over one shard does not end the others.
            self._hear(order.shard, GivenUp(f"its worker met a bug: {one_line(repr(cause))[:300]}"))
        else:
            if isinstance(said, JobResult) and said.stopped == DRAINED and not self._is_over:
                # Its node ends as soon as no actor is on it.
                ray.kill(actor)
                self._again(order)
                return
            self._hear(order.shard, said)
            if isinstance(said, AutointerpError):
                self._fail(said)
        self._give(actor)

    def _again(self, order: Order) -> None:
        if self._is_over or self._lost[order.shard.index] >= TRIES:
            self._hear(order.shard, GivenUp("its workers were lost"))
        else:
            self._hear(order.shard, AGAIN)
            self._waiting.appendleft(order)

    def _fail(self, problem: AutointerpError) -> None:
        self._problem = self._problem or problem
        self._halt("stopped")

    def _cluster_lost(self, error: Exception) -> None:
        # A signal that ends a whole job ends Ray's own processes too.
        if self._stop.reason is None:
            self._fail(EndpointError(f"--engine ray: {one_line(str(error))[:300]}"))
        for _, order in self._busy.values():
            self._hear(order.shard, GivenUp("the cluster is gone"))

    def _dismiss(self) -> None:
        import ray  # pyright: ignore[reportMissingImports]

        for actor in (*self._starting.values(), *(actor for actor, _ in self._busy.values())):
            ray.kill(actor)
