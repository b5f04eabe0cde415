"""`autointerp benchmark make`: the failure features of a scored run as a pack that compares generators."""

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field, NonNegativeInt, PositiveInt

from autointerp.extras import TRAIN
from autointerp.options import Argument, Group, Option, Settings, Work
from autointerp.settings import LOCAL, Images, Location, ModelName, ModelSettings, OfRun
from autointerp.transcoder.settings import LabelColumns, Several


class PackChoice(Settings):
    """Which features become failure features, and how they are put together."""

    panel: ClassVar[str] = "Options"

    level: float = Field(default=0.05, gt=0, lt=1)
    """The false discovery rate at which features are associated with the attribute on held-out images."""
    same: Annotated[float, Option("--same-meaning")] = Field(default=0.7, ge=-1, le=1)
    """The cosine from which the explanations of two features mean the same, so that they are one failure mode."""
    n_controls: Annotated[NonNegativeInt, Option("--negative-controls")] = Field(default=100, le=1000)
    """How many features that have nothing to do with the attribute are kept as negative controls, at most."""
    strip: Annotated[PositiveInt, Option("--strip")] = Field(default=12, le=48)
    """How many example images each failure mode shows."""
    seed: NonNegativeInt = 0
    """The seed of the halves in which features are chosen and measured, and of the draw of controls."""


class BenchmarkMake(OfRun):
    """Make a pack of failure modes from a scored run, with which images of any generator can be compared.

    A pack holds the features that go with the dump's attribute on held-out images and whose explanations beat their
    controls, merged by meaning into failure modes; the coder, thresholds, explanations, example images and rates on
    images without the attribute. It is all that another person needs. The held-out images are the pool of the dump, or
    those of --images.

    Example: `autointerp benchmark make runs/first --out first-pack`
    """

    out: Annotated[Path, Argument(option=True)]
    """The folder of the pack that is written."""
    coder: str | None = None
    """The coder that the dump was harvested with, if it is no longer where the dump says: its folder or file,
    hub:OWNER/REPO/FOLDER, or raw:HOOKPOINT."""
    classifier: Path | None = None
    """The folder of the classifier whose network the dump was harvested with."""
    backbone: Annotated[str | None, Option(default="what the coder names")] = None
    """The model that the dump was harvested with, where the coder does not name it."""
    reads: Annotated[str | None, Option(default="what the coder names", metavar="HOOKPOINT")] = None
    """The hookpoint that the coder reads, where it does not name it."""
    images: Annotated[Images | None, Option(panel="Held-out images", default="the pool of the dump")] = None
    """Labelled images on which features are chosen and measured, best of all some that no coder or classifier learned
    from: a folder, or any other form of docs/bring-your-own.md."""
    labels: Annotated[Path | None, Option(panel="Held-out images")] = None
    """With --images, a table of path, label (1 has the attribute, 0) and perhaps group."""
    columns: Annotated[LabelColumns, Group(panel="Held-out images")] = LabelColumns()
    """Which columns say what."""
    attribute: Annotated[str | None, Option(panel="Held-out images", metavar="COLUMN=VALUE")] = None
    """With --images, which value of which column has the attribute, all others not."""
    error_folders: Annotated[Several, Option(panel="Held-out images")] = ()
    """With --images, a folder whose images have the attribute, all others not; repeat it for several."""
    choice: PackChoice = PackChoice()
    """Which features."""
    embedder: Annotated[
        ModelSettings,
        Group(
            only=("model", "base_url"),
            options={
                "model": Option(
                    "--embedder",
                    help="The model that tells meanings apart: `local`, or a model of an endpoint with embeddings.",
                ),
                "base_url": Option("--embedder-base-url", help="The embedder's server."),
            },
            panel="Options",
        ),
    ] = ModelSettings(model=ModelName(LOCAL))
    """The model that embeds explanations and the categories of the domain."""
    domain: str = "physical-plausibility"
    """The domain whose categories the failure modes get, a template of prompts/domains/."""
    prompts: Annotated[Path | None, Option(panel="Files")] = None
    """A folder of your own prompt templates, which override the shipped ones."""
    cache: Annotated[Path | None, Option(env="AUTOINTERP_CACHE", panel="Files", default="cache/")] = None
    """The folder of the embedder's answers."""
    judge: Annotated[str | None, Option(default="the first one")] = None
    """Of a run that several judges scored, whose detection scores decide; where it has several, as JUDGE@DIGEST."""
    dump: Annotated[Location | None, Option(panel="Files")] = None
    """Where the dump of the run is now, if it was moved; or its URL."""
    allow_outside: Annotated[bool, Option(panel="Files")] = False
    """Trust the image paths of the dump even where they leave its folder."""
    batch: PositiveInt = 16
    """How many images are run at once."""
    device: str = "cpu"
    """The device that torch works on: cpu, cuda, cuda:1, mps."""


benchmark_make = Work(BenchmarkMake, "autointerp.jobs.benchmark_make:run", needs=("making a pack", TRAIN, "train"))
