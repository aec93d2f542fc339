"""Closing a tenant: nobody signs in any more, and nothing is synced. It can be opened again."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.people.audit import record_act
from domain.people.callers import Caller
from domain.people.models import Session
from domain.tenants.models import TenantStatus
from domain.tenants.service import get_tenant


async def close_tenant(
    session: AsyncSession, *, tenant_id: UUID, caller: Caller, now: datetime
) -> None:
    """Raises NotFound. A tenant that is closed stays so."""
    tenant = await get_tenant(session, tenant_id=tenant_id)
    tenant.status = TenantStatus.CLOSED
    await session.execute(
        update(Session)
        .where(Session.tenant_id == tenant_id, Session.ended_at.is_(None))
        .values(ended_at=now)
    )
    record_act(session, tenant_id=tenant_id, caller=caller, action="tenantClose")


async def reopen_tenant(session: AsyncSession, *, tenant_id: UUID, caller: Caller) -> None:
    """Raises NotFound."""
    tenant = await get_tenant(session, tenant_id=tenant_id)
    tenant.status = TenantStatus.ACTIVE
    record_act(session, tenant_id=tenant_id, caller=caller, action="tenantReopen")
