"""Licences that run out are told once for each crossing: nearly used up, and fully."""

from enum import IntEnum

from sqlalchemy.ext.asyncio import AsyncSession

from domain.integrations.standings import SyncStanding
from domain.notifications.alarms import licences
from domain.notifications.links import Links
from domain.notifications.recipients import tell_contacts
from domain.sync.licences import NEAR_PERCENT
from domain.tenants.models import Tenant
from domain.tenants.service import list_summaries
from domain.validation.codes import Code


class Level(IntEnum):
    ENOUGH = 0
    NEAR = 1
    FULL = 2


def level_of(used: int, limit: int | None) -> Level:
    if limit is None:
        return Level.ENOUGH
    if used >= limit:
        return Level.FULL
    return Level.NEAR if used > limit * NEAR_PERCENT / 100 else Level.ENOUGH


async def tell_of_licences(
    session: AsyncSession, *, tenant: Tenant, standing: SyncStanding, links: Links
) -> None:
    """After a run that was applied. Falling below and rising again is another crossing."""
    [summary] = (await list_summaries(session, tenant_ids=[tenant.id])).values()
    used, limit = summary.licences_used, summary.licence_limit
    level, former = level_of(used, limit), standing.licence_level
    standing.licence_level = level.value
    # A hold for want of licences says it already.
    if level <= former or Code.LICENCE_LIMIT.value in standing.told:
        return
    await tell_contacts(
        session,
        tenant_id=tenant.id,
        notice=licences(tenant.display_name, used, limit, url=links.of_tenant(tenant.slug)),
        key=f"licences {level.name} {standing.last_run_at}",
    )
