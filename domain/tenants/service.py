"""Creating and finding tenants."""

import re
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

from sqlalchemy import Row, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Conflict, InvalidInput, NotFound
from domain.people.audit import record_act
from domain.people.callers import Caller
from domain.tenants.models import (
    LicenceOrder,
    Subscription,
    SubscriptionKind,
    Tenant,
    TenantStatus,
)

_SLUG = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_NAME_LENGTH = 200
DEFAULT_TIME_ZONE = "America/New_York"


async def create_tenant(  # noqa: PLR0913 - what a tenant is made of
    session: AsyncSession,
    *,
    tenant_id: UUID,
    slug: str,
    name: str,
    caller: Caller,
    display_name: str | None = None,
    time_zone: str = DEFAULT_TIME_ZONE,
) -> Tenant:
    """The transaction is already the new tenant's: its id is made by whoever opened it."""
    if not _SLUG.fullmatch(slug):
        raise InvalidInput(
            "slug", "A slug is made of up to 63 lower-case letters, digits and inner hyphens."
        )
    check_name("name", name)
    check_name("displayName", display_name or name)
    check_time_zone(time_zone)
    if await find_tenant_id(session, slug):
        raise Conflict(f"The slug {slug!r} is taken.", field="slug")
    tenant = Tenant(
        id=tenant_id,
        slug=slug,
        name=name.strip(),
        display_name=(display_name or name).strip(),
        time_zone=time_zone,
        status=TenantStatus.ACTIVE,
    )
    session.add(tenant)
    try:
        await session.flush()
    except IntegrityError as error:
        raise Conflict(f"The slug {slug!r} is taken.", field="slug") from error
    session.add(Subscription(tenant_id=tenant_id, kind=SubscriptionKind.TRIAL))
    record_act(
        session, tenant_id=tenant_id, caller=caller, action="tenantCreate", details={"slug": slug}
    )
    await session.flush()
    return tenant


def check_name(field: str, name: str) -> None:
    """Raises InvalidInput."""
    if not name.strip() or len(name) > _NAME_LENGTH or "\x00" in name:
        raise InvalidInput(field, f"A name has 1 to {_NAME_LENGTH} characters.")


@cache
def time_zones() -> frozenset[str]:
    """Those that PostgreSQL knows as well: not the machine's own, nor other spellings of a zone."""
    return frozenset(available_timezones() - {"localtime"})


def check_time_zone(name: str) -> ZoneInfo:
    """Raises InvalidInput for what is no IANA time zone."""
    if name not in time_zones():
        raise InvalidInput("timeZone", f"{name!r} is no IANA time zone, such as America/Chicago.")
    return ZoneInfo(name)


async def find_tenant_id(session: AsyncSession, slug: str) -> UUID | None:
    """Works before a tenant is known."""
    if "\x00" in slug:
        return None  # PostgreSQL takes no text with it
    found: UUID | None = await session.scalar(text("SELECT find_tenant(:slug)"), {"slug": slug})
    return found


async def get_tenant_id(session: AsyncSession, slug: str) -> UUID:
    found = await find_tenant_id(session, slug)
    if found is None:
        raise NotFound("tenant", slug)
    return found


async def get_tenant(session: AsyncSession, *, tenant_id: UUID) -> Tenant:
    tenant = await session.scalar(select(Tenant).where(Tenant.id == tenant_id))
    if tenant is None:
        raise NotFound("tenant", tenant_id)
    return tenant


async def list_summaries(
    session: AsyncSession, *, tenant_ids: Sequence[UUID]
) -> dict[UUID, Row[tuple[object, ...]]]:
    """What the subscription summary says of several tenants, in one statement.

    Columns as in the database's function summarise_tenants.
    """
    rows = await session.execute(
        text("SELECT * FROM summarise_tenants(:ids)"), {"ids": list(tenant_ids)}
    )
    return {row.tenant_id: row for row in rows}


class LicenceSettings(NamedTuple):
    """Who gets a licence first, and how many are needed by the last preflight."""

    order: LicenceOrder
    school_ids: Sequence[UUID]
    forecast: int | None


async def list_licence_settings(
    session: AsyncSession, tenant_ids: Sequence[UUID]
) -> dict[UUID, LicenceSettings]:
    """Of several tenants, in one statement, by an audited function."""
    rows = await session.execute(
        text("SELECT * FROM forecast_licences(:ids)"), {"ids": list(tenant_ids)}
    )
    return {
        row.tenant_id: LicenceSettings(
            LicenceOrder(row.licence_order), row.licence_school_ids, row.forecast
        )
        for row in rows
    }
