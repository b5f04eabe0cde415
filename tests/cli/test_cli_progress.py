import asyncio
import io
import json
from collections import Counter
from dataclasses import dataclass, field

import pytest
from rich.console import Console

from autointerp.cli.progress import Live, Watch, display, plain
from autointerp.lmm.gateway import Gateway, Tally
from autointerp.lmm.limits import Limiter
from autointerp.schema import Usage


@dataclass
class Busy:
    """What the display looks at of a gateway."""

    tally: Tally = field(default_factory=Tally)
    limiter: Limiter = field(default_factory=lambda: Limiter(2048))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def watch_of(busy: Busy, clock: Clock, *, total: int = 10_000, before: int = 0) -> Watch:
    return Watch("explain", as_gateway(busy), total, before, clock)


def as_gateway(busy: Busy) -> Gateway:
    return busy  # pyright: ignore[reportReturnType]


def at_work() -> tuple[Watch, Busy]:
    """Fifty seconds in, 250 of 10,000 features through."""
    busy, clock = Busy(), Clock()
    watch = watch_of(busy, clock)
    for _ in range(250):
        watch.advance(failed=False)
    clock.now = 50.0
    busy.tally.requests, busy.tally.answered, busy.tally.cached = 300, 200, 50
    busy.tally.usage = Usage(input_tokens=3_000_000, output_tokens=100_000, calls=200, dollars=1.234)
    busy.tally.failures = Counter({"timeout": 3, "malformed": 1})
    busy.tally.retries = Counter({"rate_limited": 12})
    return watch, busy


def shown(watch: Watch, width: int = 80) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=False).print(display(watch))
    return out.getvalue().splitlines()


def test_the_plain_line_holds_every_figure():
    watch, _ = at_work()

    # 250 of 10,000 in 50 s: 9,750 more take 1,950 s.
    assert plain(watch) == (
        "explain: 250/10,000, 0:32:30 left · 0 in flight (limit 16) · 6.0 requests/s · 3.1M tokens · $1.23 · "
        "50 from the cache · failed: timeout 3, malformed 1 · repeated: rate_limited 12"
    )


def test_the_display_has_three_lines_that_fit_eighty_columns():
    watch, busy = at_work()
    busy.limiter.steer(16, (2, 3), 0.0)

    assert shown(watch) == [
        "explain ━━━━━━━━━━━━━━━━━━━━ 250/10,000 features (2 %), 0:32:30 left",
        "  0 in flight (limit 16) · 6.0 requests/s · 3.1M tokens · $1.23",
        "  2 of 3 servers up · 50 from the cache · failed: timeout 3, malformed 1 · repe…",
    ]


def test_the_display_fits_with_large_numbers_too():
    watch, busy = at_work()
    watch.total = 10_000_000
    watch.through = 9_999_999
    busy.tally.requests, busy.tally.usage = 60_000, Usage(input_tokens=123_456_789, dollars=12345.678)

    lines = shown(watch)

    assert all(len(line) <= 80 for line in lines)
    assert lines[0].endswith("9,999,999/10,000,000 features (99 %), 0:00:00 left")
    assert lines[1].endswith("1,200.0 requests/s · 123.5M tokens · $12,345.68")


def test_where_nothing_went_otherwise_two_lines_do():
    assert shown(watch_of(Busy(), Clock(), total=3)) == [
        "explain ━━━━━━━━━━━━━━━━━━━━ 0/3 features (0 %)",
        "  0 in flight (limit 16) · 0.0 requests/s · 0 tokens",
    ]


def test_features_of_earlier_runs_do_not_count_as_speed():
    clock = Clock()
    watch = watch_of(Busy(), clock, total=1000, before=900)
    watch.advance(failed=False)
    clock.now = 10.0

    assert watch.rates()[1] == 990.0


def test_an_event_holds_every_figure():
    watch, busy = at_work()
    busy.limiter.steer(16, (2, 3), 0.0)

    assert watch.event() == {
        "stage": "explain",
        "total": 10_000,
        "through": 250,
        "failed": 0,
        "seconds": 50.0,
        "seconds_left": 1950.0,
        "requests": 300,
        "requests_per_second": 6.0,
        "in_flight": 0,
        "limit": 16,
        "servers": 3,
        "servers_up": 2,
        "pause": 0.0,
        "answered": 200,
        "cached": 50,
        "input_tokens": 3_000_000,
        "output_tokens": 100_000,
        "dollars": 1.234,
        "retries": {"rate_limited": 12},
        "failures": {"timeout": 3, "malformed": 1},
    }


def test_events_begin_and_end_a_stage_with_notes_between(capsys: pytest.CaptureFixture[str]):
    live = Live(as_json=True)

    with live.show("score", as_gateway(Busy()), 2, 1):
        live.note("half\nway")
        live.advance(failed=True)

    begun, said, done = map(json.loads, capsys.readouterr().err.splitlines())
    assert begun == {"event": "start", "stage": "score", "total": 2, "before": 1}
    assert said == {"event": "note", "text": "half\nway"}
    assert (done["event"], done["stage"], done["through"], done["failed"]) == ("done", "score", 2, 1)


def test_where_stderr_is_no_terminal_the_last_line_is_plain(capsys: pytest.CaptureFixture[str]):
    live = Live(as_json=False)

    with live.show("score", as_gateway(Busy()), 2, 0):
        live.advance(failed=False)
        live.advance(failed=False)

    assert capsys.readouterr().err == "score: 2/2 · 0 in flight (limit 16) · 0.0 requests/s · 0 tokens\n"


@pytest.mark.parametrize("as_json", [False, True])
def test_after_an_error_nothing_more_is_said(capsys: pytest.CaptureFixture[str], as_json: bool):
    live = Live(as_json=as_json)

    with pytest.raises(ValueError, match="bad"), live.show("score", as_gateway(Busy()), 2, 0):
        raise ValueError("bad")

    assert "done" not in capsys.readouterr().err


def test_one_who_is_cancelled_is_told_the_command_to_run_again(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("sys.argv", ["/usr/bin/autointerp", "explain", "my dump", "--run", "r"])

    with pytest.raises(asyncio.CancelledError), Live(as_json=False).show("score", as_gateway(Busy()), 2, 0):
        raise asyncio.CancelledError

    said = capsys.readouterr().err
    assert said == "interrupted; run the same command again to go on: autointerp explain 'my dump' --run r\n"


def test_a_long_pause_that_the_endpoint_asks_for_is_told():
    clock, busy = Clock(), Busy()
    busy.limiter = Limiter(4, clock=clock)
    watch = watch_of(busy, clock)

    busy.limiter.overloaded(0.0, 300.0)
    short = plain(watch)
    busy.limiter.overloaded(0.0, 3600.0)

    assert "asks to wait" not in short
    assert "the endpoint asks to wait 1:00:00" in plain(watch)
