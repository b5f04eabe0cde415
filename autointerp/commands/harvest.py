"""`autointerp harvest`: evidence for every latent of one or several coders, from a folder of images."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from autointerp.extras import TRAIN
from autointerp.options import Argument, Command, Option, Work
from autointerp.transcoder.settings import BACKBONES, HarvestSettings, Several


class Harvest(Command):
    """Harvest evidence for every latent of one or several coders from a folder of images, in one pass.

    Run the same command again to go on after a stop: it ends in the same dump.

    Example: `autointerp harvest images/ my-dump --coder coders/matryoshka --labels labels.csv`
    """

    images: Annotated[Path, Argument()]
    """The folder of images."""
    dump: Annotated[Path, Argument()]
    """The folder that is written; with several coders, it gets a dump for each."""
    coders: Annotated[
        Several,
        Argument(option=True),
        Option("--coder", missing="--coder: name at least one folder with a coder, or raw:HOOKPOINT"),
    ] = Field(min_length=1)
    """The folder or file of a coder, also of another tool, hub:OWNER/REPO/FOLDER on the Hugging Face hub, or
    raw:HOOKPOINT for the model's own units; repeat it, the backbone runs once."""
    backbone: Annotated[str | None, Option(default="what the coders name", help=f"The model: {BACKBONES}.")] = None
    reads: Annotated[str | None, Option(default="what the coders name", metavar="HOOKPOINT")] = None
    """The hookpoint that the coders read, such as blocks.8.resid."""
    classifier: Path | None = None
    """The folder of the classifier whose network the coders read."""
    labels: Path | None = None
    """A CSV file of path, label (1 has the attribute, 0, or empty) and perhaps group; else folder names decide."""
    error_folders: Several = ()
    """A folder whose images have the attribute, all others not; repeat it for several."""
    settings: HarvestSettings = HarvestSettings()
    """What is kept of each latent."""
    batch: PositiveInt = 16
    """How many images are run at once."""
    store: Literal["bytes", "paths"] = "paths"
    """Whether the dump holds the absolute paths of the images used, or their files, as one to be shared must."""
    device: str = "cpu"
    """The device that torch works on: cpu, cuda, cuda:1, mps."""


harvest = Work(Harvest, "autointerp.jobs.harvest:run", needs=("harvesting", TRAIN, "train"))
