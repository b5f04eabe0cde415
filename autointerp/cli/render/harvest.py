"""Prints what `autointerp harvest` did."""

from collections.abc import Iterator
from dataclasses import asdict

from autointerp.cli.printing import outside, plural, tell
from autointerp.commands.harvest import Harvest
from autointerp.errors import typed
from autointerp.jobs.harvesting import HarvestResult
from autointerp.remote.path import Location
from autointerp.transcoder.harvest.run import Harvested
from autointerp.transcoder.harvest.sharding import ShardDone

N_NAMED = 8
"""How many missing shards are named."""


def show(result: HarvestResult, settings: Harvest, *, as_json: bool) -> int:
    """Prints what was written and what comes next."""
    found = settings.settings.active_above is None
    return show_written(result, settings.dump, as_json=as_json, found=found)


def show_written(result: HarvestResult, dump: Location, *, as_json: bool, found: bool = False) -> int:
    """Prints what a harvest or the merging of its shards wrote.

    Args:
        result: what it says.
        dump: as it was named.
        as_json: prints one JSON object.
        found: whether the threshold was found by --density.
    """
    names = ("coder", "n_latents", "n_dead", "n_images", "n_stored", "active_above")
    dumps = [
        {"dump": str(d.dump)}
        | {name: getattr(d, name) for name in names}
        | {"hierarchy": None if d.hierarchy is None else d.hierarchy.model_dump()}
        for d in result.dumps
    ]
    left_out = [asdict(one) for one in result.left_out]
    value: dict[str, object] = {"dumps": dumps, "broken": list(result.broken), "left_out": left_out}
    if result.shard is not None:
        value["shard"] = asdict(result.shard) | {"missing": list(result.shard.missing)}
        return tell(_lines_of_shard(result, result.shard, dump), value, as_json=as_json)
    return tell(_lines(result, found=found), value, as_json=as_json)


def _lines_of_shard(result: HarvestResult, done: ShardDone, dump: Location) -> Iterator[str]:
    yield from (f"left out: {one}" for one in result.left_out)
    yield f"shard {done.shard}: {done.n_images:,} images are done"
    if done.missing:
        more = f" and {len(done.missing) - N_NAMED:,} more" if len(done.missing) > N_NAMED else ""
        yield f"not done yet: --shard {', '.join(done.missing[:N_NAMED])}{more}"
    else:
        yield f"next: autointerp merge {typed(dump)}"


def _lines(result: HarvestResult, *, found: bool) -> Iterator[str]:
    yield from (f"left out: {one}" for one in result.left_out)
    for d in result.dumps:
        yield (
            f"{d.coder}: {d.n_latents:,} latents ({d.n_dead:,} never fire above {d.active_above:.4g}), "
            f"{d.n_images:,} images, {d.n_stored:,} of them stored -> {d.dump}"
        )
        if found and 2 * d.n_dead > d.n_latents:
            yield _high(d)
        if (h := d.hierarchy) is not None and h.n_pairs_shuffled is not None:
            where = (
                "" if h.share is None else f", on at {h.share:.0%} of a child's patches, {h.elsewhere:.0%} elsewhere"
            )
            yield (
                f"{d.coder}: {h.n_with_parents:,} latents have parents, {h.n_pairs:,} pairs{where} (with places "
                f"shuffled {h.n_pairs_shuffled:,} pairs); {h.n_with_duplicates:,} latents have duplicates"
            )
    allow = outside(allowed=result.store == "paths")
    yield f"next: autointerp explain {typed(result.dumps[0].dump)} --run RUN --model MODEL{allow}"


def _high(d: Harvested) -> str:
    return (
        f"{d.coder}: --active-above auto found {d.active_above:.4g} on {plural(d.n_images, 'image')}; where too many "
        "latents never fire above that, give more images or --active-above 0"
    )
