"""The commands about dumps: inspect, import."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autointerp.cli import options as o

if TYPE_CHECKING:
    from autointerp.dump.summary import DumpSummary

importing = typer.Typer(no_args_is_help=True, help="Turn foreign files into a dump.")


def inspect(
    dump: o.DUMP,
    feature: Annotated[int | None, typer.Option("--feature", help="Draw this feature's contact sheet.")] = None,
    out: Annotated[Path, typer.Option("--out", help="Where to draw it, .png or .jpg.")] = Path("sheet.png"),
    check: Annotated[
        bool, typer.Option("--check", help="Read every row and image file, and list what is wrong or odd.")
    ] = False,
    allow_outside: o.OUTSIDE = False,
    json: o.JSON = False,
) -> None:
    """Show what is in a dump: counts, widths, densities, what is missing or odd.

    Exit code 2 if --check finds a row that is not as the format says.

    Example: `autointerp inspect DUMP --feature 12 --out sheet.png`
    """
    from autointerp.cli.build import print_json
    from autointerp.jobs.inspecting import draw_feature
    from autointerp.jobs.inspecting import inspect as job

    if feature is not None:
        draw_feature(dump, feature, out, allow_outside=allow_outside)
        if json:
            print_json({"feature": feature, "sheet": str(out)})
        else:
            typer.echo(f"feature {feature} -> {out}")
        return
    summary, problems = job(dump, check=check, allow_outside=allow_outside)
    if json:
        listed = [{"severity": p.severity, "where": p.where, "message": p.message, "count": p.count} for p in problems]
        print_json(summary.model_dump(mode="json") | ({"problems": listed} if check else {}))
    else:
        for line in _lines(summary):
            typer.echo(line)
        for problem in problems:
            typer.echo(str(problem))
        if check and not problems:
            typer.echo("checked every row and every image file: nothing wrong")
    if any(p.severity == "error" for p in problems):
        raise typer.Exit(2)


@importing.command("folder")
def import_folder(
    src: Annotated[Path, typer.Argument(help="Folder with a folder of images for each feature.", show_default=False)],
    dump: Annotated[Path, typer.Argument(help="Folder to write; must not exist.", show_default=False)],
    name: Annotated[str | None, typer.Option("--name", help="Of the dump. [default: SRC's name]")] = None,
    model: Annotated[str, typer.Option("--model", help="Whose features they are.")] = "unknown",
    hookpoint: Annotated[str, typer.Option("--hookpoint", help="Where in the model they live.")] = "unknown",
    n_latents: Annotated[int | None, typer.Option("--n-latents", min=1, help="Size of the dictionary.")] = None,
    population: Annotated[
        int | None,
        typer.Option(
            "--population",
            min=1,
            help="Images that were run, if those in a feature's folder are all that fire it. [default: not known, and "
            "so are densities]",
            show_default=False,
        ),
    ] = None,
    link: Annotated[bool, typer.Option("--link", help="Keep absolute paths instead of copying the images.")] = False,
    silent_from_others: Annotated[
        int,
        typer.Option(
            "--silent-from-others",
            min=0,
            help="Draw this many silent images for each feature from those not listed under it (detection needs some).",
        ),
    ] = 0,
    seed: o.SEED = 0,
    allow_outside: o.OUTSIDE = False,
    json: o.JSON = False,
) -> None:
    """Import `SRC/<feature>/*.{png,jpg,webp}`, with activations from metadata.txt or activations.csv if they are there.

    Example: `autointerp import folder top-images/ my-dump --silent-from-others 40`
    """
    from autointerp.cli.build import print_json
    from autointerp.dump.importers.folder import import_folder as job

    info = job(
        src,
        dump,
        name=name,
        model=model,
        hookpoint=hookpoint,
        n_latents=n_latents,
        population=population,
        copy=not link,
        silent_from_others=silent_from_others,
        seed=seed,
        allow_outside=allow_outside,
    )
    if json:
        print_json({"dump": str(dump)} | info.model_dump(mode="json"))
        return
    typer.echo(f"{info.name}: {info.n_images:,} images -> {dump}")
    if info.population_note is not None:
        typer.echo(f"{info.population_note}; if you know, give --population")
    typer.echo(f"next: autointerp explain {dump} --run RUN --model MODEL" + (" --allow-outside" if link else ""))


def _lines(s: "DumpSummary") -> list[str]:
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
    return lines + [f"odd: {sentence}" for sentence in s.odd]


def _of_how_many(s: "DumpSummary") -> str:
    if s.population == "unknown":
        return "of an unknown number that were run"
    return f"of {s.n_images:,} run" if s.population == "complete" else f"of a sample of {s.n_images:,} run"
