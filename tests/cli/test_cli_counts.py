"""How stages that count files, images or steps are shown."""

import io
import json

import pytest
from rich.console import Console

from autointerp.cli.counts import Counted, Counts
from autointerp.cli.progress import Live


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def own_clock(no_line_by_the_clock: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines come by the clock of each test."""
    monkeypatch.setattr("autointerp.cli.counts.EVERY", 5.0)


def test_a_line_is_said_every_five_seconds_and_at_the_end():
    clock, said = Clock(), list[Counted]()
    counts = Counts(None, said.append, clock)

    for second in range(13):
        clock.now = float(second)
        counts.count("images", second, 12)

    # At 5 and 10 seconds, and when the last of 12 images is through.
    assert [c.done for c in said] == [5, 10, 12]
    assert str(said[0]) == "images: 5/12, 7 s left · 1.0 a second"
    assert str(said[-1]) == "images: 12/12 · 1.0 a second"


def test_what_was_done_before_does_not_count_as_speed():
    clock, said = Clock(), list[Counted]()
    counts = Counts(None, said.append, clock)

    counts.count("images", 1000, 1100)
    clock.now = 10.0
    counts.count("images", 1020, 1100)

    assert (said[0].per_second, said[0].left) == (2.0, 40.0)


def test_a_stage_that_comes_again_begins_anew():
    clock, said = Clock(), list[Counted]()
    counts = Counts(None, said.append, clock)

    counts.count("images", 0, 8)
    clock.now = 100.0
    counts.count("images", 8, 8)
    counts.count("images", 0, 8)
    clock.now = 104.0
    counts.count("images", 8, 8)

    assert [c.per_second for c in said] == [0.08, 2.0]


def test_a_stage_without_an_end_has_no_time_left_and_its_words():
    clock, said = Clock(), list[Counted]()
    counts = Counts(None, said.append, clock)

    counts.count("epochs", 1, None, "loss 0.7")
    clock.now = 6.0
    counts.count("epochs", 4, None, "loss 0.5")

    assert [str(c) for c in said] == ["epochs: 4 · 0.5 a second · loss 0.5"]


def test_on_a_terminal_each_stage_has_a_bar():
    out = io.StringIO()
    counts = Counts(Console(file=out, force_terminal=True, width=100), lambda _: None, Clock())

    counts.count("files read", 3, 4)
    counts.count("epochs", 7, None, "loss 0.5")
    counts.close()

    assert "files read" in out.getvalue()
    assert "3/4" in out.getvalue()
    assert "loss 0.5" in out.getvalue()


def test_programs_get_events(capsys: pytest.CaptureFixture[str]):
    Live(as_json=True).count("steps", 4, 4, "fvu 0.5")

    event = {"event": "count", "stage": "steps", "done": 4, "total": 4, "text": "fvu 0.5"}
    assert json.loads(capsys.readouterr().err) == event
