"""Deals the shards of a job to several processes, sums what they report for one display, and merges what they wrote."""

from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from autointerp.dump.reader import Dump
from autointerp.errors import SettingsError
from autointerp.job import N_KEPT, WORKER_FAILED, JobResult, Load, Progress, Silent
from autointerp.lmm.gateway import Tally
from autointerp.pipeline import Stop, run_async
from autointerp.runs.folder import Run
from autointerp.runs.index import Ints
from autointerp.runs.parts import PARTS, Stage, places
from autointerp.settings import Budget, EngineSettings, Execution
from autointerp.shards.shards import PATIENCE, Shard, cut, parse_shard

if TYPE_CHECKING:
    from autointerp.batch.client import Outbox
    from autointerp.lmm.human.desk import Desk

PIECES = 4
"""Shards dealt for each process at most, so that none is idle long while another works on its last."""


class Call(Protocol):
    """A job with all its arguments, but for those that differ from process to process; it can be pickled."""

    def __call__(self, *, shard: Shard, engine: EngineSettings, progress: Progress, stop: Stop) -> JobResult:
        """Works on one shard."""
        ...


@dataclass(frozen=True)
class Report(Load):
    """How far one process is with its shard."""

    tally: Tally = field(default_factory=Tally)
    spent: float = 0.0
    """Of its share of the budget, in the budget's unit."""
    before: int = 0
    """Features of the shard that an earlier holder of it had done."""
    done: int = 0
    failed: int = 0


class Board:
    """What all processes together have done, as the display reads it."""

    def __init__(self, engine: EngineSettings, progress: Progress, stop: Stop, result: JobResult) -> None:
        self.engine = engine
        self.stop = stop
        self.tally = Tally()
        self.limiter = Load()
        self.result = result
        self._progress = progress
        self._now: dict[int, Report] = {}
        self._past: list[Tally] = []
        self._shown: dict[int, int] = {}
        self._ended: set[int] = set()
        self._results: dict[int, JobResult] = {}

    @property
    def spent(self) -> float:
        """Of the budget, in its unit, by all shards that ended."""
        return self.result.spent

    def note(self, text: str) -> None:
        """Shows one line of text."""
        self._progress.note(text)

    def heard(self, shard: int, report: Report) -> None:
        """A process is this far with its shard; what comes after its end is old news."""
        if shard in self._ended:
            return
        self._now[shard] = report
        self._sum()
        self._advance(shard, report.before + report.done + report.failed, report.failed)

    def ended(self, shard: int, part: JobResult) -> None:
        """A process is through with its shard, or stopped in it."""
        self._ended.add(shard)
        self._forget(shard, part.tally)
        self._advance(shard, part.before + part.done + part.failed + part.n_unexplainable, part.failed)
        self._results[shard] = part
        self.result.gaps += part.gaps
        self.result.replaced += part.replaced
        self.result.notes += [note for note in part.notes if note not in self.result.notes]

    def lost(self, shard: int) -> None:
        """The process that held the shard is no more; another goes on with it."""
        self._forget(shard, self._now[shard].tally if shard in self._now else Tally())

    def given_up(self, shard: int) -> None:
        """Nobody goes on with the shard."""
        self._results[shard] = JobResult(self.result.run, 0, 0, done=self._shown.get(shard, 0))
        # Who is told to stop may be told by a signal that the workers got too.
        self.result.stopped = self.stop.reason or WORKER_FAILED

    def fold(self) -> None:
        """All shards of a wave are through: what became of each at last counts; those that follow are of others."""
        result = self.result
        for part in self._results.values():
            # What an earlier holder of the shard had done was done by this command too.
            result.done += part.before + part.done
            result.failed += part.failed
            result.unexplainable += part.unexplainable
            result.failures += part.failures[: N_KEPT - len(result.failures)]
        for memory in (self._results, self._shown, self._ended):
            memory.clear()

    def _forget(self, shard: int, tally: Tally) -> None:
        self._now.pop(shard, None)
        self._past.append(tally)
        self._sum()

    def _advance(self, shard: int, through: int, failed: int) -> None:
        for i in range(through - self._shown.get(shard, 0)):
            self._progress.advance(failed=i < failed)
        self._shown[shard] = max(through, self._shown.get(shard, 0))

    def _sum(self) -> None:
        self.tally = self.result.tally = added([*self._past, *(r.tally for r in self._now.values())])
        self._past = [added(self._past)]
        now = self._now.values()
        self.limiter = Load(
            in_flight=sum(r.in_flight for r in now),
            limit=sum(r.limit for r in now) or self.limiter.limit,
            # Each finds out for itself; whoever sees the fewest up has asked last.
            endpoints=min((r.endpoints for r in now if r.endpoints is not None), default=self.limiter.endpoints),
            pause=min((r.pause for r in now), default=0.0),
        )


class Crew(Protocol):
    """Several processes, here or on other machines."""

    @property
    def size(self) -> int:
        """Returns how many processes work."""
        ...

    async def work(self, call: Call, shards: Sequence[Shard], board: Board) -> None:
        """Has each shard worked on, until all are done or `board.stop` is asked.

        Raises:
            AutointerpError: what stopped one process would stop all.
        """
        ...


@dataclass(frozen=True)
class Attempt:
    """One attempt at a stage of a run: who is told of it, where its questions go, and what part of it is done here."""

    progress: Progress = field(default_factory=Silent)
    """Shows how far it is."""
    outbox: "Outbox | None" = None
    """Where questions go that a batch job is to answer; see docs/batch.md."""
    shard: Shard | None = None
    """The piece of the features that is worked on alone, into a part of the run that `merge` merges."""
    crew: Crew | None = None
    """Several processes that work on pieces, which are merged at the end."""
    stop: Stop = field(default_factory=Stop)
    """Is asked from outside to end when what is in flight is done."""
    desk: "Desk | None" = None
    """Where a person answers whose pages are served already."""

    @property
    def is_dealt(self) -> bool:
        """Whether another process, which has chosen the features, deals the work."""
        return self.shard is not None and self.shard.ids is not None


def added(tallies: Iterable[Tally]) -> Tally:
    """Adds two tallies field by field."""
    out = Tally()
    for t in tallies:
        out.requests += t.requests
        out.cached += t.cached
        out.answered += t.answered
        out.usage += t.usage
        out.failures += t.failures
        out.retries += t.retries
    return out


def gather(run: Path, crew: Crew | None, progress: Progress) -> None:
    """Merges what an interrupted start of a crew left, before a new one sees what is still to be done.

    Raises:
        RunError: a part has other settings than the run, or is still being written.
    """
    if crew is not None and places(run):
        from autointerp.shards.merge import merge

        merged = merge(run, patience=PATIENCE).merged
        n = f"{len(merged)} parts" if len(merged) != 1 else "a part"
        progress.note(f"merged {n} that an earlier start left")


@dataclass(frozen=True)
class Spread:
    """What is spread over several processes."""

    stage: Stage
    run: Run
    """Whose lock is held here."""
    dump: Dump
    total: int
    """Features chosen."""
    engine: EngineSettings
    attempt: Attempt
    asking: tuple[str, ...] = ()
    """Who is asked, and where, in lines."""


def here_or_spread(
    main: Callable[[], Coroutine[None, None, None]],
    call: Call,
    waves: Iterable[Ints],
    what: Spread,
    result: JobResult,
) -> None:
    """Does the work in this process, by `main`, or where there is a crew in several."""
    if what.attempt.crew is None:
        run_async(main)
    else:
        spread(what.attempt.crew, call, waves, what, result)


def spread(crew: Crew, call: Call, waves: Iterable[Ints], what: Spread, result: JobResult) -> None:
    """Has the crew work on each wave in shards, one wave after the other, and merges their parts.

    Raises:
        AutointerpError: what stopped one process would stop all; what was done is merged.
    """
    through = result.before + result.n_unexplainable

    async def main() -> None:
        board = Board(what.engine, what.attempt.progress, what.attempt.stop, result)
        shown = what.attempt.progress.show(what.stage, board, what.total, through)
        with shown, what.attempt.stop.on_interrupt(what.attempt.progress.note):
            for line in what.asking:
                what.attempt.progress.note(line)
            for wave in waves:
                if what.attempt.stop.reason is not None or result.stopped is not None:
                    return
                n = n_pieces(len(wave), crew.size, what.engine.concurrency)
                pieces = [ids for ids in cut(what.dump, wave, n) if len(ids)]
                try:
                    await crew.work(call, [Shard(i, len(pieces), ids) for i, ids in enumerate(pieces)], board)
                finally:
                    board.fold()
                    _merge(what.run)

    if through < what.total:
        run_async(main)


def n_pieces(features: int, size: int, concurrency: int) -> int:
    """Shards for `size` processes: several each, but none with fewer features than its process may have in flight."""
    in_flight = -(-concurrency // size)
    return max(size, min(PIECES * size, features // in_flight))


def _merge(run: Run) -> None:
    from autointerp.shards.merge import MergeResult, held, merging

    with held(run.path, PATIENCE) as parts:
        for _ in merging(run, parts, MergeResult(run.path), keep=False):
            pass
    folder = run.path / PARTS
    if folder.exists() and not any(folder.iterdir()):
        folder.rmdir()


def shard_of(execution: Execution) -> Shard | None:
    """The piece of the features that this process works on; None for all of them.

    Raises:
        SettingsError: options that do not go together, or a shard that is none.
    """
    if execution.shard is None:
        return None
    if execution.engine == "ray" or execution.actors is not None:
        raise SettingsError("--shard is worked on by one process; for several give more shards, or --engine ray alone")
    if execution.batch:
        raise SettingsError("--batch: one batch job asks for all features; leave out --shard")
    return parse_shard(execution.shard)


LEAST = {"usd": 1e-9, "tokens": 1.0}
"""What is left of a budget below this is nothing."""


def share_of(engine: EngineSettings, index: int, n: int) -> EngineSettings:
    """What the `index`-th of `n` processes may use: an n-th of the requests in flight and of the rates.

    The budget stays whole, since it does not come back as the others do.
    """

    def part(rate: float | None) -> float | None:
        return None if rate is None else rate / n

    return engine.model_copy(
        update={
            "concurrency": max(1, (engine.concurrency + index) // n),
            "requests_per_minute": part(engine.requests_per_minute),
            "tokens_per_minute": part(engine.tokens_per_minute),
        }
    )


def after(engine: EngineSettings, spent: float) -> EngineSettings:
    """What may still be used once so much of the budget is spent, in its unit.

    A budget of nothing cannot be stated: the least one covers no request, only what the cache holds.
    """
    if engine.budget is None:
        return engine
    left = max(engine.budget.limit - spent, LEAST[engine.budget.unit])
    return engine.model_copy(update={"budget": Budget.of(left, engine.budget.unit)})
