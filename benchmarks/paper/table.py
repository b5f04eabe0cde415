"""The tables of docs/reproduce.md, from table.json alone: `python -m benchmarks.paper.table` puts them there."""

from collections.abc import Callable, Sequence
from pathlib import Path

from autointerp.transcoder.evaluation import Estimate
from benchmarks.figures import put_tables
from benchmarks.paper.figures import Figure, Figures, Row
from benchmarks.paper.stages import LEAST_ACTIVE

HERE = Path(__file__).parent
JSON = HERE / "table.json"
PAGE = HERE.parent.parent / "docs/reproduce.md"
NAMES = {
    "matryoshka-transcoder": "Matryoshka transcoder",
    "topk-transcoder": "TopK transcoder",
    "matryoshka-sae": "Matryoshka SAE",
    "topk-sae": "TopK SAE",
    "raw-blocks.8.mlp.hidden": "raw units of the layer",
    "random-weights": "Matryoshka transcoder of random weights",
}
"""Rows, in order."""
CODERS = ("FVU of 128 / 512 / 2048", "L0", "dead", f"latents on ≥ {LEAST_ACTIVE} images")
PAPER = (
    "relevance, all that fire (dealt at random)",
    f"relevance, on ≥ {LEAST_ACTIVE} images (at random)",
    "associated at FDR 5 % (at random)",
    "accuracy as published",
    "detection, weighted F1",
    "“an image” / another's",
)


def tables(figures: Figures) -> dict[str, str]:
    """The page's tables as Markdown, by name."""
    rows = figures.rows
    first = rows[0].best
    kinds = [f"{found.kind} ({found.n_with}, {found.n_without})" for found in first]
    minutes = sum(figures.seconds.values()) / 60
    stages = ", ".join(f"{name} {seconds} s" for name, seconds in figures.cpu.items())
    return {
        "images": _images(figures),
        "coders": _markdown(CODERS, rows, _coder),
        "paper": _markdown(PAPER, rows, _paper),
        "best": _markdown(kinds, rows, lambda row: [_within(found.auroc) for found in row.best]),
        "effect": _effect(figures),
        "seconds": f"{minutes:.0f} minutes on {figures.machine}. Seconds of processor time: {stages}.",
    }


def put() -> None:
    """Replaces what stands between the page's marks."""
    put_tables(PAGE, tables(Figures.model_validate_json(JSON.read_text())), "paper")


def _markdown(head: Sequence[str], rows: Sequence[Row], cells: Callable[[Row], Sequence[str]]) -> str:
    lines = ["| " + " | ".join(["", *head]) + " |", "|" + "---|" * (len(head) + 1)]
    lines += ["| " + " | ".join([NAMES[row.coder], *cells(row)]) + " |" for row in rows]
    return "\n".join(lines)


def _images(figures: Figures) -> str:
    counts = ", ".join(f"{n} {name}" for name, n in figures.images.items())
    test = figures.classifier
    area = f"{test.auroc:.2f} [{test.auroc_low:.2f}, {test.auroc_high:.2f}]"
    return (
        f"Images: {counts}. The classifier on {test.n} images of things it never saw: AUROC {area}, Brier score "
        f"{test.brier:.3f} (of always saying the base rate: {figures.constant.brier:.3f})."
    )


def _coder(row: Row) -> list[str]:
    often = f"{row.n_often:,} of {row.n_latents:,}"
    if row.held_out is None:
        return ["–", "–", "–", often]
    held = row.held_out
    return [" / ".join(f"{x:.2f}" for x in held.fvu), f"{held.l0[-1]:.1f}", f"{held.dead_share:.2f}", often]


def _paper(row: Row) -> list[str]:
    against = {c.control: c.value for c in row.controls}
    return [
        *(_share(f) for f in (row.relevance, row.relevance_often, row.associated)),
        _within(row.accuracy),
        f"{_within(row.detection)}, n = {row.detection.n}",
        " / ".join(f"{against[c]:.2f}" if c in against else "–" for c in ("constant", "other")),
    ]


def _share(figure: Figure | None) -> str:
    if figure is None or figure.value is None or figure.low is None or figure.high is None or figure.shuffled is None:
        return "–"
    return (
        f"{100 * figure.value:.1f} % [{100 * figure.low:.1f}, {100 * figure.high:.1f}] ({100 * figure.shuffled:.1f} %)"
    )


def _within(figure: Figure | Estimate) -> str:
    if figure.value is None:
        return "–"
    if figure.low is None or figure.high is None:
        return f"{figure.value:.2f}"
    return f"{figure.value:.2f} [{figure.low:.2f}, {figure.high:.2f}]"


def _effect(figures: Figures) -> str:
    lines = ["| in the layer's place | decisions unchanged | AUROC, change |", "|---|---|---|"]
    for coder, found in figures.effects.items():
        for one in found:
            if one.replaced_by == "mean" and coder != next(iter(figures.effects)):
                continue  # the same constant stands beside every coder of one layer
            change = "–" if one.auroc_change is None else _within(one.auroc_change)
            name = "the layer's mean" if one.replaced_by == "mean" else f"{NAMES[coder]}, {one.replaced_by}"
            lines.append(f"| {name} | {_within(one.agreement)} | {change} |")
    return "\n".join(lines)


if __name__ == "__main__":
    put()
