"""What `autointerp batch run` prints."""

from typing import TYPE_CHECKING

from autointerp.cli.printing import exit_code
from autointerp.cli.render import batch
from autointerp.cli.terminal import say, say_json

if TYPE_CHECKING:
    from autointerp.commands.batch_run import BatchRun
    from autointerp.jobs.batch.run import DriveResult


def show(result: "DriveResult", settings: "BatchRun", *, as_json: bool) -> int:
    """Prints what became of the stages; exit code 1 if something is left to do."""
    if as_json:
        say_json(batch.driven_as_json(result))
    else:
        for line in batch.driven(result):
            say(line)
    return exit_code(complete=result.complete, halted=result.stopped is not None and not result.idle)
