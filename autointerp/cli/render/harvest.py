"""Prints what `autointerp harvest` did."""

from collections.abc import Iterator
from dataclasses import asdict

from autointerp.cli.printing import tell
from autointerp.commands.harvest import Harvest
from autointerp.errors import typed
from autointerp.jobs.harvest import HarvestResult


def show(result: HarvestResult, settings: Harvest, *, as_json: bool) -> int:
    """Prints what was written and what comes next."""
    names = ("coder", "n_latents", "n_dead", "n_images", "n_stored", "active_above")
    dumps = [
        {"dump": str(d.dump)}
        | {name: getattr(d, name) for name in names}
        | {"hierarchy": None if d.hierarchy is None else d.hierarchy.model_dump()}
        for d in result.dumps
    ]
    left_out = [asdict(one) for one in result.left_out]
    value = {"dumps": dumps, "broken": list(result.broken), "left_out": left_out}
    return tell(_lines(result, settings.store), value, as_json=as_json)


def _lines(result: HarvestResult, store: str) -> Iterator[str]:
    yield from (f"left out: {one}" for one in result.left_out)
    for d in result.dumps:
        yield (
            f"{d.coder}: {d.n_latents:,} latents ({d.n_dead:,} never fire above {d.active_above:.4g}), "
            f"{d.n_images:,} images, {d.n_stored:,} of them stored -> {d.dump}"
        )
        if (h := d.hierarchy) is not None and h.n_pairs_shuffled is not None:
            where = (
                "" if h.share is None else f", on at {h.share:.0%} of a child's patches, {h.elsewhere:.0%} elsewhere"
            )
            yield (
                f"{d.coder}: {h.n_with_parents:,} latents have parents, {h.n_pairs:,} pairs{where} (with places "
                f"shuffled {h.n_pairs_shuffled:,} pairs); {h.n_with_duplicates:,} latents have duplicates"
            )
    outside = " --allow-outside" if store == "paths" else ""
    yield f"next: autointerp explain {typed(result.dumps[0].dump)} --run RUN --model MODEL{outside}"
