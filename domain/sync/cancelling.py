"""Cancelling a run: asked for by the API, done by whoever holds the run, or at once if nobody does.

A worker sees the request with its next heartbeat and stops where it is. It may be too late to stop
it there, so no phase can end once a cancel was asked for: what it did is rolled back.
"""

from datetime import datetime
from uuid import UUID

import asyncpg
import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Conflict, NotFound
from domain.jobs import WAKE, enqueue
from domain.people.audit import record_act
from domain.people.callers import Caller
from domain.sync.context import FINISHED, RunContext
from domain.sync.models import SyncMode, SyncRun, SyncRunState

CHANGED = ("created", "updated", "archived", "restored")
"""The numbers that say what was changed."""
_OF_THE_PLAN = ("sync_changes", "holds", "preflight_items")

log = structlog.get_logger()


async def cancel_run(
    session: AsyncSession, *, tenant_id: UUID, run_id: UUID, caller: Caller, now: datetime
) -> SyncRun:
    """One that waits is cancelled at once, one that is under way by its worker, within seconds.

    Asking twice is asking once. Raises NotFound, and Conflict where it is too late.
    """
    run = await session.scalar(
        select(SyncRun)
        .where(SyncRun.tenant_id == tenant_id, SyncRun.id == run_id)
        # A worker that stores changes holds a lock on the run's key, which this one passes.
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    if run is None:
        raise NotFound("sync run", run_id)
    _require_time(run)
    if run.cancel_requested_at is not None:
        return run
    run.cancel_requested_at = now
    run.cancelled_by = caller.actor
    if run.state is SyncRunState.QUEUED:
        run.state = SyncRunState.CANCELLED
        run.finished_at = now
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="syncRunCancel",
        target=str(run.id),
        details={"mode": run.mode.value},
    )
    await session.flush()
    # What waits behind it may start, and a run whose worker is gone is ended by another one.
    enqueue(session, WAKE)
    return run


def _require_time(run: SyncRun) -> None:
    if run.state in FINISHED:
        raise Conflict(f"The run is over: it has ended {run.state.value}.")
    if run.state is SyncRunState.SUMMARISING and _has_applied(run):
        raise Conflict("The run has been applied already; use syncRunRevert once it has ended.")


def _has_applied(run: SyncRun) -> bool:
    """A preflight counts what it would do; of a run that is held as a whole nothing is counted."""
    return run.mode is not SyncMode.PREFLIGHT and any(
        numbers.get(name) for numbers in run.counts.values() for name in CHANGED
    )


async def end_cancelled(context: RunContext) -> None:
    """By the worker. Nothing stays that says that something was changed, or waits to be."""
    if context.state in FINISHED:
        return
    async with context.step(SyncRunState.CANCELLED) as connection:
        await forget_plan(context, connection)
        await context.staging.drop(connection)
    log.info("run_cancelled")


async def forget_plan(context: RunContext, connection: asyncpg.Connection) -> None:
    """Of a plan that is not applied: what it would have changed, and what of it would wait."""
    for table in _OF_THE_PLAN:
        await connection.execute(
            f"DELETE FROM {table} WHERE tenant_id = $1 AND run_id = $2",
            context.tenant_id,
            context.run_id,
        )
    await connection.execute(
        "UPDATE sync_runs SET report = NULL WHERE tenant_id = $1 AND id = $2",
        context.tenant_id,
        context.run_id,
    )
    for numbers in context.counts.values():
        numbers.update((name, 0) for name in (*CHANGED, "held") if name in numbers)
