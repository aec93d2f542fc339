"""What goes when a tenant leaves its provider: credentials, and what was held of its feed."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import delete, text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Conflict
from domain.integrations.models import Integration, IntegrationCredentials

_TAKE_TURN: Final = text("SELECT pg_advisory_xact_lock(hashtextextended(:tenant_id, 0))")
"""Whoever asks for a run takes the same turn: so there is none that we do not see."""
_IS_BUSY: Final = text(
    "SELECT EXISTS (SELECT FROM sync_runs WHERE tenant_id = :tenant_id AND finished_at IS NULL)"
)
_END_HOLDS: Final = text(
    "UPDATE holds SET ended_at = :now, ended_by = :ended_by"
    " WHERE tenant_id = :tenant_id AND ended_at IS NULL"
)


async def leave(
    session: AsyncSession,
    integration: Integration,
    *,
    reason: str,
    now: datetime,
    field: str | None = None,
) -> None:
    """Forget what opens the provider and what waits from its feed. `reason` is told of the holds.

    Raises Conflict while a run waits or is under way.
    """
    tenant: dict[str, Any] = {"tenant_id": integration.tenant_id}
    await session.execute(_TAKE_TURN, {"tenant_id": str(integration.tenant_id)})
    if await session.scalar(_IS_BUSY, tenant):
        raise Conflict(
            "A sync waits or is under way. Cancel it or wait until it has ended, then try again.",
            field=field,
        )
    integration.cursors = {}
    row = IntegrationCredentials
    await session.execute(
        delete(row).where(
            row.tenant_id == integration.tenant_id, row.integration_id == integration.id
        )
    )
    await session.execute(_END_HOLDS, tenant | {"now": now, "ended_by": reason})
