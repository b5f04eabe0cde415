"""What `autointerp batch collect` prints."""

import dataclasses
from typing import TYPE_CHECKING

from autointerp.cli.render import batch
from autointerp.cli.terminal import say, say_json

if TYPE_CHECKING:
    from autointerp.commands.batch_collect import BatchCollect
    from autointerp.jobs.batch.collect import CollectResult


def show(result: "CollectResult", settings: "BatchCollect", *, as_json: bool) -> int:
    """Prints what the results held."""
    if as_json:
        say_json({**dataclasses.asdict(result), "unusable": dict(result.unusable), "errors": dict(result.errors)})
    else:
        for line in batch.collected(result):
            say(line)
    return 0
