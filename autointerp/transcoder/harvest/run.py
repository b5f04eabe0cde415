"""The pass: every image once through the backbone, every coder on what it reads, a checkpoint every so many images."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from torch import Tensor

from autointerp.clock import now
from autointerp.dump.format import BackboneOrigin, DumpInfo, HierarchyInfo, load_info
from autointerp.dump.reader import open_dump
from autointerp.errors import DumpError, SettingsError
from autointerp.populations.images import Population, PopulationImage
from autointerp.remote.path import AnyPath
from autointerp.statistics.rates import Ints
from autointerp.transcoder.backbones.protocol import Activations, Backbone, Frame, frame_of, grid_of
from autointerp.transcoder.batches import AHEAD, prepared
from autointerp.transcoder.classifier import ClassifierRef
from autointerp.transcoder.harvest.collector import Collector
from autointerp.transcoder.harvest.encode import Peaks, activations_of, entries_of, peaks_of, threshold
from autointerp.transcoder.harvest.silent_sampling import Lot, draw_lot
from autointerp.transcoder.harvest.source import Source
from autointerp.transcoder.harvest.state import Plan, PlannedCoder, State, population_digest
from autointerp.transcoder.harvest.writing import Harvest, Store, dump_info, write_dump
from autointerp.transcoder.precision import products_in
from autointerp.transcoder.settings import HarvestSettings, UsedPrecision
from autointerp.version import __version__

N_PILOT = 256
"""Images by which the threshold is found."""
LAG = 2
"""Batches that wait for a thread to collect them while the backbone runs the next one."""


@dataclass(frozen=True, slots=True)
class Harvested:
    """One dump that was written."""

    dump: AnyPath
    coder: str
    n_latents: int
    n_dead: int
    """Latents that fire on no image."""
    n_images: int
    """Of the population."""
    n_stored: int
    """Images in the dump."""
    active_above: float
    hierarchy: HierarchyInfo | None = None
    """Parents and duplicates; None where a coder has no smaller prefixes."""


@dataclass(frozen=True, slots=True)
class Job:
    """Says what to harvest."""

    backbone: Backbone
    population: Population
    targets: tuple[tuple[Source, Path], ...]
    """Each coder and the dump to write."""
    settings: HarvestSettings
    state: State
    batch: int
    """Images run at once; batches never span checkpoints."""
    store: Store
    classifier: ClassifierRef | None = None
    """Whose network the backbone is."""
    precision: UsedPrecision = "float32"
    """In which numbers the backbone is run."""
    device: str = "cpu"
    """Where it runs."""
    ahead: int = AHEAD
    """Batches that are decoded while one is run."""

    @property
    def sources(self) -> tuple[Source, ...]:
        """Returns the coders of the job."""
        return tuple(source for source, _ in self.targets)

    @property
    def reads(self) -> list[str]:
        """Returns the hookpoints that the coders read, each once."""
        return list(dict.fromkeys(s.reads for s in self.sources))


@dataclass(frozen=True, slots=True)
class Told:
    """What a dump states besides what was gathered."""

    population: Population
    plan: Plan
    store: Store
    model: str
    """Name of the backbone."""
    grids: Mapping[str, tuple[int, int]]
    """Rows and columns of the patches, by hookpoint."""
    frame: Frame
    classifier: str | None
    """Digest of the classifier's network that was run."""


def harvest(
    job: Job, progress: Callable[[int, int], None], stopping: Callable[[], bool] = lambda: False
) -> list[Harvested]:
    """Runs what is left of a harvest, and writes the dumps that are not there yet.

    Args:
        job: What to harvest. With the same job, a harvest that was stopped anywhere goes on to the same dumps.
        progress: Is told images done and all images.
        stopping: Asked after each batch whether to write a checkpoint and end.

    Raises:
        KeyboardInterrupt: it was to end.
        SettingsError: a harvest with other settings was begun here, or the disk or an image fails.
        DumpError: a dump cannot be made.
    """
    lot = lot_of(job.population, job.settings)
    with job.state.held(), ExitStack() as files:
        plan = _planned(job, lot)
        collectors = collectors_for(job, plan, lot, files)
        run_images(job, collectors, range(len(job.population.images)), progress, stopping)
        told = told_by(job, plan)
        found = [write_one(told, c, dump) for c, (_, dump) in zip(collectors, job.targets, strict=True)]
        job.state.end()
    return found


def lot_of(population: Population, settings: HarvestSettings) -> Lot:
    """Draws the pool of a harvest."""
    assert all(image.image == i for i, image in enumerate(population.images)), "ids are positions"
    return draw_lot(len(population.images), n_base=settings.n_silent, n_pool=settings.n_pool, seed=settings.seed)


def refuse_dumps(job: Job) -> None:
    """Raises DumpError if one of the dumps is there already."""
    if there := next((d for _, d in job.targets if d.exists()), None):
        raise DumpError(f"{there}: exists already; a dump is written once, so give another folder")


def _planned(job: Job, lot: Lot) -> Plan:
    """Returns the plan of the harvest that was begun, or a new one."""
    begun = job.state.plan()
    if begun is None:
        refuse_dumps(job)
    plan = plan_of(job, above_of(job, lot, begun), begun)
    if begun is None:
        job.state.begin(plan)
    elif (difference := begun.differs(plan)) is not None:
        raise SettingsError(
            f"{job.state.folder}: a harvest was begun in which {difference}; give the same again, or remove the folder"
        )
    return plan


def above_of(job: Job, lot: Lot, begun: Plan | None) -> list[float]:
    """Returns the activation above which each coder's latents fire: as the harvest was begun, or as it is found now."""
    if begun is not None and len(begun.coders) == len(job.targets):
        return [coder.above for coder in begun.coders]
    return thresholds(job, lot)


def plan_of(job: Job, above: Sequence[float], begun: Plan | None) -> Plan:
    """Makes the plan of a job.

    Args:
        job: what to harvest.
        above: activation above which each coder's latents fire.
        begun: the plan that the harvest was begun with, if it was, whose time is kept.
    """
    return Plan(
        created=begun.created if begun is not None else now(),
        settings=job.settings,
        population=population_digest(job.population),
        backbone=job.backbone.digest,
        coders=tuple(
            PlannedCoder(name=s.name, digest=s.digest, reads=s.reads, above=a)
            for s, a in zip(job.sources, above, strict=True)
        ),
        precision=job.precision,
    )


def thresholds(job: Job, lot: Lot) -> list[float]:
    """Returns the activation above which each coder's latents fire, as float32 has it.

    Raises:
        SettingsError: an image cannot be read any more, or an activation is not finite.
    """
    if job.settings.active_above is not None:
        return [float(np.float32(job.settings.active_above))] * len(job.targets)
    pilot = [job.population.images[i] for i in np.sort(lot.images[:N_PILOT])]
    found: list[list[Peaks]] = [[] for _ in job.targets]
    parts = [pilot[i : i + job.batch] for i in range(0, len(pilot), job.batch)]
    with products_in(job.precision):
        for batch, pixels in prepared(job.backbone, parts, device=job.device, ahead=job.ahead):
            taken = _taken(job, pixels)
            for source, peaks in zip(job.sources, found, strict=True):
                entries = entries_of(source.encoder, source.name, taken[source.reads])
                peaks.append(peaks_of(entries, len(batch), source.encoder.n_latents))
    return [threshold(np.concatenate(peaks), job.settings.density) for peaks in found]


def shape_of(job: Job, source: Source) -> tuple[int, int]:
    """Returns patches of an image, 0 where a coder reads one vector an image, and channels that it reads."""
    hookpoint = job.backbone.hookpoints[source.reads]
    rows, columns = grid_of(job.backbone, source.reads)
    return (rows * columns if hookpoint.kind == "patches" else 0), hookpoint.width


def collectors_for(job: Job, plan: Plan, lot: Lot, files: ExitStack) -> list[Collector]:
    """Makes a collector for each coder of a job, whose files are closed at the end of `files`.

    Raises:
        SettingsError: a file cannot be made.
    """
    shapes = [shape_of(job, source) for source in job.sources]
    return collectors_of(job.sources, shapes, plan, lot, job.state.folder, files)


def collectors_of(
    sources: Sequence[Source], shapes: Sequence[tuple[int, int]], plan: Plan, lot: Lot, folder: Path, files: ExitStack
) -> list[Collector]:
    """Makes the collectors of some coders in a folder.

    Args:
        sources: the coders.
        shapes: of each, as `shape_of` says.
        plan: of the harvest.
        lot: its pool.
        folder: where rows on disk go.
        files: at its end they are closed.

    Raises:
        SettingsError: a file cannot be made.
    """
    made: list[Collector] = []
    for i, (source, coder, shape) in enumerate(zip(sources, plan.coders, shapes, strict=True)):
        one = Collector(source, plan.settings, lot, above=coder.above, shape=shape, folder=folder, name=str(i))
        files.callback(one.close)
        made.append(one)
    return made


def batch_starts(n_images: int, checkpoint_every: int, batch: int) -> Ints:
    """Returns the first image of each batch, ascending: batches begin anew after each checkpoint."""
    blocks = np.arange(0, n_images, checkpoint_every)
    starts = (blocks[:, None] + np.arange(0, checkpoint_every, batch)[None]).ravel()
    return starts[starts < n_images]


def run_images(
    job: Job,
    collectors: Sequence[Collector],
    images: range,
    progress: Callable[[int, int], None],
    stopping: Callable[[], bool],
) -> None:
    """Runs those of some images that are not done yet, and keeps what was gathered.

    A thread collects what the backbone gave while it runs the next batch.

    Args:
        job: what to harvest.
        collectors: of its coders.
        images: which of the population; a batch begins at the first, and the last ends one.
        progress: is told how many of them are done, and all of them.
        stopping: asked after each batch whether to write a checkpoint and end.

    Raises:
        KeyboardInterrupt: it was to end.
        SettingsError: the disk or an image fails.
    """
    done, every = max(images.start, job.state.resume(collectors)), job.settings.checkpoint_every
    progress(done - images.start, len(images))
    starts = batch_starts(len(job.population.images), every, job.batch)
    # One that was stopped between two checkpoints goes on where it was, and ends its batches where they would end.
    edges = [done, *starts[(starts > done) & (starts < images.stop)].tolist(), images.stop]
    parts = [job.population.images[a:b] for a, b in pairwise(edges) if a < b]
    with products_in(job.precision), ThreadPoolExecutor(1) as thread:
        aside = _Aside(thread, collectors)
        for batch, pixels in prepared(job.backbone, parts, device=job.device, ahead=job.ahead):
            aside.collect(batch, _taken(job, pixels))
            done += len(batch)
            progress(done - images.start, len(images))
            stop = stopping()
            if stop or done % every == 0 or done == images.stop:
                aside.settle(0)
                job.state.commit(done, collectors)
            if stop:
                raise KeyboardInterrupt


def _taken(job: Job, pixels: Tensor) -> Activations:
    return activations_of(job.backbone, pixels, job.reads, job.precision, job.device)


class _Aside:
    """Collects batches in a thread, one after the other."""

    def __init__(self, thread: ThreadPoolExecutor, collectors: Sequence[Collector]) -> None:
        self._thread = thread
        self._collectors = collectors
        self._waiting: deque[Future[None]] = deque()

    def collect(self, batch: Sequence[PopulationImage], taken: Activations) -> None:
        """Has a batch collected; waits where too many wait already."""
        self._waiting.append(self._thread.submit(self._add, batch, taken))
        self.settle(LAG)

    def settle(self, left: int) -> None:
        """Waits until no more than so many batches are left; raises what one of the others met."""
        while len(self._waiting) > left:
            self._waiting.popleft().result()

    def _add(self, batch: Sequence[PopulationImage], taken: Activations) -> None:
        numbers: Ints = np.array([i.image for i in batch], np.int64)
        attribute = np.array([bool(i.attribute) for i in batch])
        for collector in self._collectors:
            collector.add(numbers, taken[collector.source.reads], attribute)


def told_by(job: Job, plan: Plan) -> Told:
    """Returns what the dumps of a job state."""
    return Told(
        population=job.population,
        plan=plan,
        store=job.store,
        model=job.backbone.name,
        grids={source.reads: grid_of(job.backbone, source.reads) for source in job.sources},
        frame=frame_of(job.backbone),
        classifier=None if job.classifier is None else job.classifier.digest,
    )


def write_one(told: Told, collector: Collector, dump: Path) -> Harvested:
    """Writes one dump, as `written_once`."""
    plan = told.plan
    grid = told.grids[collector.source.reads] if collector.active.heat.shape[2] else None
    whole = Harvest(collector, told.population, plan.settings, grid, told.frame)
    how = "" if plan.precision == "float32" else f" --precision {plan.precision}"
    info = dump_info(
        whole,
        name=dump.name,
        created=plan.created,
        created_by=f"autointerp {__version__}, harvest --seed {plan.settings.seed}{how}{told.population.pinned}",
        model=told.model,
        classifier=told.classifier,
        backbone=_origin(told),
    )
    return written_once(whole, info, dump, told.store)


def _as_planned(info: DumpInfo) -> DumpInfo:
    """Leaves out what is found in the end, and what earlier versions did not state."""
    return info.model_copy(update={"hierarchy": None, "backbone": None})


def _origin(told: Told) -> BackboneOrigin | None:
    """What the images were run through; a classifier's network is not had by the backbone's name alone."""
    if told.classifier is not None:
        return None
    return BackboneOrigin(
        name=told.model,
        digest=told.plan.backbone,
        precision=told.plan.precision,
        side=told.frame.side,
        shortest=told.frame.shortest,
    )


def written_once(whole: Harvest, info: DumpInfo, dump: Path, store: Store) -> Harvested:
    """Writes a dump, unless an earlier run of the same harvest has; returns what it holds.

    Raises:
        SettingsError: an image is not the file any more that was run.
        DumpError: the dump cannot be made.
    """
    if dump.exists() and _as_planned(load_info(dump)) == _as_planned(info):
        with open_dump(dump, allow_outside=True) as written:
            n_stored = len(written.images_table())
    else:
        n_stored = write_dump(whole, info, dump, store)
    return Harvested(
        dump=dump,
        coder=whole.collector.source.name,
        n_latents=info.n_latents,
        n_dead=int((whole.collector.n_active == 0).sum()) - len(whole.absent),
        n_images=info.n_images,
        n_stored=n_stored,
        active_above=info.active_above,
        hierarchy=load_info(dump).hierarchy,
    )
