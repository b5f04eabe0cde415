"""Prints what `autointerp train evaluate` found."""

from collections.abc import Iterable, Iterator, Sequence

from rich.table import Table

from autointerp.cli.printing import table, tell
from autointerp.commands.train_evaluate import TrainEvaluate
from autointerp.transcoder.evaluation import Asked, CoderFigures, Estimate, Evaluation


def show(result: Evaluation, settings: TrainEvaluate, *, as_json: bool) -> int:
    """Prints a table for each kind of figure."""
    lines = (line for made in _tables(result) for line in (made, ""))
    return tell(lines, result.model_dump(mode="json"), as_json=as_json)


def _tables(found: Evaluation) -> Iterator[Table]:
    both = (*found.coders, *found.controls)
    yield _reconstruction(both)
    if any(c.nesting for c in found.coders):
        yield _nesting(found.coders)
    if any(c.association for c in both):
        yield _association(both)
    if found.asked is not None:
        yield _effects(found.asked, found.coders)


def _reconstruction(coders: Sequence[CoderFigures]) -> Table:
    def rows() -> Iterator[tuple[str, ...]]:
        for c in coders:
            if (h := c.held_out) is None:
                continue
            for i, (width, fvu, l0) in enumerate(zip(c.widths, h.fvu, h.l0, strict=True)):
                once = () if i else (f"{h.dead_share:.1%}", f"{h.tokens:,}{'' if c.unseen else ' *'}", c.model)
                yield ("" if i else c.coder, f"{width:,}", f"{fvu:.4f}", f"{l0:.1f}", *once)

    headings = ("coder", "first latents", "unexplained", "on a token", "dead", "tokens", "model")
    made = table(headings, rows(), title="Reconstruction of held-out tokens")
    if any(c.held_out and not c.unseen for c in coders):
        made.caption = "* not known to have been left out of its training"
    return made


def _nesting(coders: Iterable[CoderFigures]) -> Table:
    rows = (
        (
            "" if i else c.coder,
            f"{n.width:,}",
            f"{n.cosine:.2f} ({n.cosine_random:.2f})",
            f"{n.also:.1%} ({n.also_chance:.1%})",
            f"{n.missed:.1%}",
            f"{n.instead:.1%} ({n.instead_chance:.1%})",
        )
        for c in coders
        for i, n in enumerate(c.nesting)
    )
    headings = ("coder", "first latents", "cosine", "fires too", "silent where needed", "and the later fires")
    title = "Latents of a prefix, and the closest later latent of each (in brackets: by chance)"
    return table(headings, rows, title=title)


def _association(coders: Iterable[CoderFigures]) -> Table:
    rows = (
        (
            c.coder,
            f"{a.n_firing:,}",
            f"{a.n_associated:,}",
            f"{a.share:.1%} [{a.low:.1%}, {a.high:.1%}]",
            f"{a.shuffled:.1%}",
            "" if a.median_lift is None else f"{a.median_lift:.2f}",
            f"{a.n_images:,} ({a.n_attribute:,})",
        )
        for c in coders
        if (a := c.association) is not None
    )
    shares = ("share, 95 %", "labels shuffled", "median lift")
    headings = ("coder", "fire", "go with it", *shares, "images (with it)")
    return table(headings, rows, title="Latents that fire where the attribute is")


def _effects(asked: Asked, coders: Iterable[CoderFigures]) -> Table:
    words = "that it did not learn from" if asked.part == "test" else "of all"
    images = f"{asked.n_images:,} images {words}, {asked.n_groups:,} groups"
    rows: list[tuple[str, ...]] = [("", "nothing", "", "", _figure(asked.auroc), "")]
    for c in coders:
        for i, e in enumerate(c.effects):
            name, figures = "" if i else c.coder, map(_figure, (e.change, e.agreement, e.auroc))
            rows.append((name, e.replaced_by, *figures, _figure(e.auroc_change, "+.3f")))
    headings = ("coder", "replaced by", "change of log odds", "same decision", "AUROC", "AUROC change")
    return table(headings, rows, title=f"The classifier with the layer replaced, on {images}")


def _figure(found: Estimate | None, form: str = ".3f") -> str:
    return "" if found is None else f"{found.value:{form}} [{found.low:{form}}, {found.high:{form}}]"
