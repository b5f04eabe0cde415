"""`autointerp import delphi`, `multimodal-sae`, `saev` and `sae-for-vlm`: recorded activations to a dump."""

from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np

from autointerp.commands.import_delphi import ImportDelphi
from autointerp.commands.import_multimodal_sae import ImportMultimodalSae
from autointerp.commands.import_recorded import ImportRecorded
from autointerp.commands.import_sae_for_vlm import ImportSaeForVlm
from autointerp.commands.import_saev import ImportSaev
from autointerp.counting import Counting, Uncounted, counted
from autointerp.dump.format import load_info
from autointerp.dump.importers.imported import Imported
from autointerp.dump.importers.rows import ends_of, rows_of
from autointerp.errors import SettingsError
from autointerp.images.manifest import Manifest
from autointerp.pipeline import Stop
from autointerp.places import cache_folder
from autointerp.populations.images import Population, look_at
from autointerp.populations.listing import Listing
from autointerp.statistics.rates import Ints
from autointerp.transcoder.harvest.state import State
from autointerp.transcoder.recorded.delphi import open_delphi
from autointerp.transcoder.recorded.events import Asked, Recording
from autointerp.transcoder.recorded.frames import cropped
from autointerp.transcoder.recorded.multimodal_sae import open_multimodal_sae
from autointerp.transcoder.recorded.road import Brought, Job, bring_in
from autointerp.transcoder.recorded.sae_for_vlm import open_sae_for_vlm
from autointerp.transcoder.recorded.saev import open_saev

Recorded = ImportDelphi | ImportMultimodalSae | ImportSaev | ImportSaeForVlm


class _Opened(Protocol):
    """What a tool wrote, opened."""

    @property
    def images(self) -> Path | None:
        """Where it says that the images lie; None where it does not."""
        ...

    def recording(self, asked: Asked) -> Recording:
        """Returns what it holds."""
        ...


def run(settings: Recorded, *, progress: Counting | None = None) -> Imported:
    """Writes a dump of what a tool recorded.

    Raises:
        DumpError: a file is not as its format says, or the dump exists.
        SettingsError: images and files do not belong together.
    """
    return _import(settings, _opened(settings), progress)


def _opened(settings: Recorded) -> _Opened:
    match settings:
        case ImportDelphi():
            return open_delphi(settings.src, settings.hookpoint)
        case ImportMultimodalSae():
            return open_multimodal_sae(settings.src, settings.hookpoint)
        case ImportSaev():
            return open_saev(settings.src, settings.shards)
        case ImportSaeForVlm():
            return open_sae_for_vlm(settings.src)


def _import(settings: ImportRecorded, opened: _Opened, progress: Counting | None) -> Imported:
    telling = progress or Uncounted()
    listing = _listing(settings, opened.images)
    asked = Asked(len(listing.entries), settings.population, settings.patch_grid)
    recording = opened.recording(asked)
    covered = replace(listing, entries=listing.entries[: recording.n_images])
    population = look_at(covered, manifest=Manifest(cache_folder()), progress=counted(telling, "images read"))
    name, target = settings.name or settings.src.resolve().name, settings.dump
    job = Job(
        recording=recording,
        asked=asked,
        population=population,
        rows=_rows(listing, population),
        n_latents=settings.n_latents,
        dump=target,
        name=name,
        model=settings.model or recording.model,
        hookpoint=settings.hookpoint or recording.hookpoint,
        frame=recording.frame if settings.crop is None else cropped(settings.crop),
        widths=settings.widths,
        settings=settings.settings,
        state=State(target.parent / f".{target.name}.import"),
        store=settings.store,
    )
    stop = Stop()
    with stop.on_interrupt_without_loop():
        brought = bring_in(job, telling.count, lambda: stop.reason is not None)
    return _imported(settings, brought, _said(settings, recording, listing), population)


def _listing(settings: ImportRecorded, stated: Path | None) -> Listing:
    """Lists the images that are given, or those that the files name."""
    if settings.images is None and stated is not None:
        if not stated.is_dir():
            raise SettingsError(f"--images: {settings.src} says they are at {stated}, which is not there; say where")
        settings = settings.model_copy(update={"images": str(stated)})
    return rows_of(settings, "those that were run, in their order")


def _rows(listing: Listing, population: Population) -> Ints:
    """Returns the id of each image that is listed, -1 for one that cannot be read."""
    ids = {image.name: image.image for image in population.images}
    return np.array([ids.get(entry.name, -1) for entry in listing.entries], np.int64)


def _said(settings: ImportRecorded, recording: Recording, listing: Listing) -> tuple[str, ...]:
    """Says which images the rows are taken for, and what the tool may have shown of them."""
    hint = f"{recording.tool} crops images of {recording.model}; --crop {recording.crop} lays heat maps where they were"
    told = recording.crop is None or recording.layout.grid is None or settings.crop is not None
    return (ends_of(listing),) if told else (ends_of(listing), hint)


def _imported(settings: ImportRecorded, brought: Brought, said: tuple[str, ...], population: Population) -> Imported:
    written = brought.written
    size = (
        f"{written.n_latents - len(brought.lost):,} latents ({written.n_dead:,} never fire above "
        f"{written.active_above:.4g}), {written.n_stored:,} images stored"
    )
    return Imported(
        **load_info(settings.dump).model_dump(),
        left_out=population.left_out,
        said=(size, *said, *brought.notes),
        outside=settings.store == "paths" and any(image.path is not None for image in population.images),
    )
