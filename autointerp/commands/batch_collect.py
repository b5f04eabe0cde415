"""`autointerp batch collect`: the results of batch jobs, put into the cache."""

from pathlib import Path
from typing import Annotated

from autointerp.options import Argument, Command, Option, Work
from autointerp.settings import Addresses, Location


class BatchCollect(Command):
    """Put the results of batch jobs into the cache: result and error files in any order, partial or repeated.

    Example: `autointerp batch collect runs/first`, or of files: `autointerp batch collect runs/first out-*.jsonl`
    """

    run: Annotated[Location, Argument()]
    """The folder of the run, or of the file of a calibration; or its URL, such as s3://bucket/run."""
    files: Annotated[tuple[Path, ...], Argument(metavar="[FILES]...")] = ()
    """The result files; without any, the endpoint is asked."""
    keep: bool = False
    """Keep files of requests whose every line is answered."""
    trust_address: Annotated[Addresses, Option(panel="Endpoint and limits")] = ()
    """A server that only the run folder names and that may be asked; it is remembered. Repeat it for several."""


batch_collect = Work(BatchCollect, "autointerp.jobs.batch.collect:run")
