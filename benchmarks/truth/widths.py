"""Judge calls that an interval of a given width takes: uniform sampling against our protocols, perfect judge.

Uniform sampling is given the best split of its images over active ones, drawn uniformly from those that fire the
feature, and silent ones, drawn uniformly from the rest; it is judged one image a call or in sheets of 12. Its interval
is the same bootstrap as ours, of images that are not drawn by likeness nor screened.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from autointerp.schema import Feature
from autointerp.statistics.rates import f1_samples
from autointerp.statistics.resampling import Draws, interval_of, one_look, resample
from benchmarks.truth.features import Planted
from benchmarks.truth.harvest import LARGE, harvest
from benchmarks.truth.judges import PERFECT, Knowing, KnowingGateway
from benchmarks.truth.ours import Protocol, score, settings, trial_of
from benchmarks.truth.running import features_of

WIDTHS = (0.2, 0.1)
KINDS = ("true", "extra_alike")
ACTIVE = (24, 96)
"""Active images that uniform sampling may take."""
LADDER = tuple(round(24 * 1.25**i) for i in range(33))
"""Silent images that it may take, up to some 30,000."""
SHEET = 12
MOST_CALLS = 150
SLACK = 1.05
"""A width counts as reached up to what the bootstrap's own chance adds to it."""
GLANCES = 400
"""Bootstrap replicates of a width."""


@dataclass(frozen=True)
class Taken:
    """Calls until an interval was as narrow as asked."""

    protocol: str
    rate: float
    kind: str
    width: float
    calls: int | None
    """None where it was not reached."""


@dataclass(frozen=True)
class WidthPlan:
    """One feature."""

    n: int
    seed: int
    n_features: int
    number: int


def run_widths(plan: WidthPlan) -> list[Taken]:
    """All figures of a feature."""
    planted = features_of(plan.n, plan.seed, plan.n_features)[plan.number]
    return [*_uniform(planted), *asyncio.run(_ours(planted))]


def _uniform(planted: Planted) -> Iterator[Taken]:
    for kind in KINDS:
        fits = planted.world.true_of(planted.explanations[kind])
        chance = np.random.default_rng((0x31D, planted.world.seed, planted.number))
        active = chance.permutation(np.flatnonzero(planted.fires))
        silent = chance.permutation(np.flatnonzero(~planted.fires))
        for width in WIDTHS:
            images = least_images(fits[active], fits[silent], width, planted.number)
            calls = {"uniform, one image a call": images, "uniform, sheets of 12": images and -(-images // SHEET)}
            for name, n in calls.items():
                yield Taken(name, planted.rate, kind, width, n)


def least_images(active: np.ndarray, silent: np.ndarray, width: float, seed: int) -> int | None:
    """Fewest images, over all splits, whose interval is no wider."""
    best: int | None = None
    for n_active in (n for n in ACTIVE if n <= len(active)):
        low, high = 0, len(LADDER)
        while low < high:
            middle = (low + high) // 2
            narrow = _width(active, silent, n_active, LADDER[middle], seed) <= width * SLACK
            low, high = (low, middle) if narrow else (middle + 1, high)
        if low < len(LADDER) and (best is None or n_active + LADDER[low] < best):
            best = n_active + LADDER[low]
    return best


def _width(active: np.ndarray, silent: np.ndarray, n_active: int, n_silent: int, seed: int) -> float:
    n = min(n_silent, len(silent))
    y = np.repeat([1.0, 0.0], [n_active, n])
    c = np.concatenate([active[:n_active], silent[:n]]).astype(float)
    w = np.repeat([len(active) / n_active, len(silent) / n], [n_active, n])
    judged = one_look(y, c, w, y.astype(np.int64))
    found = interval_of(f1_samples, judged, resample(judged, Draws(GLANCES, seed)))
    return found.high - found.low


async def _ours(planted: Planted) -> list[Taken]:
    feature = harvest(planted, LARGE)
    out: list[Taken] = []
    for width in WIDTHS:
        guided = [Protocol("ours, guided, adaptive", LARGE, settings(interval=width, max_calls=MOST_CALLS))]
        for name, ladder in (("ours, guided, adaptive", guided), ("ours, two-phase", _screens())):
            for kind in KINDS:
                out.append(Taken(name, planted.rate, kind, width, await _first(planted, feature, kind, ladder, width)))
    return out


def _screens() -> list[Protocol]:
    steps = ((200, 24, 12), (400, 24, 16), (800, 24, 20), (1600, 36, 24), (3300, 48, 32), (3300, 96, 64))
    return [
        Protocol("two-phase", LARGE, settings(n_screen=n, screen_per_call=64, n_active=active, n_silent=careful))
        for n, active, careful in steps
    ]


async def _first(planted: Planted, feature: Feature, kind: str, ladder: Sequence[Protocol], width: float) -> int | None:
    for protocol in ladder:
        trial = trial_of(protocol, feature, planted.world)
        judge = Knowing(PERFECT, planted.explanations[kind], planted.world, "width")
        found = await score(trial, judge.concept, KnowingGateway(judge))
        if found.high - found.low <= width * SLACK:
            return judge.calls
    return None
