"""`autointerp import delphi`: a dump from the activations that delphi recorded."""

from autointerp.commands.import_recorded import ImportRecorded
from autointerp.extras import TRAIN
from autointerp.options import Work


class ImportDelphi(ImportRecorded):
    """Import what delphi recorded in `SRC/<first>_<last>.safetensors`, each row of it an image of IMAGES.

    With several hookpoints below SRC, --hookpoint names one. Run the same command again to go on after a stop.

    Example: `autointerp import delphi results/latents my-dump --images imagenet/val`
    """


import_delphi = Work(
    ImportDelphi,
    "autointerp.jobs.import_recorded:run",
    needs=("importing activations", TRAIN, "train"),
    shown_by="imported",
)
