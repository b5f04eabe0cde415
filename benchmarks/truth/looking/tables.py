"""The tables of README.md, and the short one of docs/scoring-measured.md."""

from collections.abc import Iterable, Sequence

import numpy as np

from benchmarks.truth.looking.judge import ERRING, PERFECT
from benchmarks.truth.looking.population import RATES, SIDES
from benchmarks.truth.looking.running import Record

MOST_BIAS, MOST_AUROC = 0.03, 0.55
"""What is asked for."""
ASKED = ("true", "half", "too broad", "place", "close-up", "an image")
"""The texts for which it is asked: of the last two both are generic framing."""
BEFORE, AFTER = "crop", "full"
"""The default before the measurement, and the one that it chose."""

Leaks = dict[str, float]


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table."""
    return "\n".join(["| " + " | ".join(r) + " |" for r in (head, ["---"] * len(head), *rows)])


def mean(records: Iterable[Record], of: str) -> float:
    """Of a field, or of `bias` and `pictures`: the score less the truth, or less what is true of the judged images."""
    less = {"bias": "truth", "pictures": "known"}.get(of)
    values = [r.score - getattr(r, less) if less else getattr(r, of) for r in records]
    return float(np.mean(values)) if values else float("nan")


def chosen(records: Iterable[Record], **fields: object) -> list[Record]:
    """The records that have these values."""
    return [r for r in records if all(getattr(r, name) == value for name, value in fields.items())]


def sides_table(records: Sequence[Record], showings: Sequence[str]) -> str:
    """Mean scores by size of the things, beside the truth."""
    rows: list[list[str]] = []
    for side in SIDES:
        own = chosen(records, side=side, judge=PERFECT.name)
        for name in showings if own else ():
            cells = [f"{mean(chosen(own, showing=name, text=t), 'score'):.2f}" for t in ASKED]
            rows.append([f"{side:.2f}", name, *cells])
        rows.append([f"{side:.2f}", "the truth", *(f"{mean(chosen(own, text=t), 'truth'):.2f}" for t in ASKED)])
    return markdown(("side of a thing", "shown as", *ASKED), rows)


def bias_table(records: Sequence[Record], showings: Sequence[str], judge: str) -> str:
    """Mean of score less truth, and of what of it the pictures did, by rate."""
    rows: list[list[str]] = []
    for name in showings:
        for rate in RATES:
            own = chosen(records, showing=name, judge=judge, rate=rate)
            if own:
                rows.append([name, f"{100 * rate:g} %", *(_biased(chosen(own, text=t)) for t in ASKED)])
    return markdown(("shown as", "fires on", *ASKED), rows)


def kinds_table(records: Sequence[Record], showings: Sequence[str]) -> str:
    """What the pictures did to the score, by kind of feature."""
    own = chosen(records, judge=PERFECT.name)
    rows = [
        [name, kind, *(f"{mean(chosen(own, showing=name, kind=kind, text=t), 'pictures'):+z.2f}" for t in ASKED)]
        for name in showings
        for kind in dict.fromkeys(r.kind for r in own)
    ]
    return markdown(("shown as", "feature of", *ASKED), rows)


def leaks_table(records: Sequence[Record], leaks: Leaks) -> str:
    """Whether active images can be told from silent ones, and blank parts that count as yes to blankness."""
    rows: list[list[str]] = []
    for name, found in leaks.items():
        blank = mean(chosen(records, showing=name, text="blank", judge=PERFECT.name), "silent_yes")
        rows.append([name, f"{found:.2f}", f"{100 * blank:.1f} %"])
    return markdown(("shown as", "AUROC of active against silent", "silent images said to be “a blank surface”"), rows)


def sight_table(records: Sequence[Record]) -> str:
    """What a judge that sees only what is large enough makes of right and of too broad explanations."""
    rows: list[list[str]] = []
    for name in dict.fromkeys(r.showing for r in records):
        for kind in dict.fromkeys(r.kind for r in records):
            own = chosen(records, showing=name, kind=kind)
            cells = [f"{mean(chosen(own, text=t), w):.2f}" for t in ("true", "too broad") for w in ("score", "truth")]
            rows.append([name, kind, *cells])
    return markdown(("shown as", "feature of", "true: score", "truth", "too broad: score", "truth"), rows)


def targets(records: Sequence[Record], leaks: Leaks) -> str:
    """Bias by judge and rate, bold where the default misses what was asked for."""
    rows: list[list[str]] = []
    for judge in (PERFECT.name, ERRING.name):
        for rate in RATES:
            own = chosen(records, showing=AFTER, judge=judge, rate=rate)
            found = [mean(chosen(own, text=text), "bias") for text in ASKED if own]
            if found:
                rows.append([judge, f"{100 * rate:g} %", *(_target(x, abs(x) <= MOST_BIAS) for x in found)])
    leak = _target(leaks[AFTER], leaks[AFTER] <= MOST_AUROC).lstrip("+")
    said = f"AUROC of active against silent (at most {MOST_AUROC} was asked for): {leak}."
    return markdown(("judge", "fires on", *(f"bias of “{text}”" for text in ASKED)), rows) + f"\n\n{said}"


def brief(records: Sequence[Record], many: Sequence[Record], leaks: Leaks) -> str:
    """Before and after, of the perfect judge: scores at the highest rate by size, and bias by rate."""
    often = chosen(records, rate=RATES[0])
    parts = [f"Mean scores at {100 * RATES[0]:g} %:", sides_table(often, (BEFORE, AFTER))]
    parts += ["Score less truth, in brackets what of it the pictures did:"]
    parts += [bias_table(records, (BEFORE, AFTER), PERFECT.name)]
    parts += [
        "The same as `full` with ten times as many silent images judged:",
        bias_table(many, (AFTER,), PERFECT.name),
    ]
    told = f"AUROC of active against silent by the look of their cells: {leaks[BEFORE]:.2f} as `{BEFORE}`"
    return "\n\n".join([*parts, f"{told}, {leaks[AFTER]:.2f} as `{AFTER}`."])


def _biased(own: Sequence[Record]) -> str:
    return f"{mean(own, 'bias'):+z.2f} ({mean(own, 'pictures'):+z.2f})"


def _target(value: float, met: bool) -> str:
    return f"{value:+z.3f}" if met else f"**{value:+z.3f}**"
