"""The tables of docs/reproduce.md, from table.json alone: `python -m benchmarks.paper.table` puts them there."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from autointerp.statistics.rates import Interval
from benchmarks.figures import put_tables
from benchmarks.paper.claims import OURS, Judgement, judgements, of_name, over_seeds
from benchmarks.paper.figures import OFTEN, Figures, OnPairs, PairsOf, Row, Share
from benchmarks.paper.names import FRESH, FROZEN, MS, MT, RAW, SHOWN, TUNED

HERE = Path(__file__).parent
JSON = HERE / "table.json"
PAGE = HERE.parent.parent / "docs/reproduce.md"
NESTED = (f"{TUNED}-{MT}", f"{TUNED}-{MS}", f"{FROZEN}-{MT}", f"{FRESH}-{MT}")
"""Dictionaries whose prefixes are looked at one by one."""
CODERS = ("FVU of 128 / 512 / 2048", "L0", "dead", "latents judged")
PAPER = (
    "relevant, all that fire (dealt at random)",
    f"relevant, on ≥ {OFTEN} images (at random)",
    "associated at FDR 5 % (at random)",
    "text names an error",
    "accuracy as published",
    "weighted F1 (another's text)",
)


def tables(figures: Figures) -> dict[str, str]:
    """The page's tables as Markdown, by name."""
    rows = figures.rows
    return {
        "images": _images(figures),
        "claims": _claims(judgements(rows)),
        "coders": _by_name(CODERS, rows, _coder),
        "paper": _by_name(PAPER, rows, _paper),
        "best": _errors(figures),
        "widths": _widths(rows),
        "bands": _bands(rows),
        "pairs": _pairs(figures),
        "pair-widths": _pair_widths(figures),
        "seconds": _seconds(figures),
    }


def put() -> None:
    """Replaces what stands between the page's marks."""
    put_tables(PAGE, tables(Figures.model_validate_json(JSON.read_text())), "paper")


def markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Writes a table whose first column has no head."""
    made = ["| " + " | ".join(["", *head]) + " |", "|" + "---|" * (len(head) + 1)]
    return "\n".join([*made, *("| " + " | ".join(line) + " |" for line in lines)])


def _by_name(head: Sequence[str], rows: Sequence[Row], cells: Callable[[Sequence[Row]], Sequence[str]]) -> str:
    return markdown(head, [[shown, *cells(found)] for name, shown in SHOWN.items() if (found := of_name(rows, name))])


def _images(figures: Figures) -> str:
    counts = ", ".join(f"{n:,} {name}" for name, n in figures.images.items())
    areas = [f"{name} {q.auroc:.3f} [{q.auroc_low:.3f}, {q.auroc_high:.3f}]" for name, q in figures.classifiers.items()]
    first = next(iter(figures.classifiers.values()))
    return (
        f"Images: {counts}. {figures.n_unseen} of them show things that nothing learns from. AUROC of the "
        f"classifier on the {first.n} labelled ones among these: {', '.join(areas)}."
    )


def _coder(rows: Sequence[Row]) -> list[str]:
    judged = f"{np.mean([r.n_judged for r in rows]):,.0f} of {rows[0].n_latents:,}"
    held = [r.held_out for r in rows if r.held_out is not None]
    if not held:
        return ["–", "–", "–", judged]
    fvu = np.mean([h.fvu for h in held], axis=0)
    l0, dead = np.mean([h.l0[-1] for h in held]), np.mean([h.dead_share for h in held])
    return [" / ".join(f"{x:.2f}" for x in fvu), f"{l0:.1f}", f"{dead:.2f}", judged]


def _paper(rows: Sequence[Row]) -> list[str]:
    shares = ([getattr(r, name) for r in rows] for name in ("relevance", "relevance_often", "associated"))
    other = [r.other_f1 for r in rows if r.other_f1 is not None]
    return [
        *(_share(found) for found in shares),
        _stated([r.names_error for r in rows], 100, " %"),
        _stated([r.accuracy for r in rows]),
        _stated([r.f1 for r in rows]) + (f" ({np.mean(other):.2f})" if other else ""),
    ]


def _share(found: Sequence[Share]) -> str:
    if not any(s.n for s in found):
        return "none fires so often"
    chance = 100 * float(np.mean([s.shuffled for s in found]))
    return f"{_stated([s.value for s in found], 100, ' %')} ({chance:.1f} %)"


def _stated(values: Sequence[float | None], unit: float = 1, of: str = "") -> str:
    """Writes a share over seeds; of one without seeds, and so without an interval, the value alone."""
    found = over_seeds(values, (0.0, 1.0))
    if found is not None and len(values) == 1:
        return f"{_number(found.value, unit)}{of}"
    return _within(found, unit, of)


def _within(found: Interval | None, unit: float = 1, of: str = "") -> str:
    if found is None:
        return "–"
    return f"{_number(found.value, unit)}{of} [{_number(found.low, unit)}, {_number(found.high, unit)}]"


def _number(value: float, unit: float = 1) -> str:
    digits = 2 if unit == 1 else 1
    # Without the zero that is added, what rounds to zero from below would be -0.
    return f"{round(unit * value, digits) + 0.0:.{digits}f}"


def _claims(found: Sequence[Judgement]) -> str:
    lines = []
    for one in found:
        unit, of = one.claim.unit, " points" if one.claim.unit == 100 else ""
        words = [
            f"{_within(d, unit, of)}{f' against {SHOWN[name]}' if name else ''}" for name, d in one.differences.items()
        ]
        lines.append([one.claim.text, one.verdict, "; ".join(words)])
    return markdown(("outcome", "difference [95 % over seeds]"), lines)


def _errors(figures: Figures) -> str:
    made = _by_name(_kinds(figures.rows[0]), figures.rows, _best)
    of_classifiers = [
        [f"the classifier itself, {name} network", *(_bounded(t.auroc.value, t.auroc.low, t.auroc.high) for t in said)]
        for name, said in figures.by_kind.items()
    ]
    return "\n".join([made, *("| " + " | ".join(line) + " |" for line in of_classifiers)])


def _bounded(value: float, low: float, high: float) -> str:
    return f"{_number(value)} [{_number(low)}, {_number(high)}]"


def _kinds(row: Row) -> list[str]:
    return [f"{b.kind} ({b.n_with}, {b.n_without})" for b in row.best if b.width == row.n_latents]


def _best(rows: Sequence[Row], width: int | None = None) -> list[str]:
    """The mean over seeds of each kind's AUROC, and of the bounds of its interval over images."""
    found = [[b.auroc for b in r.best if b.width == (width or r.n_latents)] for r in rows]
    means = np.mean([[(a.value, a.low, a.high) for a in one] for one in found], axis=0)
    return [_bounded(*one) for one in means.tolist()]


def _widths(rows: Sequence[Row]) -> str:
    lines = []
    for name in NESTED:
        found = of_name(rows, name)
        lines += [[f"{SHOWN[name]}, first {b.width:,}", *_best(found, b.width)] for b in found[0].bands]
    return markdown([b.kind for b in rows[0].best if b.width == rows[0].n_latents], lines)


def _bands(rows: Sequence[Row]) -> str:
    lines = []
    for name in NESTED:
        found = of_name(rows, name)
        for at, band in enumerate(found[0].bands):
            mine = [r.bands[at] for r in found]
            below = found[0].bands[at - 1].width if at else 0
            cells = ([getattr(b, of) for b in mine] for of in ("fires", "generality", "associated"))
            lines.append([f"{SHOWN[name]}, {below + 1:,} to {band.width:,}", *(_stated(c, 100, " %") for c in cells)])
    head = ("images on which one fires", "images of which its text is true", "associated with errors")
    return markdown(head, lines)


def _pairs(figures: Figures) -> str:
    kinds = _kinds_of_pairs(figures)
    lines = []
    for name, shown in SHOWN.items():
        found = [p for p in figures.pairs if p.name.rpartition("-")[0] == name]
        if found:
            lines.append([shown, *(_responses([p.own for p in found], kind) for kind in kinds)])
        if found and name == OURS:
            lines.append([f"{shown}, untrained", *(_responses([p.untrained for p in found], k) for k in kinds)])
            lines.append([SHOWN[RAW], *(_responses([found[0].raw], kind) for kind in kinds)])
    return f"Held-out pairs of each kind: {figures.n_pairs}.\n\n{markdown(kinds, lines)}"


def _kinds_of_pairs(figures: Figures) -> list[str]:
    return list(dict.fromkeys(p.kind for p in figures.pairs[0].own))


def _responses(found: Sequence[tuple[OnPairs, ...]], kind: str, width: int | None = None) -> str:
    """Of a prefix, or of the whole dictionary: the mean selectivity, and of how many seeds the coalition is found."""
    mine = [[p for p in one if p.kind == kind and width in (None, p.width)][-1] for one in found]
    mean = float(np.mean([p.selectivity for p in mine]))
    return f"{_number(mean)}, found {sum(p.found for p in mine)} of {len(mine)}"


def _pair_widths(figures: Figures) -> str:
    kinds = _kinds_of_pairs(figures)
    lines = []
    for name in NESTED:
        found = [p for p in figures.pairs if p.name.rpartition("-")[0] == name]
        for at, width in enumerate(dict.fromkeys(p.width for p in found[0].own)):
            cells = [_responses([p.own for p in found], kind, width) for kind in kinds]
            lines.append([f"{SHOWN[name]}, first {width:,}", *cells, _above(found, at)])
    return markdown([*kinds, "mean, less untrained"], lines)


def _above(found: Sequence[PairsOf], at: int) -> str:
    estimates = [p.above_untrained[at] for p in found]
    value, low, high = np.mean([(e.value, e.low, e.high) for e in estimates], axis=0).tolist()
    return _bounded(value, low, high)


def _seconds(figures: Figures) -> str:
    cpu = sum(figures.cpu.values())
    stages = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in figures.cpu.items())
    return (
        f"{cpu / 60:.0f} minutes of processor time, shared by two processes; the machine: {figures.machine}. "
        f"Of these: {stages}."
    )


if __name__ == "__main__":
    put()
