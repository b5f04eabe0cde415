"""The figures of table.json: what each way of measuring says of planted generators, against what is known."""

from collections.abc import Sequence

import numpy as np

from autointerp.record import Record
from autointerp.statistics.clusters import average_of, share_of
from autointerp.statistics.rates import mean_interval
from benchmarks.generators.encoded import Stock
from benchmarks.generators.stages import Size
from benchmarks.generators.worlds import (
    LARGE,
    Measured,
    Scores,
    Tables,
    Told,
    measured,
    scores,
    spearman,
    told,
    world,
)

ESTIMATES = ("fired", "judged", "noisy", "corrected", "alone")
WAYS = ("sampled", "fired", "judged", "alone", "classifier", "count")
TESTS = ("plain", "allowing", "judged")


class Within(Record):
    """A figure with its 95 % interval over worlds."""

    value: float
    low: float
    high: float


class OfEstimate(Record):
    """How well one estimate of a mode's rate does."""

    mode: str
    says: str
    estimate: str
    spearman: Within
    bias: Within
    """Mean of estimate less planted rate."""
    rmse: float
    coverage: Within
    """Share of the 95 % intervals that hold the planted rate; of `fired` also `own`."""
    own: Within | None
    """Of the fired share: of the intervals that hold what fires in truth."""
    width: float


class OfWay(Record):
    """How well one way ranks the generators of a world."""

    way: str
    known: Within
    """Spearman's correlation with the share of images whose error the pack has a mode for."""
    whole: Within
    """The same with the share of images with any error."""


class OfTest(Record):
    """What one test finds among pairs of generators."""

    test: str
    false: Within
    """Share of the pairs of equal rates and different styles that are found to differ."""
    found: Within
    """Share of the pairs that differ by `LARGE` or more that are found, with the right sign."""
    wrong: Within
    """Share of these that are found with the wrong sign."""


class Firing(Record):
    """Shares of the stock's scenes on which a mode fires, by style and kind of error."""

    mode: str
    style: str
    shares: dict[str, float]


class Figures(Record):
    """Holds all figures of the benchmark."""

    estimates: tuple[OfEstimate, ...]
    ways: tuple[OfWay, ...]
    tests: tuple[OfTest, ...]
    firing: tuple[Firing, ...]
    n_worlds: int
    n_generators: int
    n_images: int
    """Of each generator."""
    n_discovery: int
    n_stock: int
    machine: str
    version: str
    cpu: dict[str, int]
    """Seconds of each stage."""


def figures_of(tables: Tables, size: Size, *, machine: str, version: str, cpu: dict[str, int]) -> Figures:
    """Draws the worlds and measures them."""
    said: list[Measured] = []
    pairs: list[Told] = []
    ranked: list[Scores] = []
    n_images = 0
    for number in range(size.worlds):
        generators = world(tables, number)
        own = measured(tables, generators, number)
        said += own
        pairs += told(tables, generators, number)
        ranked.append(scores(tables, generators, own))
        n_images = generators[0].images.n
    names = {m.id: m.name for m in tables.pack.modes}
    return Figures(
        estimates=tuple(_estimate(said, mode, names[mode], e) for mode in names for e in ESTIMATES),
        ways=tuple(_way(ranked, way) for way in WAYS),
        tests=tuple(_test(pairs, test) for test in TESTS),
        firing=tuple(_firing(tables)),
        n_worlds=size.worlds,
        n_generators=len(ranked[0].truth),
        n_images=n_images,
        n_discovery=size.discovery,
        n_stock=len(tables.stock.pictures),
        machine=machine,
        version=version,
        cpu=cpu,
    )


def _within(values: Sequence[float | None]) -> Within:
    """The mean over the worlds in which there is a value."""
    found = mean_interval(np.array([v for v in values if v is not None], float), (-1.0, 1.0))
    return Within(value=found.value, low=found.low, high=found.high)


def _share(hits: Sequence[bool], worlds: Sequence[int]) -> Within:
    found = share_of(np.array(hits, np.bool_), np.array(worlds))
    return Within(value=found.value, low=found.low, high=found.high)


def _estimate(said: Sequence[Measured], mode: str, says: str, estimate: str) -> OfEstimate:
    own = [m for m in said if m.thing == mode]
    worlds = [m.world for m in own]
    found = [getattr(m, estimate) for m in own]
    apart = np.array([f.value - m.truth for f, m in zip(found, own, strict=True)])
    by_world = [[m for m in own if m.world == w] for w in sorted(set(worlds))]
    bias = average_of(apart, np.array(worlds))
    assert bias is not None
    return OfEstimate(
        mode=mode,
        says=says,
        estimate=estimate,
        spearman=_within(
            [spearman([m.truth for m in some], [getattr(m, estimate).value for m in some]) for some in by_world]
        ),
        bias=Within(value=bias.value, low=bias.low, high=bias.high),
        rmse=float(np.sqrt(np.mean(apart**2))),
        coverage=_share([f.low <= m.truth <= f.high for f, m in zip(found, own, strict=True)], worlds),
        own=_share([m.fired.low <= m.fires <= m.fired.high for m in own], worlds) if estimate == "fired" else None,
        width=float(np.mean([f.high - f.low for f in found])),
    )


def _way(ranked: Sequence[Scores], way: str) -> OfWay:
    return OfWay(
        way=way,
        known=_within([spearman(s.truth, getattr(s, way)) for s in ranked]),
        whole=_within([spearman(s.whole, getattr(s, way)) for s in ranked]),
    )


def _test(pairs: Sequence[Told], test: str) -> OfTest:
    equal = [p for p in pairs if p.equal]
    large = [p for p in pairs if not p.equal and abs(p.truth) >= LARGE]
    right = [p.right_judged if test == "judged" else p.right for p in large]
    hits = [getattr(p, test) for p in large]
    worlds = [p.world for p in large]
    return OfTest(
        test=test,
        false=_share([getattr(p, test) for p in equal], [p.world for p in equal]),
        found=_share([h and r for h, r in zip(hits, right, strict=True)], worlds),
        wrong=_share([h and not r for h, r in zip(hits, right, strict=True)], worlds),
    )


def _firing(tables: Tables) -> list[Firing]:
    stock: Stock = tables.stock
    place = {f.feature: f for f in tables.pack.features}
    out = []
    for mode in tables.pack.modes:
        ratio = np.max([stock.peaks[:, f] / np.float32(place[f].threshold) for f in mode.features], axis=0)
        on = ratio > np.float32(mode.level)
        for style in dict.fromkeys(p.style for p in stock.pictures):
            rows = {
                k: [i for i, p in enumerate(stock.pictures) if (p.style, p.kind) == (style, k)]
                for k in ("", *tables.kinds)
            }
            shares = {kind or "sound": float(on[own].mean()) for kind, own in rows.items()}
            out.append(Firing(mode=mode.id, style=style, shares=shares))
    return out
