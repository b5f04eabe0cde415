"""A harvest in shards: each process runs its own images beside others, and what they gathered is merged exactly."""

import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from autointerp.errors import SettingsError, typed
from autointerp.populations.images import Population
from autointerp.transcoder.backbones.protocol import frame_of, grid_of
from autointerp.transcoder.harvest.collector import PLACES, POOL, VECTORS, Collector
from autointerp.transcoder.harvest.folders import PLAN
from autointerp.transcoder.harvest.run import (
    Harvested,
    Job,
    Told,
    above_of,
    collectors_for,
    collectors_of,
    lot_of,
    plan_of,
    refuse_dumps,
    run_images,
    shape_of,
    write_one,
)
from autointerp.transcoder.harvest.shared_plan import Listed, Shards, SharedCoder, SharedPlan, Sizes
from autointerp.transcoder.harvest.silent_sampling import Lot
from autointerp.transcoder.harvest.source import Source
from autointerp.transcoder.harvest.state import Plan, PlannedCoder, State, population_digest
from autointerp.version import __version__

MERGING = "merging"
"""Folder of what is being merged, among those of the shards."""


@dataclass(frozen=True, slots=True)
class ShardDone:
    """What became of one shard."""

    shard: str
    """As `--shard` takes it."""
    n_images: int
    missing: tuple[str, ...]
    """Shards that are not done."""


def harvest_shard(
    job: Job,
    listed: Listed,
    shards: Shards,
    index: int,
    of: int,
    progress: Callable[[int, int], None],
    stopping: Callable[[], bool] = lambda: False,
) -> ShardDone:
    """Runs what is left of one shard.

    Args:
        job: The whole harvest; of its state nothing is used.
        listed: How its population was read.
        shards: Where all shards of it lie.
        index: Which shard, from 0.
        of: How many there are.
        progress: Is told images done and all images of the shard.
        stopping: Asked after each batch whether to write a checkpoint and end.

    Raises:
        KeyboardInterrupt: it was to end.
        SettingsError: shards of another harvest lie there, this one is being worked on, or the disk or an image fails.
        DumpError: a dump is there already.
    """
    refuse_dumps(job)
    lot, n_images = lot_of(job.population, job.settings), len(job.population.images)
    job = replace(job, state=shards.state(index, of))
    with job.state.held(), ExitStack() as files:
        shared = _shared(job, listed, shards, of, lot)
        images = shared.images_of(index, n_images)
        plan = shared.plan_of(index, images)
        begun = job.state.plan()
        if begun is None:
            job.state.begin(plan)
        elif begun != plan:
            raise SettingsError(f"{job.state.folder}: holds a shard of another harvest; remove it")
        run_images(job, collectors_for(job, plan, lot, files), images, progress, stopping)
    return ShardDone(f"{index}/{of}", len(images), tuple(shards.missing(shared, n_images)))


def begin_shards(job: Job, listed: Listed, shards: Shards, of: int) -> None:
    """Makes the common plan of all shards, unless it is there, in which case it must be the same.

    Args:
        job: The whole harvest.
        listed: How its population was read.
        shards: Where all shards of it lie.
        of: How many there are.

    Raises:
        SettingsError: shards of another harvest lie there, or an image fails.
        DumpError: a dump is there already.
    """
    refuse_dumps(job)
    _shared(job, listed, shards, of, lot_of(job.population, job.settings))


def _shared(job: Job, listed: Listed, shards: Shards, of: int, lot: Lot) -> SharedPlan:
    """Returns the common plan: the one that is there, or a new one with thresholds found on the whole's pool."""
    there = shards.plan()
    begun = None if there is None else there.plan
    own = _shared_of(job, listed, of, plan_of(job, above_of(job, lot, begun), begun))
    there = there or shards.begin(own, [s.decoder for s in job.sources])
    # Of two that begin at the same time, one has found the thresholds that hold.
    mine = own.plan.model_copy(update={"coders": _with_above(own.plan, there.plan), "created": there.plan.created})
    if (difference := there.differs(own.model_copy(update={"plan": mine}))) is not None:
        raise SettingsError(
            f"{shards.folder}: shards of a harvest were begun in which {difference}; give the same again, or remove "
            "the folder"
        )
    return there


def _with_above(plan: Plan, there: Plan) -> tuple[PlannedCoder, ...]:
    if len(plan.coders) != len(there.coders):
        return plan.coders
    return tuple(
        own.model_copy(update={"above": other.above}) for own, other in zip(plan.coders, there.coders, strict=True)
    )


def _shared_of(job: Job, listed: Listed, of: int, plan: Plan) -> SharedPlan:
    return SharedPlan(
        version=__version__,
        of=of,
        batch=job.batch,
        store=job.store,
        listed=listed,
        plan=plan,
        coders=tuple(
            SharedCoder(
                sizes=Sizes(n_latents=s.encoder.n_latents, widths=tuple(s.encoder.widths)),
                shape=shape_of(job, s),
                grid=grid_of(job.backbone, s.reads),
                hookpoint=s.hookpoint,
                about=s.about,
                decoder=None if s.decoder is None else f"decoder-{i}.npy",
                origin=s.origin,
            )
            for i, s in enumerate(job.sources)
        ),
        model=job.backbone.name,
        frame=frame_of(job.backbone),
        classifier=None if job.classifier is None else job.classifier.digest,
    )


def merge_shards(
    shards: Shards,
    population: Population,
    dumps: Callable[[Sequence[str]], Sequence[Path]],
    *,
    keep: bool,
    progress: Callable[[int, int], None],
    named: Sequence[str] = (),
) -> list[Harvested]:
    """Merges all shards of a harvest, and writes its dumps: those that one process would have written.

    Killed at any moment, it begins anew from the shards, which are removed at the end.

    Args:
        shards: Where they lie.
        population: The images, as the common plan says how to read them.
        dumps: Gives the dump of each coder by their names.
        keep: Leaves the shards.
        progress: Is told shards merged and all shards.
        named: How the coders were named, which the dumps state; by default as the shards name them.

    Raises:
        SettingsError: a shard is missing, is being worked on, belongs to another harvest or is damaged.
        DumpError: a dump cannot be made.
    """
    with shards.locked(0):
        found = _merged(shards, _named(_to_merge(shards, population), named), population, dumps, progress)
        if not keep:
            shards.remove()
    return found


def _named(shared: SharedPlan, named: Sequence[str]) -> SharedPlan:
    """Returns the plan with coders under other names, one for each."""
    if len(named) != len(shared.coders):
        return shared
    coders = tuple(
        coder
        if coder.origin is None
        else coder.model_copy(update={"origin": coder.origin.model_copy(update={"source": name})})
        for coder, name in zip(shared.coders, named, strict=True)
    )
    return shared.model_copy(update={"coders": coders})


def _merged(
    shards: Shards,
    shared: SharedPlan,
    population: Population,
    dumps: Callable[[Sequence[str]], Sequence[Path]],
    progress: Callable[[int, int], None],
) -> list[Harvested]:
    with ExitStack() as files:
        lot = lot_of(population, shared.plan.settings)
        sources = [_source(shards, shared, i) for i in range(len(shared.coders))]
        scratch = shards.folder / MERGING
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        files.callback(shutil.rmtree, scratch, ignore_errors=True)
        merged = _collectors(shared, sources, lot, scratch, files)
        for index in range(shared.of):
            images = shared.images_of(index, len(population.images))
            if len(images):
                _absorb(shards.state(index, shared.of), shared, sources, lot, merged, index, images)
            progress(index + 1, shared.of)
        told = Told(
            population=population,
            plan=shared.plan,
            store=shared.store,
            model=shared.model,
            grids={p.reads: c.grid for p, c in zip(shared.plan.coders, shared.coders, strict=True)},
            frame=shared.frame,
            classifier=shared.classifier,
        )
        where = dumps([source.name for source in sources])
        return [write_one(told, collector, dump) for collector, dump in zip(merged, where, strict=True)]


def _to_merge(shards: Shards, population: Population) -> SharedPlan:
    """Returns the common plan of shards that are all done."""
    shared, folder = shards.plan(), typed(shards.folder)
    if shared is None:
        raise SettingsError(f"{folder}: has no {PLAN}, so there is nothing to merge")
    if shared.version != __version__:
        raise SettingsError(f"{folder}: its shards are of autointerp {shared.version}; merge them with that version")
    if population_digest(population) != shared.plan.population:
        raise SettingsError(f"{shared.listed.images}: the images or their labels are others than when shards were run")
    if missing := shards.missing(shared, len(population.images)):
        n = "shards are" if len(missing) > 1 else "shard is"
        raise SettingsError(
            f"{folder}: {len(missing)} {n} missing or not done: run harvest with --shard {', '.join(missing)}, "
            "then merge again"
        )
    return shared


def _source(shards: Shards, shared: SharedPlan, number: int) -> Source:
    coder, planned = shared.coders[number], shared.plan.coders[number]
    decoder = None
    if coder.decoder is not None:
        path = shards.folder / coder.decoder
        try:
            decoder = np.load(path, allow_pickle=False)
        except (OSError, ValueError) as e:
            raise SettingsError(f"{path}: cannot be read; remove {shards.folder} to begin anew") from e
    return Source(
        name=planned.name,
        encoder=coder.sizes,
        reads=planned.reads,
        hookpoint=coder.hookpoint,
        about=coder.about,
        digest=planned.digest,
        decoder=decoder,
        origin=coder.origin,
    )


def _collectors(
    shared: SharedPlan, sources: Sequence[Source], lot: Lot, folder: Path, files: ExitStack
) -> list[Collector]:
    shapes = [coder.shape for coder in shared.coders]
    return collectors_of(sources, shapes, shared.plan, lot, folder, files)


def _absorb(
    state: State,
    shared: SharedPlan,
    sources: Sequence[Source],
    lot: Lot,
    merged: Sequence[Collector],
    index: int,
    images: range,
) -> None:
    """Adds one shard, whose folder nobody else may work on meanwhile."""
    with state.held(), ExitStack() as files:
        if state.plan() != shared.plan_of(index, images):
            again = f"remove the folder, and run harvest with --shard {index}/{shared.of} again"
            raise SettingsError(f"{state.folder}: holds a shard of another harvest; {again}")
        _check_files(state, shared, lot, index)
        own = _collectors(shared, sources, lot, state.folder, files)
        state.resume(own)
        for whole, part in zip(merged, own, strict=True):
            whole.absorb(part, images)


def _check_files(state: State, shared: SharedPlan, lot: Lot, index: int) -> None:
    """Stops where a file of rows is not whole, of which the rest would be read as zeros."""
    for i, coder in enumerate(shared.coders):
        n_bytes = {POOL: 4 * len(lot.images) * coder.sizes.n_latents, VECTORS: 2 * lot.n_images * coder.shape[1]}
        for path, size in ((state.folder / f"{i}{end}", n_bytes.get(end)) for end in (POOL, VECTORS, PLACES)):
            if not path.exists() or size not in (None, path.stat().st_size):
                again = f"remove {state.folder}, and run harvest with --shard {index}/{shared.of} again"
                raise SettingsError(f"{path}: is missing or cut off; {again}")
