"""Fetching the next page while the last one is being stored."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeVar

T = TypeVar("T")


class _End:
    pass


async def ahead(pages: AsyncIterator[T]) -> AsyncGenerator[T]:
    """The items of `pages`, each fetched while the one before it is in use; never two ahead.

    `pages` runs in one task of its own from its beginning to its end, so it may hold time-outs
    and task groups over its yields. It is closed when this generator is.
    """
    slot: asyncio.Queue[T | _End] = asyncio.Queue()
    pump = asyncio.create_task(_pump(pages, slot))
    # However it ends, the reader is woken.
    pump.add_done_callback(lambda _: slot.put_nowait(_End()))
    try:
        while not isinstance(item := await slot.get(), _End):
            slot.task_done()
            yield item
        await pump
    finally:
        pump.cancel()
        await asyncio.gather(pump, return_exceptions=True)


async def _pump(pages: AsyncIterator[T], slot: "asyncio.Queue[T | _End]") -> None:
    try:
        async for item in pages:
            slot.put_nowait(item)
            await slot.join()  # taken: only now the next one may be begun
    finally:
        if isinstance(pages, AsyncGenerator):
            await pages.aclose()
