"""The day before a blackout of the schedule begins, contacts hear of it."""

from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.database import Database, set_tenant
from domain.notifications.alarms import pause
from domain.notifications.links import Links
from domain.notifications.recipients import tell_contacts
from domain.tenants.service import get_tenant
from domain.watch.times import words_of_day


class Pause(NamedTuple):
    """Days of the schedule's calendar, both included."""

    tenant_id: UUID
    starts_on: date
    ends_on: date
    reason: str


async def tell_of_pauses(database: Database, *, links: Links, now: datetime) -> int:
    """All in one transaction: what is marked is told. For the worker's role. How many."""
    async with database.transaction() as session:
        found = await session.execute(
            text("SELECT * FROM take_coming_blackouts(:now)"), {"now": now}
        )
        coming = [Pause(*row) for row in found]
        for pause_ in coming:
            await set_tenant(session, pause_.tenant_id)
            await tell_of_pause(session, coming=pause_, links=links)
    return len(coming)


async def tell_of_pause(session: AsyncSession, *, coming: Pause, links: Links) -> None:
    """In a transaction of the tenant's. Told once, however often it is called for."""
    tenant = await get_tenant(session, tenant_id=coming.tenant_id)
    await tell_contacts(
        session,
        tenant_id=coming.tenant_id,
        notice=pause(
            tenant.display_name,
            first=words_of_day(coming.starts_on),
            last=words_of_day(coming.ends_on),
            reason=coming.reason or None,
            url=links.of_tenant(tenant.slug),
        ),
        key=f"pause {coming.starts_on} {coming.ends_on}",
    )
