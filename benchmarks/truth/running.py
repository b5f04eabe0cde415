"""Scores every explanation of a feature by every protocol, and keeps one record of each score."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from autointerp.statistics.rates import Interval, JudgeRates
from benchmarks.truth import delphi, lanse, saebench, top_and_random
from benchmarks.truth.features import KINDS, Planted, f1, iou, plant_all
from benchmarks.truth.harvest import harvest
from benchmarks.truth.judges import Errs, Knowing, KnowingGateway
from benchmarks.truth.ours import Protocol, score, score_corrected, trial_of
from benchmarks.truth.world import make_world

CALIBRATED_ON = 200
"""Judgements of images that fit, and as many of others, behind the error rates that the correction is given."""


@dataclass(frozen=True)
class Plan:
    """One feature under one judge by some protocols."""

    n: int
    """Images."""
    seed: int
    n_features: int
    number: int
    errs: Errs
    protocols: tuple[Protocol, ...]
    published: bool
    """Whether the published protocols run too."""
    kinds: tuple[str, ...] = KINDS
    correct: bool = False
    """Whether the judge's errors are also taken out."""


@dataclass(frozen=True)
class Record:
    """One score of one explanation."""

    protocol: str
    judge: str
    rate: float
    feature: int
    kind: str
    score: float
    low: float | None
    """None for a protocol without intervals, as `high` and `seen`."""
    high: float | None
    true_f1: float
    true_iou: float
    seen: float | None
    """F1 that the judge would give if it saw the whole population."""
    calls: int
    images: int


@lru_cache(maxsize=2)
def features_of(n: int, seed: int, n_features: int) -> list[Planted]:
    """Of a run, made once a process."""
    return plant_all(make_world(n, seed), n_features)


def run(plan: Plan) -> list[Record]:
    """All records of a plan."""
    planted = features_of(plan.n, plan.seed, plan.n_features)[plan.number]
    out = asyncio.run(_ours(plan, planted))
    if plan.published:
        for kind in plan.kinds:
            out += _published(plan, planted, kind)
    # A population of this size keeps some megabytes a feature; none is needed twice.
    for name in ("fires", "activation"):
        planted.__dict__.pop(name, None)
    return out


async def _ours(plan: Plan, planted: Planted) -> list[Record]:
    out: list[Record] = []
    for size in dict.fromkeys(p.size for p in plan.protocols):
        feature = harvest(planted, size)
        for protocol in (p for p in plan.protocols if p.size == size):
            trial = trial_of(protocol, feature, planted.world)
            for kind in plan.kinds:
                judge = Knowing(plan.errs, planted.explanations[kind], planted.world, f"{protocol.name} {kind}")
                gateway = KnowingGateway(judge)
                truth = _truth(plan, planted, kind, judge)
                seen = f1(planted.fires, protocol.seen(judge, planted.fires))
                about = (trial, judge.concept, gateway)
                if plan.correct:
                    found, fixed = await score_corrected(*about, _calibrated(plan, judge, protocol))
                    if fixed is not None:
                        out.append(truth.record(f"{protocol.name}, corrected", fixed, truth.true_f1, judge))
                else:
                    found = await score(*about)
                out.append(truth.record(protocol.name, found, seen, judge))
    return out


def _calibrated(plan: Plan, judge: Knowing, protocol: Protocol) -> JudgeRates:
    """What `calibrate` would have found of the judge, on its own images."""
    errs, n = plan.errs, CALIBRATED_ON
    chance = np.random.default_rng((0xCA1, plan.seed, sum(map(ord, errs.name))))
    more = errs.multiple(protocol.final_per_call)
    right = [int(chance.binomial(n, 1 - (1 - rate) * more)) for rate in (errs.sensitivity, errs.specificity)]
    return JudgeRates(right[0] / n, n, right[1] / n, n)


@dataclass(frozen=True)
class _Truth:
    plan: Plan
    rate: float
    feature: int
    kind: str
    true_f1: float
    true_iou: float

    def record(self, protocol: str, found: float | Interval, seen: float | None, judge: Knowing) -> Record:
        """One score of this pair."""
        plain = not isinstance(found, Interval)
        return Record(
            protocol=protocol,
            judge=self.plan.errs.name,
            rate=self.rate,
            feature=self.feature,
            kind=self.kind,
            score=found if plain else found.value,
            low=None if plain else found.low,
            high=None if plain else found.high,
            true_f1=self.true_f1,
            true_iou=self.true_iou,
            seen=seen,
            calls=judge.calls,
            images=judge.images,
        )


def _truth(plan: Plan, planted: Planted, kind: str, judge: Knowing) -> _Truth:
    whole = f1(planted.fires, judge.fits), iou(planted.fires, judge.fits)
    return _Truth(plan, planted.rate, planted.number, kind, *whole)


def _published(plan: Plan, planted: Planted, kind: str) -> Iterator[Record]:
    def asked(salt: str) -> Knowing:
        return Knowing(plan.errs, planted.explanations[kind], planted.world, f"{salt} {kind}")

    truth = _truth(plan, planted, kind, asked(""))

    def told(name: str, value: float, by: Knowing) -> Record:
        return truth.record(name, value, None, by)

    judge = asked("lanse")
    yield told("LanSE accuracy", lanse.accuracy(planted, judge), judge)
    judge = asked("saebench")
    yield told("SAEBench accuracy", saebench.accuracy(planted, judge, plan.seed), judge)
    judge = asked("delphi")
    found = delphi.detect(planted, judge, plan.seed)
    yield told("delphi balanced accuracy", found.balanced_accuracy, judge)
    yield told("delphi F1", found.f1, judge)
    judge = asked("top and random")
    yield told("top-and-random correlation", top_and_random.correlation(planted, judge, plan.seed), judge)


def named(records: Sequence[Record], protocol: str, judge: str | None = None) -> list[Record]:
    """Those of a protocol, and of a judge."""
    return [r for r in records if r.protocol == protocol and judge in (None, r.judge)]
