"""`autointerp train classifier`: a head on a vision model, frozen or trained on in its last blocks."""

from pathlib import Path
from typing import Annotated

from autointerp.extras import TRAIN
from autointerp.options import Argument, Command, Option, Work
from autointerp.settings import Images
from autointerp.transcoder.settings import (
    BACKBONES,
    ENDINGS,
    USUAL,
    BackboneName,
    ClassifierSettings,
    LabelColumns,
    Several,
    TuningSettings,
)


class TrainClassifier(Command):
    """Train a physical plausibility classifier: a head on a frozen vision model, or with --unfreeze on its last blocks.

    Near-duplicates, and images of one `group` of the CSV, never stand on both sides of the split. The figures are of
    images held out from training and from early stopping.

    Example: `autointerp train classifier images/ --out runs/classifier --head linear`
    """

    images: Annotated[Images, Argument()]
    """The population: a folder of images, or any other form of docs/bring-your-own.md."""
    out: Annotated[Path, Argument(option=True)]
    """The folder that is written."""
    labels: Path | None = None
    """A CSV, TSV or Parquet file of path, label (1 has a physical error, 0, or empty; or a class) and perhaps group;
    else what the population says itself, such as by folder names, decides."""
    columns: LabelColumns = LabelColumns()
    """Which columns say what."""
    attribute: Annotated[str | None, Option(metavar="COLUMN=VALUE")] = None
    """Which value of which column has an error, all others not; of classes by folder, the column is `label`."""
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
