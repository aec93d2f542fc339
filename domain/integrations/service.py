"""Configuring a tenant's integration. Credentials are sealed before they are stored."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Conflict, InvalidInput, NotFound
from domain.integrations.models import (
    Integration,
    IntegrationCredentials,
    IntegrationStatus,
    SyncSchedule,
)
from domain.integrations.schedule import DEFAULT_LOCAL_TIME, next_due
from domain.people.audit import record_act
from domain.people.callers import Caller
from domain.roster.source import Provider
from domain.secrets import KeyRing
from domain.tenants.service import check_time_zone, get_tenant

MOST_LEAD_DAYS = 365


@dataclass(frozen=True, slots=True)
class Configuration:
    """`settings` may be shown to administrators; `credentials` are sealed.

    `group_lead_days` None leaves it as it is.
    """

    provider: Provider
    settings: Mapping[str, Any]
    credentials: Mapping[str, str] = field(default_factory=dict)
    group_lead_days: int | None = None


async def configure_integration(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    configuration: Configuration,
    keys: KeyRing,
    caller: Caller,
    now: datetime,
) -> Integration:
    """Create the tenant's integration, or change its settings; the schedule starts as nightly."""
    _check_configuration(configuration, caller)
    integration = await find_integration(session, tenant_id=tenant_id)
    if integration is None:
        integration = Integration(
            tenant_id=tenant_id,
            provider=configuration.provider,
            status=IntegrationStatus.ACTIVE,
            settings=dict(configuration.settings),
        )
        session.add(integration)
        await session.flush()
        await _start_schedule(session, integration=integration, now=now)
    elif integration.provider is configuration.provider:
        integration.settings = dict(configuration.settings)
        integration.updated_at = now
    else:
        raise Conflict(
            f"The tenant is connected to {integration.provider.value}; "
            "another provider cannot take its place.",
            field="provider",
        )
    if configuration.group_lead_days is not None:
        integration.group_lead_days = configuration.group_lead_days
    if configuration.credentials:
        await _seal_credentials(session, integration, configuration.credentials, keys)
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="integrationConfigure",
        target=str(integration.id),
        details={
            "provider": configuration.provider.value,
            "settings": sorted(integration.settings),
        },
    )
    await session.flush()
    return integration


def _check_configuration(configuration: Configuration, caller: Caller) -> None:
    if configuration.provider is not Provider.ONEROSTER_CSV:
        raise InvalidInput("provider", f"{configuration.provider.value} cannot be connected yet.")
    path = configuration.settings.get("path")
    if not isinstance(path, str) or not path.startswith("/") or "\x00" in path:
        raise InvalidInput("path", "Give the absolute path of a folder or a zip file.")
    lead = configuration.group_lead_days
    if lead is not None and not 0 <= lead <= MOST_LEAD_DAYS:
        raise InvalidInput(
            "groupLeadDays", f"Groups are shown 0 to {MOST_LEAD_DAYS} days before they start."
        )
    if not caller.is_operator:
        # The path is one of the machine that Homerow runs on: a tenant must not choose it.
        raise InvalidInput("path", "Only an operator may choose a folder of the server.")


def credentials_context(tenant_id: UUID, integration_id: UUID) -> str:
    """What a sealed value is bound to: moved to another row, it does not open."""
    return f"{tenant_id}|integration_credentials|{integration_id}"


async def _seal_credentials(
    session: AsyncSession, integration: Integration, credentials: Mapping[str, str], keys: KeyRing
) -> None:
    sealed = keys.seal(
        json.dumps(dict(credentials)).encode(),
        context=credentials_context(integration.tenant_id, integration.id),
    )
    values = {
        "tenant_id": integration.tenant_id,
        "integration_id": integration.id,
        "sealed": sealed,
    }
    await session.execute(
        insert(IntegrationCredentials)
        .values(values)
        .on_conflict_do_update(
            index_elements=["tenant_id", "integration_id"],
            set_={"sealed": sealed, "updated_at": func.now()},
        )
    )


async def _start_schedule(
    session: AsyncSession, *, integration: Integration, now: datetime
) -> None:
    tenant = await get_tenant(session, tenant_id=integration.tenant_id)
    zone = check_time_zone(tenant.time_zone)
    first_on = now.astimezone(zone).date()
    session.add(
        SyncSchedule(
            tenant_id=integration.tenant_id,
            integration_id=integration.id,
            local_time=DEFAULT_LOCAL_TIME,
            every_days=1,
            first_on=first_on,
            next_due_at=next_due(
                first_on=first_on, at=DEFAULT_LOCAL_TIME, every_days=1, zone=zone, after=now
            ),
        )
    )


async def find_integration(session: AsyncSession, *, tenant_id: UUID) -> Integration | None:
    """The one that is not disconnected."""
    found: Integration | None = await session.scalar(
        select(Integration).where(
            Integration.tenant_id == tenant_id,
            Integration.status != IntegrationStatus.DISCONNECTED,
        )
    )
    return found


async def get_integration(session: AsyncSession, *, tenant_id: UUID) -> Integration:
    integration = await find_integration(session, tenant_id=tenant_id)
    if integration is None:
        raise NotFound("integration of tenant", tenant_id)
    return integration
