"""Disconnecting a tenant from its provider, and connecting it again (product.md T8).

Nobody and nothing of the roster goes: it stays as the last sync left it.
"""

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Conflict, InvalidInput, NotFound
from domain.integrations.connections import NOTHING, Platform
from domain.integrations.leaving import leave
from domain.integrations.models import Integration, IntegrationStatus, SyncSchedule
from domain.integrations.service import (
    Configuration,
    configure_integration,
    find_last_integration,
    get_integration,
)
from domain.people.audit import record_act
from domain.people.callers import Caller
from domain.secrets import KeyRing

_REASON: Final = "disconnection"


async def disconnect(
    session: AsyncSession, *, tenant_id: UUID, caller: Caller, now: datetime
) -> Integration:
    """Nothing is read from the provider any more, and its credentials are forgotten.

    Raises NotFound, and Conflict while a run waits or is under way.
    """
    integration = await get_integration(session, tenant_id=tenant_id)
    await leave(session, integration, reason=_REASON, now=now)
    integration.status = IntegrationStatus.DISCONNECTED
    integration.updated_at = now
    await session.execute(
        update(SyncSchedule)
        .where(SyncSchedule.tenant_id == tenant_id, SyncSchedule.integration_id == integration.id)
        .values(next_due_at=None)
    )
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="integrationDisconnect",
        target=str(integration.id),
    )
    await session.flush()
    return integration


async def activate(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    keys: KeyRing,
    caller: Caller,
    now: datetime,
    platform: Platform = NOTHING,
) -> Integration:
    """Connect it again as it was. One that is in use stays as it is.

    Raises NotFound where there was never one, and Conflict for one that is paused, or that needs
    the credentials which were forgotten.
    """
    integration = await find_last_integration(session, tenant_id=tenant_id)
    if integration is None:
        raise NotFound("integration of tenant", tenant_id)
    if integration.status is IntegrationStatus.ACTIVE:
        return integration
    if integration.status is IntegrationStatus.PAUSED:
        raise Conflict("The integration is connected, and paused: resume it (integrationResume).")
    try:
        return await configure_integration(
            session,
            tenant_id=tenant_id,
            configuration=Configuration(integration.provider, platform=platform),
            keys=keys,
            caller=caller,
            now=now,
        )
    except InvalidInput as error:
        raise Conflict(
            f"It cannot be connected as it was: {error} Configure it instead; nobody is lost."
        ) from error
