"""Switching to another provider (T8): the same integration, the same people, other ids.

Nothing of the roster is touched here. The next runs recognise who is stored by what both
providers know of them (domain.sync.rekeying), and take over only what was approved.
"""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import delete, text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Conflict
from domain.integrations.models import Integration, IntegrationCredentials, RoleMap
from domain.roster.source import Provider

_TAKE_TURN: Final = text("SELECT pg_advisory_xact_lock(hashtextextended(:tenant_id, 0))")
"""Whoever asks for a run takes the same turn: so there is none that we do not see."""
_IS_BUSY: Final = text(
    "SELECT EXISTS (SELECT FROM sync_runs WHERE tenant_id = :tenant_id AND finished_at IS NULL)"
)
_END_HOLDS: Final = text(
    "UPDATE holds SET ended_at = :now, ended_by = :ended_by"
    " WHERE tenant_id = :tenant_id AND ended_at IS NULL"
)


async def switch_provider(
    session: AsyncSession, integration: Integration, provider: Provider, *, now: datetime
) -> None:
    """What was said of the former provider alone is forgotten; rules and schedule stay.

    Raises Conflict while a run waits or is under way.
    """
    tenant: dict[str, Any] = {"tenant_id": integration.tenant_id}
    await session.execute(_TAKE_TURN, {"tenant_id": str(integration.tenant_id)})
    if await session.scalar(_IS_BUSY, tenant):
        raise Conflict(
            "A sync waits or is under way; the provider can be changed when it has ended.",
            field="provider",
        )
    integration.former_provider = _whose_ids_are_stored(integration, provider)
    integration.provider = provider
    integration.settings = {}
    integration.cursors = {}
    integration.rostered_at = None
    integration.sharing_preview_run_id = None
    integration.approved_run_id = None
    integration.approved_at = None
    integration.approved_by = None
    integration.approved_basis = None
    for row in (IntegrationCredentials, RoleMap):
        await session.execute(
            delete(row).where(
                row.tenant_id == integration.tenant_id, row.integration_id == integration.id
            )
        )
    # What waited there was planned from the former provider's feed.
    await session.execute(
        _END_HOLDS, tenant | {"now": now, "ended_by": f"switch to {provider.value}"}
    )


def _whose_ids_are_stored(integration: Integration, following: Provider) -> Provider | None:
    """A provider that no run was applied of has left nothing behind."""
    stored = (
        integration.provider if integration.rostered_at is not None else integration.former_provider
    )
    return None if stored is following else stored
