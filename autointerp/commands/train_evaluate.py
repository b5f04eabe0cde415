"""`autointerp train evaluate`: what trained coders are worth."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from autointerp.extras import TRAIN
from autointerp.options import Argument, Command, Option, Work
from autointerp.transcoder.settings import EvaluateSettings, Several


class TrainEvaluate(Command):
    """Measure coders: reconstruction, nesting, what their latents go with, and what a classifier loses by them.

    Tokens are those of the image groups that a coder's training left out. With --images it also tells how many latents
    fire where the attribute is, and with --classifier how its answers change when the layer is replaced.

    Example: `autointerp train evaluate activations/ --coder coders/first --images images/ --classifier classifier/`
    """

    activations: Annotated[Path, Argument()]
    """The folder of stored activations."""
    coders: Annotated[
        Several,
        Argument(option=True),
        Option("--coder", missing="--coder: name at least one folder with a coder"),
    ] = Field(min_length=1)
    """The folder or file of a coder trained on them, also of another tool, or hub:OWNER/REPO/FOLDER; repeat it for
    several."""
    backbone: Annotated[str | None, Option(default="what the coders name")] = None
    """The model that the coders read."""
    reads: Annotated[str | None, Option(default="what the coders name", metavar="HOOKPOINT")] = None
    """The hookpoint that the coders read, such as blocks.8.resid."""
    images: Path | None = None
    """The folder of images; without it only tokens are measured."""
    labels: Path | None = None
    """A CSV file of path, label (1 has the attribute, 0, or empty) and perhaps group; else folder names decide."""
    error_folders: Several = ()
    """A folder whose images have the attribute, all others not; repeat it for several."""
    classifier: Path | None = None
    """The folder of a classifier whose layer the coders replace, or whose network they were trained on."""
    controls: Annotated[Several, Option("--control")] = ()
    """The folder of a coder of another backbone, e.g. dinov2-small:random; repeat it for several."""
    settings: EvaluateSettings = EvaluateSettings()
    """What is measured."""
    device: str = "cpu"
    """The device that torch works on: cpu, cuda, cuda:1, mps."""


train_evaluate = Work(TrainEvaluate, "autointerp.jobs.train_evaluate:run", needs=("training", TRAIN, "train"))
