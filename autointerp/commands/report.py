"""`autointerp report`: a run as one HTML file."""

from pathlib import Path
from typing import Annotated

from pydantic import NonNegativeInt, PositiveInt

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
    sample: PositiveInt | None = None
    """Instead of --limit, draw this many features with a card at random, one from each of as many equal strata of the
    score; the best, the median and the worst stand in for the nearest ones."""
    seed: NonNegativeInt = 0
    """The seed of --sample."""
    title: str | None = None
    """The title of the page."""
    judge: Annotated[str | None, Option(default="the first one")] = None
    """Of a run that several judges scored, the one whose scores are shown; where it has several, as JUDGE@DIGEST."""
    dump: Annotated[Location | None, Option(panel="Files")] = None
    """Where the dump of the run is now, if it was moved; or its URL."""
    allow_outside: Annotated[bool, Option(panel="Files")] = False
    """Trust the image paths of the dump even where they leave its folder."""


report = Work(Report, "autointerp.jobs.report:run")
