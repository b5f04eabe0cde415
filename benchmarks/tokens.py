"""Tokens per explained and scored feature for each lever, at one width of detection's interval, on planted features.

python -m benchmarks.tokens                # some 5 minutes on two cores
python -m benchmarks.tokens --small        # under a minute
python -m benchmarks.tokens --write        # also writes tokens.json and the table of docs/costs-measured.md

Judges are simulated: what they say does not depend on layout, picture size or detail, except that the judge named
after its sheets errs more the more images a call has. What a real judge loses by a lever only `autointerp calibrate`
on that judge can tell.
"""

import argparse
import asyncio
import json
import os
import time
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from autointerp.lmm.outcomes import Answer, Failure
from autointerp.lmm.request import Request
from autointerp.replies import Reply
from autointerp.schema import Usage
from autointerp.scoring.sampling import make_pool
from benchmarks.token_levers import REGION, SCREEN_SHEET, rows_of
from benchmarks.tokens_table import JUDGES, put, table
from benchmarks.truth.__main__ import mapped
from benchmarks.truth.features import Planted
from benchmarks.truth.harvest import LARGE, explanation_of, harvest
from benchmarks.truth.judges import PERFECT, Errs, Knowing, KnowingGateway, shown_in
from benchmarks.truth.ours import Protocol, Trial, score, settings
from benchmarks.truth.running import features_of
from benchmarks.truth.widths import SLACK, least_images
from benchmarks.truth.world import GENERIC

R = TypeVar("R", bound=Reply)

WIDTH = 0.2
KINDS = ("true", "extra_alike")
MOST_IMAGES = 1200
"""Judged a feature at most; a width that takes more counts as not reached."""
SCREENS = ((200, 24, 12), (400, 24, 16), (800, 24, 20), (1600, 36, 24), (3300, 48, 32), (3300, 96, 64))
"""Silent images screened, active and silent ones then judged alone: tried in this order until the width is reached."""
Asked = tuple[int, bool]
"""Images of a call, and whether it is a screening sheet."""


@dataclass(frozen=True)
class Plan:
    """One feature under one judge."""

    n: int
    seed: int
    n_features: int
    number: int
    errs: Errs


@dataclass(frozen=True)
class Spent:
    """What one way to judge took until the interval was narrow enough."""

    feature: int
    rate: float
    kind: str
    judge: str
    run: str
    asked: tuple[tuple[int, bool, int], ...] | None
    """Images a call, whether screened, how many such calls; None where the width was not reached."""


class CountingDoor(KnowingGateway):
    """Notes how many images each call had; `singly` asks about each by itself, in the order of the same rounds."""

    def __init__(self, judge: Knowing, *, singly: bool) -> None:
        super().__init__(judge)
        self.singly = singly
        self.asked: Counter[Asked] = Counter()

    async def ask(self, request: Request, reply: type[R]) -> Answer[R] | Failure:
        """The judge's word on the pictures of a judging question."""
        images = shown_in(request)
        if not self.singly:
            # After a screening the careful look is at single images; nothing else is.
            self.asked[len(images), request.pictures[0].columns > 0] += 1
            return await super().ask(request, reply)
        said = [(self.judge.say([image]) or ("unsure",))[0] for image in images]
        self.asked[1, False] += len(images)
        value = reply.model_validate({f"image_{i}": fit for i, fit in enumerate(said, 1)})
        return Answer(value, Usage(calls=1), "knowing", cached=False)


def ladder(run: str) -> list[Protocol]:
    """What is tried in turn."""
    if run == "screened":
        steps = [
            settings(n_screen=n, screen_per_call=SCREEN_SHEET, n_active=active, n_silent=careful)
            for n, active, careful in SCREENS
        ]
    else:
        # Rounds of twelve also where images are asked about one by one, so that the same ones are.
        size = 12 if run == "1" else int(run)
        steps = [settings(interval=WIDTH, per_call=size, max_calls=MOST_IMAGES // size)]
    return [Protocol(run, LARGE, s) for s in steps]


def measure(plan: Plan) -> list[Spent]:
    """All runs of judging of one feature."""
    planted = features_of(plan.n, plan.seed, plan.n_features)[plan.number]
    out = asyncio.run(_judged(plan, planted))
    if plan.errs is PERFECT:
        out += [_uniform(plan, planted, kind) for kind in KINDS]
    for name in ("fires", "activation"):
        planted.__dict__.pop(name, None)
    return out


async def _judged(plan: Plan, planted: Planted) -> list[Spent]:
    feature = harvest(planted, LARGE)
    marked = replace(feature, exemplars=tuple(e if e.silent else replace(e, box=REGION) for e in feature.exemplars))
    said = explanation_of(feature, GENERIC)
    out: list[Spent] = []
    for kind in KINDS:
        for run in ("1", "12", "24", "screened"):
            asked: Counter[Asked] | None = None
            for protocol in ladder(run):
                pool = make_pool(marked, said.seen, rows_of(marked), protocol.settings, grid=None, n_images=plan.n)
                judge = Knowing(plan.errs, planted.explanations[kind], planted.world, f"tokens {kind} {run}")
                gateway = CountingDoor(judge, singly=run == "1")
                found = await score(Trial(protocol, marked, pool, planted.world), judge.concept, gateway)
                if found.high - found.low <= WIDTH * SLACK:
                    asked = gateway.asked
                    break
            out.append(_spent(plan, planted, kind, run, asked))
    return out


def _uniform(plan: Plan, planted: Planted, kind: str) -> Spent:
    """As published protocols draw: uniformly among active and among silent images, in the best split."""
    fits = planted.world.true_of(planted.explanations[kind])
    chance = np.random.default_rng((0x70C, planted.world.seed, planted.number))
    active = chance.permutation(np.flatnonzero(planted.fires))
    silent = chance.permutation(np.flatnonzero(~planted.fires))
    images = least_images(fits[active], fits[silent], WIDTH, planted.number)
    return _spent(plan, planted, kind, "uniform", Counter({(1, False): images}) if images else None)


def _spent(plan: Plan, planted: Planted, kind: str, run: str, asked: Counter[Asked] | None) -> Spent:
    counted = None if asked is None else tuple((n, screen, times) for (n, screen), times in sorted(asked.items()))
    return Spent(planted.number, planted.rate, kind, plan.errs.name, run, counted)


def main() -> None:
    """Parses, runs, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=int, default=15)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--small", action="store_true", help="5 features of 30,000 images")
    parser.add_argument("--write", action="store_true", help="write tokens.json and docs/costs-measured.md")
    given = parser.parse_args()
    n, n_features = (30_000, 5) if given.small else (given.images, given.features)
    began = time.monotonic()
    plans = [Plan(n, given.seed, n_features, i, errs) for i in range(n_features) for errs in JUDGES]
    spent = mapped(measure, plans, given.jobs)
    figures = {
        "settings": {"features": n_features, "images": n, "seed": given.seed, "width": WIDTH},
        "spent": [asdict(s) for s in spent],
    }
    print(table(figures))
    print(f"\n{time.monotonic() - began:.0f} s")
    if given.write:
        text = json.dumps(figures, separators=(",", ":")).replace('{"feature"', '\n{"feature"')
        (Path(__file__).parent / "tokens.json").write_text(text + "\n")
        put()


if __name__ == "__main__":
    main()
