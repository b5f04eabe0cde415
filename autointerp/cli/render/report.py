"""What `autointerp report` prints."""

from typing import TYPE_CHECKING

import typer

from autointerp.cli.printing import print_json

if TYPE_CHECKING:
    from pathlib import Path

    from autointerp.commands.report import Report


def show(result: "Path | str", settings: "Report", *, as_json: bool) -> int:
    """Prints where the report is."""
    if as_json:
        print_json({"report": str(result)})
    else:
        typer.echo(f"report: {result}")
    return 0
