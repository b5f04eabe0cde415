"""Worker threads: waited for at the end of the work, not after an error."""

import threading

import pytest

from autointerp.images.threads import worker_threads


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_error_does_not_wait_for_a_blocked_thread_and_begins_nothing_more(error: type[BaseException]):
    go_on, over, later = threading.Event(), threading.Event(), threading.Event()

    def blocked() -> None:
        go_on.wait(20)
        over.set()

    def work() -> None:
        with worker_threads(1) as pool:
            pool.submit(blocked)
            pool.submit(later.set)
            raise error

    with pytest.raises(error):
        work()

    assert not over.is_set()
    go_on.set()
    over.wait()
    assert not later.is_set()


def test_without_an_error_all_is_done_at_the_end():
    done: list[int] = []

    with worker_threads(2) as pool:
        for i in range(20):
            pool.submit(done.append, i)

    assert sorted(done) == list(range(20))
