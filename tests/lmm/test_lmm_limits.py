import asyncio
from collections import Counter

from virtual_time import clock, simulate

from autointerp.lmm.limits import Limiter


class Endpoint:
    """Answers after a second; refuses what goes beyond `most` in flight."""

    def __init__(self, limiter: Limiter, most: int = 10**9, retry_after: float | None = None) -> None:
        self.limiter = limiter
        self.most = most
        self.retry_after = retry_after
        self.busy = 0
        self.peak = 0
        self.refused = 0
        self.starts: list[float] = []

    async def ask(self, seconds: float = 1.0, tokens: int = 0) -> bool:
        slot = self.limiter.slot(tokens)
        async with slot:
            self.starts.append(clock())
            self.busy += 1
            self.peak = max(self.peak, self.busy)
            refuse = self.busy > self.most
            await asyncio.sleep(0.05 if refuse else seconds)
            self.busy -= 1
        if refuse:
            self.refused += 1
            self.limiter.overloaded(slot.began, self.retry_after)
        else:
            self.limiter.succeeded(slot)
        return not refuse


async def asked(endpoint: Endpoint, n: int, *, seconds: float = 1.0, tokens: int = 0) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(n):
            group.create_task(endpoint.ask(seconds, tokens))


def test_never_more_than_the_ceiling_are_in_flight():
    async def main() -> Endpoint:
        endpoint = Endpoint(Limiter(40))
        await asked(endpoint, 500)
        return endpoint

    endpoint = simulate(main())

    assert endpoint.peak == 40
    assert len(endpoint.starts) == 500


def test_a_ceiling_below_the_first_limit_holds_from_the_start():
    async def main() -> Endpoint:
        endpoint = Endpoint(Limiter(3))
        await asked(endpoint, 30)
        return endpoint

    assert simulate(main()).peak == 3


def test_what_goes_well_doubles_every_round_trip():
    async def main() -> Endpoint:
        endpoint = Endpoint(Limiter(1000))
        await asked(endpoint, 16 + 32 + 64 + 128)
        return endpoint

    started = Counter(simulate(main()).starts)

    assert started == {0.0: 16, 1.0: 32, 2.0: 64, 3.0: 128}


def test_a_limit_that_nobody_reaches_does_not_grow():
    async def main() -> float:
        endpoint = Endpoint(Limiter(1000))
        for _ in range(50):
            await asked(endpoint, 8)
        return endpoint.limiter.limit

    assert simulate(main()) == 16


def test_a_burst_of_refusals_shrinks_once_to_seven_tenths():
    async def main() -> list[float]:
        limiter, limits = Limiter(100), []
        slots = [limiter.slot(0) for _ in range(10)]
        for slot in slots:
            await slot.__aenter__()
        await asyncio.sleep(1)
        for slot in slots:
            await slot.__aexit__(None, None, None)
            limiter.overloaded(slot.began, None)
            limits.append(limiter.limit)
        async with limiter.slot(0) as later:
            await asyncio.sleep(1)
        limiter.overloaded(later.began, None)
        return [*limits, limiter.limit]

    limits = simulate(main())

    assert [round(limit, 6) for limit in limits] == [11.2] * 10 + [7.84]


def test_the_limit_never_falls_below_one():
    async def main() -> float:
        endpoint = Endpoint(Limiter(16), most=0)
        for _ in range(40):
            await endpoint.ask()
        return endpoint.limiter.limit

    assert simulate(main()) == 1.0


def test_retry_after_pauses_all():
    async def main() -> list[float]:
        endpoint = Endpoint(Limiter(8))
        first = asyncio.create_task(asked(endpoint, 8))
        await asyncio.sleep(0.5)
        endpoint.limiter.overloaded(0.0, 30.0)
        await asked(endpoint, 20)
        await first
        return endpoint.starts

    starts = simulate(main())

    assert starts[:8] == [0.0] * 8
    assert min(starts[8:]) == 30.5


def test_a_shorter_retry_after_does_not_end_a_longer_pause():
    async def main() -> float:
        limiter = Limiter(8)
        limiter.overloaded(0.0, 30.0)
        limiter.overloaded(0.0, 2.0)
        async with limiter.slot(0) as slot:
            return slot.began

    assert simulate(main()) == 30.0


def test_a_pause_that_comes_while_one_waits_for_its_pace_holds_too():
    async def main() -> list[float]:
        endpoint = Endpoint(Limiter(8, requests_per_minute=60))
        waiting = asyncio.create_task(asked(endpoint, 4))
        await asyncio.sleep(0.5)
        endpoint.limiter.overloaded(0.0, 10.0)
        await waiting
        return endpoint.starts

    assert simulate(main()) == [0.0, 0.0, 10.5, 10.5]


def test_cancelled_waiters_leave_every_place_free():
    async def main() -> tuple[int, int, float]:
        endpoint = Endpoint(Limiter(4))
        tasks = [asyncio.create_task(endpoint.ask(seconds=5.0)) for _ in range(50)]
        for i, task in enumerate(tasks):
            await asyncio.sleep(0.3)
            if i % 3:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        began = clock()
        endpoint.busy = endpoint.peak = 0
        await asked(endpoint, 8)
        return endpoint.limiter.in_flight, endpoint.peak, clock() - began

    in_flight, peak, seconds = simulate(main())

    assert in_flight == 0
    assert peak == 4
    assert round(seconds, 6) == 2.0


def test_a_place_given_to_one_who_is_cancelled_in_that_moment_is_handed_on():
    async def main() -> int:
        limiter = Limiter(1)
        holder = limiter.slot(0)
        await holder.__aenter__()
        doomed = asyncio.create_task(limiter.slot(0).__aenter__())
        heir = asyncio.create_task(limiter.slot(0).__aenter__())
        await asyncio.sleep(0)
        await holder.__aexit__(None, None, None)
        doomed.cancel()
        await asyncio.wait_for(heir, 1)
        return limiter.in_flight

    assert simulate(main()) == 1


def test_one_who_is_cancelled_while_paced_gives_its_place_back():
    async def main() -> int:
        limiter = Limiter(1)
        limiter.overloaded(0.0, 100.0)
        doomed = asyncio.create_task(limiter.slot(0).__aenter__())
        await asyncio.sleep(1)
        doomed.cancel()
        await asyncio.gather(doomed, return_exceptions=True)
        return limiter.in_flight

    assert simulate(main()) == 0


def test_those_who_wait_go_in_the_order_they_came():
    async def main() -> list[int]:
        limiter, order = Limiter(2), []

        async def go(number: int) -> None:
            async with limiter.slot(0):
                order.append(number)
                await asyncio.sleep(1)

        await asyncio.gather(*(go(i) for i in range(20)))
        return order

    assert simulate(main()) == list(range(20))


def test_sixty_requests_a_minute_are_one_a_second_after_the_first_two():
    async def main() -> list[float]:
        endpoint = Endpoint(Limiter(64, requests_per_minute=60))
        await asked(endpoint, 12, seconds=0.1)
        return endpoint.starts

    assert [round(t, 6) for t in simulate(main())] == [0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]


def test_a_rate_not_used_is_not_saved_up_for_longer_than_a_second():
    async def main() -> list[float]:
        endpoint = Endpoint(Limiter(64, requests_per_minute=120))
        await asyncio.sleep(100)
        await asked(endpoint, 5, seconds=0.1)
        return [t - 100 for t in endpoint.starts]

    assert [round(t, 6) for t in simulate(main())] == [0, 0, 0, 0.5, 1.0]


def test_sixty_thousand_tokens_a_minute_are_one_request_of_two_thousand_every_other_second():
    async def main() -> list[float]:
        endpoint = Endpoint(Limiter(64, tokens_per_minute=60_000))
        await asked(endpoint, 5, seconds=0.1, tokens=2000)
        return endpoint.starts

    assert [round(t, 6) for t in simulate(main())] == [0, 1, 3, 5, 7]


def test_the_limit_of_an_endpoint_is_found_within_seconds_and_kept_to():
    async def main() -> tuple[Endpoint, int]:
        endpoint = Endpoint(Limiter(512), most=50)

        async def worker() -> None:
            while clock() < 60:
                await endpoint.ask()

        workers = asyncio.gather(*(worker() for _ in range(600)))
        await asyncio.sleep(10)
        early = endpoint.refused
        await workers
        return endpoint, early

    endpoint, early = simulate(main())

    assert 35 <= endpoint.limiter.limit <= 55
    served = len(endpoint.starts) - endpoint.refused
    assert served > 0.75 * 50 * 60
    assert early < 100
    assert endpoint.refused < 0.06 * served
