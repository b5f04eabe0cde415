"""The pass: every image once through the backbone, every coder on what it reads, a checkpoint after each shard."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autointerp.clock import now
from autointerp.dump.format import HierarchyInfo, load_info
from autointerp.dump.reader import open_dump
from autointerp.errors import DumpError, SettingsError
from autointerp.statistics.rates import Ints
from autointerp.transcoder.backbones.protocol import Backbone, frame_of
from autointerp.transcoder.batches import prepared_batches
from autointerp.transcoder.classifier import ClassifierRef
from autointerp.transcoder.harvest.collector import Collector
from autointerp.transcoder.harvest.encode import Peaks, entries_of, peaks_of, threshold
from autointerp.transcoder.harvest.silent_sampling import Lot, draw_lot
from autointerp.transcoder.harvest.source import Source
from autointerp.transcoder.harvest.state import Plan, PlannedCoder, State, population_digest
from autointerp.transcoder.harvest.writing import Harvest, Store, dump_info, write_dump
from autointerp.transcoder.population import Population
from autointerp.transcoder.settings import HarvestSettings
from autointerp.version import __version__

N_PILOT = 256
"""Images by which the threshold is found."""


@dataclass(frozen=True, slots=True)
class Harvested:
    """One dump that was written."""

    dump: Path
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

    @property
    def sources(self) -> tuple[Source, ...]:
        """Returns the coders of the job."""
        return tuple(source for source, _ in self.targets)

    @property
    def reads(self) -> list[str]:
        """Returns the hookpoints that the coders read, each once."""
        return list(dict.fromkeys(s.reads for s in self.sources))


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
    settings, images = job.settings, job.population.images
    assert all(image.image == i for i, image in enumerate(images)), "ids are positions"
    lot = draw_lot(len(images), n_base=settings.n_silent, n_pool=settings.n_pool, seed=settings.seed)
    with job.state.held(), ExitStack() as files:
        plan = _planned(job, lot)
        collectors = [_collector(job, i, coder.above, lot) for i, coder in enumerate(plan.coders)]
        for collector in collectors:
            files.callback(collector.close)
        _pass(job, collectors, progress, stopping)
        found = [_write(job, plan, c, dump) for c, (_, dump) in zip(collectors, job.targets, strict=True)]
        job.state.end()
    return found


def _planned(job: Job, lot: Lot) -> Plan:
    """Returns the plan of the harvest that was begun, or a new one."""
    begun = job.state.plan()
    if begun is None and (there := next((d for _, d in job.targets if d.exists()), None)):
        raise DumpError(f"{there}: exists already; a dump is written once, so give another folder")
    above = (
        [c.above for c in begun.coders]
        if begun is not None and len(begun.coders) == len(job.targets)
        else _thresholds(job, lot)
    )
    plan = Plan(
        created=begun.created if begun is not None else now(),
        settings=job.settings,
        population=population_digest(job.population),
        backbone=job.backbone.digest,
        coders=tuple(
            PlannedCoder(name=s.name, digest=s.digest, reads=s.reads, above=a)
            for s, a in zip(job.sources, above, strict=True)
        ),
    )
    if begun is None:
        job.state.begin(plan)
    elif (difference := begun.differs(plan)) is not None:
        raise SettingsError(
            f"{job.state.folder}: a harvest was begun in which {difference}; give the same again, or remove the folder"
        )
    return plan


def _thresholds(job: Job, lot: Lot) -> list[float]:
    """Returns the activation above which each coder's latents fire, as float32 has it."""
    if job.settings.active_above is not None:
        return [float(np.float32(job.settings.active_above))] * len(job.targets)
    pilot = [job.population.images[i] for i in np.sort(lot.images[:N_PILOT])]
    found: list[list[Peaks]] = [[] for _ in job.targets]
    for batch, pixels in prepared_batches(job.backbone, pilot, size=job.batch):
        taken = job.backbone.run(pixels, job.reads)
        for source, peaks in zip(job.sources, found, strict=True):
            entries = entries_of(source.encoder, source.name, taken[source.reads])
            peaks.append(peaks_of(entries, len(batch), source.encoder.n_latents))
    return [threshold(np.concatenate(peaks), job.settings.density) for peaks in found]


def _collector(job: Job, number: int, above: float, lot: Lot) -> Collector:
    source = job.sources[number]
    hookpoint = job.backbone.hookpoints[source.reads]
    rows, columns = job.backbone.patch_grid
    n_patches = rows * columns if hookpoint.kind == "patches" else 0
    return Collector(
        source,
        job.settings,
        lot,
        above=above,
        shape=(n_patches, hookpoint.width),
        folder=job.state.folder,
        name=str(number),
    )


def _pass(
    job: Job,
    collectors: Sequence[Collector],
    progress: Callable[[int, int], None],
    stopping: Callable[[], bool],
) -> None:
    images, size = job.population.images, job.settings.shard
    done = job.state.resume(collectors)
    progress(done, len(images))
    while done < len(images):
        # One that was stopped inside a shard goes on to the shard's end, so that its batches are the same.
        shard = images[done : (done // size + 1) * size]
        for batch, pixels in prepared_batches(job.backbone, shard, size=job.batch):
            taken = job.backbone.run(pixels, job.reads)
            numbers: Ints = np.array([i.image for i in batch], np.int64)
            attribute = np.array([bool(i.attribute) for i in batch])
            for collector in collectors:
                collector.add(numbers, taken[collector.source.reads], attribute)
            done += len(batch)
            progress(done, len(images))
            if stopping():
                job.state.commit(done, collectors)
                raise KeyboardInterrupt
        job.state.commit(done, collectors)


def _write(job: Job, plan: Plan, collector: Collector, dump: Path) -> Harvested:
    """Writes one dump, unless an earlier run of the same harvest has."""
    grid = job.backbone.patch_grid if collector.active.heat.shape[2] else None
    whole = Harvest(collector, job.population, job.settings, grid, frame_of(job.backbone))
    info = dump_info(
        whole,
        name=dump.name,
        created=plan.created,
        created_by=f"autointerp {__version__}, harvest --seed {job.settings.seed}",
        model=job.backbone.name,
        classifier=None if job.classifier is None else job.classifier.digest,
    )
    if dump.exists() and load_info(dump).model_copy(update={"hierarchy": None}) == info:
        with open_dump(dump, allow_outside=True) as written:
            n_stored = len(written.images_table())
    else:
        n_stored = write_dump(whole, info, dump, job.store)
    return Harvested(
        dump=dump,
        coder=collector.source.name,
        n_latents=info.n_latents,
        n_dead=int((collector.n_active == 0).sum()),
        n_images=info.n_images,
        n_stored=n_stored,
        active_above=info.active_above,
        hierarchy=load_info(dump).hierarchy,
    )
