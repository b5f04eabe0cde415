"""What the batch commands say of the stages of a batch job, in words and as JSON."""

from collections.abc import Iterator, Mapping

from autointerp.jobs.batch.plan import StageResult
from autointerp.unexplainable import in_words


def stage_lines(results: Mapping[str, StageResult], left: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """Yields what should be read of stages that are finished, what became of each stage, and what failed of them."""
    for told in results.values():
        headline: str | None = getattr(told, "headline", None)
        if told.complete and headline:
            yield headline
        yield from (f"warning: {warning}" for warning in getattr(told, "warnings", ()))
    for name, told in results.items():
        yield _stage(name, told)
    yield from left_lines(left, results)


def left_lines(left: Mapping[str, Mapping[str, int]], gone_through: Mapping[str, StageResult]) -> Iterator[str]:
    """Yields what failed of finished stages; of one that was gone through now, its own line has said how many."""
    for name, kinds in left.items():
        why = ", ".join(f"{n:,} {kind}" for kind, n in sorted(kinds.items()))
        known = name in gone_through
        yield f"{name}: {'of them' if known else 'finished, but for what failed'}: {why}; no batch job asks that again"


def _stage(name: str, told: StageResult) -> str:
    before = getattr(told, "before", 0)
    unit = "calls" if name.startswith("calibrate") else "features"
    never: dict[str, int] = getattr(told, "unexplainable", {})
    parts = [f"{before + told.done:,} of {told.selected - sum(never.values()):,} {unit} done"]
    if told.deferred:
        parts.append(f"{told.deferred:,} {'waits' if told.deferred == 1 else 'wait'} for answers")
    if told.failed:
        parts.append(f"{told.failed:,} {'not covered by the budget' if told.stopped == 'over budget' else 'failed'}")
    return f"{name}: {', '.join(parts)}" + (f"; {in_words(never)}" if never else "")


def stages_as_json(results: Mapping[str, StageResult]) -> dict[str, object]:
    """Returns the counts of each stage as JSON values."""
    return {
        name: {"selected": r.selected, "done": r.done, "deferred": r.deferred, "failed": r.failed}
        | {"unexplainable": dict(getattr(r, "unexplainable", {}))}
        for name, r in results.items()
    }
