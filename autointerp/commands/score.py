"""`autointerp score`: every scorer's verdict on every explanation of a run."""

from pathlib import Path
from typing import Annotated

from autointerp.options import Argument, Option, Work
from autointerp.settings import (
    JUDGE,
    JUDGE_ENGINE,
    Addresses,
    EngineSettings,
    Execution,
    FeatureSelection,
    Location,
    ModelChoice,
    PageSettings,
    ScoreSettings,
    WithFiles,
)
from autointerp.transcoder.settings import NetworkChoice


class Score(WithFiles):
    """Score the explanations of a run on held-out images that the explainer never saw.

    With an explanation:

    - detection: which of these images, active and silent mixed, fit? Weighted F1, the headline.
    - accuracy: the share of yes on active images, as published; it is recall.
    - choice: which of two images fits, one active and one silent? Chance is 1/2.
    - naming: which of several features' explanations fits these crops?
    - localisation: where on the image is it?

    - generation: do pictures that an image model makes of it fire the feature? This asks the network too, and no
      judge; name who makes them with --image-model.

    Without one, of the feature itself:

    - relevance: is the feature about the domain, as published and as a tested effect?
    - intruder: which crop does not belong to the others?
    - embedding: how alike are the crops, to an embedding model?
    - causal: does the region that is shown fire the feature by itself, and is it silent without it? This asks the
      network that made the dump, by its coder and backbone, and no judge.

    A run keeps the scores of several judges: given again with another judge, or with other settings, it asks anew and
    adds scores beside those that are there; with the judge and settings of before it goes on with these.

    Example: `autointerp score runs/first --judge-model gemini-3-flash --judge-base-url https://…/v1`
    """

    run: Annotated[Location, Argument(metavar="RUN")]
    """The folder of the run, or its URL; with --explanations, the folder of the dump, or of a run over it."""
    features: Annotated[FeatureSelection, Option(panel="Which features")] = FeatureSelection("all")
    """Which of the explained features: `all`, numbers and ranges such as 0-511,600, or @FILE with one on each line."""
    judge: Annotated[ModelChoice, JUDGE] = ModelChoice()
    """The judge; without a name it is the run's explainer."""
    settings: ScoreSettings = ScoreSettings()
    """What the judge is shown and asked."""
    network: NetworkChoice = NetworkChoice()
    """What made the dump."""
    engine: Annotated[EngineSettings, JUDGE_ENGINE] = EngineSettings()
    """How the endpoint is used."""
    page: PageSettings = PageSettings()
    """Where the page is served on which a person judges."""
    execution: Execution = Execution()
    """Where the work is done."""
    trust_address: Annotated[Addresses, Option(panel="Endpoint and limits")] = ()
    """A server that only the run folder names and that may be asked; it is remembered. Repeat it for several."""
    dump: Annotated[Location | None, Option(panel="Files")] = None
    """Where the dump of the run is now, if it was moved; or its URL."""
    calibration: Annotated[Location | None, Option(panel="Controls and corrections")] = None
    """The calibration of this judge, from `autointerp calibrate` or `compare --out`, or its URL: figures corrected by
    its error rates are added."""
    random_dump: Annotated[Location | None, Option(panel="Controls and corrections")] = None
    """A dump of a network with random weights, which is explained and scored as one more control."""
    explanations: Annotated[Path | None, Option(panel="Descriptions from elsewhere")] = None
    """Score the descriptions of this file of another tool, or of its folder, or of a table feature,text instead."""
    layer: Annotated[str | None, Option(panel="Descriptions from elsewhere")] = None
    """The layer, model or explainer of --explanations, if the file has several."""
    new_run: Annotated[Path | None, Option("--run", key="new_run", panel="Descriptions from elsewhere")] = None
    """The folder of the run that is written with --explanations."""
    allow_outside: Annotated[bool, Option(panel="Files")] = False
    """Trust the image paths of the dump even where they leave its folder."""

    @property
    def stage(self) -> str:
        """The name of the stage in a batch job."""
        return "score"


score = Work(Score, "autointerp.jobs.score:run")
