"""A provider that fails midway, a worker that is killed midway."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace

import asyncpg
from typing_extensions import override

from domain.database import Database
from domain.roster.source import Checkpoint, Page, SourceUnavailable
from domain.validation.codes import Code
from tests.domain.sync.feeds import Feed

PAGE = 6


@dataclass
class PagedFeed(Feed):
    """Gives its records in small pages and can go on after each; fails at page `fails_at`."""

    fails_at: int | None = None

    @override
    async def pages(self, after: Checkpoint | None = None) -> AsyncIterator[Page]:
        done = int(after["page"]) if after else 0
        number = 0
        async for whole in super().pages():
            for page in _split(whole):
                number += 1
                if number == self.fails_at:
                    raise SourceUnavailable(Code.CONN_SERVER_ERROR, "The provider failed.")
                if number > done:
                    yield replace(page, checkpoint={"page": number})


def _split(whole: Page) -> list[Page]:
    starts = range(0, max(len(whole.records), 1), PAGE)
    pages = [
        replace(whole, records=whole.records[start : start + PAGE], is_last=False, problems=[])
        for start in starts
    ]
    pages = [replace(page, read=len(page.records)) for page in pages]
    return [*pages[:-1], replace(pages[-1], is_last=True, problems=whole.problems)]


@dataclass(frozen=True)
class WatchedDatabase(Database):
    """Tells of every statement of its connections outside the pool."""

    on_statement: Callable[[], None] = lambda: None

    @override
    async def connect(self, name: str) -> asyncpg.Connection:
        connection = await super().connect(name)
        if name.startswith("homerow sync"):
            connection.add_query_logger(lambda _: self.on_statement())
        return connection


Work = Callable[[Database], "asyncio.Future[object]"]


async def work_until(database: Database, work: Work, statements: int) -> bool:
    """Kill the work after so many statements of its run. Whether it came to that."""
    try:
        await _work(database, work, statements, lambda task: task.cancel())
    except asyncio.CancelledError:
        return True
    return False


async def work_watched(
    database: Database, work: Work, statements: int, act: Callable[[], Awaitable[None]]
) -> None:
    """Do something beside the work after so many statements of its run, if it gets there."""
    beside: list[asyncio.Future[None]] = []
    await _work(database, work, statements, lambda _: beside.append(asyncio.ensure_future(act())))
    await asyncio.gather(*beside)


async def _work(
    database: Database,
    work: Work,
    statements: int,
    act: Callable[["asyncio.Future[object]"], object],
) -> None:
    left = statements

    def count_down() -> None:
        nonlocal left
        left -= 1
        if not left:
            act(task)

    task = work(
        WatchedDatabase(
            database.engine,
            database.queue,
            database.url,
            database.role,
            on_statement=count_down,
        )
    )
    await task
