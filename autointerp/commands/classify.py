"""`autointerp classify`: what a trained classifier says of new images."""

from pathlib import Path
from typing import Annotated

from pydantic import PositiveInt

from autointerp.extras import TRAIN
from autointerp.options import Argument, Command, Option, Work
from autointerp.settings import Images
from autointerp.transcoder.settings import BackboneName


class Classify(Command):
    """Apply a trained classifier to new images: a calibrated probability of each, and the mean of each folder.

    Log odds are calibrated on the validation part of the classifier's images (Platt scaling), and the probabilities
    hold where errors are as frequent as there. With --table, means are of what a column of a CSV file says, such as the
    generator that made an image.

    Example: `autointerp classify generated/ --classifier runs/classifier --out probabilities.csv`
    """

    images: Annotated[Images, Argument()]
    """The population: a folder of images, or any other form of docs/bring-your-own.md."""
    classifier: Annotated[Path, Argument(option=True)]
    """The folder of a classifier."""
    out: Annotated[Path, Argument(option=True)]
    """The CSV file that is written: path, probability, log_odds and the folder or column of each image."""
    table: Path | None = None
    """A CSV, TSV or Parquet file with a column `path`, of images of the population: only these are classified."""
    by: Annotated[str | None, Option(default="the folder of each image")] = None
    """With --table, the column whose values means are taken of."""
    backbone: Annotated[
        BackboneName | None,
        Option(default="what the classifier names", help="The model, where it goes by another name."),
    ] = None
    batch: PositiveInt = 16
    """How many images are run at once."""
    device: str = "cpu"
    """The device that torch works on: cpu, cuda, cuda:1, mps."""


classify = Work(Classify, "autointerp.jobs.classify:run", needs=("classifying", TRAIN, "train"))
