"""How many images, and calls, an interval of a width takes at each firing rate; for docs/scoring-measured.md.

python -m benchmarks.truth.budgets --write

A right explanation and a judge without error, so that every active image is a yes and every silent one a no: 24 active
images (48 for a width of .1), and silent ones drawn uniformly, as many as it takes for the package's own interval.
Guided images find what is wrong with an explanation and hardly narrow the interval of a right one.
"""

import argparse
from collections.abc import Sequence

import numpy as np

from autointerp.statistics.rates import f1_samples
from autointerp.statistics.resampling import Draws, interval_of, one_look, resample
from benchmarks.truth.coverage import write
from benchmarks.truth.features import RATES

WIDTHS = (0.5, 0.2, 0.1)
ACTIVE = {0.5: 24, 0.2: 24, 0.1: 48}
"""Active images: 24 that all fit leave a tenth of recall open, which alone is half of a width of .1."""
PER_CALL = 12
MOST = 2**18


def silent_needed(rate: float, width: float) -> int:
    """The fewest silent images, within 2 %, whose interval is no wider."""
    low, high = 1, MOST
    while high > low + max(1, low // 50):
        middle = (low + high) // 2
        low, high = (low, middle) if _width(rate, ACTIVE[width], middle) <= width else (middle, high)
    return high


def _width(rate: float, n_active: int, n_silent: int) -> float:
    y = np.repeat([1.0, 0.0], [n_active, n_silent])
    w = np.repeat([rate / n_active, (1 - rate) / n_silent], [n_active, n_silent])
    judged = one_look(y, y, w, y.astype(np.int64))
    replicates = max(200, min(2000, 10_000_000 // n_silent))
    found = interval_of(f1_samples, judged, resample(judged, Draws(replicates, 0)))
    return found.high - found.low


def table(widths: Sequence[float] = WIDTHS) -> str:
    """A line a firing rate."""
    lines = [f"| fires on | {' | '.join(f'width {w:g}: images (calls)' for w in widths)} |"]
    lines.append(f"|{'---|' * (1 + len(widths))}")
    for rate in RATES:
        cells = []
        for width in widths:
            silent, active = silent_needed(rate, width), ACTIVE[width]
            cells.append(f"{silent + active:,} ({-(-(silent + active) // PER_CALL):,})")
        lines.append(f"| {100 * rate:g} % | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Prints, or writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    text = table()
    print(text)
    if given.write:
        write(text, "budgets")


if __name__ == "__main__":
    main()
