import asyncio
from collections import Counter
from collections.abc import Sequence

import pytest
from builders import question
from scripted import NoImages, completion
from virtual_time import clock, simulate

from autointerp.lmm.limits import Limiter
from autointerp.lmm.load_balancer import Balancer
from autointerp.lmm.outcomes import CallError
from autointerp.lmm.rate_limit_headers import Limits, Stated
from autointerp.lmm.request import Completion, Images, Request


class Server:
    """Answers after a while; may be down for a time, or refuse what goes beyond so many at once."""

    def __init__(
        self,
        seconds: float = 1.0,
        *,
        down: tuple[float, float] = (0, 0),
        most: int = 10**9,
        limits: Limits | None = None,
    ) -> None:
        self.seconds, self.down, self.most, self.limits = seconds, down, most, limits
        self.retry_after: float | None = None
        self.calls: list[float] = []
        self.busy = self.peak = 0

    async def render(self, request: Request, images: Images) -> list[bytes]:
        return []

    async def send(self, request: Request, jpegs: Sequence[bytes]) -> Completion:
        self.calls.append(clock())
        if self.down[0] <= clock() < self.down[1]:
            raise CallError("connection", "gone", again=True)
        if self.busy >= self.most:
            raise CallError("rate_limited", "slow down", again=True, overload=True, retry_after=self.retry_after)
        self.busy += 1
        self.peak = max(self.peak, self.busy)
        await asyncio.sleep(self.seconds)
        self.busy -= 1
        done = completion("x")
        return Completion(done.text, 1, 1, 0, "stop", None, "m", self.limits)

    async def aclose(self) -> None:
        return None


def ask_through(
    servers: Sequence[Server], n: int, *, ceiling: int = 64, attempts: int = 8, until: float = 0.0
) -> tuple[Limiter, list[CallError]]:
    """Asks n questions, each again when the failure says or after half a second; `until` spreads them over time."""
    failed: list[CallError] = []

    async def main() -> Limiter:
        limiter = Limiter(ceiling)
        balancer = Balancer(servers, limiter)  # pyright: ignore[reportArgumentType]

        async def one(number: int) -> None:
            for attempt in range(attempts):
                slot = limiter.slot(1)
                try:
                    await balancer.complete(question(str(number)), NoImages(), slot)
                except CallError as e:
                    if attempt == attempts - 1:
                        failed.append(e)
                    await asyncio.sleep(0.5 if e.retry_after is None else e.retry_after)
                    continue
                limiter.succeeded(slot)
                return

        async with asyncio.TaskGroup() as group:
            for number in range(n):
                group.create_task(one(number))
                if until:
                    await asyncio.sleep(until / n)
        await balancer.aclose()
        return limiter

    return simulate(main()), failed


def test_servers_that_are_alike_share_the_requests_evenly():
    servers = [Server(), Server(), Server()]

    _, failed = ask_through(servers, 300)

    assert failed == []
    assert [len(s.calls) for s in servers] == [100, 100, 100]


def test_a_slow_server_is_asked_less():
    fast, slow = Server(1.0), Server(10.0)

    ask_through([fast, slow], 600, ceiling=32)

    assert len(fast.calls) >= 5 * len(slow.calls) > 0


def test_never_more_than_the_ceiling_are_in_flight_over_all_of_them():
    behind_three_addresses = Server()

    ask_through([behind_three_addresses] * 3, 200, ceiling=10)

    assert behind_three_addresses.peak == 10


def test_each_server_has_a_limit_of_its_own():
    small, large = Server(most=4), Server()

    _, failed = ask_through([small, large], 2000, attempts=20)

    assert failed == []
    assert small.peak == 4
    assert large.peak >= 40
    assert len(large.calls) >= 3 * len(small.calls)


def test_a_server_that_dies_is_set_aside_and_comes_back():
    dying, other = Server(down=(20.0, 60.0)), Server()

    limiter, failed = ask_through([dying, other], 1000, until=120.0)

    assert failed == []
    before, while_down, after = (
        sum(first <= at < last for at in dying.calls) for first, last in ((0, 20), (20, 60), (92, 120))
    )
    assert before >= 60
    # Three failures in a row, those in flight beside them, then probes after 1, 2, 4, 8 and 16 seconds.
    assert while_down <= 3 + 16 + 6
    assert after >= 80
    assert limiter.endpoints == (2, 2)


def test_the_limiter_is_told_how_many_servers_are_up():
    limiter, _ = ask_through([Server(down=(0, 1000)), Server(), Server()], 60)

    assert limiter.endpoints == (2, 3)
    assert limiter.limit >= 32


def test_where_all_are_down_the_failure_is_that_of_the_last():
    servers = [Server(down=(0, 1000)), Server(down=(0, 1000))]

    _, failed = ask_through(servers, 20, attempts=6)

    assert Counter((e.kind, e.message, e.again) for e in failed) == {("connection", "gone", True): 20}


def test_no_request_spends_all_its_attempts_on_a_dead_server():
    dead, alive = Server(down=(0, 10**6)), Server()

    _, failed = ask_through([dead, alive], 200, ceiling=1, attempts=3)

    assert failed == []


def test_a_request_that_failed_elsewhere_is_no_probe():
    class Unwilling(Server):
        async def send(self, request: Request, jpegs: Sequence[bytes]) -> Completion:
            if len(self.calls) < 15:
                self.calls.append(clock())
                raise CallError("http_409", "not now", again=True)
            return await super().send(request, jpegs)

    dead, unwilling = Server(down=(0, 10**6)), Unwilling()

    # Three failures set the dead one aside; the fourth question meets only the other.
    _, failed = ask_through([dead, unwilling], 4, ceiling=4, attempts=30)

    assert failed == []
    assert len(dead.calls) == 3


def test_a_pause_asked_for_by_one_server_is_not_the_others():
    refusing, other = Server(most=0), Server()
    refusing.retry_after = 1000.0

    _, failed = ask_through([refusing, other], 100)

    assert failed == []
    assert len(refusing.calls) <= 32
    assert max(other.calls) < 60


def test_those_who_wait_are_served_when_the_only_pause_is_over():
    paused = Server(limits=Limits(Stated(0, 30.0, None), None))

    ask_through([paused], 40, ceiling=16)

    assert sorted({round(at) for at in paused.calls})[:2] == [0, 31]


def test_a_server_that_comes_back_serves_those_who_wait_for_the_pause_of_another():
    back, refusing = Server(down=(0.0, 5.0)), Server(most=0)
    refusing.retry_after = 1000.0

    _, failed = ask_through([back, refusing], 8, attempts=40)

    assert failed == []
    assert max(back.calls) < 60


def test_a_request_that_is_cancelled_leaves_its_place():
    server = Server(seconds=100.0)

    async def main() -> int:
        limiter = Limiter(4)
        balancer = Balancer([server, server], limiter)  # pyright: ignore[reportArgumentType]
        tasks = [
            asyncio.create_task(balancer.complete(question(str(i)), NoImages(), limiter.slot(1))) for i in range(12)
        ]
        await asyncio.sleep(1)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        server.seconds = 1.0
        await asyncio.gather(
            *(balancer.complete(question(f"again {i}"), NoImages(), limiter.slot(1)) for i in range(8))
        )
        await balancer.aclose()
        return limiter.in_flight

    assert simulate(main()) == 0


@pytest.mark.parametrize("kind", ["rate_limited", "http_400", "malformed"])
def test_what_a_server_says_of_a_request_does_not_set_it_aside(kind: str):
    class Refusing(Server):
        async def send(self, request: Request, jpegs: Sequence[bytes]) -> Completion:
            self.calls.append(clock())
            raise CallError(kind, "no", again=True)

    limiter, _ = ask_through([Refusing(), Server()], 30)

    assert limiter.endpoints == (2, 2)


def test_nobody_is_sent_where_the_one_before_was_just_asked_to_wait():
    class Refusing(Server):
        async def send(self, request: Request, jpegs: Sequence[bytes]) -> Completion:
            self.calls.append(clock())
            await asyncio.sleep(0.5)
            raise CallError("rate_limited", "slow down", again=True, overload=True, retry_after=1000.0)

    refusing, other = Refusing(), Server(seconds=0.2)

    ask_through([refusing, other], 100, ceiling=64)

    assert set(refusing.calls) == {0.0}


def test_a_probe_that_is_cancelled_in_line_leaves_the_probe_to_another():
    dead, busy = Server(), Server(seconds=1000.0)

    async def main() -> list[float]:
        limiter = Limiter(8)
        balancer = Balancer([dead, busy], limiter)  # pyright: ignore[reportArgumentType]
        aside, full = balancer._endpoints
        full.gate.adaptive.limit = 1
        for _ in range(3):
            aside.strike(clock(), probe=False)

        async def ask(key: str) -> None:
            await balancer.complete(question(key), NoImages(), limiter.slot(1))

        tasks = [asyncio.create_task(ask("first"))]
        await asyncio.sleep(0.01)
        tasks.append(asyncio.create_task(ask("in line")))
        await asyncio.sleep(0.9)
        loop, alarm = asyncio.get_running_loop(), balancer._alarm
        assert alarm is not None
        # In the very tick in which the pause is over and the place is given.
        alarm.cancel()
        balancer._alarm = loop.call_at(alarm.when() + 1e-6, balancer._serve)
        loop.call_at(balancer._alarm.when(), tasks[1].cancel)
        await asyncio.sleep(1)
        tasks.append(asyncio.create_task(ask("next")))
        await asyncio.sleep(5)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return dead.calls

    assert len(simulate(main())) == 1
