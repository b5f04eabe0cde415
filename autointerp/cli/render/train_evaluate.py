"""What `autointerp train evaluate` prints."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from autointerp.cli.terminal import say_json

if TYPE_CHECKING:
    from rich.table import Table

    from autointerp.commands.train_evaluate import TrainEvaluate
    from autointerp.transcoder.evaluation import Estimate
    from autointerp.transcoder.evaluation_records import CoderFigures, Evaluation


def show(result: "Evaluation", settings: "TrainEvaluate", *, as_json: bool) -> int:
    """Prints a table for each kind of figure."""
    if as_json:
        say_json(result.model_dump(mode="json"))
    else:
        _print(result)
    return 0


def _print(found: "Evaluation") -> None:
    from autointerp.cli.terminal import Terminal

    console = Terminal(width=126)
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
    return "" if found is None else f"{found.value:{form}} [{found.low:{form}}, {found.high:{form}}]"
