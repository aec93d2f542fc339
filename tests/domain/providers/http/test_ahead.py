"""One page is fetched while the one before it is in use: never two, and all ends well."""

import asyncio
from contextlib import aclosing

import pytest

from domain.providers.http.ahead import ahead

pytestmark = pytest.mark.anyio


class Source:
    """Counts how far it was read, and notices how it ended."""

    def __init__(self, length, error=None):
        self.length = length
        self.error = error
        self.given = 0
        self.ended_in = None

    async def pages(self):
        began_in = asyncio.current_task()
        try:
            async with asyncio.timeout(60):
                for number in range(self.length):
                    await asyncio.sleep(0)
                    self.given += 1
                    yield number
            if self.error:
                raise self.error
        finally:
            self.ended_in = "its own task" if asyncio.current_task() is began_in else "another"


async def settle():
    for _ in range(20):
        await asyncio.sleep(0)


async def test_all_items_come_in_order():
    source = Source(100)
    assert [item async for item in ahead(source.pages())] == list(range(100))
    assert source.ended_in == "its own task"


async def test_exactly_one_item_is_fetched_ahead():
    source = Source(10)
    seen = []
    async for item in ahead(source.pages()):
        await settle()
        seen.append((item, source.given))
    assert seen == [(number, min(number + 2, 10)) for number in range(10)]


async def test_an_error_comes_after_the_items_before_it():
    source = Source(3, error=ValueError("broken"))
    seen = []

    async def read():
        async for item in ahead(source.pages()):
            await settle()
            seen.append(item)

    with pytest.raises(ValueError, match="broken"):
        await read()
    assert seen == [0, 1, 2]


async def test_nothing_comes_of_nothing():
    assert [item async for item in ahead(Source(0).pages())] == []


@pytest.mark.parametrize("error", [None, ValueError("never seen")])
async def test_closing_early_closes_the_source(error):
    running = asyncio.all_tasks()
    source = Source(2, error=error)
    async with aclosing(ahead(source.pages())) as items:
        assert await anext(items) == 0
        await settle()
        if error:
            assert await anext(items) == 1
            await settle()
    assert source.ended_in == "its own task"
    assert asyncio.all_tasks() == running


async def test_closing_before_the_first_item_leaves_nothing_behind():
    running = asyncio.all_tasks()
    source = Source(2)
    await ahead(source.pages()).aclose()
    assert source.given == 0
    assert asyncio.all_tasks() == running


async def test_a_cancelled_reader_cancels_the_fetch():
    running = asyncio.all_tasks()
    source = Source(3)

    async def endless():
        async for page in source.pages():
            yield page
        await asyncio.Event().wait()

    async def read():
        async with aclosing(ahead(endless())) as items:
            async for _ in items:
                pass

    reading = asyncio.create_task(read())
    await settle()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert asyncio.all_tasks() == running


async def test_an_iterator_that_cannot_be_closed_will_do():
    class Numbers:
        def __init__(self):
            self.left = [2, 1]

        def __aiter__(self):
            return self

        async def __anext__(self):
            if not self.left:
                raise StopAsyncIteration
            return self.left.pop()

    assert [item async for item in ahead(Numbers())] == [1, 2]
