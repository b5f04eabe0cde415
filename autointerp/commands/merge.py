"""`autointerp merge`: joins the shards of a run."""

from typing import TYPE_CHECKING

from autointerp.options import python_function
from autointerp.settings import OfRun

if TYPE_CHECKING:
    from autointerp.jobs.common import Progress
    from autointerp.jobs.merging import MergeResult


class Merge(OfRun):
    """Merge the shards of a run into it: what `explain --shard` and `score --shard` wrote.

    It may be interrupted and run again; shards that are not done yet can be merged later.

    Example: `autointerp merge runs/first`
    """

    keep: bool = False
    """Keep the parts, in RUN/parts/merged/."""


def run(settings: Merge, *, progress: "Progress | None" = None) -> "MergeResult":
    """Merges what is there."""
    from autointerp.jobs.merging import merge as merge_parts
    from autointerp.jobs.remote_runs import run_at, url_of

    with run_at(settings.run) as folder:
        result = merge_parts(folder, keep=settings.keep)
        result.run = url_of(result.run, folder, settings.run)
    return result


merge = python_function(Merge, run)
