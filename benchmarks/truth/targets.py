"""What scoring should reach, and where it does."""

from collections.abc import Sequence
from statistics import median

import numpy as np

from benchmarks.truth.features import RATES
from benchmarks.truth.judges import GOOD, PERFECT
from benchmarks.truth.ours import ADAPTIVE, DEFAULT, TWO_PHASE
from benchmarks.truth.widths import LADDER, SHEET, WIDTHS, Taken

OURS = (DEFAULT.name, ADAPTIVE.name, TWO_PHASE.name)
SPEARMAN, NOTICED, CALLS, COVERAGE, SLACK, SHARE = 0.95, 0.95, 100, 0.95, 0.02, 1 / 3
Figures = dict[str, float | int | str | None]


def targets(rows: Sequence[Figures], taken: Sequence[Taken]) -> str:
    """Two tables of what was measured, bold where it misses the target that stands above it."""
    rates = " / ".join(f"{100 * r:g}" for r in RATES)
    head = ("judge", "protocol", "Spearman, ≥ .95", "coverage, 95 ± 2 %", "most calls, ≤ 100")
    head += (f"extra alike noticed ({rates} %), ≥ 95 %", "extra unrelated noticed, ≥ 95 %")
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for judge in (PERFECT.name, GOOD.name):
        for protocol in OURS:
            row = next((r for r in rows if (r["judge"], r["protocol"]) == (judge, protocol)), None)
            if row is not None:
                lines.append(_line(judge, protocol, *_of(row)))
    if taken:
        lines += [
            "",
            f"| width | against | protocol | calls over those of the other ({rates} %), ≤ ⅓ |",
            "|---|---|---|---|",
        ]
    lines += [line for width in WIDTHS for line in _narrow(taken, width)]
    return "\n".join(lines)


def _of(row: Figures) -> list[str]:
    rho, covers, most = _number(row["spearman"]), _number(row["covers_seen"]), _number(row["most_calls"])
    out = [
        _bold(f"{rho:.3f}", rho >= SPEARMAN),
        _bold(f"{100 * covers:.1f} %", abs(covers - COVERAGE) <= SLACK + 1e-9),
        _bold(f"{most:.0f}", most <= CALLS),
    ]
    for kind in ("extra_alike", "extra_unrelated"):
        shares = [_number(row.get(f"{kind}_{rate:g}")) for rate in RATES]
        out.append(_bold(" / ".join(f"{100 * s:.0f}" for s in shares), min(shares) >= NOTICED))
    return out


def _narrow(taken: Sequence[Taken], width: float) -> list[str]:
    out: list[str] = []
    protocols = tuple(dict.fromkeys(t.protocol for t in taken))
    uniform, own = [p for p in protocols if p.startswith("uniform")], [p for p in protocols if p.startswith("ours")]
    for base in uniform:
        for protocol in own:
            ratios = [ratio(taken, protocol, base, width, rate) for rate in RATES]
            shown = " / ".join("–" if r is None else f"{r:.2f}" for r in ratios)
            met = all(r is not None and r <= SHARE for r in ratios)
            out.append(_line(f"{width:g}", base, protocol, _bold(shown, met)))
    return out


def ratio(taken: Sequence[Taken], protocol: str, base: str, width: float, rate: float) -> float | None:
    """Median calls of a protocol over those of another; None where the protocol does not reach the width.

    A base that does not reach it counts with as many calls as it was allowed, so the ratio is an upper bound.
    """
    calls = [_median(taken, name, width, rate) for name in (protocol, base)]
    most = LADDER[-1] if "one image" in base else LADDER[-1] / SHEET
    own, other = calls[0], min(calls[1], most)
    return own / other if np.isfinite(own) else None


def _median(taken: Sequence[Taken], protocol: str, width: float, rate: float) -> float:
    own = [t.calls for t in taken if (t.protocol, t.width, t.rate) == (protocol, width, rate)]
    return median([float("inf") if c is None else float(c) for c in own]) if own else float("inf")


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _bold(shown: str, met: bool) -> str:
    return shown if met else f"**{shown}**"


def _number(value: float | int | str | None) -> float:
    return float(value) if isinstance(value, float | int) else float("nan")
