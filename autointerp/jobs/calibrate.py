"""`autointerp calibrate`: how far a judge's word can be trusted, measured on planted images whose truth is known."""

import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from autointerp.batch.client import Outbox
from autointerp.calibration.questions import Asked, Plan, make_plan
from autointerp.clock import now
from autointerp.commands.calibrate import Calibrate
from autointerp.dump.format import INFO_FILE
from autointerp.dump.reader import Dump, open_dump
from autointerp.errors import EndpointError, SettingsError
from autointerp.job import Progress, Silent
from autointerp.jobs.batch.plan import check_models, record
from autointerp.jobs.endpoints import announce, judge_at
from autointerp.lmm.gateway import Gateway, Tally
from autointerp.lmm.outcomes import DEFERRED, ENDED, Failure
from autointerp.pipeline import Stop, drive, run_async
from autointerp.prompts import load_prompt
from autointerp.remote.path import AnyPath, RemotePath, local_path
from autointerp.remote.sending import sent_file
from autointerp.schema import Usage
from autointerp.scoring.calibration import Calibration, save_calibration, weaknesses
from autointerp.scoring.error_rates import CheckedAnswer, Form, findings_of
from autointerp.scoring.judge import Judge, Judgements
from autointerp.session.gateway import open_gateway, resolve_model
from autointerp.session.person import Sitting
from autointerp.settings import ModelSettings
from autointerp.shards.remote_runs import kept_at
from autointerp.synthetic.drawing import SIDE
from autointerp.synthetic.evidence import write_dump
from autointerp.version import __version__

N_KEPT = 20
"""Failures that a result lists."""


@dataclass
class CalibrationResult:
    """Describes what calibrating did."""

    out: AnyPath
    selected: int
    """Calls wanted."""
    calibration: Calibration | None = None
    """None while calls are missing; nothing is written then."""
    warnings: tuple[str, ...] = ()
    """The judge's faults that a score should not be read without."""
    done: int = 0
    """Calls that were answered, or that never will be."""
    failed: int = 0
    """Calls that failed and may succeed later."""
    deferred: int = 0
    """Calls that wait for a batch job."""
    failures: list[Failure] = field(default_factory=list)
    """Of them at most `N_KEPT`."""
    gaps: Counter[str] = field(default_factory=Counter)
    """Failures that asking again would meet again, by kind; their judgements count as unanswered."""
    tally: Tally = field(default_factory=Tally)
    seconds: float = 0.0
    stopped: str | None = None
    """Why it ended early: `interrupted` or `over budget`."""
    images: Path | None = None
    """Where the planted dump was kept."""

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do."""
        return self.calibration is not None


def calibrate_judge(
    o: "Calibrate", *, progress: Progress | None = None, outbox: Outbox | None = None
) -> CalibrationResult:
    """Asks a judge about planted images and writes what its answers are worth; run again, it goes on from the cache.

    Images are shown as `score` would show them: whole, or as fragments at the places where their features fire, silent
    ones at borrowed places; some also the other way, so that both can be compared.

    Args:
        o: the settings of the command, the judge with its servers.
        progress: shows how far it is.
        outbox: where questions go that a batch job is to answer; see docs/batch.md.

    Raises:
        AutointerpError: something that you can mend; the message says how.
    """
    started = time.monotonic()
    asked, settings, progress = o.model, o.settings, progress or Silent()
    judge = Judge(asked, settings, load_prompt("judge", o.prompts))
    target = _writable(local_path(str(o.target)))
    plan = make_plan(settings, o.calls, o.seed, o.sides)
    result = CalibrationResult(target, selected=len(plan.asked), images=o.keep_images)
    if o.batch and outbox is None:
        return result
    told = _Told(result, Stop(), progress)
    with _planted(plan, o.sides, o.keep_images, progress) as dump:
        questions = plan.questions(dump)

        async def main() -> None:
            say = progress.note
            sitting = Sitting(o.page, told.stop)
            async with open_gateway(
                asked, o.engine, dump, cache=o.cache, prices=o.prices, outbox=outbox, say=say, sitting=sitting
            ) as gateway:
                result.tally = gateway.tally
                with progress.show("calibrate", gateway, len(questions), 0), told.stop.on_interrupt(progress.note):
                    announce(progress, asked, o.engine, outbox=outbox)
                    window = o.engine.concurrency + 2
                    await drive(iter(questions), lambda q: _ask(q, judge, gateway, told), window=window, stop=told.stop)

        run_async(main)
    result.stopped = told.stop.reason
    if not result.failed and not result.deferred and result.stopped is None:
        result.calibration = _calibration(judge, plan, told, o.sides)
        result.warnings = weaknesses(result.calibration)
        save_calibration(result.calibration, target)
    result.seconds = time.monotonic() - started
    return result


@dataclass
class _Told:
    """What the judge has said so far."""

    result: CalibrationResult
    stop: Stop
    progress: Progress
    judgements: list[CheckedAnswer] = field(default_factory=list)
    used: dict[Form, Usage] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)

    def failure(self, failure: Failure) -> None:
        if failure.kind == ENDED:
            return  # what ended it is told instead
        if failure.kind == DEFERRED:
            self.result.deferred += 1
            self.progress.advance(failed=False)
            return
        self.result.failed += 1
        if len(self.result.failures) < N_KEPT:
            self.result.failures.append(failure)
        if failure.kind == "over_budget":
            self.stop.ask("over budget")
        self.progress.advance(failed=True)

    def answer(self, question: Asked, said: Judgements) -> None:
        self.result.done += 1
        self.result.gaps.update(gap.kind for gap in said.gaps)
        self.judgements += question.judgements(said.beliefs)
        self.used[question.form] = self.used.get(question.form, Usage()) + said.usage
        self.usage += said.usage
        self.progress.advance(failed=False)


async def _ask(question: Asked, judge: Judge, gateway: Gateway, told: _Told) -> None:
    form = question.form
    if form.rendering != judge.settings.rendering:
        judge = replace(judge, settings=judge.settings.model_copy(update={"rendering": form.rendering}))
    look = replace(judge.look, layout=form.layout, per_call=form.per_call)
    said = await judge.judgements(question.concept.text, question.items, gateway, look)
    if isinstance(said, Failure):
        told.failure(said)
    else:
        told.answer(question, said)


def _calibration(judge: Judge, plan: Plan, told: _Told, sides: Sequence[int]) -> Calibration:
    # The calls ended in any order; the file must not depend on it.
    order = sorted(told.judgements, key=lambda j: (plan.forms.index(j.form), j.concept, j.image))
    found = findings_of(order, plan.forms, told.used)
    if found is None:
        kinds = ", ".join(f"{kind} {n}" for kind, n in told.result.gaps.most_common()) or "no answer"
        raise EndpointError(f"{judge.model.model}: too few usable answers to calibrate by ({kinds}); try another model")
    return Calibration(
        **dict(found),
        model=judge.model.model,
        prompt=judge.digest,
        layout=plan.forms[0].layout,
        per_call=plan.forms[0].per_call,
        rendering=judge.settings.rendering,
        side=judge.settings.region.side,
        planted=tuple(sides),
        detail=judge.model.detail,
        seed=plan.seed,
        usage=told.usage,
        created=now(),
        version=__version__,
    )


@contextmanager
def _planted(plan: Plan, sides: Sequence[int], keep: Path | None, progress: Progress) -> Iterator[Dump]:
    """The dump of the planted images: there already, kept, or gone when the context ends."""
    if keep is not None and (keep / INFO_FILE).exists():
        dump = open_dump(keep)
        if (dump.info.name, dump.info.created_by) != (plan.name, f"autointerp {__version__}"):
            raise SettingsError(f"--keep-images {keep}: holds another dump, {dump.info.name}; give another folder")
        yield dump
        return
    with tempfile.TemporaryDirectory(prefix="autointerp-") as folder:
        target = keep or Path(folder) / "dump"
        progress.note(f"drawing {len(plan.images):,} planted images")
        write_dump(target, plan.name, now(), plan.scenes, plan.features, sides or (SIDE,))
        yield open_dump(target)


def _writable(target: Path) -> Path:
    """The file to write, found out before anything is asked."""
    if target.is_dir():
        raise SettingsError(f"--out {target}: is a folder; name a file in it")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise SettingsError(f"--out {target}: cannot be written ({e.strerror}); give another file") from e
    return target


def run(settings: Calibrate, *, progress: Progress | None = None, outbox: Outbox | None = None) -> CalibrationResult:
    """Asks the judge and writes what its answers are worth; run again, it goes on from the cache.

    Args:
        settings: all that was asked for.
        progress: shows how far it is.
        outbox: where questions go that a batch job is to answer; see docs/batch.md.

    Raises:
        AutointerpError: something that you can mend; the message says how.
    """
    if settings.batch:
        check_models(models(settings), settings.engine)
    if isinstance(target := settings.target, RemotePath):
        with _made_at(target, kept=settings.batch) as file:
            result = run(settings.model_copy(update={"out": str(file)}), progress=progress, outbox=outbox)
        result.out = target
        return result
    model, engine = judge_at(resolve_model(settings.model), settings.engine, given=outbox is None)
    settings = settings.model_copy(update={"model": model, "engine": engine})
    result = calibrate_judge(settings, progress=progress, outbox=outbox)
    if settings.batch and outbox is None:
        record(target.parent, "calibrate", settings.model_copy(update={"out": str(target), "batch": False}))
    return result


@contextmanager
def _made_at(target: RemotePath, *, kept: bool) -> Iterator[Path]:
    """The file to write for a URL; where a batch job is kept beside it, in a working copy of the folder."""
    if kept:
        with kept_at(target.parent, writing=True) as (folder, _):
            yield folder / target.name
    else:
        with sent_file(target, "--out") as file:
            yield file


def models(settings: Calibrate) -> list[ModelSettings]:
    """The models that are asked."""
    return [settings.model]
