"""`autointerp status`: how far a run is."""

from autointerp.options import Work
from autointerp.settings import OfRun


class Status(OfRun):
    """Show how far a run is, its scores so far, what failed and what it cost.

    Example: `autointerp status runs/first`
    """


status = Work(Status, "autointerp.jobs.status:run")
