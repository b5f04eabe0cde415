"""Worker threads that do not hold up an end."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager


@contextmanager
def worker_threads(n: int) -> Iterator[ThreadPoolExecutor]:
    """Threads for as long as the context lasts; at its end they are waited for.

    After an error, or Ctrl-C, they are not: what has not begun is not done, and what is being done is of no use.

    Args:
        n: threads at most.
    """
    pool = ThreadPoolExecutor(n)
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()
