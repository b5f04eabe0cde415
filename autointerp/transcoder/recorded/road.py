"""From recorded activations to a dump: through the harvest's own collector, so that all evidence is drawn as there."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from autointerp.clock import now
from autointerp.errors import DumpError, SettingsError
from autointerp.populations.images import Population
from autointerp.statistics.rates import Bools, Floats, Ints
from autointerp.transcoder.backbones.protocol import Frame
from autointerp.transcoder.harvest.collector import Collector
from autointerp.transcoder.harvest.encode import Entries, Peaks, threshold
from autointerp.transcoder.harvest.run import N_PILOT, Harvested, collectors_of, lot_of, written_once
from autointerp.transcoder.harvest.shared_plan import Sizes
from autointerp.transcoder.harvest.silent_sampling import Lot, keys
from autointerp.transcoder.harvest.source import Source
from autointerp.transcoder.harvest.state import Plan, PlannedCoder, State, population_digest
from autointerp.transcoder.harvest.writing import Harvest, Store, dump_info
from autointerp.transcoder.recorded.covered import check_seen
from autointerp.transcoder.recorded.events import MOST_LATENTS, Asked, Events, Layout, Recording
from autointerp.transcoder.settings import HarvestSettings
from autointerp.version import __version__

N_HASHED = 256
"""Numbers of an image's vector."""
CHECKPOINT_EVERY = 2**14
"""Images between two checkpoints; to read them takes far less time than to run them."""


@dataclass(frozen=True, slots=True)
class Job:
    """Says what to import."""

    recording: Recording
    asked: Asked
    population: Population
    """The images that are given and can be read."""
    rows: Ints
    """[images given]: the id of each, -1 for one that cannot be read."""
    n_latents: int | None
    """Size of the dictionary where the files do not hold all of it."""
    dump: Path
    name: str
    model: str
    hookpoint: str
    frame: Frame | None
    """What of an image was shown; None for the whole."""
    widths: tuple[int, ...]
    """Nested prefixes, ascending; empty for a plain dictionary."""
    settings: HarvestSettings
    state: State
    store: Store


class Brought(NamedTuple):
    """What was imported, and what was not."""

    written: Harvested
    lost: tuple[int, ...]
    """Latents that the files do not hold."""
    notes: tuple[str, ...]


@dataclass(slots=True)
class _Look:
    """What a first pass over the files tells."""

    fired: Bools
    """[n_latents]: which occur at all."""
    seen: Bools
    """[images given]: which occur at all."""
    pilot: Peaks
    """[pilot images, n_latents]: maxima over the patches."""
    n_ignored: int = 0
    """Activations at positions that are no patches."""
    n_negative: int = 0
    last: int = -1


def bring_in(
    job: Job, progress: Callable[[str, int, int | None], None], stopping: Callable[[], bool] = lambda: False
) -> Brought:
    """Imports a recording; with the same job, one that was stopped anywhere goes on to the same dump.

    Args:
        job: What to import.
        progress: Is told of a stage, how much of it is done, and of how much if that is known.
        stopping: Asked after each part whether to write a checkpoint and end.

    Raises:
        KeyboardInterrupt: it was to end.
        SettingsError: images and files do not belong together, another import was begun here, or the disk fails.
        DumpError: a file is not as its format says, or the dump cannot be made.
    """
    recording, asked = _whole(job), job.asked
    job = replace(job, recording=recording)
    _check_size(job)
    n_images = asked.n_images if recording.n_images is None else recording.n_images
    ids = job.rows[:n_images]
    population = replace(job.population, images=job.population.images[: int((ids >= 0).sum())])
    if not population.images:
        raise SettingsError("--images: none of the images that were run can be read; give them as they were")
    lot = lot_of(population, job.settings)
    look = _looked(recording, asked.n_images, _pilot(job, ids, lot), progress, stopping)
    if recording.n_images is None:
        check_seen(look.last, asked, str(recording.files[0].parent))
    lost = recording.lost(look.fired)
    notes = (*recording.notes, *_notes(recording, look, n_images, lost))
    with job.state.held(), ExitStack() as files:
        plan = _planned(job, population, look)
        grid = recording.layout.grid
        shape = (0 if grid is None else recording.layout.n_patches, N_HASHED)
        (collector,) = collectors_of([_source(job, plan)], [shape], plan, lot, job.state.folder, files)
        _pass(job, collector, ids, progress, stopping)
        whole = Harvest(collector, population, job.settings, grid, job.frame, frozenset(lost.tolist()))
        written = _write(job, whole, plan, notes)
        job.state.end()
    return Brought(written, tuple(lost.tolist()), notes)


def _whole(job: Job) -> Recording:
    """Returns the recording with the size of the dictionary that was given."""
    recording, n_latents = job.recording, job.n_latents
    if n_latents is None or n_latents == recording.n_latents:
        return recording
    if n_latents < recording.n_latents:
        raise SettingsError(f"--n-latents {n_latents}: {recording.files[-1]} is of {recording.n_latents:,} latents")
    rest = np.arange(recording.n_latents, n_latents)
    lost = recording.lost
    return replace(recording, n_latents=n_latents, lost=lambda fired: np.union1d(lost(fired), rest))


def _check_size(job: Job) -> None:
    n_latents = job.recording.n_latents
    if n_latents > MOST_LATENTS:
        raise DumpError(
            f"{job.recording.files[-1]}: says that there are {n_latents:,} latents; expected at most {MOST_LATENTS:,}; "
            "copy or record it again"
        )
    if job.widths and (job.widths[-1] != n_latents or list(job.widths) != sorted({*job.widths})):
        raise SettingsError(f"--widths: must ascend and end with the number of latents, {n_latents}")


def _pilot(job: Job, ids: Ints, lot: Lot) -> Ints:
    """Returns the rows of the images by which the threshold is found; none where it is given."""
    if job.settings.active_above is not None:
        return np.zeros(0, np.int64)
    return np.flatnonzero(np.isin(ids, lot.images[:N_PILOT]))


def _looked(
    recording: Recording,
    n_images: int,
    pilot: Ints,
    progress: Callable[[str, int, int | None], None],
    stopping: Callable[[], bool],
) -> _Look:
    """Reads everything once, so that what cannot be is refused before anything is written."""
    n_latents = recording.n_latents
    look = _Look(
        np.zeros(n_latents, np.bool_), np.zeros(n_images, np.bool_), np.zeros((len(pilot), n_latents), np.float32)
    )
    place = np.full(n_images, -1, np.int64)
    place[pilot] = np.arange(len(pilot))
    done = 0
    for events in recording.chunks.whole():
        done += len(events.values)
        look.fired[events.latents] = True
        look.seen[events.images] = True
        kept = _patches(events, recording.layout)
        look.n_ignored += len(events.values) - len(kept.values)
        look.n_negative += int((kept.values < 0).sum())
        here = place[kept.images] >= 0
        np.maximum.at(look.pilot, (place[kept.images[here]], kept.latents[here]), kept.values[here])
        progress("activations checked", done, None)
        if stopping():
            raise KeyboardInterrupt
    look.last = int(np.flatnonzero(look.seen)[-1]) if look.seen.any() else -1
    return look


def _patches(events: Events, layout: Layout) -> Events:
    """Returns what lies at patches, with their numbers as positions; 0 without a grid."""
    patch = events.positions - layout.first
    found = events._replace(positions=patch).at((patch >= 0) & (patch < layout.n_patches))
    return found if layout.grid is not None else found._replace(positions=np.zeros(len(found.images), np.int64))


def _notes(recording: Recording, look: _Look, n_images: int, lost: Ints) -> Iterator[str]:
    if len(lost):
        yield f"the files of {recording.tool} do not hold latents {ranges(lost.tolist())}, which are not in the dump"
    if look.n_ignored:
        yield f"{look.n_ignored:,} activations lie at positions that are no patches and do not count"
    if look.n_negative:
        yield f"{look.n_negative:,} activations are below 0 and count as 0"
    if n_silent := int((~look.seen[:n_images]).sum()):
        yield f"{n_silent:,} images have no activation at all, as if they had not been run; they count as silent"


def ranges(numbers: Sequence[int]) -> str:
    """Writes ascending numbers with ranges, such as `3, 7, 12-15`."""
    parts: list[list[int]] = []
    for n in numbers:
        if parts and parts[-1][-1] == n - 1:
            parts[-1].append(n)
        else:
            parts.append([n])
    return ", ".join(str(p[0]) if len(p) == 1 else f"{p[0]}-{p[-1]}" for p in parts)


def _planned(job: Job, population: Population, look: _Look) -> Plan:
    """Returns the plan of the import that was begun, or a new one."""
    begun, settings, recording = job.state.plan(), job.settings, job.recording
    if begun is None and job.dump.exists():
        raise DumpError(f"{job.dump}: exists already; a dump is written once, so give another folder")
    above = threshold(look.pilot, settings.density) if settings.active_above is None else settings.active_above
    digest = _digest(recording, job.widths, job.frame)
    coder = PlannedCoder(name=recording.tool, digest=digest, reads=job.hookpoint, above=float(np.float32(above)))
    plan = Plan(
        created=now() if begun is None else begun.created,
        settings=settings,
        population=population_digest(population),
        backbone=job.model,
        coders=(coder,),
    )
    if begun is None:
        job.state.begin(plan)
        return plan
    difference = "the files or their names were others" if begun.coders != plan.coders else begun.differs(plan)
    if difference is not None:
        raise SettingsError(
            f"{job.state.folder}: an import was begun in which {difference}; give the same again, or remove the folder"
        )
    return plan


def _digest(recording: Recording, widths: tuple[int, ...], frame: Frame | None) -> str:
    """Returns the SHA-256, hex, over what the files are, as far as it can be told without reading them again."""
    found = hashlib.sha256(f"{recording.tool} {recording.layout} {recording.n_latents} {widths} {frame}\n".encode())
    for path in recording.files:
        stat = path.stat()
        found.update(f"{path.name} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return found.hexdigest()


def _source(job: Job, plan: Plan) -> Source:
    recording = job.recording
    return Source(
        name=recording.tool,
        encoder=Sizes(n_latents=recording.n_latents, widths=job.widths or (recording.n_latents,)),
        reads=job.hookpoint,
        hookpoint=job.hookpoint,
        about=f"as {recording.tool} recorded it",
        digest=plan.coders[0].digest,
    )


def _pass(
    job: Job,
    collector: Collector,
    ids: Ints,
    progress: Callable[[str, int, int | None], None],
    stopping: Callable[[], bool],
) -> None:
    """Brings the collector to the last image, with checkpoints on the way."""
    kept = done = job.state.resume([collector])
    progress("images imported", done, len(ids))
    hashed = _hashed(job.recording.n_latents)
    attribute = np.array([bool(image.attribute) for image in job.population.images], np.bool_)
    for stop, events in job.recording.chunks.batches(done) if done < len(ids) else ():
        batch = events._replace(images=events.images - done)
        _take(collector, job.recording.layout, ids[done:stop], batch, attribute, hashed)
        done = stop
        progress("images imported", done, len(ids))
        if stopping():
            job.state.commit(done, [collector])
            raise KeyboardInterrupt
        if done - kept >= CHECKPOINT_EVERY or done == len(ids):
            job.state.commit(done, [collector])
            kept = done


def _take(
    collector: Collector, layout: Layout, ids: Ints, events: Events, attribute: Bools, hashed: tuple[Ints, Floats]
) -> None:
    """Gives a batch to the collector, without images that cannot be read.

    Args:
        collector: of the import.
        layout: of the recording.
        ids: of the batch's images, -1 for one that cannot be read.
        events: of the batch, images counted within it.
        attribute: of all images that can be read, by id.
        hashed: place and sign of each latent in an image's vector.
    """
    images = ids[ids >= 0]
    if not len(images):
        return
    place = np.where(ids >= 0, np.cumsum(ids >= 0) - 1, -1)
    kept = _patches(events, layout)
    kept = kept._replace(images=place[kept.images])
    kept = kept.at((kept.values > 0) & (kept.images >= 0))
    if len(collector.source.encoder.widths) > 1:
        kept = kept.at(np.lexsort((-kept.values, kept.positions, kept.images)))
    entries = Entries(images=kept.images, patches=kept.positions, latents=kept.latents, values=kept.values)
    vectors = _vectors(entries, len(images), hashed)
    collector.take(
        images, entries, vectors, attribute[images], n_patches=1 if layout.grid is None else layout.n_patches
    )


def _hashed(n_latents: int) -> tuple[Ints, Floats]:
    """Returns the place of each latent in an image's vector, and its sign, as if drawn."""
    drawn = keys(0, "likeness", np.arange(n_latents))
    place = (drawn >> np.uint64(1)) % np.uint64(N_HASHED)
    return place.astype(np.int64), 1.0 - 2.0 * (drawn & np.uint64(1)).astype(np.float64)


def _vectors(entries: Entries, n: int, hashed: tuple[Ints, Floats]) -> Peaks:
    """Returns [n, N_HASHED]: the activations of each image, summed over its patches and then hashed with signs.

    Products of such vectors are, on the mean over the hash, those of the activations themselves (Weinberger et al.
    2009), in place of what the coder reads, which a recording does not hold.
    """
    place, sign = hashed
    at = entries.images * N_HASHED + place[entries.latents]
    weights = sign[entries.latents] * entries.values
    return np.bincount(at, weights, minlength=n * N_HASHED).reshape(n, N_HASHED).astype(np.float32)


def _write(job: Job, whole: Harvest, plan: Plan, notes: tuple[str, ...]) -> Harvested:
    by = f"autointerp {__version__}, import {job.recording.tool} --seed {job.settings.seed}"
    info = dump_info(whole, name=job.name, created=plan.created, created_by="; ".join((by, *notes)), model=job.model)
    info = info.model_copy(update={"model": job.model})
    return written_once(whole, info, job.dump, job.store)
