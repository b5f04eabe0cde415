"""From results to what is printed."""

import dataclasses
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from autointerp.cli.terminal import say, say_json
from autointerp.unexplainable import in_words

if TYPE_CHECKING:
    from autointerp.job import JobResult

EXIT_FAILURES = 1
"""Failures were recorded that a rerun may mend."""
EXIT_INPUT = 2
"""The input is not as it should be."""
EXIT_STOPPED = 3
"""The budget or a signal stopped the work."""


def plural(n: int, what: str) -> str:
    """`1 feature`, `2 features`."""
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


def finish(did: str, result: "JobResult", *, as_json: bool, next_step: str) -> int:
    """Prints what a job did, and gives the exit code."""
    if as_json:
        say_json(_as_json(result))
    else:
        for line in _lines(did, result, next_step):
            say(line)
    return exit_code(complete=result.complete, halted=result.halted)


def exit_code(*, complete: bool, halted: bool) -> int:
    """The exit code: 3 if the budget or a signal stopped the work, else 1 if a rerun may mend what is left.

    Args:
        complete: whether nothing is left to do.
        halted: whether the budget or a signal stopped the work.
    """
    if halted:
        return EXIT_STOPPED
    return 0 if complete else EXIT_FAILURES


def show_recorded(command: str, what: str, run: str | Path, *, as_json: bool) -> None:
    """Says that a command was recorded for a batch job, and what comes next."""
    if as_json:
        say_json({"run": str(run), "recorded": command})
        return
    say(f"recorded for a batch job: {command}, {what}; nothing was asked")
    say(f"next: autointerp batch run {run}, which sends, waits and goes on to the end; or step by step:")
    say(f"autointerp batch submit {run}, later autointerp batch collect {run}, and so on")


def _as_json(result: "JobResult") -> dict[str, object]:
    tally = result.tally
    return {
        "headline": result.headline,
        "run": str(result.run),
        "selected": result.selected,
        "before": result.before,
        "done": result.done,
        "dead": result.dead,
        "unexplainable": dict(result.unexplainable),
        "failed": result.failed,
        "unanswered": result.gaps,
        "replaced": result.replaced,
        "stopped": result.stopped,
        "seconds": round(result.seconds, 3),
        "requests": tally.requests,
        "answered": tally.answered,
        "cached": tally.cached,
        "usage": tally.usage.model_dump(),
        "failures": dict(tally.failures),
        "retries": dict(tally.retries),
        "notes": result.notes,
    }


def _lines(did: str, result: "JobResult", next_step: str) -> list[str]:
    tally, usage = result.tally, result.tally.usage
    cost = "" if usage.dollars is None else f", ${usage.dollars:,.4f}"
    earlier = f" ({result.before:,} were done before)" if result.before else ""
    lines = [result.headline] if result.headline else []
    asked = result.selected - result.n_unexplainable
    lines.append(f"{did} {result.done:,} of {asked:,} features{earlier} in {result.seconds:,.1f} s -> {result.run}")
    tokens = usage.input_tokens + usage.output_tokens
    lines.append(
        f"{plural(tally.requests, 'call')}, {plural(tally.cached, 'answer')} from the cache, {tokens:,} tokens{cost}"
    )
    if result.unexplainable:
        lines.append(in_words(result.unexplainable))
    lines += result.notes
    if result.gaps:
        lines.append(
            f"{plural(result.gaps, 'question')} stayed unanswered (failures.jsonl); "
            "the intervals are as wide as their answers could make them"
        )
    if result.replaced:
        others = "another was" if result.replaced == 1 else "others were"
        lines.append(f"{plural(result.replaced, 'image')} cannot be read (failures.jsonl); {others} shown instead")
    if result.failed:
        stay = "stays" if result.failed == 1 else "stay"
        lines.append(f"{plural(result.failed, 'feature')} failed and {stay} pending (failures.jsonl); the first:")
        lines += [f"  feature {f.feature}: {f.stage}: {f.kind}: {f.message}" for f in result.failures[:5]]
    if not result.complete:
        why = f"stopped: {result.stopped}; " if result.stopped else ""
        lines.append(f"{why}{same_again()}")
    elif result.before + result.done:
        lines.append(f"next: {next_step}")
    return lines


def same_again(*options: str) -> str:
    """How to go on, with the command that was given, and further options if it needs them then."""
    more = [option for option in options if option not in sys.argv]
    same = f"the same command again with {' '.join(more)}" if more else "the same command again"
    return f"run {same} to go on: {shlex.join(['autointerp', *sys.argv[1:], *more])}"


def records(value: object) -> object:
    """A dataclass as JSON values."""
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else value
