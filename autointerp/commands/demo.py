"""`autointerp demo`: the whole job on the bundled dump."""

from pathlib import Path
from typing import Annotated

from autointerp.options import Argument, Group, Option, Work
from autointerp.settings import EngineSettings, ModelSettings, OfFeatures


class Demo(OfFeatures):
    """Explain, score and report the bundled dump: real features of a real vision transformer, no key needed.

    Example: `autointerp demo`, or with your own endpoint: `autointerp demo --model gpt-5-mini`
    """

    out: Annotated[Path, Argument(option=True)] = Path("autointerp-demo")
    """The folder that is written: the run, the answers and the report."""
    model: Annotated[
        ModelSettings, Group(options={"model": Option(env="AUTOINTERP_MODEL", help="The explainer and the judge.")})
    ] = ModelSettings.model_validate("local")
    """The explainer and the judge."""
    engine: EngineSettings = EngineSettings()
    """How the endpoint is used."""


demo = Work(Demo, "autointerp.jobs.demo:run")
