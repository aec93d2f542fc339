"""The promise that every tenant is synced in time: a broken one is told once, to both sides."""

from datetime import datetime, timedelta
from typing import Final

import structlog
from sqlalchemy import text

from domain.database import Database, set_tenant
from domain.notifications.alarms import LateTenant, late, late_tenants
from domain.notifications.links import Links
from domain.notifications.recipients import tell_contacts, tell_operators
from domain.tenants.service import check_time_zone, get_tenant
from domain.watch.times import words_of

ALLOWANCE: Final = timedelta(hours=2)
"""On top of a day for each of `every_days`: a night's window, the sync itself, a clock put back."""

log = structlog.get_logger()


async def tell_of_late(database: Database, *, links: Links, now: datetime) -> int:
    """All in one transaction: who is marked is told. For the worker's role. How many."""
    tenants = []
    async with database.transaction() as session:
        found = await session.execute(
            text("SELECT * FROM take_late(:now, :allowance)"), {"now": now, "allowance": ALLOWANCE}
        )
        for row in found.all():
            await set_tenant(session, row.tenant_id)
            tenant = await get_tenant(session, tenant_id=row.tenant_id)
            zone = check_time_zone(tenant.time_zone)
            last = words_of(row.last_success_at, zone) if row.last_success_at else None
            notice = late(
                tenant.display_name, last, row.every_days, url=links.of_tenant(tenant.slug)
            )
            key = f"late {now.isoformat()}"
            await tell_contacts(session, tenant_id=row.tenant_id, notice=notice, key=key)
            tenants.append(LateTenant(row.slug, last, row.every_days))
            log.warning("tenant_late", tenant_id=str(row.tenant_id))
        if tenants:
            await tell_operators(
                session, notice=late_tenants(tenants), key=f"late {now.isoformat()}"
            )
    return len(tenants)
