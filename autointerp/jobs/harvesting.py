"""The work of a harvest in one process, and the merging of its shards: images and stored coders to a dump each."""

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple, Unpack

from autointerp.commands.harvest import Harvest
from autointerp.counting import Counting, Uncounted, counted
from autointerp.errors import SettingsError, typed
from autointerp.images.formats import LeftOut
from autointerp.images.manifest import Layered, Manifest
from autointerp.pipeline import Stop
from autointerp.places import cache_folder
from autointerp.populations.images import Population, read_population
from autointerp.populations.labels import LabelOptions
from autointerp.populations.opening import anywhere
from autointerp.shards.shards import Shard, parse_shard
from autointerp.transcoder.backbones.protocol import Backbone, grid_of
from autointerp.transcoder.coder_io import ForeignInfo, StoredCoder
from autointerp.transcoder.harvest.folders import PLAN, shards_folder, state_folder
from autointerp.transcoder.harvest.forecast import Forecast, forecast
from autointerp.transcoder.harvest.network import open_network
from autointerp.transcoder.harvest.run import Harvested, Job, harvest
from autointerp.transcoder.harvest.sharding import ShardDone, harvest_shard, merge_shards
from autointerp.transcoder.harvest.shared_plan import Listed, Shards
from autointerp.transcoder.harvest.source import Source, load_sources, stored_coders
from autointerp.transcoder.harvest.state import State
from autointerp.transcoder.harvest.writing import Store
from autointerp.transcoder.precision import used_precision

DUMPS = "dumps"
"""Folder of the cache in which dumps for a URL are made."""


class HarvestResult(NamedTuple):
    """Describes what a harvest wrote."""

    dumps: tuple[Harvested, ...]
    """In the order of the coders."""
    broken: tuple[str, ...]
    """One line for each image file that cannot be read and is left out."""
    left_out: tuple[LeftOut, ...]
    """All files that are left out, by kind."""
    store: Store
    """What the dumps hold of their images: bytes also where no file holds an image alone."""
    shard: ShardDone | None = None
    """What became of a shard, which writes no dump."""


def on_this_machine(settings: Harvest, progress: Counting) -> HarvestResult:
    """Harvests in this process: all images, or one shard, which writes no dump.

    Raises:
        SettingsError: an image folder, a coder or the backbone cannot be used.
        DumpError: the dump exists, or cannot be made.
    """
    settings = _without_former(settings, progress)
    shard = None if settings.shard is None else parse_shard(settings.shard)
    _refuse_other(settings.folder, shard)
    if shard is not None:
        shards, manifest = Shards(shards_folder(settings.folder)), _manifest(settings.folder)
        return one_shard(settings, listed(settings), shards, shard, manifest, progress)
    job = open_job(settings, Manifest(cache_folder()), None, progress)
    population, stop = job.population, Stop()
    told = _telling(progress, partial(_forecast, job))
    with stop.on_interrupt_without_loop():
        written = harvest(job, told, lambda: stop.reason is not None)
    return HarvestResult(tuple(written), population.broken, population.left_out, _held(job.store, population))


def one_shard(
    settings: Harvest, how: Listed, shards: Shards, shard: Shard, manifest: Manifest, progress: Counting
) -> HarvestResult:
    """Runs one shard.

    Args:
        settings: of the harvest.
        how: a merge reads the population.
        shards: where all of them lie.
        shard: which of them.
        manifest: remembers images.
        progress: is told images harvested.

    Raises:
        SettingsError: an image folder, a coder or the backbone cannot be used.
        DumpError: the dump exists.
    """
    job = open_job(settings, manifest, shard, progress)
    population, stop = job.population, Stop()
    told = _telling(progress, partial(_forecast, job))
    with stop.on_interrupt_without_loop():
        done = harvest_shard(job, how, shards, shard.index, shard.of, told, lambda: stop.reason is not None)
    return HarvestResult((), population.broken, population.left_out, _held(job.store, population), done)


def merged(dump: Path, *, keep: bool, progress: Counting | None, named: Sequence[str] = ()) -> HarvestResult:
    """Merges the shards of a harvest, and writes the dumps that one process would have written.

    Args:
        dump: as it was named when the shards were run.
        keep: leaves the shards.
        progress: is told shards merged.
        named: how the coders were named, where the shards know them by other names.

    Raises:
        SettingsError: a shard is missing, being worked on, of another harvest or damaged, or the images are others.
        DumpError: a dump cannot be made.
    """
    shards = Shards(shards_folder(dump))
    shared = shards.plan()
    assert shared is not None, "whoever calls has seen it"
    population = read_listed(shared.listed, _manifest(dump))
    return merge_into(dump, shards, population, keep=keep, progress=progress, named=named)


def read_listed(how: Listed, manifest: Manifest) -> Population:
    """Reads a population again as it was read before.

    Raises:
        SettingsError: it cannot be read.
    """
    of_labels = how.model_dump(exclude={"images", "labels"})
    return _read(how.images, manifest, None, labels=None if how.labels is None else Path(how.labels), **of_labels)


def merge_into(
    dump: Path,
    shards: Shards,
    population: Population,
    *,
    keep: bool,
    progress: Counting | None,
    named: Sequence[str] = (),
) -> HarvestResult:
    """Merges shards into their dumps, as `merged`, of a population that was read."""
    shared = shards.plan()
    assert shared is not None, "whoever calls has seen it"
    told = counted(progress or Uncounted(), "shards merged")
    written = merge_shards(shards, population, partial(_dumps, dump), keep=keep, progress=told, named=named)
    return HarvestResult(tuple(written), population.broken, population.left_out, _held(shared.store, population))


def _without_former(settings: Harvest, progress: Counting) -> Harvest:
    """Reads a plain number for --shard as earlier versions did."""
    former = settings.shard or ""
    if not former.isdecimal():
        return settings
    if not int(former):
        raise SettingsError(f"--shard {former!r}: write it as 0/8, the first of eight")
    progress.note(f"--shard {former} is now --checkpoint-every {former}; the old name goes with the next version")
    own = settings.settings.model_copy(update={"checkpoint_every": int(former)})
    return settings.model_copy(update={"shard": None, "settings": own})


def _refuse_other(dump: Path, shard: Shard | None) -> None:
    """Stops where the same dump was begun by one process and is now asked of several, or the other way round."""
    whole, shards = state_folder(dump), shards_folder(dump)
    if shard is None and (shards / PLAN).exists():
        merge = f"autointerp merge {typed(dump)}"
        raise SettingsError(f"{shards}: shards of this dump were begun; end them and `{merge}`, or remove the folder")
    if shard is not None and (whole / PLAN).exists():
        raise SettingsError(f"{whole}: this dump was begun as a whole; go on without --shard, or remove the folder")


def listed(settings: Harvest) -> Listed:
    """Says how a merge reads the population again, with absolute paths of what is on this machine.

    Raises:
        SettingsError: it was made in Python, where no other process finds it.
    """
    images, labels = settings.images, settings.labels
    if not isinstance(images, str):
        raise SettingsError("--shard: what is made in Python cannot be read again by merge; give a folder or a file")
    return Listed(
        images=anywhere(images),
        labels=None if labels is None else str(labels.absolute()),
        attribute=settings.settings.attribute,
        error_folders=settings.error_folders,
        **settings.columns.model_dump(),
    )


def absolute(text: str) -> str:
    """Returns a path that holds in any working folder; what is no path, such as `raw:HOOKPOINT`, stays as it is."""
    return str(Path(text).absolute()) if os.path.lexists(text) else text


def _dumps(target: Path, names: Sequence[str]) -> list[Path]:
    """Returns the dump of each coder."""
    return [target] if len(names) == 1 else [target / name for name in names]


def _manifest(dump: Path) -> Manifest:
    """Returns what remembers images for all shards, of which each looks at its own share first."""
    return Layered(Manifest(cache_folder()), Manifest(shards_folder(dump)))


def _read(source: object, manifest: Manifest, shard: Shard | None, **of_labels: Unpack[LabelOptions]) -> Population:
    """Reads the population, of which a shard sees its own share first and finds there what others have seen."""
    if shard is not None:
        # A share without an image that can be read is no fault.
        with suppress(SettingsError):
            read_population(
                source,  # pyright: ignore[reportArgumentType] - whatever was given is told apart there
                manifest=manifest,
                draw=lambda n: range(n * shard.index // shard.of, n * (shard.index + 1) // shard.of),
                **of_labels,
            )
    return read_population(source, manifest=manifest, **of_labels)  # pyright: ignore[reportArgumentType] - as above


def labels_of(settings: Harvest) -> LabelOptions:
    """Returns what says what images are."""
    return LabelOptions(
        labels=settings.labels,
        attribute=settings.settings.attribute,
        error_folders=settings.error_folders,
        **settings.columns.model_dump(),
    )


def open_job(settings: Harvest, manifest: Manifest, shard: Shard | None, progress: Counting) -> Job:
    """Opens all that a harvest reads.

    Args:
        settings: of the harvest.
        manifest: remembers images.
        shard: that sees its own images first; None for one that sees all at once.
        progress: is told what there is to say of the coders and images.

    Raises:
        SettingsError: an image folder, a coder or the backbone cannot be used.
    """
    stored = stored_coders(settings.coders, settings.reads)
    for spec, one in stored.items():
        if isinstance(one.info, ForeignInfo) and one.info.note is not None:
            progress.note(f"--coder {spec}: {one.info.note}")
    network = open_network(settings.backbone, stored, classifier=settings.classifier, device=settings.device)
    model = network.model
    sources = load_sources(settings.coders, stored, model, settings.device)
    for told in _said_of(sources, stored, model):
        progress.note(told)
    population = _read(settings.images, manifest, shard, **labels_of(settings))
    for note in _notes(population, settings):
        progress.note(note)
    dumps = _dumps(settings.folder, [s.name for s in sources])
    return Job(
        backbone=model,
        classifier=network.classifier,
        population=population,
        targets=tuple(zip(sources, dumps, strict=True)),
        settings=settings.settings,
        state=State(state_folder(settings.folder)),
        batch=settings.batch,
        store=settings.store,
        precision=used_precision(settings.precision, settings.device),
        device=settings.device,
    )


def _said_of(sources: Sequence[Source], stored: Mapping[str, StoredCoder], model: Backbone) -> Iterator[str]:
    """Says what was recognised of other tools' coders, and which dumps have no heat maps."""
    for source in sources:
        if source.origin is not None and isinstance(stored[source.origin.source].info, ForeignInfo):
            yield f"{source.name}: a coder of {source.origin.format}, reads {source.reads} of {model.name}"
        if model.hookpoints[source.reads].kind == "pooled":
            yield f"{source.name}: reads {source.reads}, one vector an image, so that its dump has no heat maps"


def _held(store: Store, population: Population) -> Store:
    return store if any(image.path is not None for image in population.images) else "bytes"


def _notes(population: Population, settings: Harvest) -> Iterator[str]:
    yield from population.notes
    if settings.store == "paths" and any(image.path is None for image in population.images):
        yield (
            f"{population.root}: no file holds an image of it alone, so the dump holds the bytes of those it uses, as "
            "with --store bytes"
        )


def _forecast(job: Job) -> Forecast:
    grids = [math.prod(grid_of(job.backbone, source.reads)) for source in job.sources]
    n_latents = [source.encoder.n_latents for source in job.sources]
    return forecast(job.population.images, n_latents, job.settings, max(grids))


def _telling(progress: Counting, size: Callable[[], Forecast]) -> Callable[[int, int], None]:
    begun = False

    def tell(done: int, total: int) -> None:
        nonlocal begun
        if not begun and not done:
            progress.note(str(size()))
        elif not begun:
            progress.note(f"going on after {done:,} of {total:,} images")
        begun = True
        progress.count("images harvested", done, total)

    return tell
