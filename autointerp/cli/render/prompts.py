"""Prints what the commands of `autointerp prompts` did."""

from autointerp.cli.printing import tell
from autointerp.commands.prompts_copy import PromptsCopy
from autointerp.errors import typed
from autointerp.jobs.prompts_copy import Copied


def show_copy(result: Copied, settings: PromptsCopy, *, as_json: bool) -> int:
    """Prints which templates there are, and how they are used."""
    lines = [
        *(f"  {template}" for template in result.templates),
        f"copied {len(result.templates)} templates -> {result.folder}",
        f"next: change them, and autointerp explain DUMP --run RUN --prompts {typed(result.folder)}",
    ]
    return tell(lines, {"folder": str(result.folder), "templates": list(result.templates)}, as_json=as_json)
