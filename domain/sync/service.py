"""Asking for runs. A run is a row; the queue only wakes a worker."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Conflict, InvalidInput, NotFound
from domain.integrations.models import IntegrationStatus
from domain.integrations.service import get_integration
from domain.jobs import WAKE, enqueue
from domain.people.audit import record_act
from domain.people.callers import Caller
from domain.sync.models import SyncMode, SyncRun, SyncRunState, SyncTrigger

OFFERED_MODES = frozenset({SyncMode.FULL, SyncMode.DELTA})


class Requested(NamedTuple):
    """`joined`: the run was there already, waiting or under way."""

    run: SyncRun
    joined: bool


async def request_run(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    mode: SyncMode,
    trigger: SyncTrigger,
    caller: Caller,
    now: datetime,
) -> Requested:
    """Join a waiting or running run of the same mode, or take the tenant's queued place.

    Raises Conflict where another mode already waits there, or the integration is not active.
    """
    if mode not in OFFERED_MODES:
        raise InvalidInput("mode", f"{mode.value} cannot be started.")
    # Requests of one tenant take turns, so that two at once see each other's run.
    await session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:tenant_id, 0))"),
        {"tenant_id": str(tenant_id)},
    )
    integration = await get_integration(session, tenant_id=tenant_id)
    if integration.status is not IntegrationStatus.ACTIVE:
        raise Conflict("The integration is paused; resume it first.")
    unfinished = (
        await session.scalars(
            select(SyncRun)
            .where(SyncRun.tenant_id == tenant_id, SyncRun.finished_at.is_(None))
            .order_by(SyncRun.requested_at)
        )
    ).all()
    for run in unfinished:
        if run.mode is mode:
            enqueue(session, WAKE)
            return Requested(run, joined=True)
    if any(run.state is SyncRunState.QUEUED for run in unfinished):
        waiting = next(run for run in unfinished if run.state is SyncRunState.QUEUED)
        raise Conflict(
            f"A run of mode {waiting.mode.value} is already waiting; try again after it."
        )
    expected = await _last_size(session, tenant_id)
    run = SyncRun(
        tenant_id=tenant_id,
        integration_id=integration.id,
        mode=mode,
        trigger=trigger,
        state=SyncRunState.QUEUED,
        requested_by=caller.actor,
        requested_at=now,
        size_class=len(str(expected)),
        progress={"read": 0, "expected": expected},
    )
    session.add(run)
    await session.flush()
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="syncRunStart",
        target=str(run.id),
        details={"mode": mode.value},
    )
    enqueue(session, WAKE)
    return Requested(run, joined=False)


async def _last_size(session: AsyncSession, tenant_id: UUID) -> int:
    """The records that the tenant's last finished run read; 0 before the first."""
    progress = await session.scalar(
        select(SyncRun.progress)
        .where(SyncRun.tenant_id == tenant_id, SyncRun.finished_at.is_not(None))
        .order_by(SyncRun.id.desc())
        .limit(1)
    )
    return int(progress["read"]) if progress else 0


async def get_run(session: AsyncSession, *, tenant_id: UUID, run_id: UUID) -> SyncRun:
    run = await session.scalar(
        select(SyncRun).where(SyncRun.tenant_id == tenant_id, SyncRun.id == run_id)
    )
    if run is None:
        raise NotFound("sync run", run_id)
    return run
