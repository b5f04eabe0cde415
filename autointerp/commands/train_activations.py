"""`autointerp train activations`: what a layer reads and writes on a folder of images, stored."""

from pathlib import Path
from typing import Annotated

from autointerp.extras import TRAIN
from autointerp.options import Argument, Command, Option, Work
from autointerp.settings import Images, Location
from autointerp.transcoder.settings import BACKBONES, ENDINGS, USUAL, BackboneName, StoreSettings, WorkplaceOfNetworks


class TrainActivations(Command):
    """Store what a layer of a vision model reads and writes on a folder of images, for coders to learn from.

    Near-duplicates form groups, which a coder's held-out split keeps together. A pass that was stopped leaves no
    store; the same command begins it anew, and goes on with it where actors of a Ray cluster do the work.

    Example: `autointerp train activations images/ --out activations/`
    """

    images: Annotated[Images, Argument()]
    """The population: a folder of images, or any other form of docs/bring-your-own.md."""
    out: Annotated[Location, Argument(option=True)]
    """The folder that is written, or its URL, such as s3://bucket/store."""
    backbone: Annotated[
        BackboneName | None,
        Option(
            default=f"the classifier's own, else {USUAL}",
            help=f"The model: {BACKBONES}; {ENDINGS}.",
        ),
    ] = None
    classifier: Path | None = None
    """The folder of a classifier whose network is run, its head included: `head.0` (units of an `mlp`) and `head`."""
    labels: Path | None = None
    """A CSV, TSV or Parquet file of path and perhaps group: only its images are run, and a group stays together."""
    group_column: Annotated[str | None, Option(default="group")] = None
    """The column of the groups."""
    settings: StoreSettings = StoreSettings()
    """What is stored."""
    device: str = "cpu"
    """The device that torch works on: cpu, cuda, cuda:1, mps."""
    workplace: WorkplaceOfNetworks = WorkplaceOfNetworks()
    """Whose processes do the work."""


train_activations = Work(TrainActivations, "autointerp.jobs.train_activations:run", needs=("training", TRAIN, "train"))
