"""What `autointerp demo` prints."""

from typing import TYPE_CHECKING

from autointerp.cli.printing import finish
from autointerp.cli.terminal import say, say_json

if TYPE_CHECKING:
    from autointerp.commands.demo import Demo
    from autointerp.jobs.demo import Demonstrated


def show(result: "Demonstrated", settings: "Demo", *, as_json: bool) -> int:
    """Prints where the report is; exit code 1 if features failed."""
    for did, part in (("explained", result.explained), ("scored", result.scored)):
        if not part.complete:
            return finish(did, part, as_json=as_json, next_step="")
    explained, scored = (part.before + part.done for part in (result.explained, result.scored))
    if as_json:
        say_json({"explained": explained, "scored": scored, "report": str(result.report)})
    else:
        say(f"{explained} features explained, {scored} scored")
        say(f"report: {result.report}")
    return 0
