"""Signals that ask a program to end: SIGTERM, and SIGHUP of a terminal that closes, do what Ctrl-C does."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

ALIKE = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals that do what Ctrl-C does; Windows lacks the second."""


class Ending:
    """How the work of this process was ended; a signal is a matter of the whole process."""

    at_once = False
    """Whether a further signal ended work that an earlier one had asked to stop."""


def heed() -> None:
    """Has SIGTERM and SIGHUP do what Ctrl-C does, in a program that is nothing but this command.

    One that was ignored at the start stays ignored, as under nohup. SIGINT does not: a shell has it ignored in what a
    script starts in the background, and who sends it all the same means it.
    """
    Ending.at_once = False
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    terminals = [descriptor for descriptor in (1, 2) if _is_terminal(descriptor)]

    def came(number: int, frame: FrameType | None) -> None:
        if number != signal.SIGTERM:
            _let_go(terminals)
        # Whatever handles SIGINT at this moment handles it.
        signal.raise_signal(signal.SIGINT)

    for one in ALIKE:
        if signal.getsignal(one) is not signal.SIG_IGN:
            signal.signal(one, came)


@contextmanager
def unchanged() -> Iterator[None]:
    """Keeps what handles these signals, for work that would handle them itself; they reach the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, *ALIKE)}
    try:
        yield
    finally:
        for one, handler in before.items():
            if handler is not None:  # else it is none of Python's
                signal.signal(one, handler)


@contextmanager
def told(tell: Callable[[], None]) -> Iterator[None]:
    """Has SIGTERM told instead of obeyed, for work that ends by itself then."""
    with unchanged():
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, lambda number, frame: tell())
        yield


def _is_terminal(descriptor: int) -> bool:
    try:
        return os.isatty(descriptor)
    except OSError:
        return False


def _let_go(terminals: list[int]) -> None:
    """Writes nowhere from now on instead of to a terminal that is gone, where each line would fail."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in terminals:
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
