"""Prints what the commands of `autointerp cache` found and removed."""

from collections.abc import Iterator

from pydantic import ByteSize

from autointerp.cli.printing import EXIT_INPUT, tell
from autointerp.commands.cache_info import CacheInfo
from autointerp.commands.cache_prune import CachePrune
from autointerp.commands.cache_verify import CacheVerify
from autointerp.jobs.cache import CacheContents, Checked, Part, Pruned


def show_info(result: CacheContents, settings: CacheInfo, *, as_json: bool) -> int:
    """Prints what the cache holds."""
    return tell(_contents(result), result.model_dump(mode="json"), as_json=as_json)


def show_verify(result: Checked, settings: CacheVerify, *, as_json: bool) -> int:
    """Prints what is broken; exit code 2 if something is."""
    code = EXIT_INPUT if result.broken else 0
    return tell(_checked(result), result.model_dump(mode="json"), as_json=as_json, code=code)


def show_prune(result: Pruned, settings: CachePrune, *, as_json: bool) -> int:
    """Prints what was removed, or would be."""
    return tell(_pruned(result), result.model_dump(mode="json"), as_json=as_json)


def _contents(found: CacheContents) -> Iterator[str]:
    yield f"{found.folder}: {_bytes(found.size)}"
    yield from (_part(part) for part in found.parts)
    if found.models:
        yield "by model:"
        yield from (_part(part) for part in found.models)
    for run in found.runs:
        gone = f", {run.missing:,} more that are not there" if run.missing else ""
        yield f"{run.run}: was given {run.n:,} of these answers, {_bytes(run.size)}{gone}"


def _checked(found: Checked) -> Iterator[str]:
    yield from found.listed
    read = ", ".join(f"{n:,} {kind}" for kind, n in found.read.items()) or "nothing"
    broken = ", ".join(f"{n:,} {kind}" for kind, n in found.broken.items())
    yield f"{found.folder}: read {read}; {f'broken: {broken}' if broken else 'nothing is broken'}"
    if found.broken:
        yield "what is broken counts as not there, and is made or asked for again where it is needed"


def _pruned(done: Pruned) -> Iterator[str]:
    yield from (_part(part) for part in done.removed)
    sizes = f"{_bytes(done.before)} before, {_bytes(done.after)} after"
    if not done.removed:
        yield f"{done.folder}: nothing to remove, {_bytes(done.before)}"
    elif done.dry_run:
        yield f"{done.folder}: these would be removed: {sizes}; the same without --dry-run removes them"
    else:
        yield f"{done.folder}: removed: {sizes}"


def _part(part: Part) -> str:
    return f"  {part.kind:<24} {part.n:>9,}  {_bytes(part.size):>10}"


def _bytes(n: int) -> str:
    return ByteSize(n).human_readable(decimal=True, separator=" ")
