"""`autointerp import mt`: a dump from the folders that Matryoshka-Transcoders' populate.py writes."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, PositiveInt

from autointerp.commands.import_rows import ImportTop
from autointerp.options import Option, Work
from autointerp.settings import split_at_commas


class ImportMt(ImportTop):
    """Import the folders `feature_N/` of images with `metadata.txt` that Matryoshka-Transcoders' populate.py writes.

    Example: `autointerp import mt features_model0/ my-dump --images datasets/ --widths 128,256,512,1024,2048`
    """

    widths: Annotated[
        tuple[PositiveInt, ...] | None,
        BeforeValidator(split_at_commas),
        Option(default="one, since SRC does not say them"),
    ] = None
    """The nested prefixes of the dictionary, ascending, with commas between them: `levels` of its training script."""
    attribute: Annotated[str | None, Option(default="the only one with error in its name")] = None
    """The data set whose images have the attribute, as metadata.txt names it; the others have not."""
    level: str | None = None
    """The folder, such as level_2, where SRC holds several."""
    store: Literal["bytes", "paths"] = "bytes"
    """Whether the dump holds the images' files, as one to be shared must, or their absolute paths."""


import_mt = Work(ImportMt, "autointerp.dump.importers.mt:run", shown_by="imported")
