"""Configuring a tenant's integration. Credentials are sealed before they are stored."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import exists, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.clock import utc_now
from domain.errors import InvalidInput, NotFound
from domain.integrations.connections import (
    NOTHING,
    UNKNOWN,
    Connection,
    Known,
    Platform,
    check_connection,
    has_moved,
)
from domain.integrations.models import (
    Integration,
    IntegrationCredentials,
    IntegrationStatus,
    SyncSchedule,
)
from domain.integrations.rhythms import restart_schedule, start_schedule
from domain.integrations.standings import begin_anew, watch_from
from domain.integrations.switching import switch_provider
from domain.integrations.texts import check_texts
from domain.people.audit import record_act
from domain.people.callers import Caller
from domain.roster.source import Provider
from domain.secrets import KeyRing

MOST_LEAD_DAYS = 365
MOST_ELIGIBLE_VALUES = 50


class EligibilityRule(NamedTuple):
    """The metadata field that says which students may use the product, and what means yes (P9)."""

    field: str
    values: Sequence[str]


@dataclass(frozen=True, slots=True)
class Configuration:
    """`settings` may be shown to administrators; `credentials` are sealed.

    What is None stays as it is; so do the credentials where none are given. New credentials take
    the place of all stored ones. `platform` is what the installation brings itself.
    """

    provider: Provider
    settings: Mapping[str, Any] | None = None
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    group_lead_days: int | None = None
    with_student_email: bool | None = None
    eligibility: EligibilityRule | None = None
    removes_eligibility: bool = False
    platform: Platform = NOTHING


async def configure_integration(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    configuration: Configuration,
    keys: KeyRing,
    caller: Caller,
    now: datetime,
) -> Integration:
    """Create the tenant's integration, or change its settings; the schedule starts as nightly.

    With another provider than before it is switched to that. One that was disconnected is
    connected again, so that whoever is stored is recognised. Raises InvalidInput and Conflict.
    """
    integration = await find_last_integration(session, tenant_id=tenant_id)
    former = integration.provider if integration is not None else None
    is_switch = former not in (None, configuration.provider)
    # What is stored of another provider opens nothing here.
    known = UNKNOWN if is_switch else await _known(session, integration)
    connection = _check(configuration, known, caller)
    eligibility = _check_eligibility(configuration)
    if integration is None:
        integration = Integration(
            tenant_id=tenant_id,
            provider=configuration.provider,
            status=IntegrationStatus.ACTIVE,
            settings=dict(connection.settings),
        )
        session.add(integration)
        await session.flush()
        await start_schedule(session, integration=integration, now=now)
        await watch_from(session, tenant_id=tenant_id, now=now)
    elif is_switch:
        await switch_provider(session, integration, configuration.provider, now=now)
    reconnects = integration.status is IntegrationStatus.DISCONNECTED
    if reconnects:
        integration.status = IntegrationStatus.ACTIVE
        await _go_on(session, integration, now=now)
    _change(integration, connection, configuration, eligibility)
    integration.updated_at = now
    if connection.credentials:
        await _seal_credentials(session, integration, connection.credentials, keys)
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="integrationConfigure",
        target=str(integration.id),
        details=_told(configuration, connection)
        | ({"reconnects": True} if reconnects else {})
        | ({"former_provider": former.value} if is_switch and former else {}),
    )
    await session.flush()
    return integration


async def _go_on(session: AsyncSession, integration: Integration, *, now: datetime) -> None:
    row = SyncSchedule
    schedule = await session.scalar(
        select(row).where(
            row.tenant_id == integration.tenant_id, row.integration_id == integration.id
        )
    )
    if schedule is None:
        await start_schedule(session, integration=integration, now=now)
    else:
        await restart_schedule(session, schedule, now=now)
    await begin_anew(session, tenant_id=integration.tenant_id, now=now)


def _check(configuration: Configuration, known: Known, caller: Caller) -> Connection:
    settings = known.settings if configuration.settings is None else configuration.settings
    lead = configuration.group_lead_days
    if lead is not None and not 0 <= lead <= MOST_LEAD_DAYS:
        raise InvalidInput(
            "groupLeadDays", f"Groups are shown 0 to {MOST_LEAD_DAYS} days before they start."
        )
    return check_connection(
        Connection(configuration.provider, settings, configuration.credentials),
        known=known,
        platform=configuration.platform,
        is_operator=caller.is_operator,
    )


def _check_eligibility(configuration: Configuration) -> dict[str, Any] | None:
    rule = configuration.eligibility
    if rule is None:
        return None
    if configuration.removes_eligibility:
        raise InvalidInput("removeEligibility", "Give a rule for eligibility or remove it.")
    [name] = check_texts("eligibility.field", [rule.field], most=1)
    values = check_texts("eligibility.values", rule.values, most=MOST_ELIGIBLE_VALUES)
    return {"field": name, "values": values}


def _change(
    integration: Integration,
    connection: Connection,
    configuration: Configuration,
    eligibility: dict[str, Any] | None,
) -> None:
    settings = dict(connection.settings)
    before = _reading(integration)
    if has_moved(integration.provider, settings, integration.settings):
        forget_cursors(integration)
    integration.settings = settings
    if configuration.group_lead_days is not None:
        integration.group_lead_days = configuration.group_lead_days
    if configuration.with_student_email is not None:
        integration.with_student_email = configuration.with_student_email
    if eligibility is not None or configuration.removes_eligibility:
        integration.eligibility = eligibility
    if _reading(integration) != before:
        forget_cursors(integration)


def _reading(integration: Integration) -> tuple[bool, dict[str, Any] | None]:
    """What decides how a record is read, beside where it is read."""
    return bool(integration.with_student_email), integration.eligibility


def forget_cursors(integration: Integration) -> None:
    """The next delta reads everything: what it would leave out was read in another way."""
    integration.cursors = {}
    # A run that is under way, and read in the former way, moves them no more.
    integration.updated_at = utc_now()


def _told(configuration: Configuration, connection: Connection) -> dict[str, Any]:
    """For the audit log: which settings were given, never a secret or an address."""
    given = {
        "credentials": sorted(connection.credentials) or None,
        "group_lead_days": configuration.group_lead_days,
        "with_student_email": configuration.with_student_email,
        "eligibility": configuration.eligibility.field if configuration.eligibility else None,
        "removes_eligibility": configuration.removes_eligibility or None,
    }
    return {
        "provider": configuration.provider.value,
        "settings": sorted(connection.settings),
        **{name: value for name, value in given.items() if value is not None},
    }


async def _known(session: AsyncSession, integration: Integration | None) -> Known:
    if integration is None:
        return UNKNOWN
    sealed = IntegrationCredentials
    has_credentials = await session.scalar(
        select(
            exists(sealed.integration_id).where(
                sealed.tenant_id == integration.tenant_id,
                sealed.integration_id == integration.id,
            )
        )
    )
    return Known(integration.settings, has_credentials=bool(has_credentials))


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


async def find_integration(session: AsyncSession, *, tenant_id: UUID) -> Integration | None:
    """The one that is not disconnected."""
    found: Integration | None = await session.scalar(
        select(Integration).where(
            Integration.tenant_id == tenant_id,
            Integration.status != IntegrationStatus.DISCONNECTED,
        )
    )
    return found


async def find_last_integration(session: AsyncSession, *, tenant_id: UUID) -> Integration | None:
    """The connected one, or else the last that was."""
    row = Integration
    is_connected = row.status != IntegrationStatus.DISCONNECTED
    found: Integration | None = await session.scalar(
        select(row)
        .where(row.tenant_id == tenant_id)
        .order_by(is_connected.desc(), row.created_at.desc())
        .limit(1)
    )
    return found


async def get_integration(session: AsyncSession, *, tenant_id: UUID) -> Integration:
    integration = await find_integration(session, tenant_id=tenant_id)
    if integration is None:
        raise NotFound("integration of tenant", tenant_id)
    return integration


async def take_integration(session: AsyncSession, *, tenant_id: UUID) -> Integration:
    """To be changed: whoever else wants to change it waits for this transaction."""
    await session.execute(
        select(Integration.id)
        .where(
            Integration.tenant_id == tenant_id,
            Integration.status != IntegrationStatus.DISCONNECTED,
        )
        .with_for_update()
    )
    return await get_integration(session, tenant_id=tenant_id)
