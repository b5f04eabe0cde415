"""SIGTERM, and SIGHUP of a terminal that closes, are heeded as Ctrl-C is; what was ignored at the start stays so."""

import os
import signal
from collections.abc import Iterator

import pytest

from autointerp.pipeline import Stop
from autointerp.signals import ALIKE, Ending, heed, told, unchanged

OTHERS = pytest.mark.parametrize("other", ALIKE, ids=lambda one: one.name)


@pytest.fixture(autouse=True)
def back_to_what_it_was() -> Iterator[None]:
    with unchanged():
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for one in ALIKE:
            signal.signal(one, signal.SIG_DFL)
        yield


@OTHERS
def test_a_signal_interrupts_where_nothing_can_be_finished(other: signal.Signals):
    heed()

    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), other)

    assert not Ending.at_once


@OTHERS
def test_the_first_asks_to_stop_and_a_second_of_either_kind_ends_at_once(other: signal.Signals):
    heed()
    stop = Stop()

    with stop.on_interrupt_without_loop():
        os.kill(os.getpid(), other)
        asked = stop.reason, Ending.at_once
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)

    assert asked == ("interrupted", False)
    assert Ending.at_once


def test_what_nohup_has_ignored_stays_ignored():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

    heed()
    os.kill(os.getpid(), signal.SIGHUP)

    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_a_hang_up_leaves_alone_what_is_written_to_a_file(capfd: pytest.CaptureFixture[str]):
    heed()

    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGHUP)
    os.write(1, b"still read\n")

    assert capfd.readouterr().out == "still read\n"


def test_another_library_does_not_take_the_signals_over():
    heed()
    before = signal.getsignal(signal.SIGTERM)

    with unchanged():
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    assert signal.getsignal(signal.SIGTERM) is before


def test_a_worker_is_told_and_afterwards_it_is_as_before():
    heard: list[str] = []

    with told(lambda: heard.append("stop")):
        os.kill(os.getpid(), signal.SIGTERM)

    assert heard == ["stop"]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
