"""Prints what `autointerp demo` did."""

from autointerp.cli.printing import finish, tell
from autointerp.commands.demo import Demo
from autointerp.errors import typed
from autointerp.jobs.demo import Demonstrated


def show(result: Demonstrated, settings: Demo, *, as_json: bool) -> int:
    """Prints where the report is; exit code 1 if features failed."""
    for did, part in (("explained", result.explained), ("scored", result.scored)):
        if not part.complete:
            return finish(did, part, as_json=as_json, next_step="")
    explained, scored = (part.before + part.done for part in (result.explained, result.scored))
    lines = (
        f"{explained} features explained, {scored} scored",
        f"report: {result.report}",
        f"explore: autointerp view {typed(settings.out / 'run')} --open",
    )
    value = {"explained": explained, "scored": scored, "report": str(result.report)}
    return tell(lines, value, as_json=as_json)
