"""`autointerp merge`: the shards of a run into it, or those of a harvest into its dumps."""

from pathlib import Path
from typing import TYPE_CHECKING

from autointerp.commands.harvest import harvest
from autointerp.commands.merge import Merge
from autointerp.counting import Counting
from autointerp.dump.format import INFO_FILE
from autointerp.remote.path import as_path
from autointerp.shards.merge import MergeResult
from autointerp.shards.merge import run as merge_run
from autointerp.transcoder.harvest.folders import PLAN, shards_folder

if TYPE_CHECKING:
    from autointerp.jobs.harvesting import HarvestResult


def run(settings: Merge, *, progress: Counting | None = None) -> "MergeResult | HarvestResult":
    """Merges the shards that are there.

    Raises:
        RunError: a part of a run has other settings, is being written, or is damaged.
        SettingsError: a shard of a harvest is missing, being worked on, of another harvest or damaged.
        DumpError: a dump cannot be made.
    """
    place = as_path(settings.run)
    if isinstance(place, Path):
        if (shards_folder(place) / PLAN).exists():
            # Where the extra is missing, its name is told.
            harvest.load()
            from autointerp.jobs.harvesting import merged

            return merged(place, keep=settings.keep, progress=progress)
        if (place / INFO_FILE).exists():
            return MergeResult(place)
    return merge_run(settings)
