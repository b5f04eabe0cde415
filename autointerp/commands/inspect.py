"""`autointerp inspect`: what a dump holds, what is wrong with it, and one feature's contact sheet."""

from pathlib import Path

from autointerp.options import Work
from autointerp.settings import OfDump


class Inspect(OfDump):
    """Show what is in a dump: counts, widths, densities, what is missing or odd.

    Exit code 2 if --check finds a row that is not as the format says.

    Example: `autointerp inspect DUMP --feature 12 --out sheet.png`
    """

    feature: int | None = None
    """The feature whose contact sheet is drawn, instead of the summary."""
    out: Path = Path("sheet.png")
    """The file that the contact sheet is drawn to, .png or .jpg."""
    check: bool = False
    """Read every row and image file, and list what is wrong or odd."""


inspect = Work(Inspect, "autointerp.jobs.inspect:run")
