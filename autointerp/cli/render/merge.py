"""Prints what `autointerp merge` did."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from autointerp.cli.printing import exit_code, tell
from autointerp.commands.merge import Merge
from autointerp.errors import typed
from autointerp.shards.merge import MergeResult
from autointerp.unexplainable import in_words

if TYPE_CHECKING:
    from autointerp.jobs.harvesting import HarvestResult

N_NAMED = 8
"""How many missing shards are named."""


def show(result: "MergeResult | HarvestResult", settings: Merge, *, as_json: bool) -> int:
    """Prints what was merged and what is missing; exit code 1 if shards of a run are missing."""
    if not isinstance(result, MergeResult):
        from autointerp.cli.render.harvest import show_written

        return show_written(result, Path(settings.run), as_json=as_json)
    value = {
        "run": str(result.run),
        "merged": result.merged,
        "explanations": result.explanations,
        "scores": result.scores,
        "failures": result.failures,
        "unexplainable": dict(result.unexplainable),
        "missing": dict(result.missing),
    }
    code = exit_code(complete=result.complete, halted=False)
    return tell(_lines(result), value, as_json=as_json, code=code)


def _lines(result: MergeResult) -> Iterator[str]:
    counts = (("explanations", result.explanations), ("scores", result.scores), ("failures", result.failures))
    got = ", ".join(f"{n:,} {name}" for name, n in counts if n) or "no new records"
    n = len(result.merged)
    yield f"merged {n} {'part' if n == 1 else 'parts'}: {got} -> {result.run}" if n else "there is nothing to merge"
    if result.unexplainable:
        yield in_words(result.unexplainable)
    for stage, shards in result.missing.items():
        more = f" and {len(shards) - N_NAMED:,} more" if len(shards) > N_NAMED else ""
        yield f"{stage}: not all is there yet: run --shard {', '.join(shards[:N_NAMED])}{more}, then merge again"
    if result.dealt:
        yield "an interrupted command left these parts; run it again to go on"
    elif n and not result.missing:
        scored = any(name.startswith("score") for name in result.merged)
        yield f"next: autointerp {'report' if scored else 'score'} {typed(result.run)}"
