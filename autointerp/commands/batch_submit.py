"""`autointerp batch submit`: the questions that have no answer yet, sent as batch files."""

from typing import Annotated

from autointerp.options import Argument, Command, Option, Work
from autointerp.settings import Addresses, Budget, Location


class BatchSubmit(Command):
    """Write the questions that have no answer yet into batch files, and send them to the endpoint's Batch API.

    It goes through the commands that were given with `--batch`, in order; what is answered is recorded on the way.

    Example: `autointerp explain DUMP --run runs/first --batch`, then `autointerp batch submit runs/first`
    """

    run: Annotated[Location, Argument()]
    """The folder of the run, or of the file of a calibration; or its URL, such as s3://bucket/run."""
    files_only: bool = False
    """Only write the files; `vllm run-batch` reads them."""
    again: bool = False
    """Write again what stands in files that were not sent, and drop those."""
    budget: Annotated[Budget | None, Option(default="that of the recorded command")] = None
    """Stop before the questions written now are expected to use more than this: 2.50usd or 3M tokens."""
    trust_address: Annotated[Addresses, Option(panel="Endpoint and limits")] = ()
    """A server that only the run folder names and that may be asked; it is remembered. Repeat it for several."""


batch_submit = Work(BatchSubmit, "autointerp.jobs.batch.submit:run")
