"""What `autointerp harvest` prints."""

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
    return {"dumps": dumps, "broken": list(result.broken)}


def _lines(result: "HarvestResult", store: str) -> list[str]:
    lines = []
    if result.broken:
        lines.append(f"left out, since they cannot be read: {len(result.broken):,}; the first: {result.broken[0]}")
    for d in result.dumps:
        lines.append(
            f"{d.coder}: {d.n_latents:,} latents ({d.n_dead:,} never fire above {d.active_above:.4g}), "
            f"{d.n_images:,} images, {d.n_stored:,} of them stored -> {d.dump}"
        )
    outside = " --allow-outside" if store == "paths" else ""
    lines.append(f"next: autointerp explain {result.dumps[0].dump} --run RUN --model MODEL{outside}")
    return lines
