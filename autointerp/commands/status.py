"""`autointerp status`: how far a run is."""

from typing import Annotated

from autointerp.options import Option, Work
from autointerp.settings import OfRun


class Status(OfRun):
    """Show how far a run is, its scores so far, what failed and what it cost.

    Example: `autointerp status runs/first`
    """

    judge: Annotated[str | None, Option(default="the first one")] = None
    """Of a run that several judges scored, the one whose scores are shown; where it has several, as JUDGE@DIGEST."""


status = Work(Status, "autointerp.jobs.status:run")
