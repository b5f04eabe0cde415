"""What `autointerp merge` prints."""

from typing import TYPE_CHECKING

from autointerp.cli.printing import exit_code
from autointerp.cli.terminal import say, say_json
from autointerp.unexplainable import in_words

if TYPE_CHECKING:
    from autointerp.commands.merge import Merge
    from autointerp.shards.merge import MergeResult

N_NAMED = 8
"""Missing shards that are listed."""


def show(result: "MergeResult", settings: "Merge", *, as_json: bool) -> int:
    """Prints what was merged and what is missing; exit code 1 if shards are missing."""
    if as_json:
        say_json(_as_json(result))
    else:
        for line in _lines(result):
            say(line)
    return exit_code(complete=result.complete, halted=False)


def _as_json(result: "MergeResult") -> dict[str, object]:
    return {
        "run": str(result.run),
        "merged": result.merged,
        "explanations": result.explanations,
        "scores": result.scores,
        "failures": result.failures,
        "unexplainable": dict(result.unexplainable),
        "missing": dict(result.missing),
    }


def _lines(result: "MergeResult") -> list[str]:
    counts = (("explanations", result.explanations), ("scores", result.scores), ("failures", result.failures))
    got = ", ".join(f"{n:,} {name}" for name, n in counts if n) or "no new records"
    n = len(result.merged)
    lines = [f"merged {n} {'part' if n == 1 else 'parts'}: {got} -> {result.run}" if n else "there is nothing to merge"]
    if result.unexplainable:
        lines.append(in_words(result.unexplainable))
    for stage, shards in result.missing.items():
        more = f" and {len(shards) - N_NAMED:,} more" if len(shards) > N_NAMED else ""
        lines.append(
            f"{stage}: not all is there yet: run --shard {', '.join(shards[:N_NAMED])}{more}, then merge again"
        )
    if result.dealt:
        lines.append("an interrupted command left these parts; run it again to go on")
    elif n and not result.missing:
        scored = any(name.startswith("score") for name in result.merged)
        lines.append(f"next: autointerp {'report' if scored else 'score'} {result.run}")
    return lines
