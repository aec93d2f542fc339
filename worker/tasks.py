"""What the worker does when it is woken: unpack, call the domain, nothing else."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, cast

from domain.clock import utc_now
from domain.errands.perform import perform_errand
from domain.integrations.checks import delete_old_checks, perform_check
from domain.notifications.delivery import Post, deliver
from domain.notifications.links import Links
from domain.privacy import erasing
from domain.privacy.erasing import purge
from domain.resources import Resources
from domain.sync.due import start_due_runs
from domain.sync.retention import KEPT, drop_what_is_old
from domain.sync.run import reap, work

RUNS_AT_ONCE: Final = 4


@dataclass(slots=True)
class Places:
    """How many of the worker's places for runs are taken, and whether there was another call.

    The jobs beside them are short: nobody who tries a connection waits for a long sync.
    """

    taken: int = 0
    is_called: bool = False


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """The one key of ours in arq's untyped context.

    `kept`: see domain.sync.retention; `people_kept`: domain.privacy.erasing. Without a `post`
    mails wait.
    """

    resources: Resources
    places: Places = field(default_factory=Places)
    kept: timedelta = KEPT
    people_kept: timedelta = erasing.KEPT
    post: Post | None = None
    links: Links = field(default_factory=Links)

    @classmethod
    def of(cls, ctx: dict[str, Any]) -> "WorkerContext":
        return cast(WorkerContext, ctx["homerow"])


async def wake(ctx: dict[str, Any]) -> None:
    """Work on runs until there is none. A wake-up names no run: the rows say what is to do.

    Where all places are taken, those who have them look once more before they leave.
    """
    resources, places = WorkerContext.of(ctx).resources, WorkerContext.of(ctx).places
    places.is_called = True
    if places.taken == RUNS_AT_ONCE:
        return
    places.taken += 1
    try:
        while places.is_called:
            places.is_called = False
            while await work(resources.database, resources.open_source, resources.keys):
                pass
    finally:
        places.taken -= 1


async def check(ctx: dict[str, Any]) -> None:
    """Try connections until none waits to be tried."""
    resources = WorkerContext.of(ctx).resources
    while await perform_check(resources.database, resources.open_source, resources.keys):
        pass


async def errand(ctx: dict[str, Any]) -> None:
    """Run errands until none is left that may be run now."""
    database = WorkerContext.of(ctx).resources.database
    while await perform_errand(database):
        pass


async def mail(ctx: dict[str, Any]) -> None:
    """Send what is due."""
    context = WorkerContext.of(ctx)
    if context.post is not None:
        await deliver(context.resources.database, context.post)


async def erase(ctx: dict[str, Any]) -> None:
    """Erase who was archived long ago."""
    context = WorkerContext.of(ctx)
    await purge(context.resources.database, now=utc_now(), kept=context.people_kept)


async def tick(ctx: dict[str, Any]) -> None:
    """Start what is due, then look for what was lost: a wake-up, or a worker."""
    await start_due_runs(WorkerContext.of(ctx).resources.database, now=utc_now())
    await asyncio.gather(check(ctx), errand(ctx), mail(ctx), wake(ctx))


async def clean(ctx: dict[str, Any]) -> None:
    """Staging tables of runs that ended without dropping them, and whatever is old."""
    context = WorkerContext.of(ctx)
    database = context.resources.database
    await reap(database)
    await drop_what_is_old(database, now=utc_now(), kept=context.kept)
    await delete_old_checks(database, now=utc_now())
