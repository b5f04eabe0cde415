"""`autointerp import folder`: a dump from a folder of images for each feature."""

from autointerp.commands.import_folder import ImportFolder
from autointerp.counting import Counting, Uncounted, counted
from autointerp.dump.importers import folder


def run(settings: ImportFolder, *, progress: Counting | None = None) -> folder.Imported:
    """Writes the dump.

    Args:
        settings: all that was asked for.
        progress: shows how far it is.

    Raises:
        SettingsError: the population is smaller than the folder.
        DumpError: the source or a line in it cannot be read, no image can, or the dump exists.
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
        progress=counted(progress or Uncounted(), "files read"),
    )
