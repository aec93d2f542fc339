"""Changing what a tenant is about: its names, time zone, dates, status and licences."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Forbidden, InvalidInput
from domain.integrations.models import SyncSchedule
from domain.integrations.rhythms import read_rhythm
from domain.integrations.schedule import next_due
from domain.people.audit import record_act
from domain.people.callers import Caller
from domain.roster.models import School
from domain.tenants.models import (
    LicenceOrder,
    Subscription,
    SubscriptionKind,
    Tenant,
    TenantStatus,
)
from domain.tenants.service import check_name, check_time_zone, get_tenant

MOST_LICENCES: Final = 10_000_000
MOST_SCHOOLS: Final = 1000


@dataclass(frozen=True, slots=True)
class TenantChanges:
    """What is None stays as it is. `removes` are the dates that are taken away, by their names."""

    name: str | None = None
    display_name: str | None = None
    time_zone: str | None = None
    go_live_on: date | None = None
    starts_on: date | None = None
    status: TenantStatus | None = None
    kind: SubscriptionKind | None = None
    is_listed: bool | None = None
    removes: frozenset[str] = field(default=frozenset())


async def update_tenant(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    changes: TenantChanges,
    caller: Caller,
    now: datetime,
) -> Tenant:
    """Raises InvalidInput, and Forbidden where only an operator may."""
    tenant = await get_tenant(session, tenant_id=tenant_id)
    subscription = await get_subscription(session, tenant_id=tenant_id)
    _check(changes, caller)
    if changes.name is not None:
        tenant.name = changes.name.strip()
    if changes.display_name is not None:
        tenant.display_name = changes.display_name.strip()
    if changes.status is not None:
        tenant.status = changes.status
    if changes.is_listed is not None:
        tenant.is_listed = changes.is_listed
    if changes.kind is not None:
        subscription.kind = changes.kind
    _change_dates(subscription, changes)
    if changes.time_zone is not None and changes.time_zone != tenant.time_zone:
        tenant.time_zone = changes.time_zone
        await _move_schedules(session, tenant, now=now)
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="tenantUpdate",
        details=_told(changes),
    )
    await session.flush()
    return tenant


def _check(changes: TenantChanges, caller: Caller) -> None:
    if not caller.is_operator and (changes.status or changes.kind):
        raise Forbidden("Only an operator may change the status or the kind of a subscription.")
    if changes.name is not None:
        check_name("name", changes.name)
    if changes.display_name is not None:
        check_name("displayName", changes.display_name)
    if changes.time_zone is not None:
        check_time_zone(changes.time_zone)


def _change_dates(subscription: Subscription, changes: TenantChanges) -> None:
    for name, given in (("starts_on", changes.starts_on), ("go_live_on", changes.go_live_on)):
        if name in changes.removes:
            if given is not None:
                raise InvalidInput(_FIELDS[name], "Give a day or remove it.")
            setattr(subscription, name, None)
        elif given is not None:
            setattr(subscription, name, given)
    starts_on, go_live_on = subscription.starts_on, subscription.go_live_on
    if starts_on is not None and go_live_on is not None and go_live_on < starts_on:
        blamed = "startsOn" if changes.go_live_on is None else "goLiveOn"
        raise InvalidInput(
            blamed, f"The subscription would begin on {starts_on}, after going live {go_live_on}."
        )


_FIELDS: Final = {"starts_on": "startsOn", "go_live_on": "goLiveOn"}


async def _move_schedules(session: AsyncSession, tenant: Tenant, *, now: datetime) -> None:
    """A local time is another instant in another time zone."""
    schedules = await session.scalars(
        select(SyncSchedule).where(SyncSchedule.tenant_id == tenant.id)
    )
    for schedule in schedules:
        if schedule.next_due_at is not None:
            rhythm = await read_rhythm(session, schedule, time_zone=tenant.time_zone)
            schedule.next_due_at = next_due(rhythm, after=now)


def _told(changes: TenantChanges) -> dict[str, Any]:
    """For the audit log: names are no secret, but neither are they needed there."""
    said = {
        "name": changes.name and True,
        "display_name": changes.display_name and True,
        "time_zone": changes.time_zone,
        "go_live_on": changes.go_live_on and changes.go_live_on.isoformat(),
        "starts_on": changes.starts_on and changes.starts_on.isoformat(),
        "status": changes.status and changes.status.value,
        "kind": changes.kind and changes.kind.value,
        "is_listed": changes.is_listed,
        "removes": sorted(changes.removes) or None,
    }
    return {name: value for name, value in said.items() if value is not None}


@dataclass(frozen=True, slots=True)
class LicenceChanges:
    """What is None stays as it is. `school_ids` come first, in their order."""

    limit: int | None = None
    removes_limit: bool = False
    order: LicenceOrder | None = None
    school_ids: Sequence[UUID] | None = None


async def set_licences(
    session: AsyncSession, *, tenant_id: UUID, changes: LicenceChanges, caller: Caller
) -> Subscription:
    """How many licences there are, and who gets one first.

    Raises InvalidInput, and Forbidden where only an operator may.
    """
    await get_tenant(session, tenant_id=tenant_id)
    subscription = await get_subscription(session, tenant_id=tenant_id)
    _check_limit(changes, caller)
    if changes.removes_limit:
        subscription.licence_limit = None
    elif changes.limit is not None:
        subscription.licence_limit = changes.limit
    if changes.order is not None:
        subscription.licence_order = changes.order
    if changes.school_ids is not None:
        await _check_schools(session, tenant_id, changes.school_ids)
        subscription.licence_school_ids = list(changes.school_ids)
    if subscription.licence_order is LicenceOrder.CREATED:
        if changes.school_ids:
            raise InvalidInput("schoolIds", "Schools go with the order SCHOOL_PRIORITY.")
        subscription.licence_school_ids = []
    elif not subscription.licence_school_ids:
        raise InvalidInput("schoolIds", "Name the schools whose students come first.")
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="licencesSet",
        details={
            "limit": subscription.licence_limit,
            "order": subscription.licence_order.value,
            "schools": len(subscription.licence_school_ids),
        },
    )
    await session.flush()
    return subscription


def _check_limit(changes: LicenceChanges, caller: Caller) -> None:
    if changes.limit is None and not changes.removes_limit:
        return
    if not caller.is_operator:
        raise Forbidden("Only an operator may change how many licences there are.")
    if changes.limit is not None and changes.removes_limit:
        raise InvalidInput("removeLimit", "Give a limit or remove it.")
    if changes.limit is not None and not 0 <= changes.limit <= MOST_LICENCES:
        raise InvalidInput("limit", f"Give a number from 0 to {MOST_LICENCES}.")


async def _check_schools(
    session: AsyncSession, tenant_id: UUID, school_ids: Sequence[UUID]
) -> None:
    if len(school_ids) > MOST_SCHOOLS or len(set(school_ids)) < len(school_ids):
        raise InvalidInput("schoolIds", f"Name at most {MOST_SCHOOLS} schools, each once.")
    known = await session.scalars(
        select(School.id).where(School.tenant_id == tenant_id, School.id.in_(school_ids))
    )
    if set(known) != set(school_ids):
        raise InvalidInput("schoolIds", "There is no such school of this tenant.")


async def get_subscription(session: AsyncSession, *, tenant_id: UUID) -> Subscription:
    """To be changed: whoever else wants to change it waits for this transaction."""
    return (
        await session.scalars(
            select(Subscription).where(Subscription.tenant_id == tenant_id).with_for_update()
        )
    ).one()
