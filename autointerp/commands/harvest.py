"""`autointerp harvest`: evidence for every latent of one or several coders, from a folder of images."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PositiveInt

from autointerp.extras import TRAIN
from autointerp.options import Argument, Command, Option, Work
from autointerp.remote.path import local_path
from autointerp.settings import Images, Location
from autointerp.transcoder.settings import (
    BACKBONES,
    BackboneName,
    HarvestSettings,
    LabelColumns,
    Precision,
    Several,
    WorkplaceOfNetworks,
)


class Harvest(Command):
    """Harvest evidence for every latent of one or several coders from a folder of images, in one pass.

    Run the same command again to go on after a stop: it ends in the same dump. Several processes may share the images
    by --shard, and `autointerp merge DUMP` makes the dump of one process of what they gathered.

    Example: `autointerp harvest images/ my-dump --coder coders/matryoshka --labels labels.csv`
    """

    images: Annotated[Images, Argument()]
    """The population: a folder of images, or any other form of docs/bring-your-own.md."""
    dump: Annotated[Location, Argument()]
    """The folder that is written; with several coders, it gets a dump for each. Or its URL, such as s3://bucket/dump."""
    coders: Annotated[
        Several,
        Argument(option=True),
        Option("--coder", missing="--coder: name at least one folder with a coder, or raw:HOOKPOINT"),
    ] = Field(min_length=1)
    """The folder or file of a coder, also of another tool, hub:OWNER/REPO/FOLDER on the Hugging Face hub, or
    raw:HOOKPOINT for the model's own units; repeat it, the backbone runs once."""
    backbone: Annotated[
        BackboneName | None, Option(default="what the coders name", help=f"The model: {BACKBONES}.")
    ] = None
    reads: Annotated[str | None, Option(default="what the coders name", metavar="HOOKPOINT")] = None
    """The hookpoint that the coders read, such as blocks.8.resid."""
    classifier: Path | None = None
    """The folder of the classifier whose network the coders read."""
    labels: Path | None = None
    """A CSV, TSV or Parquet file of path, label (1 has the attribute, 0, or empty; or a class) and perhaps group; else
    what the population says itself, such as by folder names, decides."""
    columns: LabelColumns = LabelColumns()
    """Which columns say what."""
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
    precision: Precision = "auto"
    """The numbers in which the backbone is run: float32 is exact, tf32 and bfloat16 are faster on a GPU and change
    activations a little; auto is tf32 on CUDA and float32 elsewhere."""
    shard: Annotated[
        str | None,
        BeforeValidator(lambda value: str(value) if isinstance(value, int) else value),
        Option(panel="Many machines"),
    ] = None
    """Run one piece of the images alone, counted from 0: of eight, 0/8 to 7/8; `autointerp merge` makes the dump."""
    workplace: WorkplaceOfNetworks = WorkplaceOfNetworks()
    """Whose processes do the work."""

    @property
    def folder(self) -> Path:
        """The folder that is written. Raises SettingsError where it is a URL."""
        return local_path(self.dump)


harvest = Work(Harvest, "autointerp.jobs.harvest:run", needs=("harvesting", TRAIN, "train"))
