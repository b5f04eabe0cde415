"""What `autointerp report` prints."""

from typing import TYPE_CHECKING

from autointerp.cli.terminal import say, say_json

if TYPE_CHECKING:
    from pathlib import Path

    from autointerp.commands.report import Report


def show(result: "Path | str", settings: "Report", *, as_json: bool) -> int:
    """Prints where the report is."""
    if as_json:
        say_json({"report": str(result)})
    else:
        say(f"report: {result}")
    return 0
