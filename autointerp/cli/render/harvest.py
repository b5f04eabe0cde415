"""What `autointerp harvest` prints."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from autointerp.cli.terminal import say, say_json

if TYPE_CHECKING:
    from autointerp.commands.harvest import Harvest
    from autointerp.jobs.harvest import HarvestResult


def show(result: "HarvestResult", settings: "Harvest", *, as_json: bool) -> int:
    """Prints what was written and what comes next."""
    if as_json:
        say_json(_as_json(result))
        return 0
    for line in _lines(result, settings.store):
        say(line)
    return 0


def _as_json(result: "HarvestResult") -> dict[str, object]:
    names = ("coder", "n_latents", "n_dead", "n_images", "n_stored", "active_above")
    dumps = [{"dump": str(d.dump)} | {name: getattr(d, name) for name in names} for d in result.dumps]
    return {"dumps": dumps, "broken": list(result.broken), "left_out": [asdict(one) for one in result.left_out]}


def _lines(result: "HarvestResult", store: str) -> list[str]:
    lines = [f"left out: {one}" for one in result.left_out]
    for d in result.dumps:
        lines.append(
            f"{d.coder}: {d.n_latents:,} latents ({d.n_dead:,} never fire above {d.active_above:.4g}), "
            f"{d.n_images:,} images, {d.n_stored:,} of them stored -> {d.dump}"
        )
    outside = " --allow-outside" if store == "paths" else ""
    lines.append(f"next: autointerp explain {result.dumps[0].dump} --run RUN --model MODEL{outside}")
    return lines
