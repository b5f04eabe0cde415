"""Prints what `autointerp export` wrote."""

from collections.abc import Iterator
from dataclasses import asdict

from autointerp.cli.printing import plural, tell
from autointerp.commands.export import Export
from autointerp.errors import typed
from autointerp.jobs.export import Exported


def show(result: Exported, settings: Export, *, as_json: bool) -> int:
    """Prints where the export is, and what is not in it."""
    return tell(_lines(result, settings), {**asdict(result), "out": str(result.out)}, as_json=as_json)


def _lines(result: Exported, settings: Export) -> Iterator[str]:
    yield f"{settings.to}: {plural(result.features, 'feature')} -> {result.out}"
    if result.left_out:
        yield f"left out: {plural(result.left_out, 'feature')}; {result.out}/left_out.csv says why of each"
    if result.broken:
        yield f"{plural(result.broken, 'picture')} could not be made and left out"
    if result.unmerged:
        were = "part of this run is" if result.unmerged == 1 else "parts of this run are"
        yield (
            f"{result.unmerged:,} {were} not merged yet; what is there of them was written too: "
            f"autointerp merge {typed(settings.run)}"
        )
