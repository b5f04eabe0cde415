"""What `autointerp batch status` prints."""

from typing import TYPE_CHECKING

from autointerp.cli.render import batch
from autointerp.cli.terminal import say, say_json

if TYPE_CHECKING:
    from autointerp.commands.batch_status import BatchJob
    from autointerp.jobs.batch.run import BatchStatus


def show(result: "BatchStatus", settings: "BatchJob", *, as_json: bool) -> int:
    """Prints how far the batch job is."""
    if as_json:
        say_json(result.model_dump(mode="json"))
    else:
        for line in batch.status(result):
            say(line)
    return 0
