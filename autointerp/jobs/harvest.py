"""`autointerp harvest`: a folder of images and stored coders to a dump each."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from autointerp.commands.harvest import Harvest
from autointerp.counting import Counting, Uncounted
from autointerp.images.formats import LeftOut
from autointerp.images.manifest import Manifest
from autointerp.pipeline import Stop
from autointerp.places import cache_folder
from autointerp.transcoder.backbones.headed import Network, check_same, with_classifier
from autointerp.transcoder.backbones.names import parsed, typed_backbone
from autointerp.transcoder.backbones.registry import load_backbone
from autointerp.transcoder.classifier import load_info
from autointerp.transcoder.coder_io import ForeignInfo, StoredCoder
from autointerp.transcoder.coders.places import UNKNOWN
from autointerp.transcoder.harvest.forecast import Forecast, forecast
from autointerp.transcoder.harvest.run import Harvested, Job, harvest
from autointerp.transcoder.harvest.source import backbone_name, load_sources, stored_coders
from autointerp.transcoder.harvest.state import State
from autointerp.transcoder.population import read_population


class HarvestResult(NamedTuple):
    """Describes what a harvest wrote."""

    dumps: tuple[Harvested, ...]
    """In the order of the coders."""
    broken: tuple[str, ...]
    """One line for each image file that cannot be read and is left out."""
    left_out: tuple[LeftOut, ...]
    """All files that are left out, by kind."""


def run(settings: Harvest, *, progress: Counting | None = None) -> HarvestResult:
    """Runs a population of images through a backbone and one or several coders, and writes a dump for each coder.

    Called again with the same settings after a stop, it goes on from the last checkpoint and ends in the same dumps.

    Raises:
        SettingsError: an image folder, a coder or the backbone cannot be used.
        DumpError: the dump exists, or cannot be made.
    """
    target = settings.dump
    stored = stored_coders(settings.coders, settings.reads)
    for spec, one in stored.items():
        if isinstance(one.info, ForeignInfo) and one.info.note is not None:
            (progress or Uncounted()).note(f"--coder {spec}: {one.info.note}")
    network = _network(settings, stored)
    model = network.model
    sources = load_sources(settings.coders, stored, model, settings.device)
    manifest = Manifest(cache_folder())
    population = read_population(
        settings.images, labels=settings.labels, error_folders=settings.error_folders, manifest=manifest
    )
    dumps = [target] if len(sources) == 1 else [target / s.name for s in sources]
    job = Job(
        backbone=model,
        classifier=network.classifier,
        population=population,
        targets=tuple(zip(sources, dumps, strict=True)),
        settings=settings.settings,
        state=State(target.parent / f".{target.name}.harvest"),
        batch=settings.batch,
        store=settings.store,
    )
    stop = Stop()
    with stop.on_interrupt_without_loop():
        written = harvest(
            job, _telling(progress or Uncounted(), partial(_forecast, job)), lambda: stop.reason is not None
        )
    return HarvestResult(tuple(written), population.broken, population.left_out)


def _network(settings: Harvest, stored: dict[str, StoredCoder]) -> Network:
    """Opens what the coders read: the backbone that is named, or that they name, with the classifier's head if any."""
    name = settings.backbone and _named(settings.backbone, stored)
    if settings.classifier is None:
        network = Network(load_backbone(name or backbone_name(stored), device=settings.device), None)
    else:
        info = load_info(settings.classifier)
        base = load_backbone(name or info.backbone, seed=info.settings.seed, device=settings.device)
        network = with_classifier(base, settings.classifier)
    for spec, one in stored.items():
        if one.info.model != UNKNOWN:
            check_same(f"--coder {spec}", one.info.reads, one.info.classifier, network)
    return network


def _named(typed: str, stored: dict[str, StoredCoder]) -> str:
    """Returns the model that was typed, as the coders show pictures to it where these are of that model."""
    asked, models = parsed(typed), sorted({c.info.model for c in stored.values()})
    same = [m for m in models if (own := parsed(m)).base == asked.base and own.random == asked.random]
    return same[0] if asked.crop is None and len(same) == 1 else typed_backbone(typed)


def _forecast(job: Job) -> Forecast:
    rows, columns = job.backbone.patch_grid
    n_latents = [source.encoder.n_latents for source in job.sources]
    return forecast(job.population.images, n_latents, job.settings, rows * columns)


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
