"""The command that joins shards: `autointerp merge`."""

from typing import TYPE_CHECKING, Annotated

import typer

from autointerp.cli import options as o
from autointerp.unexplainable import in_words

if TYPE_CHECKING:
    from autointerp.jobs.merging import MergeResult

N_NAMED = 8
"""Missing shards that are listed."""


def merge(
    run: o.RUN,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the parts, in RUN/parts/merged/.")] = False,
    json: o.JSON = False,
) -> None:
    """Merge the shards of a run into it: what `explain --shard` and `score --shard` wrote.

    It may be interrupted and run again; shards that are not done yet can be merged later.

    Example: `autointerp merge runs/first`
    """
    from autointerp.cli.build import leave, print_json
    from autointerp.jobs.merging import merge as job
    from autointerp.jobs.remote_runs import run_at, url_of

    with run_at(run) as folder:
        result = job(folder, keep=keep)
        result.run = url_of(result.run, folder, run)
    if json:
        print_json(_as_json(result))
    else:
        for line in _lines(result):
            typer.echo(line)
    leave(complete=result.complete, halted=False)


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
