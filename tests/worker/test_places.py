"""The worker's places for runs: how many, what each may take, and that no call is lost."""

import asyncio
from collections.abc import Iterable

import pytest
from sqlalchemy.exc import OperationalError

from domain.sync.lease import Place
from worker.places import PLACES, RUNS_AT_ONCE, Places

pytestmark = pytest.mark.anyio

LARGE, UNKNOWN, SMALL = 7, 6, 4


class Waiting:
    """Runs of such sizes that wait; each lasts until the gate is open."""

    def __init__(self, sizes: Iterable[int]) -> None:
        self.sizes = list(sizes)
        self.at_work: list[int] = []
        self.gate = asyncio.Event()

    async def work(self, place: Place) -> bool:
        await asyncio.sleep(0)
        may = [size for size in self.sizes if size <= (place.waiting or 99)]
        if not may:
            return False
        self.sizes.remove(may[0])
        self.at_work.append(may[0])
        await self.gate.wait()
        self.at_work.remove(may[0])
        return True


async def let_them_look() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_no_more_runs_at_once_than_there_are_places_and_no_call_is_lost() -> None:
    places, waiting = Places(), Waiting([SMALL] * RUNS_AT_ONCE)
    first = places.call(waiting.work)
    await let_them_look()
    assert len(waiting.at_work) == RUNS_AT_ONCE == 4
    waiting.sizes = [SMALL] * 2
    assert places.call(waiting.work) == set()
    waiting.gate.set()
    await asyncio.wait(first)
    assert (waiting.sizes, waiting.at_work) == ([], [])
    assert len(places.call(waiting.work)) == RUNS_AT_ONCE


async def test_a_call_while_all_are_about_to_leave_is_not_lost() -> None:
    """They have looked and found nothing, and do not know yet."""
    places, looked, found = Places(), 0, asyncio.Event()

    async def work(place: Place) -> bool:
        nonlocal looked
        looked += 1
        await found.wait()
        return False

    first = places.call(work)
    await let_them_look()
    assert (looked, places.call(work)) == (RUNS_AT_ONCE, set())
    found.set()
    await asyncio.wait(first)
    assert looked == 2 * RUNS_AT_ONCE


@pytest.mark.parametrize(
    ("before", "then", "expected"),
    [
        ([LARGE] * 4, [SMALL], [LARGE, LARGE, SMALL]),
        ([LARGE] * 4, [UNKNOWN], [LARGE, LARGE, UNKNOWN]),
        ([UNKNOWN] * 4, [SMALL], [UNKNOWN, UNKNOWN, UNKNOWN, SMALL]),
        ([SMALL] * 4, [LARGE], [SMALL] * 4),
        ([SMALL], [LARGE, LARGE, LARGE], [SMALL, LARGE, LARGE]),
    ],
    ids=[
        "large runs leave room",
        "and for what nobody knows",
        "what nobody knows leaves room",
        "small ones take all",
        "small ones leave the wide places",
    ],
)
async def test_large_runs_never_take_all_places(
    before: list[int], then: list[int], expected: list[int]
) -> None:
    places, waiting = Places(), Waiting(before)
    tasks = places.call(waiting.work)
    await let_them_look()
    waiting.sizes += then
    tasks |= places.call(waiting.work)
    await let_them_look()
    assert sorted(waiting.at_work) == sorted(expected)
    waiting.gate.set()
    await asyncio.wait(tasks)
    assert waiting.sizes == []


async def test_what_a_dead_worker_left_finds_all_places_but_one() -> None:
    assert [place.left for place in PLACES] == [None, None, None, 5]


async def test_a_database_that_is_away_empties_the_places_until_the_next_call() -> None:
    async def work(place: Place) -> bool:
        raise OperationalError("SELECT", {}, OSError("away"))

    places = Places()
    first = places.call(work)
    await asyncio.wait(first)
    assert [task.exception() for task in first] == [None] * RUNS_AT_ONCE
    assert len(places.call(work)) == RUNS_AT_ONCE


async def test_closed_places_begin_nothing_more() -> None:
    places, waiting = Places(), Waiting([SMALL] * 10)
    tasks = places.call(waiting.work)
    await let_them_look()
    places.close()
    waiting.gate.set()
    await asyncio.wait(tasks)
    assert (waiting.sizes, waiting.at_work) == ([SMALL] * 6, [])
    assert places.call(waiting.work) == set()
