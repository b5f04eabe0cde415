"""How far a job is, on stderr: a live display on a terminal, plain lines elsewhere, JSON events for programs."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import NamedTuple

from rich.console import Group
from rich.text import Text

from autointerp.cli.counts import Counted, Counts
from autointerp.cli.log import log
from autointerp.cli.printing import Terminal, same_again, say_aside, say_json_aside
from autointerp.job import Watched
from autointerp.lmm.outcomes import DEFERRED

SPAN = 30.0
"""Seconds that rates look back at least."""
LEAST = 16
"""Features that they look back on at least, where features are slow."""
APART = 1.0
"""Seconds between two samples kept."""


class Sample(NamedTuple):
    """The counts at one moment."""

    at: float
    """Seconds."""
    through: int
    """Features."""
    requests: int
    answered: int
    """Questions answered by the endpoint."""
    cached: int
    """Questions answered from the cache."""


class Recent:
    """Keeps samples of the counts.

    A resumed run begins with features whose answers are all in the cache, many in a second. What they say of the time
    left is forgotten with the first answer of the endpoint.
    """

    def __init__(self, first: Sample) -> None:
        self._samples = deque([first])
        self._replaying = False

    def take(self, now: Sample) -> None:
        """Adds the counts of this moment."""
        last = self._samples[-1]
        if self._replaying and now.answered > last.answered:
            self._samples = deque([last])
            self._replaying = False
        elif now.answered == self._samples[0].answered and now.cached > last.cached:
            self._replaying = True
        if len(self._samples) > 1 and last.at - self._samples[-2].at < APART:
            self._samples.pop()
        self._samples.append(now)
        while len(self._samples) > 2 and self._suffices(self._samples[1], now):
            self._samples.popleft()

    def _suffices(self, first: Sample, last: Sample) -> bool:
        return last.at - first.at >= SPAN and last.through - first.through >= LEAST

    @property
    def features_per_second(self) -> float:
        """Features through a second; 0 while none is."""
        first, last = self._samples[0], self._samples[-1]
        return (last.through - first.through) / (last.at - first.at) if last.at > first.at else 0.0

    @property
    def requests_per_second(self) -> float:
        """Returns how many calls were sent a second."""
        first, last = self._samples[0], self._samples[-1]
        return (last.requests - first.requests) / (last.at - first.at) if last.at > first.at else 0.0

    def left(self, features: int) -> float | None:
        """Seconds that so many more features take at this rate; None where there is none yet."""
        rate = self.features_per_second
        return features / rate if rate else None


PLAIN_EVERY = 10.0
"""Seconds between plain lines."""
EVENT_EVERY = 2.0
"""Seconds between JSON events."""
LONG_PAUSE = 600.0
"""Seconds; a pause longer than this, asked for by the endpoint, is told."""
BAR = 20
"""Characters."""


class Live:
    """Shows features done, requests a second and in flight, tokens, dollars, cache hits, failures by kind, time left.

    Args:
        as_json: one JSON object a line instead of words (docs/run-format.md).
        clock: seconds, monotonic.
    """

    def __init__(self, *, as_json: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._as_json = as_json
        self._clock = clock
        self._log = log()
        self._console = Terminal(stderr=True)
        if self._log is not None and self._console.is_terminal:
            # What a terminal shows is drawn again and again, so that the log is told in plain lines beside it.
            self._console.file = self._log.shown
        self._watch: Watch | None = None
        terminal = self._console if self._console.is_terminal and not as_json else None
        self._counts = Counts(terminal, self._counted, clock)
        beside = self._log if terminal is not None else None
        self._logged = None if beside is None else Counts(None, lambda told: beside.add(str(told)), clock)

    @contextmanager
    def show(self, stage: str, gateway: Watched, total: int, before: int) -> Iterator[None]:
        """Shows one stage while the context lasts."""
        watch = self._watch = Watch(stage, gateway, total, before, self._clock)
        if self._as_json:
            _event("start", stage=stage, total=total, before=before)
            shown = regularly(lambda: _event("progress", **watch.event()), EVENT_EVERY)
        elif self._console.is_terminal:
            shown = self._drawn(watch)
        else:
            shown = regularly(lambda: say_aside(plain(watch)), PLAIN_EVERY)
        try:
            with shown:
                yield
        except asyncio.CancelledError:  # a second Ctrl-C
            self.note(f"interrupted; {same_again()}")
            raise
        finally:
            self._watch = None
        # Not after an error, whose one line then stands alone.
        if self._as_json:
            _event("done", **watch.event())
        elif not self._console.is_terminal:
            say_aside(plain(watch))
        elif self._log is not None:
            self._log.add(plain(watch))

    @contextmanager
    def _drawn(self, watch: "Watch") -> Iterator[None]:
        """Draws a stage on the terminal, and tells the log."""
        from rich.live import Live as RichLive

        record = self._log
        telling = nullcontext() if record is None else regularly(lambda: record.add(plain(watch)), PLAIN_EVERY)
        with (
            RichLive(get_renderable=lambda: display(watch), console=self._console, refresh_per_second=4),
            telling,
        ):
            yield

    def advance(self, *, failed: bool) -> None:
        """One more feature is through."""
        if self._watch is not None:
            self._watch.advance(failed=failed)

    def count(self, stage: str, done: int, total: int | None, words: str = "") -> None:
        """So much of a stage that counts files, images or steps is done."""
        self._counts.count(stage, done, total, words)
        if self._logged is not None:
            self._logged.count(stage, done, total, words)

    def _counted(self, told: Counted) -> None:
        if self._as_json:
            _event("count", stage=told.stage, done=told.done, total=told.total, text=told.words)
        else:
            say_aside(str(told))

    def close(self) -> None:
        """Ends the display that is shown."""
        self._counts.close()

    def note(self, text: str) -> None:
        """Shows one line of text."""
        if self._as_json:
            _event("note", text=text)
        else:
            self._console.print(text, highlight=False, soft_wrap=True)
            if self._log is not None and self._console.is_terminal:
                self._log.add(text)


class Watch:
    """The figures of one stage as they are now.

    Args:
        stage: its name.
        gateway: that its questions go through.
        total: features.
        before: of them, done in earlier runs.
        clock: seconds, monotonic.
    """

    def __init__(self, stage: str, gateway: Watched, total: int, before: int, clock: Callable[[], float]) -> None:
        self.stage, self.gateway, self.total = stage, gateway, total
        self.through = before
        """Features done, failed and passed over, earlier ones included."""
        self.failed = 0
        self._clock, self._began = clock, clock()
        self._lock = threading.Lock()
        self._recent = Recent(self._sample())

    def _sample(self) -> Sample:
        tally = self.gateway.tally
        return Sample(self._clock(), self.through, tally.requests, tally.answered, tally.cached)

    def advance(self, *, failed: bool) -> None:
        """One more feature is through."""
        self.through += 1
        self.failed += failed

    def rates(self) -> tuple[float, float | None]:
        """Requests a second, and seconds left."""
        with self._lock:  # the display has a thread of its own
            self._recent.take(self._sample())
            left = self._recent.left(self.total - self.through)
            return self._recent.requests_per_second, left

    def event(self) -> dict[str, object]:
        """The figures as JSON values."""
        per_second, left = self.rates()
        tally, limiter = self.gateway.tally, self.gateway.limiter
        up, servers = limiter.endpoints or (1, 1)
        return {
            "stage": self.stage,
            "total": self.total,
            "through": self.through,
            "failed": self.failed,
            "seconds": round(self._clock() - self._began, 3),
            "seconds_left": None if left is None else round(left, 1),
            "requests": tally.requests,
            "requests_per_second": round(per_second, 2),
            "in_flight": limiter.in_flight,
            "limit": int(limiter.limit),
            "servers": servers,
            "servers_up": up,
            "pause": round(limiter.pause, 1),
            "answered": tally.answered,
            "cached": tally.cached,
            "input_tokens": tally.usage.input_tokens,
            "output_tokens": tally.usage.output_tokens,
            "dollars": tally.usage.dollars,
            "retries": dict(tally.retries),
            "failures": dict(tally.failures),
        }


def busy(watch: Watch, per_second: float) -> str:
    """What goes on now, and what it has cost."""
    limiter, usage = watch.gateway.limiter, watch.gateway.tally.usage
    parts = [
        f"{limiter.in_flight:,} in flight (limit {int(limiter.limit):,})",
        f"{per_second:,.1f} requests/s",
        f"{_short(usage.input_tokens + usage.output_tokens)} tokens",
    ]
    if usage.dollars:
        parts.append(f"${usage.dollars:,.2f}")
    return " · ".join(parts)


def fates(watch: Watch) -> str:
    """Servers that are up, and what became of questions other than an answer; empty where there is nothing to say."""
    tally, servers = watch.gateway.tally, watch.gateway.limiter.endpoints
    parts = [] if servers is None else [f"{servers[0]} of {servers[1]} servers up"]
    if (pause := watch.gateway.limiter.pause) > LONG_PAUSE:
        parts.insert(0, f"the endpoint asks to wait {_time(pause)}")
    if tally.cached:
        parts.append(f"{tally.cached:,} from the cache")
    if waiting := tally.failures[DEFERRED]:
        parts.append(f"{waiting:,} for a batch job")
    if tally.failures.total() > waiting:
        others = [(kind, n) for kind, n in tally.failures.most_common(4) if kind != DEFERRED][:3]
        kinds = ", ".join(f"{kind} {n:,}" for kind, n in others)
        parts.append(f"failed: {kinds}")
    if tally.retries.total():
        kinds = ", ".join(f"{kind} {n:,}" for kind, n in tally.retries.most_common(2))
        parts.append(f"repeated: {kinds}")
    return " · ".join(parts)


def plain(watch: Watch) -> str:
    """All of it as one line."""
    per_second, left = watch.rates()
    ahead = f", {_time(left)} left" if left is not None and watch.through < watch.total else ""
    whole = (f"{watch.stage}: {watch.through:,}/{watch.total:,}{ahead}", busy(watch, per_second), fates(watch))
    return " · ".join(part for part in whole if part)


def display(watch: Watch) -> Group:
    """All of it as two or three lines of at most 80 characters, but for rare kinds of failures."""
    per_second, left = watch.rates()
    share = watch.through / watch.total if watch.total else 1.0
    full = round(BAR * share)
    head = Text(f"{watch.stage} ", no_wrap=True, overflow="ellipsis")
    head.append("━" * full, "green").append("━" * (BAR - full), "bright_black")
    head.append(f" {watch.through:,}/{watch.total:,} features ({int(100 * share)} %)")
    if left is not None and watch.through < watch.total:
        head.append(f", {_time(left)} left")
    texts = filter(None, (busy(watch, per_second), fates(watch)))
    return Group(head, *(Text(f"  {text}", style="dim", no_wrap=True, overflow="ellipsis") for text in texts))


def _short(n: int) -> str:
    """A count in three or four digits: 950, 12k, 3.1M."""
    if n < 1000:
        return str(n)
    return f"{n / 1000:,.0f}k" if n < 999_500 else f"{n / 1e6:,.1f}M"


def _time(seconds: float) -> str:
    """Writes a duration as `0:00:42` or `26:03:12`."""
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def _event(name: str, **values: object) -> None:
    say_json_aside({"event": name, **values})


@contextmanager
def regularly(say: Callable[[], None], every: float) -> Iterator[None]:
    """Calls a function every so many seconds, on a thread of its own, while the context lasts."""
    over = threading.Event()

    def report() -> None:
        while not over.wait(every):
            say()

    reporter = threading.Thread(target=report, name="progress", daemon=True)
    reporter.start()
    try:
        yield
    finally:
        over.set()
        reporter.join()
