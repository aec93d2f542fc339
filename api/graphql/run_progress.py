"""Following a run: its state at once, then whenever it has changed, until it has ended."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

import strawberry

from api.graphql.context import Info
from api.graphql.errors import ApiError, ErrorCode
from api.graphql.listening import LEAST_SECONDS, LOOK_SECONDS
from api.graphql.loaders import Loaders
from api.graphql.node import ById, GlobalId, read_id
from api.graphql.permissions import Permitted, check
from api.graphql.syncs import RunId, SyncRun

_FIELD = "Subscription.syncRunProgress"


@strawberry.type
class RunProgressSubscription:
    @strawberry.subscription(
        description="The run whenever it has changed, a few times a second at most: how it stands "
        "at once, and its end in any case, with which the subscription ends. `SyncRun.progress` "
        "has the same numbers for whoever asks now and then.",
        permission_classes=[Permitted],
    )
    async def sync_run_progress(self, info: Info, id: RunId) -> AsyncGenerator[SyncRun, None]:
        found = read_id(id, SyncRun.type_code)
        last: SyncRun | None = None
        with info.context.news.of(found.key) as news:
            while last is None or last.finished_at is None:
                news.clear()
                run = await _look(info, found)
                if run != last:
                    last = run
                    yield run
                if run.finished_at is None:
                    await _wait(news)


async def _look(info: Info, found: GlobalId) -> SyncRun:
    """As the caller sees it by now. Raises the caller's error."""
    listener = info.context.listener
    assert listener is not None
    caller = await listener.look()
    check(caller, _FIELD)
    if caller.may_see(found.tenant_id):
        database = info.context.database.within(caller.reach)
        batch = Loaders(database).of(ById(SyncRun))
        if run := await batch.load((found.tenant_id, found.key)):
            assert isinstance(run, SyncRun)
            return run
    raise ApiError(ErrorCode.NOT_FOUND, "There is no run with this id.")


async def _wait(news: asyncio.Event) -> None:
    """For news, or until it is time to look without."""
    await asyncio.sleep(LEAST_SECONDS)
    with suppress(TimeoutError):
        async with asyncio.timeout(LOOK_SECONDS - LEAST_SECONDS):
            await news.wait()
