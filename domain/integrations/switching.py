"""Switching to another provider (T8): the same integration, the same people, other ids.

Nothing of the roster is touched here. The next runs recognise who is stored by what both
providers know of them (domain.sync.rekeying), and take over only what was approved.
"""

from datetime import datetime

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from domain.integrations.leaving import leave
from domain.integrations.models import Integration, RoleMap
from domain.roster.source import Provider


async def switch_provider(
    session: AsyncSession, integration: Integration, provider: Provider, *, now: datetime
) -> None:
    """What was said of the former provider alone is forgotten; rules and schedule stay.

    Raises Conflict while a run waits or is under way.
    """
    reason = f"switch to {provider.value}"
    await leave(session, integration, reason=reason, now=now, field="provider")
    integration.former_provider = _whose_ids_are_stored(integration, provider)
    integration.provider = provider
    integration.settings = {}
    integration.rostered_at = None
    integration.sharing_preview_run_id = None
    integration.approved_run_id = None
    integration.approved_at = None
    integration.approved_by = None
    integration.approved_basis = None
    await session.execute(
        delete(RoleMap).where(
            RoleMap.tenant_id == integration.tenant_id, RoleMap.integration_id == integration.id
        )
    )


def _whose_ids_are_stored(integration: Integration, following: Provider) -> Provider | None:
    """A provider that no run was applied of has left nothing behind."""
    stored = (
        integration.provider if integration.rostered_at is not None else integration.former_provider
    )
    return None if stored is following else stored
