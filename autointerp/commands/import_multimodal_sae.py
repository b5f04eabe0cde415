"""`autointerp import multimodal-sae`: a dump from the activations that multimodal-sae recorded."""

from autointerp.commands.import_recorded import ImportRecorded
from autointerp.extras import TRAIN
from autointerp.options import Work


class ImportMultimodalSae(ImportRecorded):
    """Import what multimodal-sae recorded in `SRC/<first>_<last>.safetensors`, each row of it an image of IMAGES.

    The tool loses the last latent of each file; those are named and are not in the dump. Patches are the 24 x 24 of
    the base image, unless --patch-grid says otherwise; tiles of higher resolution do not count. With several modules
    below SRC, --hookpoint names one. Run the same command again to go on after a stop.

    Example: `autointerp import multimodal-sae cache/ my-dump --images images/`
    """


import_multimodal_sae = Work(
    ImportMultimodalSae,
    "autointerp.jobs.import_recorded:run",
    needs=("importing activations", TRAIN, "train"),
    shown_by="imported",
)
