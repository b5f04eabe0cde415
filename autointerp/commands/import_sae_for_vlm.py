"""`autointerp import sae-for-vlm`: a dump from the activations that sae-for-vlm saved."""

from autointerp.commands.import_recorded import ImportRecorded
from autointerp.extras import TRAIN
from autointerp.options import Work


class ImportSaeForVlm(ImportRecorded):
    """Import the parts `SRC/..._part<n>.pt` that sae-for-vlm's save_activations.py wrote, each row an image of IMAGES.

    Where each row is a patch, give --patch-grid. Run the same command again to go on after a stop.

    Example: `autointerp import sae-for-vlm activations_dir/ my-dump --images imagenet/val`
    """


import_sae_for_vlm = Work(
    ImportSaeForVlm,
    "autointerp.jobs.import_recorded:run",
    needs=("importing activations", TRAIN, "train"),
    shown_by="imported",
)
