"""Prints what an importer did."""

from collections.abc import Iterator

from autointerp.cli.printing import tell
from autointerp.commands.import_folder import ImportFolder
from autointerp.dump.importers.folder import Imported
from autointerp.errors import typed


def show(result: Imported, settings: ImportFolder, *, as_json: bool) -> int:
    """Prints what was written and what comes next."""
    value = {"dump": str(settings.dump)} | result.model_dump(mode="json")
    return tell(_lines(result, settings), value, as_json=as_json)


def _lines(result: Imported, settings: ImportFolder) -> Iterator[str]:
    yield f"{result.name}: {result.n_images:,} images -> {settings.dump}"
    yield from (f"left out: {one}" for one in result.left_out)
    if result.population_note is not None:
        yield f"{result.population_note}; if you know, give --population"
    outside = " --allow-outside" if settings.link else ""
    yield f"next: autointerp explain {typed(settings.dump)} --run RUN --model MODEL{outside}"
