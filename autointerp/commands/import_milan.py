"""`autointerp import milan`: a dump from the exemplars of one layer that MILAN and MAIA compute."""

from autointerp.commands.import_rows import ImportTop
from autointerp.options import Work


class ImportMilan(ImportTop):
    """Import the exemplars of one layer from MILAN's `images.npy`, `masks.npy`, `activations.csv` and `ids.csv`.

    Example: `autointerp import milan exemplars/layer4 my-dump --images imagenet/val`
    """

    layer: str | None = None
    """The layer's folder, where SRC holds several."""


import_milan = Work(ImportMilan, "autointerp.dump.importers.milan:run", shown_by="imported")
