"""`autointerp import folder`: a dump from a folder of images for each feature."""

from autointerp.commands.import_folder import ImportFolder
from autointerp.counting import Counting
from autointerp.dump.format import DumpInfo
from autointerp.dump.importers import folder


def run(settings: ImportFolder, *, progress: Counting | None = None) -> DumpInfo:
    """Writes the dump.

    Raises:
        SettingsError: the population is smaller than the folder.
        DumpError: the source or a line in it cannot be read, an image cannot be decoded, or the dump exists.
    """
    return folder.import_folder(
        settings.src,
        settings.dump,
        name=settings.name,
        model=settings.model,
        hookpoint=settings.hookpoint,
        n_latents=settings.n_latents,
        copy=not settings.link,
        population=settings.population,
        silent_from_others=settings.silent_from_others,
        seed=settings.seed,
        allow_outside=settings.allow_outside,
    )
