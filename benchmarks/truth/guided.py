"""What drawing silent images by likeness to the explanation's text is worth, by how well an embedder sees what fits.

python -m benchmarks.truth.guided --write    # four minutes of CPU; without --write it only prints

The populations are those of `benchmarks.truth.coverage`, columns of numbers without any picture. A feature is scored
as `--guide images` does, and as `--guide text` does from a pool of 2,048 images, with as many judgements. The embedder
is a number for each image, higher by a fixed step for those that fit the explanation: AUROC says how often a fitting
image is ahead of another one. The last kind of explanation is right and names besides a thing that 1 % of all images
show and that has nothing to do with the feature.
"""

import argparse
import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import norm

from autointerp.schema import Exemplar, Feature
from autointerp.scoring.adaptive_sampling import columns, judge_sample
from autointerp.scoring.judge import Judgements
from autointerp.scoring.sampling import Pool, make_pool
from autointerp.scoring.text_guide import classes_of, ranks_by
from autointerp.statistics.rates import Interval, f1_samples
from autointerp.statistics.resampling import Draws, interval_of, resample
from benchmarks.truth.coverage import DESIGNS, EACH, Silent, Teller, Urn, says_yes, truth, write
from benchmarks.truth.harvest import explanation_of, image_rows
from benchmarks.truth.judges import PERFECT
from benchmarks.truth.world import GENERIC, Bools

RATES = (0.1, 0.01, 0.001)
AUROCS = (0.5, 0.9, 0.97)
POOL = 2048
LABEL = 0.01
SEEMS_RIGHT, IS_WRONG = 0.9, 0.75
"""An explanation of a true F1 below the second is missed where its score is above the first."""


@dataclass(frozen=True)
class Row:
    """One score and what is true."""

    rate: float
    kind: str
    guide: str
    found: Interval
    truth: float


def kinds(urn: Urn) -> Mapping[str, Bools]:
    """By explanation, which images fit it."""
    chance = np.random.default_rng((0x1ABE1, urn.seed))
    label = urn.fires | (chance.random(urn.n) < LABEL)
    # What fits half of the active images and nothing else is scored alike by every guide.
    return {"true": urn.fits["true"], "broad": urn.fits["broad"], "and a label": label}


def guided(urn: Urn, feature: Feature, pool: Pool, fits: Bools, auroc: float, draw: int) -> Pool:
    """The pool in classes of likeness; the images of the dump's pool are drawn anew for each draw."""
    chance = np.random.default_rng((0x9001, urn.seed, draw))
    drawn = np.sort(chance.choice(urn.n, POOL, replace=False))
    silent = drawn[~urn.fires[drawn]]
    text = chance.normal(size=len(silent)) + np.sqrt(2) * norm.ppf(auroc) * fits[silent]
    alike = ranks_by(urn.likeness[silent])
    classes = dict(zip(silent.tolist(), classes_of(alike, ranks_by(text)), strict=True))
    rows = [Exemplar(i, 0.5, "silent", POOL / urn.n, None, None) for i in silent.tolist()]
    whole = replace(feature, exemplars=(*feature.active, *rows))
    seen = explanation_of(feature, GENERIC).seen
    images = image_rows(whole) | {i: pool.images[i] for i in seen}
    return make_pool(whole, seen, images, pool.settings, grid=None, n_images=urn.n, classes=classes)


def scored(pool: Pool, teller: Teller) -> Interval:
    """F1 with its interval, as detection computes it."""
    said = asyncio.run(judge_sample("it", pool, teller, Silent()))
    assert isinstance(said, Judgements), said
    judged = columns(said)
    return interval_of(f1_samples, judged, resample(judged, Draws(pool.settings.bootstrap, pool.feature.id)))


def rows(rate: float, n: int, draws: int) -> Iterator[Row]:
    """The scores of every explanation under every guide, over some draws."""
    protocol = DESIGNS["fixed"]
    urn = Urn(n, rate, 0)
    for draw in range(draws):
        if draw % EACH == 0:
            urn = Urn(n, rate, draw)
        feature = urn.harvest(protocol.size, draw)
        settings = protocol.settings.model_copy(update={"seed": draw})
        seen = explanation_of(feature, GENERIC).seen
        plain = make_pool(feature, seen, image_rows(feature), settings, grid=None, n_images=n)
        for at, (kind, fits) in enumerate(kinds(urn).items()):
            yes = says_yes(PERFECT, fits)
            known = truth(urn, yes, twice=False)
            pools = {"images": plain}
            pools |= {f"text, AUROC {a:g}": guided(urn, feature, plain, fits, a, draw) for a in AUROCS}
            for guide, pool in pools.items():
                found = scored(pool, Teller.of(protocol, yes, (at, urn.seed, draw)))
                yield Row(rate, kind, guide, found, known)


def table(found: Sequence[Row]) -> str:
    """A line a firing rate, explanation and guide."""
    groups: defaultdict[tuple[float, str, str], list[Row]] = defaultdict(list)
    for row in found:
        groups[row.rate, row.kind, row.guide].append(row)
    head = ("fires on", "explanation", "true F1", "guide", "error (RMS)", "bias", "missed", "interval holds", "width")
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for (rate, kind, guide), own in groups.items():
        true, value = np.array([r.truth for r in own]), np.array([r.found.value for r in own])
        holds = np.mean([r.found.low - 1e-9 <= r.truth <= r.found.high + 1e-9 for r in own])
        wrong = bool(np.mean(true) < IS_WRONG)
        cells = (
            f"{100 * rate:g} %",
            kind,
            f"{np.mean(true):.2f}",
            guide,
            f"{np.sqrt(np.mean((value - true) ** 2)):.3f}",
            f"{np.mean(value - true):+.3f}",
            f"{100 * np.mean(value > SEEMS_RIGHT):.0f} %" if wrong else "",
            f"{100 * holds:.0f} %",
            f"{np.mean([r.found.high - r.found.low for r in own]):.2f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Prints, or writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    text = table([row for rate in RATES for row in rows(rate, given.images, given.draws)])
    print(text)
    if given.write:
        write(text, "guided")


if __name__ == "__main__":
    main()
