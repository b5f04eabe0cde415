"""What importers have in common that name images by their row in a population."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import NonNegativeInt, PositiveInt

from autointerp.options import Argument, Command, Option
from autointerp.settings import Images


class ImportRows(Command):
    """Options of an importer whose source names images by their row in a population."""

    src: Annotated[Path, Argument()]
    """The folder or file that the tool wrote."""
    dump: Annotated[Path, Argument()]
    """The folder that is written; it must not exist."""
    images: Annotated[Images, Option(metavar="IMAGES")] = None
    """The images that were run, whole and in their order: a folder, or any other population that `harvest` takes."""
    name: Annotated[str | None, Option(default="SRC's name")] = None
    """The name of the dump."""
    model: Annotated[str | None, Option(default="what SRC says, or unknown")] = None
    """The model whose features they are."""
    hookpoint: Annotated[str | None, Option(default="what SRC says, or unknown")] = None
    """The place in the model where the features live."""
    n_latents: Annotated[PositiveInt | None, Option(default="what SRC says, or one more than the largest")] = None
    """The size of the dictionary."""
    store: Literal["bytes", "paths"] = "paths"
    """Whether the dump holds the absolute paths of the images used, or their files, as one to be shared must."""
    seed: NonNegativeInt = 0
    """The seed of every draw."""


class ImportTop(ImportRows):
    """Options of an importer whose source keeps only the strongest images of each feature."""

    silent: NonNegativeInt = 40
    """How many silent images are drawn for each feature from those that were run; detection needs some."""
    assume_silent: bool = False
    """Draw them also for features of which the source keeps as many images as it can: others may fire these too, only
    more weakly, and scores then say so."""
