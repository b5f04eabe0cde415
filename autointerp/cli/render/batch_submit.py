"""What `autointerp batch submit` prints."""

from typing import TYPE_CHECKING

from autointerp.cli.printing import exit_code
from autointerp.cli.render import batch
from autointerp.cli.terminal import say, say_json
from autointerp.errors import EndpointError

if TYPE_CHECKING:
    from autointerp.commands.batch_submit import BatchSubmit
    from autointerp.jobs.batch.submit import SubmitResult


def show(result: "SubmitResult", settings: "BatchSubmit", *, as_json: bool) -> int:
    """Prints what was written and sent; exit code 1 if a stage failed, 3 if it was stopped."""
    if as_json:
        say_json(batch.submitted_as_json(result))
    else:
        for line in batch.submitted(result):
            say(line)
    if result.problem is not None:
        raise EndpointError(result.problem)
    failed = any(r.failed and not r.deferred for r in result.results.values())
    return exit_code(complete=not failed and not result.left, halted=result.stopped is not None)
