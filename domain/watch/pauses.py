"""The day before a pause of the schedule begins, contacts hear of it."""

from datetime import date
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from domain.notifications.alarms import pause
from domain.notifications.links import Links
from domain.notifications.recipients import tell_contacts
from domain.tenants.service import get_tenant
from domain.watch.times import words_of_day


class Pause(NamedTuple):
    """Days of the tenant's calendar, both included. `id` tells pauses with the same days apart."""

    id: UUID
    tenant_id: UUID
    starts_on: date
    ends_on: date
    reason: str | None


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
            reason=coming.reason,
            url=links.of_tenant(tenant.slug),
        ),
        key=f"pause {coming.id} {coming.starts_on}",
    )
