"""`autointerp harvest`: a folder of images and stored coders to a dump each."""

import hashlib
from dataclasses import replace
from pathlib import Path

from autointerp.commands.harvest import Harvest
from autointerp.counting import Counting, Uncounted
from autointerp.dump.format import INFO_FILE
from autointerp.errors import DumpError, SettingsError
from autointerp.jobs.harvest_ray import at_url_on_ray, in_folder_on_ray
from autointerp.jobs.harvesting import HarvestResult, on_this_machine
from autointerp.jobs.ray_work import is_on_ray
from autointerp.places import cache_folder
from autointerp.remote.path import RemotePath, as_path
from autointerp.remote.sending import send_folder
from autointerp.transcoder.settings import WorkplaceOfNetworks

DUMPS = "dumps"
"""Folder of the cache in which dumps for a URL are made."""


def run(settings: Harvest, *, progress: Counting | None = None) -> HarvestResult:
    """Runs a population of images through a backbone and one or several coders, and writes a dump for each coder.

    Called again with the same settings after a stop, it goes on from the last checkpoint and ends in the same dumps.
    One shard runs its part of the images, and writes no dump.

    Raises:
        SettingsError: an image folder, a coder or the backbone cannot be used.
        DumpError: the dump exists, or cannot be made.
    """
    progress, target = progress or Uncounted(), as_path(settings.dump)
    on_ray = is_on_ray(settings.workplace)
    if isinstance(target, RemotePath):
        return _to_url(settings, target, progress, on_ray=on_ray)
    return in_folder_on_ray(settings, progress) if on_ray else on_this_machine(settings, progress)


def _to_url(settings: Harvest, target: RemotePath, progress: Counting, *, on_ray: bool) -> HarvestResult:
    """Harvests into a folder of the cache, in which a stop is gone on with, and sends what was made."""
    if settings.shard is not None:
        raise SettingsError(
            f"{target}: --shard needs a folder that all shards see; for many machines without one give --engine ray"
        )
    if _there(target):
        raise DumpError(f"{target}: exists; name another place for the dump")
    home = cache_folder() / DUMPS / hashlib.sha256(target.url.encode()).hexdigest()[:16]
    folder = home / target.name
    if on_ray:
        result, shards = at_url_on_ray(settings, target, folder, progress)
        send_folder(folder, target, last=INFO_FILE)
        shards.remove()
    else:
        local = {"dump": str(folder), "workplace": WorkplaceOfNetworks()}
        result = on_this_machine(settings.model_copy(update=local), progress)
        send_folder(folder, target, last=INFO_FILE)
    home.rmdir()
    own = (replace(made, dump=target / Path(str(made.dump)).relative_to(folder).as_posix()) for made in result.dumps)
    return result._replace(dumps=tuple(own))


def _there(target: RemotePath) -> bool:
    """Whether the store, which is asked before anything is run, has a dump in that place."""
    try:
        return (target / INFO_FILE).exists()
    except OSError as error:
        raise DumpError(f"{target}: cannot be read: {error}") from error
