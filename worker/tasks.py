"""What the worker does when it is woken: unpack, call the domain, nothing else."""

from dataclasses import dataclass
from typing import Any, cast

from domain.clock import utc_now
from domain.providers import open_source
from domain.resources import Resources
from domain.sync.due import start_due_runs
from domain.sync.run import reap, work


@dataclass(frozen=True, slots=True)
class WorkerContext:
    """The one key of ours in arq's untyped context."""

    resources: Resources

    @classmethod
    def of(cls, ctx: dict[str, Any]) -> "WorkerContext":
        return cast(WorkerContext, ctx["homerow"])


async def wake(ctx: dict[str, Any]) -> None:
    """Work on runs until there is none. A wake-up names no run: the rows say what is to do."""
    database = WorkerContext.of(ctx).resources.database
    while await work(database, open_source):
        pass


async def tick(ctx: dict[str, Any]) -> None:
    """Start what is due, then look for what was lost: a wake-up, or a worker."""
    await start_due_runs(WorkerContext.of(ctx).resources.database, now=utc_now())
    await wake(ctx)


async def clean(ctx: dict[str, Any]) -> None:
    """Staging tables of runs that ended without dropping them."""
    await reap(WorkerContext.of(ctx).resources.database)
