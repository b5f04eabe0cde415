"""Tasks on a Ray cluster, each on the cores and GPUs that it takes; a lost one is begun again elsewhere."""

import pickle
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from autointerp.counting import Counting, Uncounted
from autointerp.errors import AutointerpError, EndpointError, SettingsError, one_line
from autointerp.shards.builds import build, differing
from autointerp.shards.ray_dealing import TRIES
from autointerp.shards.ray_engine import here
from autointerp.shards.ray_nodes import Takes, lacking
from autointerp.shards.ray_workers import EVERY

if TYPE_CHECKING:
    from ray.actor import ActorHandle  # pyright: ignore[reportMissingImports]

Argument = TypeVar("Argument")
Result = TypeVar("Result")
Work = Callable[[Argument, Counting], Result]
"""Is told its argument and whom to tell how far it is; can be found by its name on every node."""


class Board:
    """An actor between the tasks and the display: keeps how far each is, and what it has to say."""

    def __init__(self) -> None:
        self._counts: dict[str, dict[int, tuple[int, int]]] = {}
        self._notes: list[str] = []

    def count(self, task: int, stage: str, done: int, total: int) -> None:
        """A task is so far with a stage."""
        self._counts.setdefault(stage, {})[task] = (done, total)

    def note(self, text: str) -> None:
        """A task says a line."""
        self._notes.append(text)

    def read(self) -> tuple[list[tuple[str, int, int]], list[str]]:
        """Returns of each stage how much is done and how much there is, by all tasks, and the lines not read yet."""
        stages = [(s, sum(d for d, _ in c.values()), sum(t for _, t in c.values())) for s, c in self._counts.items()]
        notes, self._notes = self._notes, []
        return stages, notes


class _Telling:
    """Tells the board from within a task, of a stage once a second and at its end."""

    def __init__(self, board: "ActorHandle", task: int) -> None:
        self._board = board
        self._task = task
        self._told: dict[str, float] = {}
        self._last: object = None

    def count(self, stage: str, done: int, total: int | None, words: str = "") -> None:
        now = time.monotonic()
        if total is not None and (done == total or now - self._told.get(stage, -EVERY) >= EVERY):
            self._told[stage] = now
            self._last = self._board.count.remote(self._task, stage, done, total)

    def note(self, text: str) -> None:
        self._last = self._board.note.remote(text)

    def end(self) -> None:
        """Waits until the last of it has arrived, or the board is lost, which stops no work."""
        import ray  # pyright: ignore[reportMissingImports]

        if self._last is not None:
            ray.wait([self._last], timeout=EVERY)  # pyright: ignore[reportArgumentType]


@dataclass(frozen=True)
class Unfit:
    """A node that runs another program, or lacks something, and what of it."""

    node: str
    build: str
    missing: tuple[str, ...]

    def problem(self, takes: Takes) -> SettingsError:
        """What to say of it."""
        problem = takes.refused(self.node, self.missing) or differing([(self.node, self.build)], build())
        assert problem is not None, "a node says so where it lacks something, or runs another program"
        return problem


def each(
    work: "Work[Argument, Result]",
    arguments: Sequence[Argument],
    *,
    takes: Takes,
    progress: Counting | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> Iterator[Result]:
    """Works on each argument in a process of its own, and yields what comes of it as it ends; inside `connected`.

    Args:
        work: goes on where a lost process was.
        arguments: each is begun as soon as a node has what it takes.
        takes: of a node.
        progress: is told of each stage the sum over all processes, and each line once.
        stopping: asked every second; then what runs is interrupted, as by Ctrl-C, and nothing more is yielded.

    Raises:
        AutointerpError: what stopped one of them; the others are interrupted.
        EndpointError: one was lost too often.
    """
    import ray  # pyright: ignore[reportMissingImports]

    board, shown = _shown(progress or Uncounted())
    options = {"num_cpus": takes.cores, "num_gpus": takes.gpus, "max_retries": TRIES - 1}
    task = ray.remote(_guarded()).options(name=getattr(work, "__name__", "task"), **options)
    asked = (build(), takes.modules)
    payloads = [pickle.dumps((work, one)) for one in arguments]
    pending = [
        task.remote(*asked, payload, board, i)  # pyright: ignore[reportCallIssue]
        for i, payload in enumerate(payloads)
    ]
    try:
        while pending:
            ready, pending = ray.wait(pending, timeout=EVERY)
            for one in ready:
                yield _came(one, takes)  # pyright: ignore[reportReturnType] - Ray knows no types
            shown.look()
            if stopping():
                return
        shown.look()
    finally:
        _end(pending)
        ray.kill(board)


def _guarded() -> Callable[..., object]:
    """What a node runs first; it travels as code, since another version may not have this module."""

    def begun(own: str, modules: tuple[str, ...], payload: bytes, board: "ActorHandle", number: int) -> object:
        try:
            from autointerp.shards.ray_tasks import at_work
        except ImportError:
            return "none, or one of before nodes were asked"
        return at_work(own, modules, payload, board, number)

    return begun


def at_work(own: str, modules: tuple[str, ...], payload: bytes, board: "ActorHandle", number: int) -> object:
    """Runs one task on a node, where the node has all that it needs.

    Args:
        own: what the machine runs that deals the tasks.
        modules: that are needed.
        payload: the work and its argument, pickled.
        board: actor of `Board`.
        number: of the task.

    Returns:
        What comes of it, or what stopped it.
    """
    missing = lacking(modules)
    if missing or build() != own:
        return Unfit(socket.gethostname(), build(), missing)
    work, argument = pickle.loads(payload)
    telling = _Telling(board, number)
    try:
        return work(argument, telling)
    except AutointerpError as problem:
        return problem
    finally:
        telling.end()


def _came(one: object, takes: Takes) -> object:
    """Returns what a task returned; raises what stopped it."""
    import ray  # pyright: ignore[reportMissingImports]
    from ray.exceptions import RayError, RayTaskError  # pyright: ignore[reportMissingImports]

    try:
        found: object = ray.get(one)  # pyright: ignore[reportCallIssue, reportArgumentType]
    except RayTaskError:
        # A bug, with its traceback.
        raise
    except RayError as error:
        raise EndpointError(f"--engine ray: a shard was lost: {one_line(str(error))[:300]}") from error
    if isinstance(found, str):
        # So old that it knows nothing of this.
        found = Unfit("of the cluster", found, ())
    if isinstance(found, Unfit):
        raise found.problem(takes)
    if isinstance(found, AutointerpError):
        raise found
    return found


def _shown(progress: Counting) -> "tuple[ActorHandle, _Shown]":
    """Starts a board where the display is, and returns who shows it."""
    import ray  # pyright: ignore[reportMissingImports]

    # Not a decorator: this module is read where Ray is not installed.
    actor = ray.remote(Board).options(num_cpus=0, scheduling_strategy=here(), max_restarts=-1)
    board: ActorHandle = actor.remote()  # pyright: ignore[reportAssignmentType]
    return board, _Shown(board, progress)


class _Shown:
    """Shows what the board holds."""

    def __init__(self, board: "ActorHandle", progress: Counting) -> None:
        self._board = board
        self._progress = progress
        self._said: set[str] = set()

    def look(self) -> None:
        """Shows what is new; a board that is lost with its node begins anew elsewhere, and no work waits for it."""
        import ray  # pyright: ignore[reportMissingImports]
        from ray.exceptions import RayError  # pyright: ignore[reportMissingImports]

        asked = self._board.read.remote()
        if not ray.wait([asked], timeout=EVERY)[0]:
            return
        try:
            stages, notes = ray.get(asked)  # pyright: ignore[reportGeneralTypeIssues]
        except RayError:
            return
        for note in notes:
            if note not in self._said:
                self._progress.note(note)
            self._said.add(note)
        for stage, done, total in stages:
            self._progress.count(stage, done, total)


def _end(pending: Sequence[object]) -> None:
    """Interrupts what runs, and waits until it has ended."""
    import ray  # pyright: ignore[reportMissingImports]

    if not pending:
        return
    for one in pending:
        ray.cancel(one)
    ray.wait(list(pending), num_returns=len(pending))
