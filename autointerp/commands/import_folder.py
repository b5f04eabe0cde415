"""`autointerp import folder`: a dump from a folder of images for each feature."""

from pathlib import Path
from typing import Annotated

from pydantic import NonNegativeInt, PositiveInt

from autointerp.options import Argument, Command, Option, Work


class ImportFolder(Command):
    """Import the images in `SRC/<feature>/`, with activations from metadata.txt or activations.csv if they are there.

    Example: `autointerp import folder top-images/ my-dump --silent-from-others 40`
    """

    src: Annotated[Path, Argument()]
    """The folder that holds a folder of images for each feature."""
    dump: Annotated[Path, Argument()]
    """The folder that is written; it must not exist."""
    name: Annotated[str | None, Option(default="SRC's name")] = None
    """The name of the dump."""
    model: str = "unknown"
    """The model whose features they are."""
    hookpoint: str = "unknown"
    """The place in the model where the features live."""
    n_latents: PositiveInt | None = None
    """The size of the dictionary; without it, one more than the largest feature."""
    link: bool = False
    """Keep absolute paths instead of copying the images."""
    population: Annotated[PositiveInt | None, Option(default="not known, and so are densities")] = None
    """How many images were run, if those in the folder of a feature are all that fire it."""
    silent_from_others: NonNegativeInt = 0
    """How many silent images are drawn for each feature from those not listed under it; detection needs some."""
    seed: NonNegativeInt = 0
    """The seed of that draw."""
    allow_outside: bool = False
    """Trust links in the folder even where they lead out of it."""


import_folder = Work(ImportFolder, "autointerp.dump.importers.folder:run", shown_by="imported")
