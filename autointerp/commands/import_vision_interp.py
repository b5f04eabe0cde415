"""`autointerp import vision-interp`: a dump from vision-interp's strongest images and heat maps."""

from autointerp.commands.import_rows import ImportTop
from autointerp.options import Work


class ImportVisionInterp(ImportTop):
    """Import the strongest images and heat maps of each latent from vision-interp's `metadata.json` and `latent_*.pt`.

    Example: `autointerp import vision-interp top_k_images/imagenet_mean_validation_10_50000 my-dump --images dataset/`
    """

    layer: str | None = None
    """The folder, where SRC holds several."""


import_vision_interp = Work(ImportVisionInterp, "autointerp.dump.importers.vision_interp:run", shown_by="imported")
