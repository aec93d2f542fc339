"""A schedule as stored, with its blackouts, made into what the next nights are computed from."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.integrations.models import Integration, SyncBlackout, SyncSchedule
from domain.integrations.schedule import (
    DEFAULT_LOCAL_TIME,
    DEFAULT_SPREAD,
    Blackout,
    Rhythm,
    next_due,
    spread_of,
)
from domain.tenants.service import check_time_zone, get_tenant


class GivenBlackout(NamedTuple):
    """Local days, both included, and what is told of them."""

    starts_on: date
    ends_on: date
    reason: str = ""


def rhythm_of(
    schedule: SyncSchedule, *, time_zone: str, blackouts: Sequence[tuple[date, date]]
) -> Rhythm:
    """`time_zone` is the tenant's: the schedule's own goes before it."""
    return Rhythm(
        at=schedule.local_time,
        every_days=schedule.every_days,
        first_on=schedule.first_on,
        zone=check_time_zone(schedule.time_zone or time_zone),
        offset=spread_of(schedule.tenant_id, timedelta(minutes=schedule.spread_minutes)),
        blackouts=tuple(Blackout(*days) for days in blackouts),
    )


async def read_rhythm(session: AsyncSession, schedule: SyncSchedule, *, time_zone: str) -> Rhythm:
    found = await list_blackouts(session, schedule.tenant_id, [schedule.integration_id])
    blackouts = [given[:2] for given in found[schedule.integration_id]]
    return rhythm_of(schedule, time_zone=time_zone, blackouts=blackouts)


async def list_blackouts(
    session: AsyncSession, tenant_id: UUID, integration_ids: Sequence[UUID]
) -> dict[UUID, Sequence[GivenBlackout]]:
    """Of a tenant's integrations, in their order; for a loader."""
    row = SyncBlackout
    found = await session.scalars(
        select(row)
        .where(row.tenant_id == tenant_id, row.integration_id.in_(integration_ids))
        .order_by(row.starts_on)
    )
    blackouts: dict[UUID, list[GivenBlackout]] = {key: [] for key in integration_ids}
    for one in found:
        blackouts[one.integration_id].append(GivenBlackout(one.starts_on, one.ends_on, one.reason))
    return dict(blackouts)


async def restart_schedule(session: AsyncSession, schedule: SyncSchedule, *, now: datetime) -> None:
    """Go on with the next night."""
    tenant = await get_tenant(session, tenant_id=schedule.tenant_id)
    rhythm = await read_rhythm(session, schedule, time_zone=tenant.time_zone)
    schedule.next_due_at = next_due(rhythm, after=now)


async def start_schedule(session: AsyncSession, *, integration: Integration, now: datetime) -> None:
    """Nightly, for an integration that is new."""
    tenant = await get_tenant(session, tenant_id=integration.tenant_id)
    schedule = SyncSchedule(
        tenant_id=integration.tenant_id,
        integration_id=integration.id,
        local_time=DEFAULT_LOCAL_TIME,
        every_days=1,
        first_on=now.astimezone(check_time_zone(tenant.time_zone)).date(),
        spread_minutes=DEFAULT_SPREAD.seconds // 60,
    )
    rhythm = rhythm_of(schedule, time_zone=tenant.time_zone, blackouts=())
    schedule.next_due_at = next_due(rhythm, after=now)
    session.add(schedule)
