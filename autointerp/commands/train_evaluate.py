"""`autointerp train evaluate`: what trained coders are worth."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from autointerp.extras import TRAIN
from autointerp.options import Argument, Command, Option, Work
from autointerp.settings import Images, Location
from autointerp.transcoder.settings import BackboneName, EvaluateSettings, LabelColumns, Several


class TrainEvaluate(Command):
    """Measure coders: reconstruction, nesting, what their latents go with, and what a classifier loses by them.

    Tokens are those of the image groups that a coder's training left out. With --images it also tells how many latents
    fire where the attribute is, and with --classifier how its answers change when the layer is replaced. With --pairs
    it tells which latents respond to what two pictures differ in, and to nothing else.

    Example: `autointerp train evaluate activations/ --coder coders/first --images images/ --classifier classifier/`
    """

    activations: Annotated[Location, Argument()]
    """The folder of stored activations, or its URL, such as s3://bucket/store."""
    coders: Annotated[
        Several,
        Argument(option=True),
        Option("--coder", missing="--coder: name at least one folder with a coder"),
    ] = Field(min_length=1)
    """The folder or file of a coder trained on them, also of another tool, or hub:OWNER/REPO/FOLDER; repeat it for
    several."""
    backbone: Annotated[BackboneName | None, Option(default="what the coders name")] = None
    """The model that the coders read."""
    reads: Annotated[str | None, Option(default="what the coders name", metavar="HOOKPOINT")] = None
    """The hookpoint that the coders read, such as blocks.8.resid."""
    images: Images = None
    """The population of images, in any form of docs/bring-your-own.md; without it only tokens are measured."""
    labels: Path | None = None
    """A CSV, TSV or Parquet file of path, label (1 has the attribute, 0, or empty; or a class) and perhaps group; else
    what the population says itself, such as by folder names, decides."""
    columns: LabelColumns = LabelColumns()
    """Which columns say what."""
    attribute: Annotated[str | None, Option(metavar="COLUMN=VALUE")] = None
    """Which value of which column has the attribute, all others not; of classes by folder, the column is `label`."""
    error_folders: Several = ()
    """A folder whose images have the attribute, all others not; repeat it for several."""
    classifier: Path | None = None
    """The folder of a classifier whose layer the coders replace, or whose network they were trained on."""
    pairs: Path | None = None
    """A CSV, TSV or Parquet file of image_a, image_b, attribute, direction (+ where image_b has the attribute, - where
    image_a has it) and perhaps group: pairs of pictures that differ in this attribute alone."""
    controls: Annotated[Several, Option("--control")] = ()
    """The folder of a coder of another backbone, e.g. dinov2-small:random; repeat it for several."""
    settings: EvaluateSettings = EvaluateSettings()
    """What is measured."""
    device: str = "cpu"
    """The device that torch works on: cpu, cuda, cuda:1, mps."""


train_evaluate = Work(TrainEvaluate, "autointerp.jobs.train_evaluate:run", needs=("training", TRAIN, "train"))
