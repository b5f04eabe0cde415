"""`autointerp compare`: whether one run scores better than another."""

from typing import Annotated

from pydantic import NonNegativeInt

from autointerp.options import Argument, Command, Option, Work
from autointerp.settings import Location, Names


class Compare(Command):
    """Tell whether RUN_B scores better than RUN_A: two prompts, two models, two transcoders.

    Runs over one dump are compared feature by feature on the images that both judged, others as two samples of
    features. Intervals and p-values are over features; neither run's dump is read.

    Example: `autointerp compare runs/first runs/second`
    """

    run_a: Annotated[Location, Argument(metavar="RUN_A")]
    """The folder of the run to compare with, or its URL."""
    run_b: Annotated[Location, Argument(metavar="RUN_B")]
    """The folder of the run in question, or its URL."""
    scorers: Annotated[Names | None, Option(default="those that both runs have")] = None
    """The scorers, with commas between them."""
    seed: NonNegativeInt = 0
    """The seed of the bootstrap and the permutations."""


compare = Work(Compare, "autointerp.jobs.compare:run")
