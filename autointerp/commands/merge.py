"""`autointerp merge`: joins the shards of a run."""

from autointerp.options import Work
from autointerp.settings import OfRun


class Merge(OfRun):
    """Merge the shards of a run into it: what `explain --shard` and `score --shard` wrote.

    It may be interrupted and run again; shards that are not done yet can be merged later.

    Example: `autointerp merge runs/first`
    """

    keep: bool = False
    """Keep the parts, in RUN/parts/merged/."""


merge = Work(Merge, "autointerp.shards.merge:run")
