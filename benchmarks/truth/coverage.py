"""How often 95 % intervals hold the truth, by firing rate, design, explanation and judge, over repeated draws.

python -m benchmarks.truth.coverage              # 300 scores a row: eight minutes of CPU
python -m benchmarks.truth.coverage --draws 6    # a glance
python -m benchmarks.truth.coverage --write      # also writes the tables of docs/scoring-measured.md

A population is columns of numbers: where a feature fires, how strongly, and which images each explanation fits. Each
draw makes a dump anew, holds out what an explainer would be shown, draws and judges by the package's own functions, and
asks whether the interval holds the F1 that the judge would have given to the whole population. `textbook` is a check
that shares no code with ours: the linearised variance of a ratio of stratified totals (Cochran 1977, 6.3 and 5A.2) with
1.96 standard errors either way. It knows nothing of answers that were never seen.
"""

import argparse
import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from autointerp.lmm.gateway import Gateway
from autointerp.schema import Exemplar, Feature, FeatureRow, Usage
from autointerp.scoring.adaptive_sampling import columns, confidence, judge_sample
from autointerp.scoring.judge import Judge, Judgements, Look
from autointerp.scoring.sampling import Item, Pool, make_pool
from autointerp.statistics.rates import Interval, f1_samples
from autointerp.statistics.resampling import Columns, Draws, interval_of, resample
from autointerp.synthetic.evidence import inclusion, systematic
from benchmarks.figures import put_between
from benchmarks.truth.features import RATES
from benchmarks.truth.harvest import BANDS, LARGE, Size, explanation_of, image_rows
from benchmarks.truth.judges import GOOD, PERFECT, Errs
from benchmarks.truth.ours import DEFAULT, TWO_PHASE, Protocol, judge_of, settings
from benchmarks.truth.world import GENERIC, Bools, Floats

DESIGNS = {
    "fixed": DEFAULT,
    "adaptive": Protocol("adaptive to .2", LARGE, settings(interval=0.2, max_calls=40)),
    "two-phase": TWO_PHASE,
}
KINDS = ("true", "half", "broad")
JUDGES = (PERFECT, GOOD)
LIKE = 2.5
"""By how many standard deviations the silent images that look alike are more alike than others."""
EACH = 10
"""Draws of one population; then the next is made."""
PAGE = Path(__file__).parents[2] / "docs" / "scoring-measured.md"


@dataclass(frozen=True)
class Urn:
    """A population of images as numbers, the firing ones first."""

    n: int
    rate: float
    seed: int

    @cached_property
    def n_active(self) -> int:
        """How many images fire the feature."""
        return round(self.n * self.rate)

    @cached_property
    def fires(self) -> Bools:
        """Shape [n]."""
        return np.arange(self.n) < self.n_active

    @cached_property
    def fits(self) -> Mapping[str, Bools]:
        """By kind, which images an explanation fits, each of shape [n].

        `half` fits half of those that fire. `broad` fits these and twice as many others, half of which look alike.
        """
        chance = np.random.default_rng((0xF175, self.seed))
        half = self.fires & (chance.random(self.n) < 0.5)
        broad = self.fires.copy()
        broad[self.n_active : 2 * self.n_active] = True
        broad[chance.choice(np.arange(2 * self.n_active, self.n), self.n_active, replace=False)] = True
        return {"true": self.fires, "half": half, "broad": broad}

    @cached_property
    def level(self) -> Floats:
        """The activation, above 1 where it fires, strongest first; shape [n]."""
        chance = np.random.default_rng((0xAC7, self.seed))
        return np.where(self.fires, np.sort(1.25 + chance.gamma(2.0, 1.0, self.n))[::-1], 0.5)

    @cached_property
    def likeness(self) -> Floats:
        """How like the images that fire the feature each silent one is; NaN for the firing ones; shape [n]."""
        silent = np.random.default_rng((0x11, self.seed)).normal(size=self.n - self.n_active)
        silent[: self.n_active] += LIKE
        return np.concatenate([np.full(self.n_active, np.nan), silent])

    @cached_property
    def _rank(self) -> Floats:
        likeness = self.likeness[self.n_active :]
        rank = np.empty(len(likeness))
        rank[np.argsort(-likeness)] = np.arange(1, len(likeness) + 1)
        return rank

    def harvest(self, size: Size, draw: int) -> Feature:
        """A dump's rows of the feature, as `benchmarks.truth.harvest` draws them."""
        chance = np.random.default_rng((0x4A2, self.seed, draw))
        n_top = min(size.top, self.n_active)
        rows = [self._row(i, "top", 1.0) for i in range(n_top)]
        for name, band in zip(reversed(BANDS), np.array_split(np.arange(n_top, self.n_active), 3), strict=True):
            n = min(size.band, len(band))
            rows += [self._row(i, name, n / len(band)) for i in chance.choice(band, n, replace=False).tolist()]
        n_silent = self.n - self.n_active
        guided = inclusion(1 / self._rank, size.guided) if size.guided else np.zeros(n_silent)
        uniform = size.silent / n_silent
        either = uniform + guided - uniform * guided
        by_chance, by_likeness = chance.choice(n_silent, size.silent, replace=False), systematic(guided, chance)
        for name, drawn in (("silent", np.setdiff1d(by_chance, by_likeness)), ("guided", by_likeness)):
            rows += [self._row(int(i) + self.n_active, name, float(either[i])) for i in drawn]
        return Feature(FeatureRow(self.seed, 1, self.n_active, float(self.level.max()), None, None), tuple(rows))

    def _row(self, image: int, stratum: str, probability: float) -> Exemplar:
        return Exemplar(image, float(self.level[image]), stratum, probability, None, None)


def says_yes(errs: Errs, fits: Bools) -> Floats:
    """The chance of a yes to each image, in one look."""
    return np.where(fits, errs.sensitivity, 1 - errs.specificity)


def truth(urn: Urn, yes: Floats, *, twice: bool) -> float:
    """F1 of the judge's own answers, had it seen every image; where it looks twice, a silent one has to pass both."""
    seen = np.where(urn.fires, yes, yes * yes) if twice else yes
    both = float(seen[urn.fires].sum())
    return 2 * both / (urn.n_active + float(seen.sum()))


class Teller(Judge):
    """Answers by chance alone, without a request."""

    yes: Floats
    chance: np.random.Generator

    @classmethod
    def of(cls, protocol: Protocol, yes: Floats, seed: Sequence[int]) -> "Teller":
        """A judge of one explanation, under a protocol's settings."""
        made = judge_of(protocol)
        told = cls(made.model, made.settings, made.prompt)
        object.__setattr__(told, "yes", yes)
        object.__setattr__(told, "chance", np.random.default_rng(seed))
        return told

    @property
    def screener(self) -> "Teller":
        """The same judge."""
        return self

    async def judgements(
        self, text: str, items: Sequence[Item], gateway: Gateway, look: Look | None = None, *, refused: object = ()
    ) -> Judgements:
        """Yes with each image's own chance."""
        look = look or self.look
        at = np.array([i.exemplar.image for i in items], np.int64)
        said = self.chance.random(len(at)) < self.yes[at]
        calls = -(-len(items) // look.per_call)
        return Judgements(tuple(items), tuple(said.astype(float).tolist()), Usage(calls=calls), "teller")


@dataclass(frozen=True)
class Held:
    """One interval, and what it should hold."""

    design: str
    rate: float
    kind: str
    judge: str
    found: Interval
    truth: float
    textbook: Interval
    calls: int


def textbook(judged: Columns) -> Interval:
    """F1 with 1.96 standard errors, each stratum by itself, without any correction."""
    y, c, w = judged.active, judged.belief, judged.weight
    below = float(w @ (y + c))
    value = 2 * float(w @ (y * c)) / below
    left = w * (2 * y * c - value * (y + c)) / below
    variance = 0.0
    for stratum in np.unique(judged.stratum):
        own = left[judged.stratum == stratum]
        variance += len(own) * float(own.var(ddof=1)) if len(own) > 1 else 0.0
    half = 1.96 * variance**0.5
    return Interval(value, value - half, value + half)


def held(design: str, rate: float, n: int, draws: int, seed: int) -> Iterator[Held]:
    """The intervals of every explanation under every judge, over some draws."""
    protocol = DESIGNS[design]
    urn = Urn(n, rate, seed)
    for draw in range(draws):
        if draw % EACH == 0:
            urn = Urn(n, rate, seed + draw)
        feature = urn.harvest(protocol.size, draw)
        settings = protocol.settings.model_copy(update={"seed": draw})
        seen = explanation_of(feature, GENERIC).seen
        pool = make_pool(feature, seen, image_rows(feature), settings, grid=None, n_images=n)
        for kind in KINDS:
            for errs in JUDGES:
                yes = says_yes(errs, urn.fits[kind])
                teller = Teller.of(protocol, yes, (KINDS.index(kind), urn.seed, draw))
                found, own, calls = _scored(pool, teller)
                known = truth(urn, yes, twice=settings.n_screen > 0)
                yield Held(design, rate, kind, errs.name, found, known, own, calls)


def _scored(pool: Pool, teller: Teller) -> tuple[Interval, Interval, int]:
    said = asyncio.run(judge_sample("it", pool, teller, Silent()))
    assert isinstance(said, Judgements), said
    judged = columns(said)
    drawn = resample(judged, Draws(pool.settings.bootstrap, pool.settings.seed + pool.feature.id))
    level = confidence(len(said.items), pool)
    return interval_of(f1_samples, judged, drawn, level), textbook(judged), said.usage.calls


class Silent(Gateway):
    """Stands where a gateway is asked for; `Teller` asks none."""

    def __init__(self) -> None:
        pass


def table(rows: Sequence[Held]) -> str:
    """A line a design and rate, and a line a design, explanation and judge."""
    by_rate: defaultdict[tuple[str, ...], list[Held]] = defaultdict(list)
    by_kind: defaultdict[tuple[str, ...], list[Held]] = defaultdict(list)
    for r in rows:
        by_rate[r.design, f"{100 * r.rate:g} %"].append(r)
        by_kind[r.design, r.kind, r.judge].append(r)
    for design in dict.fromkeys(r.design for r in rows):
        by_rate[design, "all"] = [r for r in rows if r.design == design]
    return f"{_lines(('design', 'fires on'), by_rate)}\n\n{_lines(('design', 'explanation', 'judge'), by_kind)}"


def _lines(names: Sequence[str], groups: Mapping[tuple[str, ...], Sequence[Held]]) -> str:
    figures = ("holds the truth", "lies above", "lies below", "mean width", "calls", "scores", "textbook holds")
    lines = [f"| {' | '.join((*names, *figures))} |", f"|{'---|' * (len(names) + len(figures))}"]
    for key, own in groups.items():
        above = _share([r.found.low > r.truth + 1e-9 for r in own])
        below = _share([r.found.high < r.truth - 1e-9 for r in own])
        width, calls = np.mean([r.found.high - r.found.low for r in own]), np.mean([r.calls for r in own])
        plain = _share([r.textbook.low - 1e-9 <= r.truth <= r.textbook.high + 1e-9 for r in own])
        holds = 100 - above - below
        shown = f"{holds:.1f} %" if 93 <= holds <= 97 else f"**{holds:.1f} %**"
        cells = (shown, f"{above:.1f} %", f"{below:.1f} %", f"{width:.2f}", f"{calls:.0f}", str(len(own)))
        lines.append(f"| {' | '.join((*key, *cells, f'{plain:.0f} %'))} |")
    return "\n".join(lines)


def _share(flags: Sequence[bool]) -> float:
    return 100 * float(np.mean(flags))


def write(text: str, name: str = "coverage") -> None:
    """Puts tables between their marks in the page on scores."""
    put_between(PAGE, text, (f"<!-- {name} -->", f"<!-- /{name} -->"))


def main() -> None:
    """Parses, runs, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--designs", nargs="+", choices=tuple(DESIGNS), default=list(DESIGNS))
    parser.add_argument("--draws", type=int, default=50, help="of a dump; each is scored six times")
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    rows = [
        row
        for design in given.designs
        for rate in RATES
        for row in held(design, rate, given.images, given.draws, given.seed)
    ]
    text = table(rows)
    print(text)
    if given.write:
        write(text)


if __name__ == "__main__":
    main()
