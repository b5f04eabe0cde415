"""Draws worlds of generators whose error rates are known, and measures in each what the benchmark says of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from autointerp.generators.comparison import Images, images_of, pairs_of, shifts_of, things_of
from autointerp.generators.records import Pack
from autointerp.statistics.clusters import (
    Looked,
    Share,
    two_phase,
    two_phase_draws,
    wilson_bounds,
    without_false_alarms,
)
from autointerp.statistics.rates import Bools, Floats, Interval
from benchmarks.generators.encoded import Stock
from benchmarks.generators.planted import SAID, truth_of
from benchmarks.generators.scenes import SOUND

N_RATES = 4
"""Vectors of rates in a world; each is drawn in two styles, so that a world has twice as many generators."""
PROMPTS, EACH = 60, 4
"""Prompts, which all generators of a world share, and images of each."""
MOST = 0.30
"""Share of a generator's images that have one kind of error, at most."""
N_FIRED, N_SILENT = 40, 60
"""Images of each mode and generator that a judge sees."""
DRAWS = 2000
LARGE = 0.10
"""A true difference that should be found."""
NOISY = (0.9, 0.97)
"""Sensitivity and specificity of a judge who errs."""
LEVEL = 0.05


@dataclass(frozen=True, eq=False)
class Generator:
    """One generator of a world."""

    rates: dict[str, float]
    """Of each kind of error."""
    style: str
    picture: npt.NDArray[np.int64]
    """Which scene of the stock each image is, [n]."""
    images: Images
    kinds: tuple[str, ...]
    """Of each image."""

    def true_rate(self, text: str) -> float:
        """Returns the planted share of images of which a text is true."""
        return sum(self.rates.get(k, 0.0) for k in SAID[text][0])


@dataclass(frozen=True)
class Tables:
    """What is looked up of the stock."""

    stock: Stock
    pack: Pack
    index: dict[tuple[str, str, str], npt.NDArray[np.int64]]
    """Scenes by thing, kind and style."""
    things: tuple[str, ...]
    kinds: tuple[str, ...]

    @classmethod
    def of(cls, stock: Stock, pack: Pack) -> "Tables":
        """Orders the stock."""
        index: dict[tuple[str, str, str], list[int]] = {}
        for i, p in enumerate(stock.pictures):
            index.setdefault((p.thing, p.kind, p.style), []).append(i)
        things = tuple(sorted({p.thing for p in stock.pictures}))
        kinds = tuple(sorted({p.kind for p in stock.pictures} - {SOUND}))
        return cls(stock, pack, {k: np.array(v) for k, v in index.items()}, things, kinds)


def world(tables: Tables, seed: int) -> tuple[Generator, ...]:
    """Draws the generators of one world; the i-th and the (i + `N_RATES`)-th have the same rates."""
    rng = np.random.default_rng((0x3071D, seed))
    prompts = rng.choice(len(tables.things), PROMPTS)
    vectors = [_rates(tables, rng) for _ in range(N_RATES)]
    styles = [rng.permutation(sorted({p.style for p in tables.stock.pictures})).tolist()[:2] for _ in range(N_RATES)]
    return tuple(
        _generator(tables, f"g{i}", vectors[i % N_RATES], styles[i % N_RATES][i // N_RATES], prompts, rng)
        for i in range(2 * N_RATES)
    )


def _rates(tables: Tables, rng: np.random.Generator) -> dict[str, float]:
    """Rates of one to three kinds of error, each up to `MOST`; the other kinds never happen."""
    kinds = tables.kinds
    some = rng.permutation(len(kinds))[: rng.integers(1, min(3, len(kinds)) + 1)]
    return {kind: float(rng.uniform(0, MOST)) if i in some else 0.0 for i, kind in enumerate(kinds)}


def _generator(
    tables: Tables,
    name: str,
    rates: dict[str, float],
    style: str,
    prompts: npt.NDArray[np.int64],
    rng: np.random.Generator,
) -> Generator:
    chances = [1 - sum(rates.values()), *rates.values()]
    clusters = np.repeat(np.arange(PROMPTS), EACH)
    kinds = tuple(rng.choice([SOUND, *rates], len(clusters), p=chances).tolist())
    own = [
        int(rng.choice(tables.index[tables.things[prompts[c]], kind, style]))
        for c, kind in zip(clusters, kinds, strict=True)
    ]
    picture = np.array(own, np.int64)
    return Generator(rates, style, picture, _images(tables, name, picture, clusters), kinds)


def _images(tables: Tables, name: str, picture: npt.NDArray[np.int64], clusters: npt.NDArray[np.int64]) -> Images:
    pack, peaks = tables.pack, tables.stock.peaks[picture]
    own = peaks[:, [f.feature for f in pack.features]]
    controls = peaks[:, [c.feature for c in pack.controls]] > np.array([c.threshold for c in pack.controls])
    return images_of(pack, name, own, controls, clusters)


@dataclass(frozen=True, slots=True)
class Measured:
    """What was said of one generator and one thing, and what is true."""

    world: int
    generator: int
    thing: str
    truth: float
    fires: float
    """The share of the generator's images that fires in truth."""
    fired: Interval
    judged: Interval
    sampled: float
    """The share of the generator's images that show it: what somebody says who sees all of them."""
    noisy: Interval
    """What is said with a judge who errs."""
    corrected: Interval
    """The same, less what that judge says of sound images."""
    alone: Interval
    """What as many judgements of images drawn at random say."""


@dataclass(frozen=True, slots=True)
class Told:
    """What was said of a pair of generators."""

    world: int
    thing: str
    equal: bool
    """Whether both have the same rates, in different styles."""
    truth: float
    """The true difference of rates, B less A."""
    plain: bool
    """Found by the test that knows no style, at a false discovery rate of 5 % over the pairs of the world."""
    allowing: bool
    """Found by the test that allows for what negative controls differ by."""
    judged: bool
    """Whether the judge's interval leaves 0 out."""
    right: bool
    """Whether the sign of the difference is the true one."""
    right_judged: bool


def measured(tables: Tables, generators: Sequence[Generator], number: int) -> list[Measured]:
    """Measures all modes in all generators."""
    rng = np.random.default_rng((0x3EA5, number))
    on_sound = [_noisy_on_sound(tables, m, rng) for m in range(len(tables.pack.modes))]
    out: list[Measured] = []
    for g, generator in enumerate(generators):
        for m, mode in enumerate(tables.pack.modes):
            sample = generator.images.of([m])
            shows = truth_of(generator.kinds, mode.name)
            judged, alone = _judged(sample.hits, sample.share, shows, rng, (1.0, 1.0))
            sides = _looked(sample.hits, _said(shows, NOISY, rng), rng)
            noisy = two_phase(sample.share, *sides, draws=DRAWS, rng=rng)
            s = sample.share
            out.append(
                Measured(
                    number,
                    g,
                    mode.id,
                    generator.true_rate(mode.name),
                    _fires(tables, generator, m),
                    Interval(s.value, s.low, s.high),
                    judged,
                    float(shows.mean()),
                    noisy,
                    _corrected(sample.share, sides, noisy, on_sound[m], rng),
                    alone,
                )
            )
    return out


def _said(shows: Bools, right: tuple[float, float], rng: np.random.Generator) -> Bools:
    """What a judge of some sensitivity and specificity says of images."""
    return np.where(rng.random(len(shows)) < np.where(shows, right[0], right[1]), shows, ~shows)


def _looked(on: Bools, says: Bools, rng: np.random.Generator) -> tuple[Looked, Looked]:
    """What is said of a sample of the images that fire, and of one of the others."""
    sides = [rng.permutation(np.flatnonzero(side))[:n] for side, n in ((on, N_FIRED), (~on, N_SILENT))]
    first, second = (Looked(float(says[side].sum()), len(side)) for side in sides)
    return first, second


def _judged(
    on: Bools, share: Share, shows: Bools, rng: np.random.Generator, right: tuple[float, float]
) -> tuple[Interval, Interval]:
    """What a judge makes of a sample of each side, and of as many images drawn at random."""
    says = _said(shows, right, rng)
    sides = _looked(on, says, rng)
    some = rng.permutation(len(on))[: sum(side.n for side in sides)]
    value = float(says[some].mean())
    alone = Interval(value, *wilson_bounds(value, len(some)))
    return two_phase(share, *sides, draws=DRAWS, rng=rng), alone


def _noisy_on_sound(tables: Tables, mode: int, rng: np.random.Generator) -> tuple[float, Floats]:
    """What the judge who errs says of sound scenes: the share, and draws of it."""
    scenes = [tables.index[thing, SOUND, tables.stock.pictures[0].style] for thing in tables.things]
    own = _images(tables, "sound", np.concatenate(scenes), np.arange(sum(map(len, scenes))))
    share, says = own.of([mode]).share, _said(np.zeros(own.n, np.bool_), NOISY, rng)
    sides = _looked(own.on[:, mode], says, rng)
    value = two_phase(share, *sides, draws=DRAWS, rng=rng).value
    return value, two_phase_draws(share, *sides, draws=DRAWS, rng=rng)


def _corrected(
    share: Share,
    sides: tuple[Looked, Looked],
    noisy: Interval,
    on_sound: tuple[float, Floats],
    rng: np.random.Generator,
) -> Interval:
    drawn = without_false_alarms(two_phase_draws(share, *sides, draws=DRAWS, rng=rng), on_sound[1])
    value = float(without_false_alarms(np.array([noisy.value]), np.array([on_sound[0]]))[0])
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(value, min(value, float(low)), max(value, float(high)))


def _fires(tables: Tables, generator: Generator, mode: int) -> float:
    """The share of images that fires in truth, over all things: what the fired share estimates."""
    whole = 0.0
    for kind, rate in ((SOUND, 1 - sum(generator.rates.values())), *generator.rates.items()):
        scenes = [tables.index[thing, kind, generator.style] for thing in tables.things]
        numbers = np.concatenate([np.full(len(own), i) for i, own in enumerate(scenes)])
        own = _images(tables, "stock", np.concatenate(scenes), numbers).of([mode])
        whole += rate * float(np.mean([own.hits[own.clusters == i].mean() for i in range(len(scenes))]))
    return whole


def told(tables: Tables, generators: Sequence[Generator], number: int) -> list[Told]:
    """Compares all pairs of generators in all modes."""
    sets = [g.images for g in generators]
    things = [t for t in things_of(tables.pack) if t.kind == "mode"]
    shifts, by_name = shifts_of(sets), {s.name: g for s, g in zip(sets, generators, strict=True)}
    with_style = pairs_of(sets, things, shifts)
    without = pairs_of(sets, things, dict.fromkeys(shifts, 0.0))
    names = {m.id: m.name for m in tables.pack.modes}
    draws = _draws(tables, generators, number)
    out: list[Told] = []
    for one, plain in zip(with_style, without, strict=True):
        a, b = by_name[one.a], by_name[one.b]
        truth = b.true_rate(names[one.what]) - a.true_rate(names[one.what])
        apart = draws[one.b, one.what] - draws[one.a, one.what]
        low, high = np.quantile(apart, [0.025, 0.975])
        out.append(
            Told(
                number,
                one.what,
                a.rates == b.rates,
                truth,
                plain.q <= LEVEL,
                one.q <= LEVEL,
                bool(low > 0 or high < 0),
                one.difference.value * truth > 0,
                float(apart.mean()) * truth > 0,
            )
        )
    return out


def _draws(tables: Tables, generators: Sequence[Generator], number: int) -> dict[tuple[str, str], Floats]:
    rng, out = np.random.default_rng((0xD2A3, number)), {}
    for generator in generators:
        for m, mode in enumerate(tables.pack.modes):
            sample, shows = generator.images.of([m]), truth_of(generator.kinds, mode.name)
            sides = _looked(sample.hits, shows, rng)
            drawn = two_phase_draws(sample.share, *sides, draws=DRAWS, rng=rng)
            out[generator.images.name, mode.id] = drawn
    return out


@dataclass(frozen=True, slots=True)
class Scores:
    """What each way of ranking says of a world's generators, [generators] each."""

    truth: tuple[float, ...]
    """Share of images with an error that the pack has a mode for."""
    whole: tuple[float, ...]
    """Share of images with any error."""
    sampled: tuple[float, ...]
    fired: tuple[float, ...]
    judged: tuple[float, ...]
    alone: tuple[float, ...]
    classifier: tuple[float, ...]
    count: tuple[float, ...]


def scores(tables: Tables, generators: Sequence[Generator], said: Sequence[Measured]) -> Scores:
    """Computes what ranks generators."""
    known = frozenset(k for m in tables.pack.modes for k in SAID[m.name][0])
    n_modes, stock = len(tables.pack.modes), tables.stock
    features = [f.feature for f in tables.pack.features]
    above = np.array([f.threshold for f in tables.pack.features])
    by = [[m for m in said if m.generator == g] for g in range(len(generators))]
    return Scores(
        tuple(sum(r for k, r in g.rates.items() if k in known) for g in generators),
        tuple(sum(g.rates.values()) for g in generators),
        tuple(sum(m.sampled for m in own) for own in by),
        tuple(g.images.of(range(n_modes)).share.value for g in generators),
        tuple(sum(m.judged.value for m in own) for own in by),
        tuple(sum(m.alone.value for m in own) for own in by),
        tuple(float((1 / (1 + np.exp(-stock.log_odds[g.picture]))).mean()) for g in generators),
        tuple(float((stock.peaks[g.picture][:, features] > above).sum(axis=1).mean()) for g in generators),
    )


def spearman(truth: Sequence[float], said: Sequence[float]) -> float | None:
    """Computes Spearman's rank correlation, ties having their mean rank; None where the truth is the same of all."""
    from scipy.stats import rankdata

    x, y = rankdata(truth), rankdata(said)
    if not np.ptp(x):
        return None
    return float(np.corrcoef(x, y)[0, 1]) if np.ptp(y) else 0.0
