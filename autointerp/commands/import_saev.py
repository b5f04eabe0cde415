"""`autointerp import saev`: a dump from the activations that saev's inference recorded."""

from pathlib import Path
from typing import Annotated

from autointerp.commands.import_recorded import ImportRecorded
from autointerp.extras import TRAIN
from autointerp.options import Option, Work


class ImportSaev(ImportRecorded):
    """Import `token_acts.npz` of a run of saev, with the images that its metadata.json names or that lie at IMAGES now.

    SRC is the folder of the run, or the one of an inference in it. Run the same command again to go on after a stop.

    Example: `autointerp import saev runs/abc123 my-dump`
    """

    shards: Annotated[Path | None, Option(default="what SRC says, or shards/ beside runs/")] = None
    """The folder with metadata.json of the images' shards."""


import_saev = Work(
    ImportSaev,
    "autointerp.jobs.import_recorded:run",
    needs=("importing activations", TRAIN, "train"),
    shown_by="imported",
)
