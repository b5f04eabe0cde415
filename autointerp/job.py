"""What the jobs share: progress, results, rows of images, the choice of features."""

from collections import Counter
from collections.abc import Iterable, Sequence, Set
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path, PurePath, PurePosixPath
from typing import TYPE_CHECKING, Protocol

from autointerp.clock import now
from autointerp.dump.near_copies import NearCopies
from autointerp.dump.reader import Dump, open_dump
from autointerp.dump.selection import Selection, parse_features
from autointerp.errors import RunError, SettingsError, typed
from autointerp.evidence import Images
from autointerp.lmm.exchanges import Heard
from autointerp.lmm.gateway import Tally
from autointerp.lmm.limits import Limiter
from autointerp.lmm.outcomes import DEFERRED, ENDED, Failure
from autointerp.lmm.trust import is_known_place, remember_place
from autointerp.pipeline import Stop
from autointerp.remote.path import AnyPath, Location, RemotePath, as_path
from autointerp.runs.exchanges import ExchangeLine, packed
from autointerp.runs.folder import Run, RunWriter
from autointerp.runs.index import Ints
from autointerp.runs.info import DumpReference
from autointerp.schema import Explanation, FailureRecord, Feature
from autointerp.unexplainable import NEVER_FIRED, UNEXPLAINABLE

if TYPE_CHECKING:
    from autointerp.batch.client import Outbox


@dataclass(frozen=True)
class Load:
    """States the requests in flight, of one process or of all."""

    in_flight: int = 0
    limit: float = 0.0
    """How many may be."""
    endpoints: tuple[int, int] | None = None
    """Servers that are up, of how many; None for a single one."""
    pause: float = 0.0
    """Seconds that the endpoint still asks all requests to wait."""


class Watched(Protocol):
    """What a display reads: a gateway, or the sum of several."""

    tally: Tally

    @property
    def spent(self) -> float:
        """Of the budget, in its unit."""
        ...

    @property
    def limiter(self) -> Limiter | Load:
        """For the requests in flight."""
        ...


class Progress(Protocol):
    """Whoever shows how far a job is."""

    def show(self, stage: str, gateway: Watched, total: int, before: int) -> AbstractContextManager[object]:
        """Shows a stage while the context lasts: `total` features, `before` of them done in earlier runs."""
        ...

    def advance(self, *, failed: bool) -> None:
        """One more feature is through."""
        ...

    def note(self, text: str) -> None:
        """Shows one line of text."""
        ...


class Silent:
    """Takes the place of a display and shows nothing."""

    def show(self, stage: str, gateway: Watched, total: int, before: int) -> AbstractContextManager[object]:
        """Shows nothing while the work goes on."""
        return nullcontext()

    def advance(self, *, failed: bool) -> None:
        """Does nothing."""

    def note(self, text: str) -> None:
        """Does nothing."""


@dataclass
class JobResult:
    """Describes what a job did."""

    run: AnyPath
    selected: int
    """Features asked for."""
    before: int
    """Of them, done by earlier runs of the same command."""
    done: int = 0
    """Done now."""
    failures: list[FailureRecord] = field(default_factory=list)
    """Of now, at most `N_KEPT`; all are in failures.jsonl."""
    unexplainable: Counter[str] = field(default_factory=Counter)
    """Features asked for that can never be explained, by why; those that earlier runs found are among them."""
    failed: int = 0
    """Features that failed now and stay pending."""
    deferred: int = 0
    """Features whose questions wait for a batch job."""
    gaps: int = 0
    """Questions that settled in a failure though their feature was scored; its interval holds the doubt."""
    replaced: int = 0
    """Images that cannot be read and in whose place others were shown."""
    tally: Tally = field(default_factory=Tally)
    spent: float = 0.0
    """Of the budget, in its unit; tokens without a budget."""
    seconds: float = 0.0
    stopped: str | None = None
    """Why the job ended early: `interrupted`, `OVER_BUDGET` or `WORKER_FAILED`."""
    notes: list[str] = field(default_factory=list)
    judging: str = ""
    """Of scoring: which judging of the run was gone on with, by its name in run.json."""
    judge: str | None = None
    """How `--judge` names that judging; None for the first one, which is shown unasked."""
    headline: str | None = None
    """What should be read before anything else: whether the controls separate."""

    @property
    def n_unexplainable(self) -> int:
        """Features asked for that can never be explained."""
        return self.unexplainable.total()

    @property
    def dead(self) -> int:
        """Those of them that never fired."""
        return self.unexplainable[NEVER_FIRED]

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do."""
        return self.failed == 0 and self.deferred == 0 and self.stopped is None

    @property
    def halted(self) -> bool:
        """Whether the budget or a signal ended the job early."""
        return self.stopped not in (None, WORKER_FAILED)

    @property
    def tried(self) -> bool:
        """Whether every feature asked for is done, settled or failed."""
        through = self.before + self.done + self.n_unexplainable + self.failed
        return self.stopped is None and self.deferred == 0 and through >= self.selected


def line_of(feature: int, stage: str, heard: Heard) -> ExchangeLine | None:
    """The line of what was asked about a feature and what came back; None where nothing is kept of it."""
    return packed(feature, stage, now(), heard.exchanges, more=heard.more) if heard.exchanges else None


REPLACED = "explain:image"
"""Stage of a failure that cost nothing: an image cannot be read, and another one was shown in its place."""
OVER_BUDGET = "over budget"
"""Why a job ended early whose next question might have passed the budget."""
WORKER_FAILED = "a worker failed"
"""Why a job ended early whose features nobody goes on with: they are pending."""
N_KEPT = 20
"""Failures that a result lists."""


@dataclass(frozen=True)
class Recorder:
    """Writes what became of each feature, and counts it."""

    writer: RunWriter
    result: JobResult
    progress: Progress
    stop: Stop
    outbox: "Outbox | None" = None

    def failure(self, record: FailureRecord) -> None:
        """A call failed: the feature stays pending."""
        self.writer.failure(record)
        if len(self.result.failures) < N_KEPT:
            self.result.failures.append(record)
        if record.kind == "over_budget":
            self.stop.ask(OVER_BUDGET)

    def heard(self, line: ExchangeLine | None) -> None:
        """Keeps what was asked about a feature and what came back, before what follows from it is recorded."""
        if line is not None:
            self.writer.exchanges(line)

    def explained(
        self,
        outcome: Explanation | FailureRecord,
        gaps: Sequence[FailureRecord] = (),
        line: ExchangeLine | None = None,
    ) -> None:
        """A feature is explained (`gaps`: without these answers), failed, is settled, or is left to a later look."""
        if not (isinstance(outcome, FailureRecord) and self._is_postponed({outcome.kind})):
            self.heard(line)
        if isinstance(outcome, Explanation):
            self.writer.explanation(outcome)
            for gap in gaps:
                self.gap(gap)
        elif outcome.kind == UNEXPLAINABLE:
            self.writer.failure(outcome)
            self.result.unexplainable[outcome.message] += 1
            self.progress.advance(failed=False)
            return
        elif self.postponed([outcome]):
            return
        else:
            self.failure(outcome)
        self.through(failed=isinstance(outcome, FailureRecord))

    def postponed(self, failures: Sequence[Failure | FailureRecord]) -> bool:
        """Whether nothing is recorded of a feature yet; counts it if so.

        Its answers are still to come, or some failed and the stage will be gone through once more.
        """
        kinds = {failure.kind for failure in failures}
        if not self._is_postponed(kinds):
            return False
        if "over_budget" in kinds:
            self.stop.ask(OVER_BUDGET)
        if ENDED in kinds:
            return True  # what ended it is told instead
        if DEFERRED in kinds:
            self.result.deferred += 1
        else:
            self.result.failed += 1
        self.progress.advance(failed=False)
        return True

    def _is_postponed(self, kinds: Set[str]) -> bool:
        early = self.outbox is not None and not self.outbox.final
        return DEFERRED in kinds or ENDED in kinds or (bool(kinds) and early)

    def gap(self, record: FailureRecord) -> None:
        """A judgement stayed unanswered, though its feature was scored without it."""
        self.writer.failure(record)
        if record.stage == REPLACED:
            self.result.replaced += 1
        else:
            self.result.gaps += 1

    def through(self, *, failed: bool) -> None:
        """Counts one feature that is done."""
        if failed:
            self.result.failed += 1
        else:
            self.result.done += 1
        self.progress.advance(failed=failed)


def choose(dump: Dump, features: str | Iterable[int], *, width: int | None, sample: int | None, seed: int) -> Ints:
    """Ids of the chosen features, ascending.

    Raises:
        SettingsError: a feature or width that the dump does not have.
    """
    text = features if isinstance(features, str) else ",".join(str(f) for f in features)
    selection = parse_features(text, n_latents=dump.info.n_latents)
    return dump.select(selection.narrowed(width=width, n_sample=sample, seed=seed))


def only(ids: Ints) -> Selection:
    """The selection of exactly these ids."""
    return Selection(starts=ids, stops=ids + 1)


def images_of(
    dump: Dump, feature: Feature, more: Sequence[int] = (), *, near_copies: NearCopies | None = None
) -> Images:
    """Rows of all images of a feature, and of `more`, by id; `near_copies` groups those of the feature.

    Raises:
        DumpError: an image is not in the dump.
    """
    own = {e.image for e in feature.exemplars}
    ids = sorted(own | set(more))
    rows = dict(zip(ids, dump.images(ids), strict=True))
    if near_copies is None:
        return rows
    # Those of others are left out, so that whatever is drawn of a feature follows from the feature alone.
    return rows | near_copies.grouped({image: row for image, row in rows.items() if image in own})


def reference(dump: Dump) -> DumpReference:
    """How a run states its dump."""
    return DumpReference(
        name=dump.info.name, path=str(dump.path.resolve()), digest=dump.digest, n_latents=dump.info.n_latents
    )


def refuse_overlap(dump: Location, run: Location) -> None:
    """Raises SettingsError where one of the folders is the other or lies in it, however each is spelt."""
    one, other = as_path(dump), as_path(run)
    if isinstance(one, Path) != isinstance(other, Path):
        return
    first, second = _and_above(one), _and_above(other)
    if first[0] == second[0] or _same(one, other):
        why = "is the dump itself"
    elif first[0] in second:
        why = f"lies in the dump {dump}"
    elif second[0] in first:
        why = f"holds the dump {dump}"
    else:
        return
    raise SettingsError(f"--run {run}: {why}; name a folder beside it, and move a run that is there already")


def _same(one: AnyPath, other: AnyPath) -> bool:
    """Whether both are one folder on disk, where a file system takes several spellings for the same."""
    if not (isinstance(one, Path) and isinstance(other, Path) and one.exists() and other.exists()):
        return False
    return one.samefile(other)


def _and_above(place: AnyPath) -> list[PurePath]:
    """A folder or a URL, and each that it lies in."""
    path = place.resolve() if isinstance(place, Path) else PurePosixPath(str(place))
    return [path, *path.parents]


def named_dump(where: Location, *, allow_outside: bool) -> Dump:
    """The dump that a user names; its URL, if it is at one, may from now on be read when a run folder names it.

    Raises:
        DumpError: it cannot be read.
    """
    if isinstance(place := as_path(where), RemotePath):
        remember_place("dumps", place.url)
    return open_dump(place, allow_outside=allow_outside)


def _is_there(place: Path) -> bool:
    try:
        return place.exists()
    except (OSError, ValueError):  # a name that no file can have
        return False


def refuse_unknown_dump(where: AnyPath, named_by: str, remedy: str) -> None:
    """Refuses a URL that only a run folder names, so that reading a run from elsewhere fetches nothing unasked.

    Raises:
        RunError: it is one that was never given on this machine.
    """
    if isinstance(where, RemotePath) and not is_known_place("dumps", where.url):
        raise RunError(f"{named_by} names the dump {where}, a URL that was never given on this machine; {remedy}")


def dump_of(run: Run, given: Location | None, *, allow_outside: bool, dealt: bool = False) -> Dump:
    """The dump of a run: where it was, or where the user says it is now.

    Args:
        run: whose dump is wanted.
        given: where the user says it is; None to look where the run says.
        allow_outside: as for `open_dump`.
        dealt: whether another process, which has made sure that it may be read, deals the work.

    Raises:
        RunError: it is not there any more, it is another dump, or only the run names its URL.
        DumpError: it cannot be read.
    """
    place = as_path(given if given is not None else run.info.dump.path)
    if given is None and isinstance(place, Path) and not _is_there(place):
        raise RunError(f"{run.path}: its dump is no longer at {run.info.dump.path}; say where it is with --dump")
    if given is None and not dealt:
        refuse_unknown_dump(place, f"{run.path}/run.json", f"if you trust it, give --dump {typed(place)} once")
    dump = (open_dump if given is None else named_dump)(place, allow_outside=allow_outside)
    if dump.digest != run.info.dump.digest:
        raise RunError(
            f"{dump.path}: not the dump that {run.path} was made from, or it has changed since; "
            "name the right one with --dump, or explain anew"
        )
    return dump
