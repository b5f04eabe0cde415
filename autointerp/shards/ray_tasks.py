"""Tasks on a Ray cluster whose nodes share the folders; a lost one is begun again elsewhere."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from autointerp.errors import EndpointError, one_line
from autointerp.shards.ray_dealing import TRIES
from autointerp.shards.ray_workers import EVERY

Argument = TypeVar("Argument")
Result = TypeVar("Result")


def each(
    work: Callable[[Argument], Result],
    arguments: Sequence[Argument],
    *,
    gpus: int = 0,
    stopping: Callable[[], bool] = lambda: False,
) -> Iterator[Result]:
    """Works on each argument in a process of its own, and yields what comes of it as it ends; inside `connected`.

    Args:
        work: goes on where a lost process was.
        arguments: all are begun as soon as a core is free.
        gpus: how many each takes beside its core.
        stopping: asked every second; then what runs is interrupted, as by Ctrl-C, and nothing more is yielded.

    Raises:
        EndpointError: one was lost too often, or met a bug.
    """
    import ray  # pyright: ignore[reportMissingImports]
    from ray.exceptions import RayError  # pyright: ignore[reportMissingImports]

    task = ray.remote(work).options(num_cpus=1, num_gpus=gpus, max_retries=TRIES - 1)
    pending = [task.remote(one) for one in arguments]
    while pending:
        ready, pending = ray.wait(pending, timeout=EVERY)
        for one in ready:
            try:
                yield ray.get(one)
            except RayError as error:
                raise EndpointError(f"--engine ray: a shard was lost: {one_line(str(error))[:300]}") from error
        if stopping():
            _end(pending)
            return


def _end(pending: Sequence[object]) -> None:
    """Interrupts what runs, and waits until it has ended."""
    import ray  # pyright: ignore[reportMissingImports]

    for one in pending:
        ray.cancel(one)
    ray.wait(list(pending), num_returns=len(pending))
