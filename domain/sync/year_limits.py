"""The turn of a school year: wider hold limits around a declared day, and a preflight for it.

Last year's classes go and those who have left with them, which is more than a usual night may do.
What is unusual on any day waits as ever: an empty type, a school that has vanished, new ids.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Conflict
from domain.integrations.service import get_integration
from domain.people.audit import record_act
from domain.people.callers import Caller
from domain.roster.records import RecordType
from domain.sync.context import RunContext
from domain.sync.decide import DEFAULT_LIMITS, Limits
from domain.sync.models import SyncMode, SyncTrigger
from domain.sync.service import Asked, Requested, request_run
from domain.tenants.service import get_tenant
from domain.training.rollover import IS_OPEN, find_next, today_of

ROLLOVER: Final = "rollover_id"
"""In a run's target: the rollover by whose limits a preflight judges, whatever day it is."""
WIDENED: Final = (RecordType.GROUP, RecordType.USER, RecordType.MEMBERSHIP)
"""Schools stay where they are, whatever the year."""
RENEWED: Final = (RecordType.GROUP, RecordType.MEMBERSHIP)
"""All of these may be other ones in a new year; that none at all are left waits as ever."""
_ALL: Final = 100


class YearLimits(NamedTuple):
    """What a rollover allows, and the day that it was declared for.

    `archive_percent` is of people; all classes and memberships may go.
    """

    rolls_on: date
    archive_percent: int
    update_percent: int

    def widen(self, limits: Mapping[RecordType, Limits]) -> dict[RecordType, Limits]:
        """At least this wide; what the tenant has set wider stays."""
        widened = dict(limits)
        for record_type in WIDENED:
            own = limits.get(record_type, DEFAULT_LIMITS)
            widened[record_type] = own._replace(
                archive_percent=max(
                    own.archive_percent, _ALL if record_type in RENEWED else self.archive_percent
                ),
                update_percent=max(own.update_percent, self.update_percent),
            )
        return widened

    def as_dict(self) -> dict[str, Any]:
        return self._asdict() | {"rolls_on": self.rolls_on.isoformat()}


async def find_year_limits(
    context: RunContext, connection: asyncpg.Connection
) -> YearLimits | None:
    """Of the rollover that this run was asked to judge by, or else of the one that is open."""
    row = await connection.fetchrow(
        "SELECT r.rolls_on, r.archive_percent, r.update_percent"
        " FROM year_rollovers r JOIN tenants t ON t.id = r.tenant_id"
        " JOIN sync_runs s ON s.tenant_id = r.tenant_id AND s.id = $2"
        " WHERE r.tenant_id = $1 AND r.cancelled_at IS NULL"
        f"  AND coalesce(r.id = (s.target ->> '{ROLLOVER}')::uuid, {IS_OPEN})",
        context.tenant_id,
        context.run_id,
    )
    return YearLimits(*row) if row else None


async def request_year_preflight(
    session: AsyncSession, *, tenant_id: UUID, caller: Caller, now: datetime
) -> Requested:
    """What a sync at the next turn of the year would do and would hold, with nothing changed.

    Raises Conflict: there must be a rollover that is not over, and a roster that was taken over.
    """
    tenant = await get_tenant(session, tenant_id=tenant_id)
    integration = await get_integration(session, tenant_id=tenant_id)
    if integration.rostered_at is None:
        raise Conflict("The first sync has not been applied yet; start a plain preflight.")
    rollover = await find_next(session, tenant_id=tenant_id, today=today_of(tenant, now))
    if rollover is None:
        raise Conflict("No turn of the school year is ahead; declare its day first.")
    requested = await request_run(
        session,
        tenant_id=tenant_id,
        mode=SyncMode.PREFLIGHT,
        trigger=SyncTrigger.MANUAL,
        caller=caller,
        now=now,
        asked=Asked(target={ROLLOVER: str(rollover.id)}),
    )
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="yearRolloverPreflight",
        target=str(requested.run.id),
        details={ROLLOVER: str(rollover.id)},
    )
    await session.flush()
    return requested
