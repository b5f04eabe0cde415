"""`autointerp import semanticlens`: a dump from what SemanticLens collects of one layer."""

from autointerp.commands.import_rows import ImportTop
from autointerp.options import Work


class ImportSemanticlens(ImportTop):
    """Import the strongest images of each latent from the `.safetensors` that SemanticLens's ActMaxCache stores.

    Example: `autointerp import semanticlens cache/ my-dump --images images/`
    """

    layer: str | None = None
    """The layer, where SRC holds several."""


import_semanticlens = Work(ImportSemanticlens, "autointerp.dump.importers.semanticlens:run", shown_by="imported")
