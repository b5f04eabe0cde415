"""`autointerp train classifier`: a head on a vision model, frozen or trained on in its last blocks."""

from pathlib import Path
from typing import Annotated

from autointerp.extras import TRAIN
from autointerp.options import Argument, Command, Option, Work
from autointerp.transcoder.settings import (
    BACKBONES,
    ENDINGS,
    USUAL,
    BackboneName,
    ClassifierSettings,
    Several,
    TuningSettings,
)


class TrainClassifier(Command):
    """Train a physical plausibility classifier: a head on a frozen vision model, or with --unfreeze on its last blocks.

    Near-duplicates, and images of one `group` of the CSV, never stand on both sides of the split. The figures are of
    images held out from training and from early stopping.

    Example: `autointerp train classifier images/ --out runs/classifier --head linear`
    """

    images: Annotated[Path, Argument()]
    """The folder of images."""
    out: Annotated[Path, Argument(option=True)]
    """The folder that is written."""
    labels: Path | None = None
    """A CSV file of path, label (1 has a physical error, 0, or empty) and perhaps group; else folder names decide."""
    error_folders: Several = ()
    """A folder whose images have an error, all others not; repeat it for several."""
    backbone: Annotated[BackboneName, Option(help=f"The model: {BACKBONES}; {ENDINGS}.")] = USUAL
    settings: ClassifierSettings = ClassifierSettings()
    """What is trained and how."""
    tuning: TuningSettings = TuningSettings()
    """Whether the backbone is trained on, and how."""
    vectors: Annotated[Path | None, Option("--features", default="OUT/features")] = None
    """The folder that keeps the backbone's vectors."""
    device: str = "cpu"
    """The device that the backbone runs on, e.g. cuda."""


train_classifier = Work(TrainClassifier, "autointerp.jobs.train_classifier:run", needs=("training", TRAIN, "train"))
