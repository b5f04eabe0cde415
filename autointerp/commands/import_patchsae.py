"""`autointerp import patchsae`: a dump from PatchSAE's feature data."""

from typing import Annotated, Literal

from pydantic import NonNegativeInt

from autointerp.commands.import_rows import ImportTop
from autointerp.options import Option, Work


class ImportPatchsae(ImportTop):
    """Import the strongest images of each latent from the five `.pt` files of PatchSAE's compute_sae_feature_data.py.

    Example: `autointerp import patchsae out/feature_data/sae_base/base/imagenet my-dump --images dataset/`
    """

    order: Annotated[Literal["shuffled", "stored"] | None, Option(default="whichever the labels prove")] = None
    """How its rows number the images: in the order of dataset.shuffle(seed), as its script does, or as stored."""
    shuffle_seed: NonNegativeInt = 1
    """The seed of that shuffle."""
    layer: str | None = None
    """The data set, model or path of the folder, where SRC holds several."""


import_patchsae = Work(ImportPatchsae, "autointerp.dump.importers.patchsae:run", shown_by="imported")
