"""Prints what `autointerp inspect` found."""

from collections.abc import Iterator

from autointerp.cli.printing import EXIT_INPUT, tell
from autointerp.commands.inspect import Inspect
from autointerp.dump.summary import DumpSummary
from autointerp.jobs.inspect import Inspected


def show(result: Inspected, settings: Inspect, *, as_json: bool) -> int:
    """Prints the summary and the problems; exit code 2 if a row is not as the format says."""
    code = EXIT_INPUT if any(p.severity == "error" for p in result.problems) else 0
    return tell(_lines(result, settings), _as_json(result, settings), as_json=as_json, code=code)


def _as_json(result: Inspected, settings: Inspect) -> dict[str, object]:
    if result.summary is None:
        return {"feature": settings.feature, "sheet": str(settings.out)}
    names = ("severity", "where", "message", "count")
    listed = [{name: getattr(p, name) for name in names} for p in result.problems]
    return {**result.summary.model_dump(mode="json"), **({"problems": listed} if settings.check else {})}


def _lines(result: Inspected, settings: Inspect) -> Iterator[str]:
    if result.summary is None:
        yield f"feature {settings.feature} -> {settings.out}"
        return
    yield from _summary(result.summary)
    yield from map(str, result.problems)
    if settings.check and not result.problems:
        yield "checked every row and every image file: nothing wrong"


def _summary(s: DumpSummary) -> list[str]:
    grid = f"{s.patch_grid[0]}x{s.patch_grid[1]}" if s.patch_grid else "none"
    quantiles = {q: d for q, d in s.density_quantiles}
    peak = max(s.density_histogram, default=0)
    lines = [
        f"{s.name}  ({s.path})",
        f"  made        {s.created} by {s.created_by}",
        f"  model       {s.model}, {s.hookpoint}",
        f"  features    {s.n_features:,} of {s.n_latents:,} latents; {s.n_dead:,} never fire",
        f"  widths      {', '.join(f'{w.width} ({w.n_features:,} features)' for w in s.widths)}",
        f"  images      {s.n_images_stored:,} stored {_of_how_many(s)}; {s.n_images_as_bytes:,} inside the dump",
        f"  exemplars   {s.n_exemplars:,}, {s.n_exemplars_with_heat:,} with heat map ({grid}), "
        f"{s.n_exemplars_with_box:,} with box",
        f"  attribute   {s.attribute} on {s.n_images_with_attribute:,} stored images"
        if s.attribute
        else "  attribute   none",
        "  strata      " + ", ".join(f"{t.stratum} {t.n_exemplars:,} ({t.minimum}-{t.maximum} each)" for t in s.strata),
        "  density     unknown"
        if s.population == "unknown"
        else f"  density     median {quantiles.get(0.5, 0):.3%}, 5 % {quantiles.get(0.05, 0):.3%}, "
        f"95 % {quantiles.get(0.95, 0):.3%}",
    ]
    for count, low, high in zip(s.density_histogram, s.density_edges, s.density_edges[1:], strict=False):
        if count:
            bar = "#" * max(1, round(40 * count / peak))
            lines.append(f"    10^{low:+.1f} to 10^{high:+.1f}  {count:>9,}  {bar}")
    return lines + [f"note: {sentence}" for sentence in s.notes] + [f"odd: {sentence}" for sentence in s.odd]


def _of_how_many(s: DumpSummary) -> str:
    if s.population == "unknown":
        return "of an unknown number that were run"
    return f"of {s.n_images:,} run" if s.population == "complete" else f"of a sample of {s.n_images:,} run"
