"""`autointerp report`: a run as one HTML file."""

from pathlib import Path
from typing import Annotated

from pydantic import PositiveInt

from autointerp.options import Argument, Option, Work
from autointerp.settings import Location, OfRun


class Report(OfRun):
    """Write a run as one HTML file that opens from disk.

    Example: `autointerp report runs/first --out first.html`
    """

    out: Annotated[Path | None, Argument(option=True), Option(default="RUN/report.html")] = None
    """The file that is written."""
    limit: PositiveInt = 200
    """The most features with a card; all are in the summary."""
    title: str | None = None
    """The title of the page."""
    dump: Annotated[Location | None, Option(panel="Files")] = None
    """Where the dump of the run is now, if it was moved; or its URL."""
    allow_outside: Annotated[bool, Option(panel="Files")] = False
    """Trust the image paths of the dump even where they leave its folder."""


report = Work(Report, "autointerp.jobs.report:run")
