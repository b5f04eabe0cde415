"""Prints lines, tables and JSON, foreign words as text that cannot steer a terminal, addresses without keys."""

import json
import shlex
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from autointerp.errors import printable, typed, without_secrets
from autointerp.unexplainable import in_words

if TYPE_CHECKING:
    from rich.table import Table

    from autointerp.job import JobResult
    from autointerp.remote.path import AnyPath


def shown(text: str) -> str:
    """A line as a terminal may have it."""
    return printable(without_secrets(text))


def say(line: str) -> None:
    """Writes one line to stdout."""
    sys.stdout.write(shown(line) + "\n")


def say_aside(line: str) -> None:
    """One line on stderr, at once."""
    sys.stderr.write(shown(line) + "\n")
    sys.stderr.flush()


def as_json(value: object, indent: int | None = None) -> str:
    """A value as JSON in which every character that is not printable is escaped."""
    text = without_secrets(json.dumps(value, ensure_ascii=False, indent=indent, default=str))
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


def say_json(value: object) -> None:
    """One JSON object on stdout."""
    sys.stdout.write(as_json(value, indent=2) + "\n")


def say_json_aside(value: object) -> None:
    """One JSON object on stderr, in one line, at once."""
    sys.stderr.write(as_json(value) + "\n")
    sys.stderr.flush()


class Terminal(Console):
    """Draws tables and bars; what stands in them is text, and neither markup nor a word to the terminal.

    Args:
        stderr: whether it draws on stderr.
        highlight: whether numbers and the like are coloured.
        width: least characters of a line, since rich takes 80 where stdout is no terminal, which would cut figures.
    """

    def __init__(self, *, stderr: bool = False, highlight: bool = True, width: int = 0) -> None:
        super().__init__(stderr=stderr, highlight=highlight, markup=False, emoji=False)
        self.width = max(self.width, width)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """What is drawn, piece by piece."""
        for piece in super().render(renderable, options):
            yield piece if piece.control else Segment("\n".join(map(shown, piece.text.split("\n"))), piece.style)


EXIT_FAILURES = 1
"""Failures were recorded that a rerun may mend."""
EXIT_INPUT = 2
"""The input is not as it should be."""
EXIT_STOPPED = 3
"""The budget or a signal stopped the work."""
LEAST_WIDTH = 130
"""Columns of the widest table. Where stdout is no terminal rich assumes 80, which would cut the figures."""


def plural(n: int, what: str) -> str:
    """Writes a number with its noun: `1 feature`, `2 features`."""
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


def dollars(value: float | None) -> str:
    """Writes dollars to a hundredth of a cent, or says that the price is unknown."""
    return "price unknown" if value is None else f"${value:,.4f}"


def tell(lines: "Iterable[str | Table]", value: object, *, as_json: bool, code: int = 0) -> int:
    """Prints a result on stdout and returns the exit code."""
    if as_json:
        say_json(value)
        return code
    for line in lines:
        if isinstance(line, str):
            say(line)
        else:
            Terminal(width=LEAST_WIDTH).print(line)
    return code


def table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], *, title: str | None = None, left: int = 1
) -> "Table":
    """Makes a table without rules.

    Args:
        headings: one for each column.
        rows: cells as text; a short row leaves its last cells empty.
        title: stands above the table.
        left: the number of leading columns with text, which are aligned to the left; the others hold figures.
    """
    from rich.table import Table

    made = Table(title=title, title_justify="left", caption_justify="left", box=None)
    for i, heading in enumerate(headings):
        made.add_column(heading, justify="left" if i < left else "right", no_wrap=True)
    for row in rows:
        made.add_row(*row)
    return made


def finish(did: str, result: "JobResult", *, as_json: bool, next_step: str) -> int:
    """Prints what a job did, and returns the exit code."""
    code = exit_code(complete=result.complete, halted=result.halted)
    return tell(_lines(did, result, next_step), _as_json(result), as_json=as_json, code=code)


def exit_code(*, complete: bool, halted: bool) -> int:
    """Returns the exit code: 3 if the budget or a signal stopped the work, else 1 if a rerun may mend what is left."""
    if halted:
        return EXIT_STOPPED
    return 0 if complete else EXIT_FAILURES


def show_recorded(command: str, what: str, run: "str | AnyPath", *, as_json: bool) -> int:
    """Says that a command was recorded for a batch job, and what comes next; returns the exit code 0."""
    lines = (
        f"recorded for a batch job: {command}, {what}; nothing was asked",
        f"next: autointerp batch run {typed(run)}, which sends, waits and goes on to the end; or step by step:",
        f"autointerp batch submit {typed(run)}, later autointerp batch collect {typed(run)}, and so on",
    )
    return tell(lines, {"run": str(run), "recorded": command}, as_json=as_json)


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


def outside(*, allowed: bool) -> str:
    """The option that the next command needs too where images outside the dump were allowed."""
    return " --allow-outside" if allowed else ""


def same_again(*options: str) -> str:
    """Says how to go on, with the command that was given, and further options if it needs them then."""
    more = [option for option in options if option not in sys.argv]
    same = f"the same command again with {' '.join(more)}" if more else "the same command again"
    return f"run {same} to go on: {shlex.join(['autointerp', *sys.argv[1:], *more])}"
