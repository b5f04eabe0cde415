"""Takes in result files of batch jobs, line by line: answers into the cache, errors into the manifest."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from autointerp.batch.events import Learnt, Taken
from autointerp.batch.lines import Answered, Errored, LineError, read_result, reply_of
from autointerp.batch.manifest import BatchFile, Book
from autointerp.jobs.batch.budgets import batch_prices
from autointerp.jobs.batch.plan import BatchPlan
from autointerp.lmm.batch_replies import fault_of, put_batch_reply, read_batch_reply
from autointerp.lmm.cache import Cache
from autointerp.lmm.capabilities import Dialect, dialect_key, first_dialect
from autointerp.lmm.prices import Price, cost
from autointerp.lmm.request import Completion
from autointerp.pipeline import run_async
from autointerp.session.tasks import REPLIES

_TOGETHER = 256
"""Completions written at a time; the cache writes them in one transaction."""
N_SHOWN = 20
"""Broken lines that a result names."""


@dataclass
class CollectResult:
    """What collecting did."""

    run: Path
    from_files: bool = False
    """Whether files were named, and no endpoint was asked."""
    lines: int = 0
    """Read."""
    answers: int = 0
    """Completions put into the cache, usable or not."""
    unusable: Counter[str] = field(default_factory=Counter)
    """Of them, by fault: refused, malformed."""
    repeated: int = 0
    """Lines whose question had its answer already."""
    errors: Counter[str] = field(default_factory=Counter)
    """Questions that the endpoint did not answer, by kind; they are written again."""
    messages: dict[str, str] = field(default_factory=dict)
    """What the endpoint said of the first of each kind."""
    old_errors: int = 0
    """Errors that say nothing new: read before, or of questions that a batch works on now."""
    unknown: int = 0
    """Lines of other runs."""
    n_broken: int = 0
    broken: list[str] = field(default_factory=list)
    """The first of the lines that could not be read: file, number, why."""
    missing: int = 0
    """Questions in files whose answers may still come."""
    unanswered: int = 0
    """Questions that the next `submit` writes again."""
    ended: dict[str, str] = field(default_factory=dict)
    """Files whose batch ended, and how."""
    running: dict[str, str] = field(default_factory=dict)
    """Files that the endpoint works on, and how far it is."""
    removed: list[str] = field(default_factory=list)
    """Files deleted, every line of them being answered."""
    input_tokens: int = 0
    output_tokens: int = 0
    dollars: float | None = 0.0
    """At the price of a batch job; None where a model's price is not known."""


class Taker:
    """Takes in result files, line by line.

    Args:
        run: folder of the run.
        plan: its stages.
        book: its manifest.
        result: is counted into.
        stack: closes the caches.
    """

    def __init__(self, run: str | Path, plan: BatchPlan, book: Book, result: CollectResult, stack: ExitStack) -> None:
        self._plan = plan
        self._book = book
        self._result = result
        self._stack = stack
        self._prices = batch_prices(plan)
        self._caches: dict[Path, Cache] = {}
        self._complaints: dict[tuple[str, str | None], str] = {}
        self._understood: set[tuple[str, str | None]] = set()

    def take(self, path: Path, of: BatchFile | None = None) -> None:
        """Puts what a file says into the cache and the manifest; `of`: the requests that an endpoint says it is of."""
        chunk: list[tuple[str, BatchFile, Completion]] = []
        failed: dict[str, list[str]] = {}
        digests: list[str] = []
        seen: set[str] = set()
        for line, digest in self._lines(path):
            file = self._book.file_of(line.key)
            if file is None:
                self._result.unknown += 1
            elif isinstance(line, Errored):
                if self._is_old(digest, file, of):
                    self._result.old_errors += 1
                    continue
                digests.append(digest)
                self._errored(line, file, failed)
            else:
                if line.key in seen:  # what it repeats must be in the cache before it is compared
                    self._put(chunk)
                    chunk, seen = [], set()
                chunk.append((line.key, file, line.completion))
                seen.add(line.key)
                if len(chunk) >= _TOGETHER:
                    self._put(chunk)
                    chunk, seen = [], set()
        self._put(chunk)
        # An answer, wherever it stands, counts more than an error.
        still = {kind: tuple(k for k in keys if self._book.waits(k)) for kind, keys in failed.items()}
        still = {kind: keys for kind, keys in still.items() if keys}
        if digests:
            self._book.add(Taken(failed=still, lines=tuple(digests)))
        self._result.repeated += sum(map(len, failed.values())) - sum(map(len, still.values()))
        self._result.errors.update({kind: len(keys) for kind, keys in still.items()})

    def _is_old(self, digest: str, file: BatchFile, of: BatchFile | None) -> bool:
        """Whether an error tells of an earlier asking of a question, which is asked again now."""
        if of is not None:
            return file is not of
        return file.running or self._book.knows(digest)

    def learn(self) -> None:
        """What the endpoint refused of all requests of a model is left out of the next ones."""
        for (model, base_url), text in self._complaints.items():
            if (model, base_url) in self._understood:
                continue
            simpler = self._dialect(model, base_url).without(text)
            if simpler is not None:
                self._book.add(Learnt(model=model, base_url=base_url, dialect=simpler))

    def _dialect(self, model: str, base_url: str | None) -> Dialect:
        learnt = self._book.dialect(model, base_url)
        if learnt is not None:
            return learnt
        known = self._cache_of(None).get(dialect_key(base_url, model))
        return Dialect.model_validate(known) if known else first_dialect(base_url)

    def _lines(self, path: Path) -> Iterator[tuple[Answered | Errored, str]]:
        """What each line says, and its digest."""
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                self._result.lines += 1
                try:
                    yield read_result(line), hashlib.blake2b(line.strip(), digest_size=8).hexdigest()
                except LineError as e:
                    self._result.n_broken += 1
                    if len(self._result.broken) < N_SHOWN:
                        torn = "" if line.endswith(b"\n") else ", torn at the end of the file"
                        self._result.broken.append(f"{path}:{number}: {e}{torn}")

    def _errored(self, line: Errored, file: BatchFile, failed: dict[str, list[str]]) -> None:
        if not self._book.waits(line.key):
            self._result.repeated += 1
            return
        failed.setdefault(line.kind, []).append(line.key)
        self._result.messages.setdefault(line.kind, line.message)
        if line.complaint is not None:
            self._complaints.setdefault((file.model, file.base_url), line.complaint)

    def _put(self, chunk: Sequence[tuple[str, BatchFile, Completion]]) -> None:
        """Answers, each question once; they are in the cache before the manifest says so."""
        if not chunk:
            return
        new = [(key, file, said) for key, file, said in chunk if self._wanted(key, file, said)]
        self._result.repeated += len(chunk) - len(new)

        async def write() -> None:
            await asyncio.gather(
                *(
                    put_batch_reply(self._cache_of(file), key, said, self._dollars(file, said))
                    for key, file, said in new
                )
            )

        run_async(write)
        self._book.add(Taken(answered=tuple(key for key, _, _ in chunk)))
        self._understood |= {(file.model, file.base_url) for _, file, _ in chunk}
        for key, file, said in new:
            self._count(file, said, fault_of(said, reply_of(file.shapes[key], REPLIES)))

    def _wanted(self, key: str, file: BatchFile, said: Completion) -> bool:
        cache = self._cache_of(file)
        if cache.get(key) is not None:
            return False
        there = read_batch_reply(cache, key)
        if there is None:
            # Answered, and used up: a question asked a second time is open again.
            return self._book.lacks(key)
        reply = reply_of(file.shapes[key], REPLIES)
        return fault_of(there.completion, reply) is not None and fault_of(said, reply) is None

    def _cache_of(self, file: BatchFile | None) -> Cache:
        stages = [s for s in self._plan.stages if file is None or s.name == file.stage] or list(self._plan.stages)
        folder = stages[0].cache
        if folder not in self._caches:
            self._caches[folder] = self._stack.enter_context(Cache(folder))
        return self._caches[folder]

    def _dollars(self, file: BatchFile, said: Completion) -> float | None:
        price = self._prices.get(file.model)
        return None if price is None else _dollars(price, said)

    def _count(self, file: BatchFile, said: Completion, fault: str | None) -> None:
        result, dollars = self._result, self._dollars(file, said)
        result.answers += 1
        if fault is not None:
            result.unusable[fault] += 1
        result.input_tokens += said.input_tokens
        result.output_tokens += said.output_tokens
        result.dollars = None if result.dollars is None or dollars is None else result.dollars + dollars


def _dollars(price: Price, said: Completion) -> float | None:
    if said.input_tokens == 0 and (price.rates.input or price.rates.output):
        return None  # the endpoint reports no usage
    return cost(price, said.input_tokens, said.output_tokens, said.cached_tokens)
