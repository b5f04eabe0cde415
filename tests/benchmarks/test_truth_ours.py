import asyncio
import json
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from scripted import NoImages

from autointerp.lmm.budget import Ledger
from autointerp.lmm.cache import Cache
from autointerp.lmm.gateway import Gateway
from autointerp.lmm.image_tokens import TokenEstimate
from autointerp.lmm.limits import Limiter
from autointerp.lmm.outcomes import CallError
from autointerp.lmm.request import Completion, Images, Request
from autointerp.statistics.rates import Interval, JudgeRates
from benchmarks.truth.features import Planted, plant_all
from benchmarks.truth.harvest import USUAL, Size, harvest
from benchmarks.truth.judges import GOOD, PERFECT, REFUSING, Errs, Knowing, KnowingGateway, shown_in
from benchmarks.truth.ours import DEFAULT, Protocol, score, score_corrected, settings, trial_of
from benchmarks.truth.running import Plan, run
from benchmarks.truth.world import make_world

N = 20_000
WIDE = Size(top=20, band=30, silent=500, guided=200)


class Scripted:
    """The knowing judge as a client behind a real gateway."""

    def __init__(self, judge: Knowing) -> None:
        self.judge = judge

    async def complete(self, request: Request, images: Images, slot: AbstractAsyncContextManager[object]) -> Completion:
        async with slot:
            said = self.judge.say(shown_in(request))
        if said is None:
            raise CallError("refused", "no", again=False)
        text = json.dumps({f"image_{i}": fit for i, fit in enumerate(said, 1)})
        return Completion(text, 10, 5, 0, "stop", None, "knowing")


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    """Of one test."""
    with Cache(tmp_path / "answers") as cache:
        yield cache


@pytest.fixture(scope="module")
def planted() -> Planted:
    """A feature that fires on 3 % of 20,000 images."""
    return plant_all(make_world(N, 0), 2)[1]


def by_both_doors(planted: Planted, protocol: Protocol, errs: Errs, cache: Cache) -> tuple[Interval, Interval]:
    trial = trial_of(protocol, harvest(planted, protocol.size), planted.world)
    concept = planted.explanations["extra_alike"]
    client = Scripted(Knowing(errs, concept, planted.world))
    real = Gateway(
        client,
        cache,
        Limiter(8),
        Ledger(None, {"knowing": None}),
        NoImages(),
        attempts=1,
        estimate=lambda request: TokenEstimate(1, 1),
    )
    short = KnowingGateway(Knowing(errs, concept, planted.world))
    return asyncio.run(score(trial, concept, real)), asyncio.run(score(trial, concept, short))


@pytest.mark.parametrize("errs", [GOOD, REFUSING], ids=["errs", "refuses"])
@pytest.mark.parametrize(
    "protocol",
    [
        DEFAULT,
        Protocol("adaptive", WIDE, settings(interval=0.3, max_calls=12)),
        Protocol("two-phase", WIDE, settings(n_screen=200, n_silent=12, n_active=12)),
    ],
    ids=["default", "adaptive", "two-phase"],
)
def test_the_short_way_to_the_judge_gives_what_the_real_door_gives(
    planted: Planted, protocol: Protocol, errs: Errs, cache: Cache
):
    real, short = by_both_doors(planted, protocol, errs, cache)

    assert real == short


def test_the_functions_give_what_the_scorer_gives(planted: Planted):
    trial = trial_of(DEFAULT, harvest(planted, USUAL), planted.world)
    concept = planted.concept

    def gateway() -> KnowingGateway:
        return KnowingGateway(Knowing(GOOD, concept, planted.world))

    plain = asyncio.run(score(trial, concept, gateway()))
    scorer, corrected = asyncio.run(score_corrected(trial, concept, gateway(), JudgeRates(0.95, 200, 0.98, 200)))

    assert scorer == plain
    assert corrected is not None
    assert 0 <= corrected.low <= corrected.value <= corrected.high <= 1


def test_an_image_scores_what_its_population_f1_is_and_the_true_explanation_one(planted: Planted):
    records = run(Plan(N, 0, 2, 1, PERFECT, (DEFAULT,), published=False, kinds=("true", "generic")))

    true, generic = records
    assert (true.score, true.high, true.true_f1) == (1.0, 1.0, 1.0)
    assert generic.score == pytest.approx(generic.true_f1)
    assert generic.score == pytest.approx(2 * planted.fires.mean() / (1 + planted.fires.mean()))
    assert (true.calls, true.images) == (5, 60)


def test_guided_silent_images_give_an_alike_extra_label_away_and_the_published_scores_do_not():
    protocol = Protocol("guided", Size(top=20, band=30, silent=200, guided=200), settings(n_silent=180))
    kinds = ("true", "extra_alike")

    records = [r for i in range(5) for r in run(Plan(N, 0, 5, i, PERFECT, (protocol,), published=True, kinds=kinds))]

    def noticed(name: str) -> int:
        score = {(r.feature, r.kind): r.score for r in records if r.protocol == name}
        return sum(score[i, "extra_alike"] < score[i, "true"] for i in range(5))

    assert noticed("guided") >= 4
    assert noticed("LanSE accuracy") == 0


def test_a_run_is_the_same_every_time():
    plan = Plan(N, 0, 5, 3, GOOD, (DEFAULT,), published=True, kinds=("true", "parent"))

    assert run(plan) == run(plan)
