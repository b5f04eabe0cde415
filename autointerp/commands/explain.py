"""`autointerp explain`: an explanation for each chosen feature of a dump."""

from typing import Annotated

from pydantic import NonNegativeInt

from autointerp.options import Argument, Option, Work
from autointerp.settings import (
    EngineSettings,
    Execution,
    ExplainSettings,
    Location,
    ModelSettings,
    OfDump,
    OfFeatures,
    WithFiles,
)
from autointerp.transcoder.settings import NetworkChoice


class Explain(WithFiles, OfFeatures, OfDump):
    """Explain features of a dump: show their top-activating crops to a multimodal model.

    Run the same command again to go on after a stop, or to try failed features again. With --candidates 8 --diverse
    each feature gets as many explanations as it has meanings (docs/ips.md).

    Example: `autointerp explain DUMP --features 0-511,600 --run runs/first --model gpt-5-mini`
    """

    run: Annotated[Location, Argument(option=True)]
    """The folder of the run that is written, or its URL; the same one goes on after a stop."""
    seed: Annotated[NonNegativeInt, Option(panel="Which features")] = 0
    """The seed of every random choice; it is also sent to the endpoint."""
    model: ModelSettings
    """The explainer."""
    settings: ExplainSettings = ExplainSettings()
    """What the explainer is shown and asked."""
    network: NetworkChoice = NetworkChoice()
    """What made the dump, for --rendering auto."""
    engine: EngineSettings = EngineSettings()
    """How the endpoint is used."""
    execution: Execution = Execution()
    """Where the work is done."""

    @property
    def stage(self) -> str:
        """The name of the stage in a batch job."""
        return "explain"


explain = Work(Explain, "autointerp.jobs.explain:run")
