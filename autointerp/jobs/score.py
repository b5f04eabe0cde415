"""`autointerp score`: every scorer's verdict on every explanation of a run."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from autointerp.arrays import among, kept
from autointerp.commands.score import Score
from autointerp.dump.near_copies import NearCopies
from autointerp.dump.reader import Dump
from autointerp.errors import SettingsError
from autointerp.job import JobResult, Progress, Recorder, Silent, choose, dump_of, line_of, only
from autointerp.jobs.endpoints import (
    announce,
    asking,
    given_here,
    note_address,
)
from autointerp.jobs.score_options import (
    adopted,
    how_much,
    models,
    placed,
    refuse_crew,
    refuse_local_explainer,
    resolved,
    scorers_of,
    trial_of,
)
from autointerp.jobs.score_pictures import announce_pictures, keep_pictures
from autointerp.lmm.exchanges import Heard, hearing
from autointerp.lmm.gateway import Gateway
from autointerp.lmm.outcomes import Failure, failed
from autointerp.pipeline import Stop, drive
from autointerp.places import cache_folder
from autointerp.remote.path import is_remote
from autointerp.runs.folder import Run, RunWriter, open_run
from autointerp.runs.index import Ints, holds
from autointerp.runs.info import RunInfo
from autointerp.runs.judgings import beside, label_of
from autointerp.runs.score_lines import FIGURES
from autointerp.schema import Feature
from autointerp.scoring.case import Case, Outcome
from autointerp.scoring.cases import Cases, controlled
from autointerp.scoring.control_tests import headline
from autointerp.scoring.control_texts import fixed_texts
from autointerp.scoring.random_weights_control import FOLDER, sample_size, separations_of, settings_of_random
from autointerp.scoring.scorer_list import SCORERS
from autointerp.scoring.settings_checks import asks_judge, screeners, wants_encoder
from autointerp.scoring.undetermined import undetermined
from autointerp.scoring.unscored import UnscoredReasons
from autointerp.session.encoding import Network, anywhere, network_of, open_encoder
from autointerp.session.gateway import embedder_of, open_embedder, open_gateway
from autointerp.session.person import Sitting
from autointerp.session.pictures import find_picture_price, open_painter
from autointerp.settings import (
    EngineSettings,
    Execution,
    FeatureSelection,
    ModelSettings,
)
from autointerp.shards.crew import crew_of, work_at
from autointerp.shards.dealing import Attempt, Spread, after, gather, here_or_spread, shard_of
from autointerp.shards.remote_runs import cache_for_crew, piece_at, url_of
from autointerp.shards.shards import Shard, ShardWriter, shard_writer
from autointerp.unexplainable import in_words

if TYPE_CHECKING:
    from autointerp.batch.client import Outbox
    from autointerp.commands.explain import Explain
    from autointerp.lmm.human.desk import Desk

NO_POOL = (
    "--guide text: the dump has no pool of uniformly drawn images, so that only each feature's own silent rows are "
    "ordered by likeness; `autointerp harvest` makes dumps that have one"
)


AT_ONCE = 4
"""Features at work at once where the network alone is asked: enough to fill batches, few to wait for at a stop."""


@dataclass
class _Scoring:
    """The features of a run, or of a piece of it, that are left to score, and all that scoring them takes."""

    o: Score
    judge: ModelSettings
    dump: Dump
    run: Path
    place: ShardWriter
    left: Ints
    scorers: tuple[str, ...]
    done: Mapping[str, Ints]
    """Features that have a score already, by scorer."""
    open_cases: Callable[[], Cases]
    """Reads what all features share, once the endpoint can be asked."""
    embedder: ModelSettings | None
    network: Network | None
    """What made the dump, where a scorer asks it."""
    recorder: Recorder
    result: JobResult
    attempt: Attempt

    async def one(self, feature: Feature, cases: Cases, gateway: Gateway) -> None:
        """Asks the scorers that have not scored a feature yet, and records what they found."""
        case = await cases.case(feature, gateway)
        pending = [name for name in self.scorers if not holds(self.done[name], feature.id)]
        with hearing(wanted=self.o.execution.exchanges) as heard:
            told = [await _told(name, case) for name in pending]
        _record(case, told, heard, self.place.writer, self.recorder)

    async def all(self) -> None:
        """Scores all features that are left."""
        if not len(self.left):
            return
        o, engine, attempt, cases = self.o, self.o.engine, self.attempt, self.open_cases()
        say = attempt.progress.note
        sitting = Sitting(o.page, attempt.stop, attempt.desk)
        opening = partial(
            open_gateway, self.judge, engine, self.dump, cache=o.cache, prices=o.prices, say=say, sitting=sitting
        )
        asks, made = asks_judge(self.scorers), o.settings.pictures
        painting = partial(open_painter, made, engine, self.dump, device=o.network.device, cache=o.cache)
        also = {} if made is None else {str(made.model): find_picture_price(made, o.prices)}
        async with (
            opening(outbox=attempt.outbox, others=screeners(o.settings), idle=not asks, also=also) as gateway,
            open_embedder(self.embedder, engine, self.dump, cache=o.cache, say=say) as cases.embedder,
            open_encoder(self.network, self.dump, gateway.cache, self.left, say) as cases.encoder,
            painting(ledger=gateway.ledger, outbox=attempt.outbox, say=say) as painter,
        ):
            cases.painter = painter
            busiest = gateway if asks or painter is None else painter.gateway
            self.result.tally = busiest.tally
            shown = attempt.progress.show("score", busiest, len(self.place.ids), self.result.before)
            with shown, attempt.stop.on_interrupt(say):
                if asks or self.embedder is not None or made is not None:
                    judge, outbox = self.judge if asks else None, attempt.outbox
                    announce(attempt.progress, judge, engine, self.embedder, made, outbox=outbox)
                if made is not None:
                    given = (made, o.prices, cases.index, self.left, cases.control_texts)
                    announce_pictures(*given, say, batch=attempt.outbox is not None)
                if asks and self.judge.model.is_human:
                    say(how_much(o.settings, self.judge.model, self.scorers, len(self.left), len(cases.controlled)))
                # A feature asks several sheets at once, so fewer features keep the endpoint busy.
                window = engine.concurrency // 2 + 2 if asks or self.network is None else AT_ONCE
                features = self.dump.features(only(self.left))
                await drive(features, lambda f: self.one(f, cases, gateway), window=window, stop=attempt.stop)
            self.result.spent = gateway.spent
            if painter is not None and busiest is gateway:
                self.result.tally.add(painter.gateway.tally)

    def here_or_spread(self) -> None:
        """Does the work in this process, or deals it to the crew."""
        o, engine, place = self.o, self.o.engine, self.place
        run = o.run if is_remote(o.run) else str(self.run)
        known = {"dump": str(self.dump.path), "cache": cache_for_crew(run, o.cache), "run": run}
        call = partial(_piece, o.model_copy(update=known).absolute(), self.judge)
        asks_of = tuple(asking(self.judge, engine, self.embedder, o.settings.pictures))
        what = Spread("score", place.run, self.dump, len(place.ids), engine, self.attempt, asks_of)
        here_or_spread(self.all, call, [self.left], what, self.result)
        note_address(place.writer, "score", self.judge, o.cache, outbox=self.attempt.outbox)
        self.result.stopped = self.result.stopped or self.attempt.stop.reason


def score_features(o: Score, judge: ModelSettings, run: Path, attempt: Attempt) -> JobResult:
    """Scores the explanations of a run; run again with the same settings, it goes on where it stopped.

    Args:
        o: the settings of the command.
        judge: who judges.
        run: folder that `explain` made.
        attempt: where and how it is worked on.

    Raises:
        AutointerpError: something that you can mend; the message says how.
    """
    started = time.monotonic()
    gather(run, attempt.crew, attempt.progress)
    there = open_run(run)
    dump = dump_of(there, o.dump, allow_outside=o.allow_outside, dealt=attempt.is_dealt)
    result = JobResult(run=run, selected=0, before=0)
    scorers = scorers_of(o.settings, there, dump, result)
    asks_network = wants_encoder(scorers)
    network = network_of(o.network, dump, f"--scorers {asks_network}") if asks_network else None
    index, named = there.index(), choose(dump, o.features, width=None, sample=None, seed=0)
    chosen = kept(named, among(index.features, named))
    trial = trial_of(o, judge, scorers, there, result, partial(fixed_texts, dump, index, chosen, o.settings))
    with shard_writer(run, "score", trial.info, chosen, dump, attempt.shard, result, result.judging) as place:
        if trial.known is not None:
            trial.known.keep(place.writer.run)
        if trial.said is not None and not attempt.is_dealt:
            attempt.progress.note(trial.said)
        done, left = _left(place, scorers, result)
        if o.execution.batch and attempt.outbox is None:
            return result
        result.notes += _lacking(o, there, dump, named, chosen)
        rates = trial.known.rates if trial.known else None
        carry, near_copies = controlled(chosen, o.settings), NearCopies(dump, cache_folder(o.cache))
        _Scoring(
            o=o,
            judge=judge,
            dump=dump,
            run=run,
            place=place,
            left=left,
            scorers=scorers,
            done=done,
            open_cases=lambda: Cases(
                dump, index, trial.judge, scorers, carry, rates, control_texts=trial.controls, near_copies=near_copies
            ),
            embedder=embedder_of(o.settings, scorers),
            network=network,
            recorder=Recorder(place.writer, result, attempt.progress, attempt.stop, attempt.outbox),
            result=result,
            attempt=attempt,
        ).here_or_spread()
    result.seconds = time.monotonic() - started
    return result


def _lacking(o: Score, run: Run, dump: Dump, named: Ints, chosen: Ints) -> list[str]:
    """Says what there is nothing to score with, where that is so."""
    out = [] if len(chosen) else [_none_explained(run, named)]
    return [*out, NO_POOL] if o.settings.guide == "text" and dump.pool is None else out


def _left(place: ShardWriter, scorers: Sequence[str], result: JobResult) -> tuple[dict[str, Ints], Ints]:
    """The features that each scorer has done, and those that some scorer has not; the result is told their numbers."""
    done = {name: place.scored(name) for name in scorers}
    left = kept(place.ids, ~np.all([among(ids, place.ids) for ids in done.values()], axis=0))
    result.selected, result.before = len(place.ids), len(place.ids) - len(left)
    return done, left


def _piece(
    o: Score, judge: ModelSettings, *, shard: Shard, engine: EngineSettings, progress: Progress, stop: Stop
) -> JobResult:
    """What one of several processes does."""
    o = o.model_copy(update={"engine": engine})
    with piece_at("score", o.run, o.cache, shard, stop) as folder:
        return score_features(o, judge, folder, Attempt(progress, shard=shard, stop=stop))


def _none_explained(run: Run, named: Ints) -> str:
    never = Counter(why for feature, why in run.unexplainable().items() if holds(named, feature))
    told = in_words(never) if never else "`autointerp explain` does that"
    return f"none of the chosen features is explained yet; {told}"


class _Told(NamedTuple):
    """What a scorer said of a case."""

    scorer: str
    outcome: Outcome
    gaps: list[Failure]
    """What it asked and got no answer to; of the judgements that several scorers read, the first has them."""


async def _told(scorer: str, case: Case) -> _Told:
    before = len(case.gaps)
    outcome = await SCORERS[scorer](case)
    return _Told(scorer, outcome, case.gaps[before:])


def _record(case: Case, told: list[_Told], heard: Heard, writer: RunWriter, recorder: Recorder) -> None:
    failures = [t.outcome for t in told if isinstance(t.outcome, Failure)]
    if recorder.postponed(failures):
        return
    recorder.heard(line_of(case.feature.id, "score", heard))
    for scorer, outcome, gaps in told:
        for gap in gaps:
            recorder.gap(failed(case.feature.id, f"score:{scorer}", gap))
        if isinstance(outcome, Failure):
            recorder.failure(failed(case.feature.id, f"score:{scorer}", outcome))
        else:
            keep_pictures(outcome, case.gallery, writer.run.path)
            writer.score(outcome)
    recorder.through(failed=bool(failures))


def run(
    settings: Score,
    *,
    progress: Progress | None = None,
    outbox: "Outbox | None" = None,
    desk: "Desk | None" = None,
) -> JobResult:
    """Scores; run again with the same settings, it goes on where it stopped.

    Args:
        settings: all that was asked for.
        progress: shows how far it is.
        outbox: where questions go that a batch job is to answer; see docs/batch.md.
        desk: where a person answers whose pages are served already.

    Raises:
        AutointerpError: something that you can mend; the message says how.
    """
    settings, notes = adopted(settings, progress)
    shard, crew = shard_of(settings.execution), crew_of(settings.execution)
    if shard is not None and settings.random_dump is not None:
        raise SettingsError("--shard with --random-dump: give --random-dump once, after merging, without --shard")
    with work_at("score", settings.run, settings.cache, shard, crew) as (folder, crew):
        there = open_run(folder)
        settings = resolved(settings, there.info)
        if settings.execution.batch:
            from autointerp.jobs.batch.plan import check_models

            refuse_local_explainer(settings, there.info)
            check_models(models(settings.model_copy(update={"run": str(folder)})), settings.engine, settings.network)
        settings = placed(settings, there, given=given_here(shard, outbox))
        settings = settings.model_copy(update={"network": anywhere(settings.network)})
        judge = ModelSettings.model_validate(settings.judge)
        refuse_crew(judge, crew)
        result = score_features(settings, judge, folder, Attempt(progress or Silent(), outbox, shard, crew, desk=desk))
        result.notes[:0] = notes
        if settings.execution.batch:
            from autointerp.jobs.batch.plan import record

            record(folder, "score", settings, judging=result.judging)
            result.run = url_of(result.run, folder, settings.run)
            return result
        if settings.random_dump is not None and not result.stopped:
            _score_random(settings, there.info, folder, result, Attempt(progress or Silent(), outbox))
        if shard is None:
            _sum_up(open_run(folder).of_judging(result.judging), settings, result)
        result.run = url_of(result.run, folder, settings.run)
    return result


def _sum_up(run: Run, settings: Score, result: JobResult) -> None:
    """Tells the result what the scores of the judging come to, and whose others there are."""
    result.headline = headline(separations_of(run, seed=settings.settings.seed))
    open_again = partial(dump_of, run, settings.dump, allow_outside=settings.allow_outside)
    lacking = UnscoredReasons()
    result.notes += undetermined(lacking.counted(run.scores(FIGURES)), open_again)
    result.notes += lacking.lines()
    result.notes += [others] if (others := beside(run)) is not None else []
    if result.judging:
        result.judge = label_of(run)


def _score_random(settings: Score, made: RunInfo, folder: Path, result: JobResult, attempt: Attempt) -> None:
    """Explains and scores the random dump; what went wrong there is the whole command's."""
    if made.is_adopted:
        raise SettingsError(
            "--random-dump: the run's explanations were adopted from a file; there is no explainer for the random dump"
        )
    from autointerp.jobs.explain import run as explain

    assert settings.random_dump is not None
    asked = _explaining_random(settings, settings.random_dump, made, folder, result.spent)
    both = [explain(asked, progress=attempt.progress, outbox=attempt.outbox)]
    if both[0].stopped is None and not both[0].deferred:
        changed = {
            "engine": after(settings.engine, result.spent + both[0].spent),
            "settings": settings_of_random(settings.settings),
            "dump": settings.random_dump,
            "features": FeatureSelection("all"),
            "calibration": None,
        }
        judge = ModelSettings.model_validate(settings.judge)
        random = settings.model_copy(update=changed)
        both.append(score_features(random, judge, folder / FOLDER, attempt))
    for part in both:
        result.stopped = result.stopped or part.stopped
        result.spent += part.spent
        result.failed += part.failed
        result.deferred += part.deferred
        result.failures += part.failures
        if part.failed:
            result.notes.append(f"{part.failed:,} features of the random dump failed and stay pending in {part.run}")


def _explaining_random(settings: Score, dump: str, made: RunInfo, folder: Path, spent: float) -> "Explain":
    """How the features of a random dump are explained: as those of the run were, with what is left of the budget."""
    from autointerp.commands.explain import Explain

    return Explain(
        dump=dump,
        run=str(folder / FOLDER),
        model=made.explain.model,
        sample=sample_size(settings.settings),
        seed=settings.settings.seed,
        settings=made.explain.settings.model_copy(update={"domain": None}),
        # The further addresses are the judge's.
        engine=after(settings.engine, spent).model_copy(update={"more_base_urls": ()}),
        prompts=settings.prompts,
        execution=Execution(exchanges=settings.execution.exchanges),
        cache=settings.cache,
        prices=settings.prices,
        allow_outside=settings.allow_outside,
    )
