"""Which provider a tenant has its roster from."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.integrations.models import Integration, IntegrationStatus
from domain.roster.managed import Rosterer


async def find_rosterer(session: AsyncSession, *, tenant_id: UUID) -> Rosterer:
    """The connected one; else the last that was; else nobody."""
    row = Integration
    is_connected = row.status != IntegrationStatus.DISCONNECTED
    found = (
        await session.execute(
            select(row.provider, is_connected)
            .where(row.tenant_id == tenant_id)
            .order_by(is_connected.desc(), row.created_at.desc())
            .limit(1)
        )
    ).first()
    return Rosterer(*found) if found else Rosterer()
