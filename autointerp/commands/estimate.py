"""`autointerp estimate`: tokens and dollars of explaining and scoring, before anything is sent."""

from typing import Annotated

from pydantic import BeforeValidator, NonNegativeInt

from autointerp.options import Group, Option, Work
from autointerp.settings import (
    UNSTEERED,
    Detail,
    ExplainSettings,
    Names,
    OfDump,
    OfFeatures,
    ScoreSettings,
    WithFiles,
    first_address,
)


class Estimate(WithFiles, OfFeatures, OfDump):
    """Tell what explaining and scoring would take, in tokens and dollars, before anything is sent.

    It takes the options of `explain` and `score`. Beneath the plan stand its alternatives, each different in one
    thing, for the models named (or the first of the well-known ones). Cheaper is not as good in every case:
    docs/costs-measured.md has what was measured.

    Example: `autointerp estimate DUMP --features all --models gpt-5-mini,claude-haiku-5.5`
    """

    models: Annotated[Names | None, Option(panel="Model", default="some well-known ones")] = None
    """The names of the models, with commas between them."""
    base_url: Annotated[
        str | None,
        BeforeValidator(first_address),
        Option(env="AUTOINTERP_BASE_URL", several=True, panel="Model"),
    ] = None
    """The server, since one of your own costs nothing."""
    seed: Annotated[NonNegativeInt, Option(panel="Which features")] = 0
    """The seed of every random choice."""
    explain: Annotated[ExplainSettings, UNSTEERED] = ExplainSettings()
    """What the explainer would be shown and asked."""
    score: Annotated[ScoreSettings, Group(only=tuple(n for n in ScoreSettings.model_fields if n != "embedder"))] = (
        ScoreSettings()
    )
    """What the judge would be shown and asked."""
    scoring: Annotated[bool, Option(negative="--no-scoring", panel="What the judge is shown and asked")] = True
    """Whether scoring is counted, or explaining alone."""
    detail: Annotated[Detail, Option(panel="Model")] = "auto"
    """How finely the endpoint looks at images: `low` costs less with some families of models."""


estimate = Work(Estimate, "autointerp.jobs.estimate:run")
