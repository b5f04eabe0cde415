"""What `autointerp batch collect` prints."""

import dataclasses
from typing import TYPE_CHECKING

import typer

from autointerp.cli.printing import print_json
from autointerp.cli.render import batch

if TYPE_CHECKING:
    from autointerp.commands.batch_collect import BatchCollect
    from autointerp.jobs.batch.collect import CollectResult


def show(result: "CollectResult", settings: "BatchCollect", *, as_json: bool) -> int:
    """Prints what the results held."""
    if as_json:
        print_json({**dataclasses.asdict(result), "unusable": dict(result.unusable), "errors": dict(result.errors)})
    else:
        for line in batch.collected(result):
            typer.echo(line)
    return 0
