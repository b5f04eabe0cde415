"""`autointerp explain`: an explanation for each chosen feature of a dump, into a run folder."""

import asyncio
import time
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from autointerp.arrays import among, kept
from autointerp.clock import now
from autointerp.commands.explain import Explain
from autointerp.dump.near_copies import NearCopies
from autointerp.dump.reader import Dump
from autointerp.errors import SettingsError
from autointerp.estimation.forecast import forecast, make_explainer
from autointerp.explanation.explainer import Explained, Explainer, asks_network
from autointerp.explanation.hierarchy_order import Ancestry, NoAncestry, ancestry_of
from autointerp.explanation.replays import Outcome, Replays
from autointerp.explanation.shuffled_sets import Shuffler
from autointerp.job import (
    JobResult,
    Progress,
    Recorder,
    Silent,
    choose,
    images_of,
    line_of,
    named_dump,
    only,
    reference,
    refuse_overlap,
)
from autointerp.jobs.endpoints import (
    announce,
    asking,
    candidates_at,
    explainer_at,
    given_here,
    note_address,
    pictures_at,
)
from autointerp.lmm.exchanges import hearing
from autointerp.lmm.gateway import Gateway
from autointerp.lmm.images.store import FOLDER
from autointerp.lmm.outcomes import failed
from autointerp.pipeline import Stop, drive
from autointerp.places import cache_folder
from autointerp.runs.folder import open_run
from autointerp.runs.index import Ints
from autointerp.runs.info import ExplainStage, RunInfo
from autointerp.schema import Exemplar, Explanation, Feature
from autointerp.session.candidate_judges import asker, embedder_of_explanations, explained, judges, with_embedder
from autointerp.session.encoding import Network, anywhere, network_of, open_encoder
from autointerp.session.gateway import open_embedder, open_gateway, resolve_model
from autointerp.session.pictures import find_picture_price, open_painter, said_of_pictures
from autointerp.settings import EngineSettings, ExplainSettings, ModelSettings
from autointerp.shards.crew import crew_of, work_at
from autointerp.shards.dealing import Attempt, Spread, gather, here_or_spread, shard_of
from autointerp.shards.remote_runs import cache_for_crew, piece_at, url_of
from autointerp.shards.shards import Shard, ShardWriter, shard_writer
from autointerp.version import __version__

if TYPE_CHECKING:
    from autointerp.batch.client import Outbox
    from autointerp.evidence import Images
    from autointerp.explanation.sampler import Sampler
    from autointerp.explanation.steering import Steerer
    from autointerp.lmm.embedding import GatewayEmbedder
    from autointerp.lmm.images.painter import Painter
    from autointerp.scoring.encoder import PictureEncoder
    from autointerp.session.encoding import DumpEncoder
    from autointerp.session.steering import SteeredClient

EDIT = "explain:edit"
"""The stage of painting a region anew."""
_AT_ONCE = 32
"""Kept outcomes that are recorded before other work has its turn."""


@dataclass
class _Explaining:
    """The features of a run, or of a piece of it, that are left to explain, and all that explaining them takes."""

    o: Explain
    dump: Dump
    asks: "Explainer | Sampler | Steerer"
    embedder: ModelSettings | None
    place: ShardWriter
    left: Ints
    ancestry: Ancestry | NoAncestry
    near_copies: NearCopies
    shuffler: Shuffler
    replays: Replays | None
    recorder: Recorder
    result: JobResult
    attempt: Attempt
    network: Network | None = None
    """What made the dump, where what is asked hangs on it."""
    encoder: "PictureEncoder | None" = None
    steered: "SteeredClient | None" = None
    """Who answers where the explained encoder is steered."""
    painter: "Painter | None" = None

    async def _explained(
        self, feature: Feature, images: "Images", gateway: Gateway, shuffled: tuple[Exemplar, ...]
    ) -> Explained:
        """What becomes of a feature; with an encoder, what is shown follows from what the network says."""
        asks, parents = self.asks, self.ancestry.texts(feature)
        if self.encoder is None:
            return await explained(asks, feature, images, gateway, shuffled, parents)
        # Loads scorers, which most of `explain` does without.
        from autointerp.explanation.counterfactuals import find_counterfactuals
        from autointerp.explanation.painting import Editor
        from autointerp.explanation.sufficing import with_sufficing

        asks = await with_sufficing(self._unsteered, feature, images, self.encoder)
        own = asks if isinstance(asks, Explainer) else asks.explainer
        template, painter = own.edit, self.painter
        editor = None if painter is None or template is None else Editor(painter, template, self.o.settings.seed)
        found = await find_counterfactuals(asks, feature, images, self.encoder, editor)
        if found.failure is not None:
            return Explained(failed(feature.id, EDIT, found.failure))
        outcome = await explained(found.known_to(asks), feature, images, gateway, shuffled, parents)
        if painter is not None and isinstance(outcome.record, Explanation):
            for sha256 in found.files:
                painter.store.copy_to(self.place.writer.run.path / FOLDER, sha256)
        return outcome._replace(gaps=(*(failed(feature.id, EDIT, gap) for gap in found.gaps), *outcome.gaps))

    @property
    def _unsteered(self) -> "Explainer | Sampler":
        assert self.steered is None
        return cast("Explainer | Sampler", self.asks)

    async def one(self, feature: Feature, gateway: Gateway) -> None:
        """Explains one feature and records what came of it."""
        # Reads row groups of other features; meanwhile the others go on.
        wanted = self.shuffler.wants(feature.id)
        shuffled = await asyncio.to_thread(self.shuffler.draw, feature) if wanted else ()
        # Looks at images of a dump that states no near-duplicates.
        more = [e.image for e in shuffled]
        images = await asyncio.to_thread(images_of, self.dump, feature, more, near_copies=self.near_copies)
        with hearing(wanted=self.o.execution.exchanges) as heard:
            outcome = await self._explained(feature, images, gateway, shuffled)
        line = line_of(feature.id, "explain", heard)
        self.recorder.explained(outcome.record, outcome.gaps, line)
        # Of these, another look at the dump or at its images may make something else.
        passing = wanted or outcome.gaps or self.near_copies.blind
        if self.replays is not None and isinstance(outcome.record, Explanation) and not passing:
            await self.replays.keep(outcome.record, line, heard, gateway.cache)

    async def replayed(self, wave: Ints, gateway: Gateway) -> Ints:
        """Records the features whose outcomes are kept; gives the others."""
        if self.replays is None:
            return wave
        left = np.ones(len(wave), np.bool_)
        known = np.flatnonzero(among(np.sort(self.replays.features(gateway.cache)), wave))
        for n, at in enumerate(known):
            if n % _AT_ONCE == 0:
                await asyncio.sleep(0)  # for Ctrl-C and the progress line
            if self.attempt.stop.reason is not None:
                break
            outcome = self._kept(int(wave[at]), gateway)
            if outcome is not None:
                gateway.tally.cached += outcome.n_answers
                self.recorder.explained(outcome.explanation, line=outcome.exchanges)
                left[at] = False
        return kept(wave, left)

    def _kept(self, feature: int, gateway: Gateway) -> Outcome | None:
        if self.replays is None or self.shuffler.wants(feature):
            return None
        return self.replays.find(feature, gateway.cache)

    async def all(self) -> None:
        """Explains what is left, broad features before narrow ones."""
        if not len(self.left):
            return
        o, attempt, n = self.o, self.attempt, len(self.place.ids)
        say = attempt.progress.note
        opening = partial(open_gateway, o.model, o.engine, self.dump, cache=o.cache, prices=o.prices, say=say)
        made = o.settings.pictures
        also = {} if made is None else {str(made.model): find_picture_price(made, o.prices)}
        painter = partial(open_painter, made, o.engine, self.dump, device=o.network.device, cache=o.cache)
        batch = attempt.outbox is not None
        async with (
            opening(outbox=attempt.outbox, others=judges(self.asks), also=also, steered=self.steered) as gateway,
            open_embedder(self.embedder, o.engine, self.dump, cache=o.cache, say=say) as embedder,
            open_encoder(self.network, self.dump, gateway.cache, self.left, say) as encoder,
            painter(ledger=gateway.ledger, outbox=attempt.outbox, say=say) as self.painter,
        ):
            self._opened(encoder, embedder)
            self.result.tally = gateway.tally
            with attempt.progress.show("explain", gateway, n, n - len(self.left)), attempt.stop.on_interrupt(say):
                announce(attempt.progress, o.model, o.engine, self.embedder, made, outbox=attempt.outbox)
                if made is not None:
                    most = len(self.left) * (o.settings.n_top + o.settings.n_bands)
                    say(said_of_pictures(most, made, find_picture_price(made, o.prices, batch=batch), batch=batch))
                # What a batch job has not answered yet is told to narrower features.
                for wave in takewhile(lambda _: not self.result.deferred, self.ancestry.waves(self.left)):
                    await self._wave(wave, gateway)
            self.result.spent = gateway.spent
            if self.painter is not None:
                self.result.tally.add(self.painter.gateway.tally)

    def _opened(self, encoder: "DumpEncoder | None", embedder: "GatewayEmbedder | None") -> None:
        """Hands on what is open now."""
        if self.steered is None:
            self.encoder, self.asks = encoder, with_embedder(self._unsteered, embedder)
            return
        from autointerp.session.steering import with_directions

        assert encoder is not None
        self.steered.encoding = encoder.encoding
        self.asks = with_directions(self.asks, encoder, embedder)

    async def _wave(self, wave: Ints, gateway: Gateway) -> None:
        # Half as many again as are in flight: their pictures are made while others wait for answers.
        window = self.o.engine.concurrency + self.o.engine.concurrency // 2 + 1
        left = await self.replayed(wave, gateway)
        features, stop = self.dump.features(only(left)), self.attempt.stop
        await drive(features, lambda f: self.one(f, gateway), window=window, stop=stop)
        if self.replays is not None:
            await self.replays.write(gateway.cache)

    def here_or_spread(self) -> None:
        """Does the work in this process, or deals it to the crew."""
        o, place = self.o, self.place
        call = partial(_piece, o.model_copy(update={"cache": cache_for_crew(o.run, o.cache)}).absolute())
        asks_of = tuple(asking(o.model, o.engine, self.embedder, o.settings.pictures))
        what = Spread("explain", place.run, self.dump, len(place.ids), o.engine, self.attempt, asks_of)
        here_or_spread(self.all, call, self.ancestry.waves(self.left), what, self.result)
        note_address(place.writer, "explain", o.model, o.cache, outbox=self.attempt.outbox)
        self.result.stopped = self.result.stopped or self.attempt.stop.reason


def explain_features(o: Explain, run: Path, attempt: Attempt) -> JobResult:
    """Explains features into a folder, which is made if missing; the explainer of the settings has its servers."""
    started = time.monotonic()
    o = o.model_copy(update={"settings": _as_begun(o.settings, run)})
    if attempt.shard is not None and not attempt.is_dealt and o.settings.hierarchy:
        raise SettingsError("--shard with --hierarchy: shards cannot wait for each other's parents; use --engine ray")
    dump = named_dump(o.dump, allow_outside=o.allow_outside)
    network = _network(o, dump)
    asks, steered = _asks(o, dump)
    chosen = choose(dump, o.features, width=o.width, sample=o.sample, seed=o.seed)
    stage = ExplainStage(model=o.model, settings=o.settings, prompts={p.name: p.digest[:12] for p in asks.prompts})
    info = RunInfo(version=__version__, created=now(), dump=reference(dump), explain=stage)
    result = JobResult(run=run, selected=0, before=0)
    gather(run, attempt.crew, attempt.progress)
    with shard_writer(run, "explain", info, chosen, dump, attempt.shard, result) as place:
        left = _left(place, result)
        if o.execution.batch and attempt.outbox is None:
            return result
        if o.engine.budget is not None and len(left):
            # Of a shard that is dealt it goes unheard. A steered model has no budget.
            asked = cast("Explainer | Sampler", asks)
            attempt.progress.note(forecast(dump, asked, left, o.engine.budget, o.prices, o.engine.more_base_urls))
        near_copies = NearCopies(dump, cache_folder(o.cache))
        _Explaining(
            o=o,
            dump=dump,
            asks=asks,
            embedder=embedder_of_explanations(o.settings),
            place=place,
            left=left,
            ancestry=ancestry_of(dump, place.run, o.settings),
            near_copies=near_copies,
            shuffler=Shuffler(dump, chosen, o.settings, near_copies),
            replays=_replays(dump, asks, o),
            recorder=Recorder(place.writer, result, attempt.progress, attempt.stop, attempt.outbox),
            result=result,
            attempt=attempt,
            network=network,
            steered=steered,
        ).here_or_spread()
    result.seconds = time.monotonic() - started
    return result


def _network(o: Explain, dump: Dump) -> Network | None:
    """What made the dump, where what is shown hangs on it."""
    option = asks_network(o.settings)
    return None if option is None else network_of(o.network, dump, option)


def _asks(o: Explain, dump: Dump) -> "tuple[Explainer | Sampler | Steerer, SteeredClient | None]":
    """Who explains, and who answers where that is no endpoint."""
    if o.settings.steer is None:
        return asker(make_explainer(dump, o.model, o.settings, o.prompts), dump, o.prompts), None
    from autointerp.session.steering import SteeredClient, make_steerer

    client = SteeredClient(o.model.model, o.network.device)
    return make_steerer(dump, o.model, o.settings, o.prompts), client


def _replays(dump: Dump, asks: "Explainer | Sampler | Steerer", o: Explain) -> Replays | None:
    """Outcomes that are kept; None where they hang on more than the feature and its own answers."""
    if not isinstance(asks, Explainer) or o.settings.hierarchy or asks_network(o.settings):
        return None
    return Replays.of(dump, asks, exchanges=o.execution.exchanges)


def _left(place: ShardWriter, result: JobResult) -> Ints:
    """The features that are neither explained nor known to be unexplainable; the result counts all three."""
    settled = place.unexplainable()
    through = among(place.explained(), place.ids) | among(np.array(sorted(settled), np.int64), place.ids)
    left = kept(place.ids, ~through)
    result.unexplainable.update(settled.values())
    result.selected, result.before = len(place.ids), len(place.ids) - len(left) - len(settled)
    return left


def _piece(o: Explain, *, shard: Shard, engine: EngineSettings, progress: Progress, stop: Stop) -> JobResult:
    o = o.model_copy(update={"engine": engine})
    with piece_at("explain", o.run, o.cache, shard, stop) as folder:
        return explain_features(o, folder, Attempt(progress, shard=shard, stop=stop))


def _as_begun(settings: ExplainSettings, run: Path) -> ExplainSettings:
    """The settings, with the margin of a run that is gone on with unless one was asked for: older runs have none."""
    if "silent_below" in settings.model_fields_set or not (run / "run.json").exists():
        return settings
    there = open_run(run)
    if not len(there.explained()):
        return settings
    return settings.model_copy(update={"silent_below": there.info.explain.settings.silent_below})


def run(settings: Explain, *, progress: Progress | None = None, outbox: "Outbox | None" = None) -> JobResult:
    """Explains; run again with the same settings, it goes on where it stopped."""
    refuse_overlap(settings.dump, settings.run)
    shard, crew = shard_of(settings.execution), crew_of(settings.execution)
    if settings.execution.batch:
        from autointerp.jobs.batch.plan import check_models

        check_models(models(settings), settings.engine, settings.network)
    settings = _placed(settings, given=given_here(shard, outbox))
    with work_at("explain", settings.run, settings.cache, shard, crew) as (folder, crew):
        result = explain_features(settings, folder, Attempt(progress or Silent(), outbox, shard, crew))
        if settings.execution.batch:
            from autointerp.jobs.batch.plan import record

            record(folder, "explain", settings)
        result.run = url_of(result.run, folder, settings.run)
    return result


def _placed(settings: Explain, *, given: bool) -> Explain:
    model, engine = explainer_at(_resolved(settings), settings.engine, given=given)
    asked = candidates_at(settings.settings, model, given=given)
    if asked.pictures is not None:
        asked = asked.model_copy(update={"pictures": pictures_at(asked.pictures, given=given)})
    network = anywhere(settings.network)
    return settings.model_copy(update={"model": model, "engine": engine, "settings": asked, "network": network})


def _resolved(settings: Explain) -> ModelSettings:
    """The explainer with its full name."""
    if settings.settings.steer is None:
        return resolve_model(settings.model)
    from autointerp.session.steering import steered_model

    if settings.engine.budget is not None:
        raise SettingsError(
            "--budget with --steer: the model runs in this process and costs nothing; leave --budget out"
        )
    return steered_model(settings.model, settings.settings, settings.network.device)


def models(settings: Explain) -> list[ModelSettings]:
    """The models that are asked."""
    return [settings.model]
