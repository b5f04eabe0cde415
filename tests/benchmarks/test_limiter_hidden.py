import asyncio
from random import Random

import pytest
from hidden_limits import Concurrency, Log, Outcome, Queueing, load, now, simulate
from limiter_scenarios import BURSTING, BUSY, BUSY_QUEUEING, DRIFTING, MEAN, SCENARIOS, Scenario, longer, refused, reply

from autointerp.lmm.limits import Limiter

BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
SEED = 11


@pytest.mark.parametrize(
    ("name", "used", "refusals"),
    [
        ("4 at once, else 429", 0.85, 0.10),
        ("50 at once, else 429", 0.93, 0.01),
        ("600 a minute, 429", 0.95, 0.05),
        ("600 a minute, 429 with Retry-After", 0.95, 0.04),
        ("600 a minute, limits in headers", 0.95, 0.01),
        ("32 slots and a queue, never 429", 0.93, 0.0),
        ("200 slots and a queue, never 429", 0.93, 0.0),
        (BURSTING.name, 0.85, 0.05),
    ],
)
def test_a_hidden_limit_is_found_within_half_a_minute_and_held(name: str, used: float, refusals: float):
    scenario = BY_NAME[name]

    log = scenario.run(SEED)

    assert scenario.found_after(log) <= 30
    assert scenario.utilisation(log, 30, scenario.until) >= used
    assert refused(log, 30, scenario.until) <= refusals


def test_a_thousand_at_once_are_reached_within_half_a_minute():
    scenario = BY_NAME["1000 at once, else 429"]

    log = Scenario(scenario.name, scenario.endpoint, scenario.capacity, ceiling=2000, until=45).run(SEED)

    assert scenario.utilisation(log, 28, 45) >= 0.88
    assert refused(log, 0, 45) <= 0.01


def test_a_limit_that_halves_and_quadruples_is_found_again():
    log = DRIFTING.run(SEED)

    assert DRIFTING.utilisation(log, 15, 60) >= 0.85
    assert DRIFTING.utilisation(log, 75, 120) >= 0.8
    assert refused(log, 75, 120) <= 0.05
    assert DRIFTING.utilisation(log, 170, 210) >= 0.85


@pytest.mark.parametrize(("slots", "longest"), [(32, 2 * MEAN), (200, 2 * MEAN)])
def test_an_endpoint_that_queues_is_not_filled_to_the_ceiling(slots: int, longest: float):
    log = BY_NAME[f"{slots} slots and a queue, never 429"].run(SEED)

    assert log.between(30, 180)[2] <= longest


def test_a_client_that_comes_late_to_the_answers_is_not_taken_for_an_endpoint_that_queues():
    log = BUSY.run(SEED)

    late = [limit for at, limit in log.limits if at >= 30]
    # 40 answers a second, which is all that the client can handle, take 87 requests in flight.
    assert min(late) >= 40 * MEAN
    assert late[-1] == 256
    assert BUSY.utilisation(log, 30, 180) >= 0.95


def test_an_endpoint_that_queues_is_found_out_by_a_busy_client_too():
    log = BUSY_QUEUEING.run(SEED)

    assert max(limit for at, limit in log.limits if at >= 60) < 128
    assert log.limits[-1][1] <= 70
    assert BUSY_QUEUEING.utilisation(log, 30, 180) >= 0.9


def test_replies_that_become_longer_are_not_taken_for_a_queue():
    rng = Random(SEED)

    async def main() -> Log:
        endpoint = Queueing(10**6, longer, rng)
        return await load(endpoint, Limiter(256), until=180, workers=400, rng=rng)

    log = simulate(main())

    late = [limit for at, limit in log.limits if at >= 40]
    assert sum(late) / len(late) >= 0.9 * 256


def shared(most: int) -> tuple[int, int]:
    """Answers of two limiters on one endpoint, the second half a minute later, in the last three minutes of five."""
    rng = Random(SEED)

    async def main() -> tuple[Log, Log]:
        endpoint = Concurrency(lambda _: most, reply, rng)

        async def second() -> Log:
            await asyncio.sleep(30)
            return await load(endpoint, Limiter(256), until=300, workers=300, rng=rng)

        async with asyncio.TaskGroup() as group:
            one = group.create_task(load(endpoint, Limiter(256), until=300, workers=300, rng=rng))
            two = group.create_task(second())
        return one.result(), two.result()

    one, two = simulate(main())
    return one.between(120, 300)[0], two.between(120, 300)[0]


def test_two_runs_on_one_endpoint_share_it_within_a_factor_of_two():
    one, two = shared(60)

    assert max(one, two) <= 2 * min(one, two)
    assert one + two >= 0.85 * 180 * 60 / MEAN


def test_a_dead_endpoint_is_not_hammered():
    rng = Random(SEED)
    calls: list[float] = []

    async def dead() -> Outcome:
        calls.append(now())
        await asyncio.sleep(0.05)
        return Outcome(False)

    async def main() -> Log:
        return await load(dead, Limiter(512), until=60, workers=700, rng=rng)

    simulate(main())

    assert sum(at >= 10 for at in calls) <= 2 * 50
