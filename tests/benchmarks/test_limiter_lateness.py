"""How late a process is to what is ready, in simulated time."""

import asyncio

import pytest
from hidden_limits import now, simulate, work

from autointerp.lmm.lateness import LEAST, Lateness


async def wait(lateness: Lateness, seconds: float) -> None:
    with lateness.watching():
        await asyncio.sleep(seconds)


async def toil(piece: float, until: float) -> None:
    """Works in pieces with nothing between them, so that what is due waits for half a piece on average."""
    while now() < until:
        work(piece)
        await asyncio.sleep(0)


def test_a_process_with_nothing_else_to_do_is_not_late():
    async def main() -> float:
        lateness = Lateness()
        await wait(lateness, 5.0)
        return lateness.taken(0.2)

    assert simulate(main()) == pytest.approx(0.2)


def test_a_process_that_works_in_pieces_is_found_as_late_as_it_comes_to_an_answer():
    async def answers() -> float:
        late: list[float] = []
        while now() < 20.0:
            due = now() + 0.137
            await asyncio.sleep(0.137)
            late.append(now() - due)
        return sum(late) / len(late)

    async def main() -> tuple[float, float]:
        lateness = Lateness()
        _, really, _ = await asyncio.gather(wait(lateness, 20.0), answers(), toil(0.08, 20.0))
        return lateness.seconds, really

    found, really = simulate(main())
    assert really > 0.08
    assert found == pytest.approx(really, rel=0.25)


def test_lateness_of_the_past_is_forgotten_in_a_few_seconds():
    async def main() -> float:
        lateness = Lateness()
        await asyncio.gather(wait(lateness, 5.0), toil(0.08, 5.0))
        await wait(lateness, 3.0)
        return lateness.seconds

    assert simulate(main()) < 0.005


def test_nothing_beats_where_nothing_is_waited_for():
    async def main() -> float:
        lateness = Lateness()
        await wait(lateness, 1.0)
        await toil(0.08, 5.0)
        return lateness.seconds

    assert simulate(main()) == pytest.approx(0.0, abs=0.02)


def test_an_answer_never_takes_less_than_nothing():
    lateness = Lateness()
    lateness.seconds = 1.0

    assert lateness.taken(0.5) == LEAST
