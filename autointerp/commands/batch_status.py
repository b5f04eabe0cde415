"""`autointerp batch status`: how far a batch job is."""

from typing import Annotated

from autointerp.options import Argument, Command, Option, Work
from autointerp.settings import Addresses, Location


class BatchJob(Command):
    """Show how far a batch job is and what to do next.

    Example: `autointerp batch status runs/first`
    """

    run: Annotated[Location, Argument()]
    """The folder of the run, or of the file of a calibration; or its URL, such as s3://bucket/run."""
    trust_address: Annotated[Addresses, Option(panel="Endpoint and limits")] = ()
    """A server that only the run folder names and that may be asked; it is remembered. Repeat it for several."""


batch_status = Work(BatchJob, "autointerp.jobs.batch.run:run_status")
