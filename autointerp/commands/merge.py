"""`autointerp merge`: joins the shards of a run, or those of a harvest."""

from typing import Annotated

from autointerp.options import Argument, Work
from autointerp.settings import Location, OfRun


class Merge(OfRun):
    """Merge the shards of a run into it, what `explain --shard` and `score --shard` wrote, or of a harvest into a dump.

    It may be interrupted and run again. Shards of a run that are not done yet can be merged later; a dump needs all of
    what `harvest --shard` wrote.

    Example: `autointerp merge runs/first`
    """

    run: Annotated[Location, Argument()]
    """The folder of the run, or its URL, such as s3://bucket/run; or the dump that `harvest --shard` is to make."""
    keep: bool = False
    """Keep the parts, in RUN/parts/merged/; those of a dump stay where they are."""


merge = Work(Merge, "autointerp.jobs.merge:run")
