"""What `autointerp status` prints."""

from typing import TYPE_CHECKING

from autointerp.cli.terminal import say, say_json
from autointerp.unexplainable import in_words

if TYPE_CHECKING:
    from autointerp.commands.status import Status
    from autointerp.jobs.status import RunStatus


def show(result: "RunStatus", settings: "Status", *, as_json: bool) -> int:
    """Prints the run in numbers."""
    if as_json:
        say_json(result.model_dump(mode="json"))
    else:
        _print(result)
    return 0


def _print(s: "RunStatus") -> None:
    if s.headline:
        say(s.headline)
    say(f"{s.run}: {s.dump}, explained by {s.explainer}" + (f", judged by {s.judge}" if s.judge else ""))
    say(f"  explained   {s.explained:,} ({s.none:,} without a common property, {s.mixed:,} mixed)")
    for scorer in s.scorers:
        mean = (
            f"mean {scorer.mean:.3f} [{scorer.low:.3f}, {scorer.high:.3f}]" if scorer.mean is not None else "none yet"
        )
        say(f"  {scorer.scorer:<11} {mean}, {scorer.n:,} features, {scorer.unscored:,} unscored")
    for name, line in (("sampled", s.several), ("relevance", s.associated), ("relevance", s.shuffled)):
        if line:
            say(f"  {name:<11} {line}")
    for c in s.controls:
        interval = "" if c.low is None else f" [{c.low:+.3f}, {c.high:+.3f}]"
        say(
            f"  control     {c.control}: {c.value:.3f} where own is {c.own:.3f}, "
            f"difference {c.difference:+.3f}{interval}, p = {c.p:.2g}, {c.n:,} features: {c.verdict}"
        )
    for line in _open_ends(s):
        say(line)
    dollars = "price unknown" if s.usage.dollars is None else f"${s.usage.dollars:,.4f}"
    say(
        f"  used        {s.usage.calls:,} calls, {s.usage.input_tokens:,} tokens in, "
        f"{s.usage.output_tokens:,} out, {dollars}"
    )


def _open_ends(s: "RunStatus") -> list[str]:
    lines = [f"  pending     {kind}: {n:,} features" for kind, n in sorted(s.pending.items())]
    if s.unexplainable:
        lines.append(f"  settled     {in_words(s.unexplainable)}")
    if s.unmerged:
        lines.append(f"  shards      {s.unmerged:,} not merged yet: autointerp merge {s.run}")
    return [*lines, f"  batch jobs  autointerp batch status {s.run}"] if s.batch else lines
