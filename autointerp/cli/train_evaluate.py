"""The command `train evaluate`."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autointerp.cli import options as o
from autointerp.cli.train_activations import Lines

if TYPE_CHECKING:
    from rich.table import Table

    from autointerp.jobs.evaluated import CoderFigures, Evaluation
    from autointerp.transcoder.evaluation import Estimate


def evaluate(
    activations: Annotated[Path, typer.Argument(help="Folder of stored activations.", show_default=False)],
    coder: Annotated[
        list[str],
        typer.Option("--coder", help="Folder of a coder trained on them; repeatable.", show_default=False),
    ],
    images: Annotated[
        Path | None, typer.Option("--images", help="Folder of images; without it only tokens are measured.")
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels",
            help="CSV with the columns path, label (1 = has the attribute, 0, or empty) and perhaps group. "
            "Without it, folders named plausible and implausible decide.",
        ),
    ] = None,
    error_folders: Annotated[
        list[str] | None,
        typer.Option("--error-folders", help="Folder whose images have the attribute, all others not; repeatable."),
    ] = None,
    classifier: Annotated[
        Path | None,
        typer.Option("--classifier", help="Folder of a classifier whose layer the coders replace.", show_default=False),
    ] = None,
    part: Annotated[
        str, typer.Option("--part", help="Images it is asked about: `test`, which it did not learn from, or `all`.")
    ] = "test",
    control: Annotated[
        list[str] | None,
        typer.Option("--control", help="Folder of a coder of another backbone, e.g. dinov2-small:random; repeatable."),
    ] = None,
    tokens: Annotated[int, typer.Option("--tokens", min=1, help="Held-out tokens, at most about.")] = 131_072,
    held_out: Annotated[
        float,
        typer.Option("--held-out", help="Share of the image groups, for a coder that does not say what it left out."),
    ] = 0.05,
    most_images: Annotated[int, typer.Option("--most-images", min=1, help="Images run; drawn if more.")] = 4096,
    density: Annotated[
        float, typer.Option("--density", help="Half of the latents fire on this share of the images or more.")
    ] = 0.02,
    level: Annotated[
        float, typer.Option("--level", help="False discovery rate of latents that go with the attribute.")
    ] = 0.05,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Images run at once.")] = 16,
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Of draws, and of a `:random` backbone's weights, as when stored.")
    ] = 0,
    device: Annotated[str, typer.Option("--device", help="As torch names it: cpu, cuda, cuda:1, mps.")] = "cpu",
    json: o.JSON = False,
) -> None:
    """Measure coders: reconstruction, nesting, what their latents go with, and what a classifier loses by them.

    Tokens are those of the image groups that a coder's training left out. With --images it also tells how many latents
    fire where the attribute is, and with --classifier how its answers change when the layer is replaced.

    Example: `autointerp train evaluate activations/ --coder coders/first --images images/ --classifier classifier/`
    """
    from autointerp.cli.build import build_settings, print_json
    from autointerp.needs import TRAIN, need

    need("training", TRAIN, "train")
    from autointerp.jobs.evaluated import EvaluateSettings
    from autointerp.jobs.evaluating import evaluate as job

    values = {"tokens": tokens, "held_out": held_out, "most_images": most_images, "part": part, "density": density}
    settings = build_settings(EvaluateSettings, **values, level=level, batch=batch, seed=seed)
    found = job(
        activations,
        coder,
        images=images,
        labels=labels,
        error_folders=tuple(error_folders or ()),
        classifier=classifier,
        controls=tuple(control or ()),
        settings=settings,
        device=device,
        progress=Lines("images run"),
    )
    if json:
        print_json(found.model_dump(mode="json"))
    else:
        _show(found)


def _show(found: "Evaluation") -> None:
    from rich.console import Console

    console = Console()
    # Where stdout is no terminal rich assumes 80 columns, which would cut the figures.
    console.width = max(console.width, 126)
    for table in _tables(found):
        console.print(table)
        console.print()


def _tables(found: "Evaluation") -> Iterator["Table"]:
    both = (*found.coders, *found.controls)
    yield _reconstruction(both)
    if any(c.nesting for c in found.coders):
        yield _nesting(found.coders)
    if any(c.association for c in both):
        yield _association(both)
    if found.asked is not None:
        yield _effects(found)


def _reconstruction(coders: Iterable["CoderFigures"]) -> "Table":
    table = _table(
        "Reconstruction of held-out tokens",
        "coder",
        "first latents",
        "unexplained",
        "on a token",
        "dead",
        "tokens",
        "model",
    )
    for c in coders:
        if c.held_out is None:
            continue
        h = c.held_out
        for i, (width, fvu, l0) in enumerate(zip(c.widths, h.fvu, h.l0, strict=True)):
            once = () if i else (f"{h.dead_share:.1%}", f"{h.tokens:,}{'' if c.unseen else ' *'}", c.model)
            table.add_row("" if i else c.coder, f"{width:,}", f"{fvu:.4f}", f"{l0:.1f}", *once)
    if any(c.held_out and not c.unseen for c in coders):
        table.caption = "* not known to have been left out of its training"
    return table


def _nesting(coders: Iterable["CoderFigures"]) -> "Table":
    table = _table(
        "Latents of a prefix, and the closest later latent of each (in brackets: by chance)",
        "coder",
        "first latents",
        "cosine",
        "fires too",
        "silent where needed",
        "and the later fires",
    )
    for c in coders:
        for i, n in enumerate(c.nesting):
            table.add_row(
                "" if i else c.coder,
                f"{n.width:,}",
                f"{n.cosine:.2f} ({n.cosine_random:.2f})",
                f"{n.also:.1%} ({n.also_chance:.1%})",
                f"{n.missed:.1%}",
                f"{n.instead:.1%} ({n.instead_chance:.1%})",
            )
    return table


def _association(coders: Iterable["CoderFigures"]) -> "Table":
    table = _table(
        "Latents that fire where the attribute is",
        "coder",
        "fire",
        "go with it",
        "share, 95 %",
        "labels shuffled",
        "median lift",
        "images (with it)",
    )
    for c in coders:
        if c.association is None:
            continue
        a = c.association
        table.add_row(
            c.coder,
            f"{a.n_firing:,}",
            f"{a.n_associated:,}",
            f"{a.share:.1%} [{a.low:.1%}, {a.high:.1%}]",
            f"{a.shuffled:.1%}",
            "" if a.median_lift is None else f"{a.median_lift:.2f}",
            f"{a.n_images:,} ({a.n_attribute:,})",
        )
    return table


def _effects(found: "Evaluation") -> "Table":
    asked = found.asked
    assert asked is not None
    words = "that it did not learn from" if asked.part == "test" else "of all"
    table = _table(
        f"The classifier with the layer replaced, on {asked.n_images:,} images {words}, {asked.n_groups:,} groups",
        "coder",
        "replaced by",
        "change of log odds",
        "same decision",
        "AUROC",
        "AUROC change",
    )
    table.add_row("", "nothing", "", "", _figure(asked.auroc), "")
    for c in found.coders:
        for i, e in enumerate(c.effects):
            table.add_row(
                "" if i else c.coder,
                e.replaced_by,
                _figure(e.change),
                _figure(e.agreement),
                _figure(e.auroc),
                _figure(e.auroc_change, "+.3f"),
            )
    return table


def _table(title: str, *headings: str) -> "Table":
    from rich.table import Table

    table = Table(title=title, title_justify="left", caption_justify="left", box=None)
    for i, heading in enumerate(headings):
        table.add_column(heading, justify="right" if i else "left", no_wrap=True)
    return table


def _figure(found: "Estimate | None", form: str = ".3f") -> str:
    return "" if found is None else f"{found.value:{form}} \\[{found.low:{form}}, {found.high:{form}}]"
