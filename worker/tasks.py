"""What the worker does when it is woken: unpack, call the domain, nothing else."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

from domain.clock import utc_now
from domain.errands.perform import perform_errand
from domain.integrations.checks import delete_old_checks, perform_check
from domain.notifications.delivery import Post, deliver
from domain.notifications.links import Links
from domain.privacy import erasing
from domain.privacy.erasing import purge
from domain.resources import Resources
from domain.sync.due import start_due_runs
from domain.sync.lease import Place
from domain.sync.retention import KEPT, drop_what_is_old
from domain.sync.run import reap, work
from worker.places import Places


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """The one key of ours in arq's untyped context.

    `kept`: see domain.sync.retention; `people_kept`: domain.privacy.erasing. Without a `post`
    mails wait. `runs_per_provider` read from one provider at once, over all workers. `under_way`
    is what is waited for when the worker ends.
    """

    resources: Resources
    places: Places = field(default_factory=Places)
    kept: timedelta = KEPT
    people_kept: timedelta = erasing.KEPT
    post: Post | None = None
    links: Links = field(default_factory=Links)
    runs_per_provider: int | None = None
    under_way: set[asyncio.Task[None]] = field(default_factory=set)

    @classmethod
    def of(cls, ctx: dict[str, Any]) -> "WorkerContext":
        return cast(WorkerContext, ctx["homerow"])

    def begin(self, job: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Of our own accord, and not because the queue said so."""
        task = asyncio.create_task(job)
        self.note(task)
        return task

    def note(self, task: asyncio.Task[None]) -> None:
        self.under_way.add(task)
        task.add_done_callback(self.under_way.discard)


async def wake(ctx: dict[str, Any]) -> None:
    """Work on runs until there is none. A wake-up names no run: the rows say what is to do."""
    context = WorkerContext.of(ctx)
    resources = context.resources

    async def work_at(place: Place) -> UUID | None:
        limited = replace(place, per_provider=context.runs_per_provider)
        return await work(resources.database, resources.open_source, resources.keys, limited)

    if taken := context.places.call(work_at):
        for task in taken:
            context.note(task)
        await asyncio.wait(taken)


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


async def start(ctx: dict[str, Any]) -> None:
    """Ask for the runs that are due; whoever is woken works on them."""
    await start_due_runs(WorkerContext.of(ctx).resources.database, now=utc_now())


async def tick(ctx: dict[str, Any]) -> None:
    """Look for what was lost: a wake-up, or a worker."""
    await asyncio.gather(check(ctx), errand(ctx), mail(ctx), wake(ctx))


async def clean(ctx: dict[str, Any]) -> None:
    """Staging tables of runs that ended without dropping them, and whatever is old."""
    context = WorkerContext.of(ctx)
    database = context.resources.database
    await reap(database)
    await drop_what_is_old(database, now=utc_now(), kept=context.kept)
    await delete_old_checks(database, now=utc_now())
