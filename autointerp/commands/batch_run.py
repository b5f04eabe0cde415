"""`autointerp batch run`: a batch job, driven to its end."""

from typing import Annotated

from pydantic import Field

from autointerp.options import Argument, Command, Option, Work
from autointerp.settings import Addresses, Budget, Location


class BatchRun(Command):
    """Submit, wait, collect, and again, until every recorded command is done; start it again after a stop.

    Example: `autointerp batch run runs/first --poll 300`
    """

    run: Annotated[Location, Argument()]
    """The folder of the run, or of the file of a calibration; or its URL, such as s3://bucket/run."""
    poll: float = Field(default=60.0, ge=0.01)
    """How many seconds lie between two looks at the endpoint."""
    keep: bool = False
    """Keep files of requests whose every line is answered."""
    budget: Annotated[Budget | None, Option(default="that of the recorded command")] = None
    """Stop before the questions written now are expected to use more than this: 2.50usd or 3M tokens."""
    trust_address: Annotated[Addresses, Option(panel="Endpoint and limits")] = ()
    """A server that only the run folder names and that may be asked; it is remembered. Repeat it for several."""


batch_run = Work(BatchRun, "autointerp.jobs.batch.run:run")
