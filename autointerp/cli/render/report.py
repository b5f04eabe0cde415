"""Prints what `autointerp report` did."""

from pathlib import Path

from autointerp.cli.printing import tell
from autointerp.commands.report import Report


def show(result: Path | str, settings: Report, *, as_json: bool) -> int:
    """Prints where the report is."""
    return tell([f"report: {result}"], {"report": str(result)}, as_json=as_json)
