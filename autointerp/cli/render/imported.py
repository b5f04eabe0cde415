"""Prints what an importer did."""

from collections.abc import Iterator

from autointerp.cli.printing import outside, tell
from autointerp.commands.import_folder import ImportFolder
from autointerp.commands.import_rows import ImportRows
from autointerp.dump.importers.imported import Imported
from autointerp.errors import typed


def show(result: Imported, settings: ImportFolder | ImportRows, *, as_json: bool) -> int:
    """Prints what was written and what comes next."""
    value = {"dump": str(settings.dump)} | result.model_dump(mode="json")
    return tell(_lines(result, settings), value, as_json=as_json)


def _lines(result: Imported, settings: ImportFolder | ImportRows) -> Iterator[str]:
    yield f"{result.name}: {result.n_images:,} images -> {settings.dump}"
    yield from (f"left out: {one}" for one in result.left_out)
    yield from result.said
    for note in result.notes:
        yield f"{note}{_remedy(result, settings, note)}"
    yield f"next: autointerp explain {typed(settings.dump)} --run RUN --model MODEL{outside(allowed=result.outside)}"


def _remedy(result: Imported, settings: ImportFolder | ImportRows, note: str) -> str:
    if isinstance(settings, ImportFolder):
        return "; if you know, give --population"
    if result.top_only is not None and note == result.top_only.note and not result.top_only.assumed_silent:
        return "; import again with --assume-silent to draw some all the same"
    return ""
