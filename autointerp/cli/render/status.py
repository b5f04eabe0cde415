"""Prints what `autointerp status` found."""

from collections.abc import Iterator

from autointerp.cli.printing import dollars, tell
from autointerp.commands.status import Status
from autointerp.errors import typed
from autointerp.jobs.status import RunStatus, ScorerStatus
from autointerp.schema import UNDETERMINED
from autointerp.unexplainable import in_words


def show(result: RunStatus, settings: Status, *, as_json: bool) -> int:
    """Prints the run in numbers."""
    return tell(_lines(result), result.model_dump(mode="json"), as_json=as_json)


def _lines(s: RunStatus) -> Iterator[str]:
    if s.headline:
        yield s.headline
    yield f"{s.run}: {s.dump}, explained by {s.explainer}" + (f", judged by {s.judge}" if s.judge else "")
    yield f"  explained   {s.explained:,} ({s.none:,} without a common property, {s.mixed:,} mixed)"
    for scorer in s.scorers:
        mean = (
            f"mean {scorer.mean:.3f} [{scorer.low:.3f}, {scorer.high:.3f}]" if scorer.mean is not None else "none yet"
        )
        yield f"  {scorer.scorer:<11} {mean}, {scorer.n:,} features, {scorer.unscored:,} unscored{_wide(scorer)}"
    for name, line in (("sampled", s.several), ("relevance", s.associated), ("relevance", s.shuffled)):
        if line:
            yield f"  {name:<11} {line}"
    for c in s.controls:
        interval = "" if c.low is None else f" [{c.low:+.3f}, {c.high:+.3f}]"
        yield (
            f"  control     {c.control}: {c.value:.3f} where own is {c.own:.3f}, "
            f"difference {c.difference:+.3f}{interval}, p = {c.p:.2g}, {c.n:,} features: {c.verdict}"
        )
    if s.others:
        yield f"  judges      {s.others}"
    yield from _open_ends(s)
    tokens = f"{s.usage.input_tokens:,} tokens in, {s.usage.output_tokens:,} out"
    used = f"{s.usage.calls:,} calls, {tokens}, {dollars(s.usage.dollars)}"
    yield f"  used        {used if s.usage.calls else 'nothing was asked'}"


def _wide(scorer: ScorerStatus) -> str:
    """Says how many features are undetermined, and what the mean is without them."""
    if not scorer.undetermined:
        return ""
    others = "none left" if scorer.mean_determined is None else f"mean {scorer.mean_determined:.3f} without them"
    return f", {scorer.undetermined:,} undetermined (interval wider than {UNDETERMINED:g}; {others})"


def _open_ends(s: RunStatus) -> Iterator[str]:
    yield from (f"  pending     {kind}: {n:,} features" for kind, n in sorted(s.pending.items()))
    if s.unexplainable:
        yield f"  settled     {in_words(s.unexplainable)}"
    if s.unmerged:
        yield f"  shards      {s.unmerged:,} not merged yet: autointerp merge {typed(s.run)}"
    if s.batch:
        yield f"  batch jobs  autointerp batch status {typed(s.run)}"
