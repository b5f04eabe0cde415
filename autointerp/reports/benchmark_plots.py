"""The plots of a benchmark: leaderboard, heat map, small multiples of modes, and ranks."""

from collections.abc import Sequence
from textwrap import wrap

from autointerp.generators.records import Estimated, Rate
from autointerp.generators.results import Compared, OfMode, OfSet, Result
from autointerp.reports.drawing import (
    ACCENT,
    INK,
    MUTED,
    Dot,
    Drawing,
    Line,
    Rect,
    Text,
    axis,
    highest_of,
    mixed,
    shortened,
)

LABEL, FIGURE, WIDE = 150.0, 178.0, 760.0
"""Widths: of names, of figures at the right, and of a plot."""
ROW = 30.0
SHARE = "Share of images with a failure mode"
PALE, DEEP = "#f3f0e9", "#8f2d1b"


def plots_of(result: Result) -> dict[str, Drawing]:
    """Draws all plots, by the names of their files."""
    made = {"leaderboard": leaderboard(result), "categories": heat_map(result), "modes": multiples(result)}
    return made | ({"ranks": ranks(result)} if result.ranks else {})


def percent(rate: Rate | Estimated) -> str:
    """Writes a share with its interval."""
    return f"{100 * rate.value:.1f} % [{100 * rate.low:.1f}, {100 * rate.high:.1f}]"


def number(one: Rate | Estimated) -> str:
    """Writes a figure that is no share with its interval."""
    return f"{one.value:.2f} [{one.low:.2f}, {one.high:.2f}]"


def points(one: Compared | Estimated) -> str:
    """Writes a difference of shares in percentage points with its interval."""
    return f"{100 * one.value:+.1f} [{100 * one.low:+.1f}, {100 * one.high:+.1f}]"


def _interval(
    drawing: Drawing, y: float, one: OfSet, rate: Rate | Estimated, at: tuple[float, float], said: str
) -> None:
    """A dot with its interval; `at` is where 0 is, and how wide 1 is."""
    colour = MUTED if one.reference else ACCENT
    low, value, high = (at[0] + at[1] * v for v in (rate.low, rate.value, rate.high))
    drawing.add(Line(low, y, high, y, colour, 2.5), Dot(value, y, 5, colour, f"{one.name}: {said}"))


def is_judged(result: Result) -> bool:
    """Whether a judge has looked at all modes in all sets."""
    return all(s.judged_per_image is not None for s in result.sets)


def leaderboard(result: Result) -> Drawing:
    """Draws each set's failures an image by the judge's word, else its share of images on which a mode fires."""
    sets, by_judge = result.sets, is_judged(result)
    judged = [s.judged_per_image for s in sets if s.judged_per_image is not None]
    shown = judged if by_judge else [s.any for s in sets]
    # Failures an image may be more than 1, so they are no share.
    what, written = ("Failures an image by the judge's word", number) if by_judge else (SHARE, percent)
    drawing = Drawing(WIDE, 20 + ROW * len(sets) + 34, f"{what}, by generator, 95 % intervals")
    highest, span = highest_of([s.high for s in shown]), (LABEL + 10, WIDE - FIGURE)
    unit = axis(drawing, span, (10, 14 + ROW * len(sets)), highest, percent=not by_judge)
    for i, (one, rate) in enumerate(zip(sets, shown, strict=True)):
        y = 14 + ROW * (i + 0.5)
        name = f"{shortened(one.name, 16)} (ref.)" if one.reference else shortened(one.name, 21)
        drawing.add(Text(LABEL, y, name, "end", 14))
        _interval(drawing, y, one, rate, (span[0], unit), written(rate))
        drawing.add(Text(WIDE, y, written(rate), "end", 13, MUTED))
    return drawing


def heat_map(result: Result) -> Drawing:
    """Draws the rate of each category in each set as the depth of a colour, with its figure."""
    categories = sorted({m.category for m in result.modes})
    width = max(96.0, min(170.0, (WIDE - LABEL - 10) / len(categories)))
    wide = max(WIDE, LABEL + 10 + width * len(categories))
    drawing = Drawing(wide, 56 + 36 * len(result.sets), "Rate of each category, by generator")
    highest = highest_of([s.categories[c].value for s in result.sets for c in categories])
    for j, category in enumerate(categories):
        x = LABEL + 10 + width * (j + 0.5)
        for k, line in enumerate(_in_lines(category.replace("-", " "), int(width / 7))):
            drawing.add(Text(x, 12 + 15 * k, line, "middle", 12, MUTED))
    for i, one in enumerate(result.sets):
        y = 50 + 36 * i
        drawing.add(Text(LABEL, y + 17, shortened(one.name, 21), "end", 14))
        for j, category in enumerate(categories):
            rate = one.categories[category]
            share = rate.value / highest
            box = (LABEL + 10 + width * j + 1, y + 1, width - 2, 34.0)
            drawing.add(Rect(*box, mixed(PALE, DEEP, share), f"{one.name}, {category}: {percent(rate)}"))
            ink = "#ffffff" if share > 0.55 else INK
            drawing.add(Text(box[0] + box[2] / 2, y + 18, f"{100 * rate.value:.1f} %", "middle", 13, ink))
    return drawing


def _in_lines(text: str, most: int) -> list[str]:
    """A text in at most two lines of so many characters."""
    return wrap(text, most, max_lines=2, placeholder="…")


def multiples(result: Result) -> Drawing:
    """Draws a small plot for each mode: its rate in each set."""
    columns = 2
    width, row = 372.0, 24.0
    own = 54 + row * len(result.sets) + 28
    rows = -(-len(result.modes) // columns)
    drawing = Drawing(columns * width + 16, rows * own, "Rate of each failure mode, by generator, 95 % intervals")
    highest = highest_of([_shown(s.modes[m.id], result).high for s in result.sets for m in result.modes])
    for i, mode in enumerate(result.modes):
        left, top = (i % columns) * (width + 16), (i // columns) * own
        for k, line in enumerate(_in_lines(mode.name, 52)):
            drawing.add(Text(left, top + 12 + 17 * k, line, "start", 13))
        rates = [(s, _shown(s.modes[mode.id], result)) for s in result.sets]
        _small(drawing, rates, (left, top + 46), width, highest)
    return drawing


def _shown(one: OfMode, result: Result) -> Rate | Estimated:
    """What the images show by the judge's word where it looked at all, else what fires."""
    return one.judged if is_judged(result) and one.judged is not None else one.rate


def _small(
    drawing: Drawing,
    rates: Sequence[tuple[OfSet, Rate | Estimated]],
    at: tuple[float, float],
    width: float,
    highest: float,
) -> None:
    span = (at[0] + 96, at[0] + width - 12)
    unit = axis(drawing, span, (at[1], at[1] + 24 * len(rates)), highest, percent=True)
    for i, (one, rate) in enumerate(rates):
        y = at[1] + 24 * (i + 0.5)
        drawing.add(Text(at[0] + 90, y, shortened(one.name, 13), "end", 12))
        _interval(drawing, y, one, rate, (span[0], unit), percent(rate))


def ranks(result: Result) -> Drawing:
    """Draws how often each generator has each rank as a bar of parts."""
    drawing = Drawing(WIDE, 44 + ROW * len(result.ranks), "How often each generator has each rank")
    span, n = (LABEL + 10, WIDE - 90), len(result.ranks)
    for rank in range(n):
        x = span[0] + 34 * rank
        drawing.add(Rect(x, 4, 14, 14, _of_rank(rank, n)), Text(x + 18, 11, str(rank + 1), "start", 12, MUTED))
    for i, one in enumerate(result.ranks):
        y, x = 28 + ROW * i, span[0]
        drawing.add(Text(LABEL, y + ROW / 2, shortened(one.name, 21), "end", 14))
        for rank, share in enumerate(one.shares):
            width = share * (span[1] - span[0])
            title = f"{one.name}: rank {rank + 1} in {100 * share:.0f} % of the draws"
            drawing.add(Rect(x, y + 4, width, ROW - 8, _of_rank(rank, n), title))
            if width > 46:
                ink = "#ffffff" if rank > (n - 1) / 2 else INK
                drawing.add(Text(x + width / 2, y + ROW / 2, f"{100 * share:.0f} %", "middle", 12, ink))
            x += width
        drawing.add(Text(WIDE, y + ROW / 2, f"mean {one.rank:.1f}", "end", 13, MUTED))
    return drawing


def _of_rank(rank: int, n: int) -> str:
    return mixed("#d7e7ee", "#0b3d55", rank / max(1, n - 1))
