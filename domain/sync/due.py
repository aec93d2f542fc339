"""Starting the runs that are due by schedule."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import exists, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.database import Database
from domain.errors import Conflict, DomainError
from domain.integrations.models import SyncSchedule
from domain.integrations.rhythms import read_rhythm
from domain.integrations.schedule import next_due, not_in_blackout
from domain.people.callers import SYSTEM
from domain.sync.models import SyncMode, SyncRun, SyncTrigger
from domain.sync.service import request_run, try_turn
from domain.tenants.service import get_tenant

_PATIENCE: Final = timedelta(minutes=5)
"""Then a run that was in the way is looked for again."""

log = structlog.get_logger()


async def start_due_runs(database: Database, *, now: datetime) -> int:
    """Request a run for every schedule that is due, and set when it is due next. How many."""
    async with database.read() as session:
        due = (
            await session.execute(
                text("SELECT tenant_id, integration_id FROM list_due_schedules(:now)"),
                {"now": now},
            )
        ).all()
    started = 0
    for tenant_id, integration_id in due:
        try:
            started += await _start(
                database, tenant_id=tenant_id, integration_id=integration_id, now=now
            )
        except DomainError as error:
            # One tenant's trouble must not keep the others from starting.
            log.warning("due_run_not_started", tenant_id=str(tenant_id), reason=str(error))
        except Exception as error:  # noqa: BLE001 - nor what is our fault
            log.error("due_run_not_started", tenant_id=str(tenant_id), error=type(error).__name__)  # noqa: TRY400
    return started


async def _start(
    database: Database, *, tenant_id: UUID, integration_id: UUID, now: datetime
) -> bool:
    """False: somebody else has the tenant's turn, or the run cannot start now.

    Behind a run of another mode that waits it comes later; otherwise it is left out this time.
    """
    async with database.transaction(tenant_id) as session:
        if not await try_turn(session, tenant_id=tenant_id):
            return False
        schedule = await session.scalar(
            select(SyncSchedule)
            .where(
                SyncSchedule.tenant_id == tenant_id,
                SyncSchedule.integration_id == integration_id,
                SyncSchedule.next_due_at <= now,
            )
            .with_for_update(skip_locked=True)
        )
        if schedule is None:
            return False
        tenant = await get_tenant(session, tenant_id=tenant_id)
        rhythm = await read_rhythm(session, schedule, time_zone=tenant.time_zone)
        if rhythm.is_dark(now):
            # Missed in an outage, say: it is caught up in the first night after the blackout.
            schedule.next_due_at = not_in_blackout(rhythm, now)
            return False
        schedule.next_due_at = next_due(rhythm, after=now)
        try:
            requested = await request_run(
                session,
                tenant_id=tenant_id,
                mode=SyncMode.FULL,
                trigger=SyncTrigger.SCHEDULE,
                caller=SYSTEM,
                now=now,
            )
        except Conflict as conflict:
            if await _is_busy(session, tenant_id):
                schedule.next_due_at = now + _PATIENCE
            log.info("due_run_left_out", tenant_id=str(tenant_id), reason=str(conflict))
            return False
        # Where somebody had asked for it before, it is the night's: tried again if it fails.
        requested.run.trigger = SyncTrigger.SCHEDULE
        return True


async def _is_busy(session: AsyncSession, tenant_id: UUID) -> bool:
    unfinished = exists().where(SyncRun.tenant_id == tenant_id, SyncRun.finished_at.is_(None))
    return bool(await session.scalar(select(unfinished)))
