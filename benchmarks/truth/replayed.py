"""What a real multimodal model's recorded verdicts on features of the demo dump give: as counted then, and as today.

python -m benchmarks.truth.replayed --write    # without --write it only prints

`real_judge.json` holds 690 verdicts on 12 features of the demo dump of November 2026: one model explained and judged
them, blind, through batch files (crops on sheets of 12). Nothing is asked here; only what follows from an answer is
computed anew. Recorded: an unsure answer counted as half a yes. Today: it decides nothing, takes the mean of its kind,
and widens the interval. The last columns leave out the silent images on which the feature reached more than so much of
its threshold, as `--silent-below` does.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from autointerp.images.picture import Tile
from autointerp.schema import UNDETERMINED, Exemplar, Usage
from autointerp.scoring.adaptive_sampling import columns
from autointerp.scoring.judge import Judgements
from autointerp.scoring.sampling import Item
from autointerp.statistics.rates import Interval, f1_samples
from autointerp.statistics.resampling import Draws, interval_of, resample
from benchmarks.truth.coverage import write

RECORDED = Path(__file__).with_name("real_judge.json")
ABOVE = 2.3179092407226562
"""The threshold of the dump."""
BELOW = (0.7, 0.5)
Word = tuple[int, str, float, float | None, float]
"""Image, stratum, activation, belief and weight of a verdict."""


def half(words: Sequence[Word]) -> float:
    """F1 with half a yes for each unsure answer, as it was recorded."""
    yes = [w * (b if b is not None else 0.5) for *_, b, w in words]
    active = [stratum not in ("silent", "guided") for _, stratum, *_ in words]
    both = sum(y for y, a in zip(yes, active, strict=True) if a)
    return 2 * both / (sum(yes) + sum(w for (*_, w), a in zip(words, active, strict=True) if a))


def today(words: Sequence[Word], below: float = 1.0) -> Interval:
    """F1 with its interval, as detection computes it now."""
    kept = [w for w in words if w[1] not in ("silent", "guided") or w[2] <= below * ABOVE]
    items = tuple(
        Item(Exemplar(image, activation, stratum, 1.0, None, None), Tile(image, "", (1, 1), "full", None), weight)
        for image, stratum, activation, _, weight in kept
    )
    judged = columns(Judgements(items, tuple(belief for *_, belief, _ in kept), Usage(), "recorded"))
    return interval_of(f1_samples, judged, resample(judged, Draws(2000, 0)))


def table(recorded: dict[str, list[Word]]) -> str:
    """A line a feature."""
    head = ("feature", "unsure", "recorded", "today", *(f"silent below {b:g}" for b in BELOW), "undetermined today")
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    figures: list[list[float]] = []
    for feature, words in recorded.items():
        now, *without = today(words), *(today(words, b) for b in BELOW)
        figures.append([half(words), now.value, *(f.value for f in without)])
        shown = [f"{f.value:.2f} [{f.low:.2f}, {f.high:.2f}]" for f in (now, *without)]
        wide = "yes" if now.high - now.low > UNDETERMINED else ""
        unsure = sum(belief == 0.5 for *_, belief, _ in words)
        lines.append(f"| {feature} | {unsure} | {half(words):.2f} | {' | '.join(shown)} | {wide} |")
    means = [f"{m:.2f}" for m in np.mean(figures, axis=0)]
    return "\n".join([*lines, f"| mean | | {' | '.join(means)} | |"])


def main() -> None:
    """Prints, or writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    text = table(json.loads(RECORDED.read_text()))
    print(text)
    if given.write:
        write(text, "replayed")


if __name__ == "__main__":
    main()
