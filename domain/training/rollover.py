"""Year rollovers: the declared first day of a school year, and how much may change around it.

What a rollover does to default groups and to the year of progress is computed when it is read
(domain.training.places and years); what it allows a run is in domain.sync.year_limits.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Conflict, InvalidInput, NotFound
from domain.people.audit import record_act
from domain.people.callers import Caller
from domain.tenants.models import Tenant
from domain.tenants.service import check_time_zone, get_tenant
from domain.training.models import YearRollover
from domain.training.years import beginnings, school_year_of

APART: Final = timedelta(days=180)
"""Two rollovers are further apart than this, so that their windows never meet."""
FURTHEST: Final = timedelta(days=400)
LATEST: Final = timedelta(days=60)
"""So late may a day that is past be declared."""
MOST_DAYS: Final = 90
MOST_LISTED: Final = 20
_PERCENT: Final = 100

IS_OPEN: Final = (
    "(r.cancelled_at IS NULL AND (now() AT TIME ZONE t.time_zone)::date"
    " BETWEEN r.rolls_on - r.days_before AND r.rolls_on + r.days_after)"
)
"""SQL for whether the window of a rollover `r` of a tenant `t` is open now."""


class RolloverState(StrEnum):
    """Where a rollover's window lies, as seen from a day."""

    UPCOMING = "UPCOMING"
    OPEN = "OPEN"
    OVER = "OVER"
    CANCELLED = "CANCELLED"


class Window(NamedTuple):
    """How long around the day a run may do more unasked, and how much, in percent."""

    days_before: int = 14
    days_after: int = 30
    archive_percent: int = 40
    update_percent: int = 100


USUAL: Final = Window()


class SchoolYear(NamedTuple):
    """`year` is the calendar year in which it began; `ends_on` is its last day."""

    year: int
    starts_on: date
    ends_on: date


def opens_on(rollover: YearRollover) -> date:
    return rollover.rolls_on - timedelta(days=rollover.days_before)


def closes_on(rollover: YearRollover) -> date:
    """The last day of its window."""
    return rollover.rolls_on + timedelta(days=rollover.days_after)


def state_of(rollover: YearRollover, today: date) -> RolloverState:
    """`today` is a day in the tenant's time zone."""
    if rollover.cancelled_at is not None:
        return RolloverState.CANCELLED
    if today < opens_on(rollover):
        return RolloverState.UPCOMING
    return RolloverState.OPEN if today <= closes_on(rollover) else RolloverState.OVER


def today_of(tenant: Tenant, now: datetime) -> date:
    return now.astimezone(check_time_zone(tenant.time_zone)).date()


def school_year_on(today: date, declared: Sequence[date]) -> SchoolYear:
    """The school year that a day belongs to."""
    year = school_year_of(today, declared)
    this, following = beginnings(declared, first=year, last=year + 1)[:2]
    return SchoolYear(year, this.starts_on, following.starts_on - timedelta(days=1))


async def set_rollover(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    rolls_on: date,
    window: Window,
    caller: Caller,
    now: datetime,
) -> YearRollover:
    """Declare a day, or give a day that is declared another window.

    Raises InvalidInput, and Conflict where another day is declared for the same school year.
    """
    tenant = await get_tenant(session, tenant_id=tenant_id)
    _check(rolls_on, window, today=today_of(tenant, now))
    await _take_turn(session, tenant_id)
    found = None
    for other in await _live(session, tenant_id):
        if other.rolls_on == rolls_on:
            found = other
        elif rolls_on.year == other.rolls_on.year or abs(rolls_on - other.rolls_on) <= APART:
            raise Conflict(
                f"A school year begins on {other.rolls_on} already; cancel that first.",
                field="rollsOn",
            )
    if found is None:
        found = YearRollover(tenant_id=tenant_id, rolls_on=rolls_on)
        session.add(found)
    for name, value in window._asdict().items():
        setattr(found, name, value)
    found.declared_at, found.declared_by = now, caller.actor
    await session.flush()
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="yearRolloverSet",
        target=str(found.id),
        details={"rolls_on": rolls_on.isoformat(), **window._asdict()},
    )
    await session.flush()
    return found


async def cancel_rollover(
    session: AsyncSession, *, tenant_id: UUID, rolls_on: date, caller: Caller, now: datetime
) -> YearRollover:
    """As if it had not been declared: choices of a group count again. Raises NotFound."""
    await get_tenant(session, tenant_id=tenant_id)
    await _take_turn(session, tenant_id)
    found = next(
        (each for each in await _live(session, tenant_id) if each.rolls_on == rolls_on), None
    )
    if found is None:
        raise NotFound("year rollover on", rolls_on)
    found.cancelled_at, found.cancelled_by = now, caller.actor
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="yearRolloverCancel",
        target=str(found.id),
        details={"rolls_on": rolls_on.isoformat()},
    )
    await session.flush()
    return found


async def list_rollovers(
    session: AsyncSession, tenant_id: UUID, tenant_ids: Sequence[UUID]
) -> Mapping[UUID, Sequence[YearRollover]]:
    """The latest days first, cancelled ones too, for a loader; `tenant_ids` is the one tenant."""
    rows = await session.scalars(
        select(YearRollover)
        .where(YearRollover.tenant_id == tenant_id)
        .order_by(YearRollover.rolls_on.desc(), YearRollover.id.desc())
        .limit(MOST_LISTED)
    )
    return dict.fromkeys(tenant_ids, rows.all())


async def declared_days(
    session: AsyncSession, tenant_id: UUID, tenant_ids: Sequence[UUID]
) -> Mapping[UUID, Sequence[date]]:
    """What domain.training.years calls declared, for a loader."""
    days = [each.rolls_on for each in await _live(session, tenant_id)]
    return dict.fromkeys(tenant_ids, days)


async def find_next(session: AsyncSession, *, tenant_id: UUID, today: date) -> YearRollover | None:
    """The rollover whose window is open or opens next."""
    return next(
        (each for each in await _live(session, tenant_id) if today <= closes_on(each)), None
    )


async def _live(session: AsyncSession, tenant_id: UUID) -> Sequence[YearRollover]:
    rows = await session.scalars(
        select(YearRollover)
        .where(YearRollover.tenant_id == tenant_id, YearRollover.cancelled_at.is_(None))
        .order_by(YearRollover.rolls_on)
    )
    return rows.all()


async def _take_turn(session: AsyncSession, tenant_id: UUID) -> None:
    """Declarations of one tenant wait for each other, so that two at once see each other."""
    await session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"),
        {"name": f"year rollover {tenant_id}"},
    )


def _check(rolls_on: date, window: Window, *, today: date) -> None:
    if rolls_on > today + FURTHEST:
        raise InvalidInput("rollsOn", f"A day is at most {FURTHEST.days} days ahead.")
    if rolls_on < today - LATEST:
        raise InvalidInput("rollsOn", f"A day is at most {LATEST.days} days past.")
    for field, days in (("daysBefore", window.days_before), ("daysAfter", window.days_after)):
        if not 0 <= days <= MOST_DAYS:
            raise InvalidInput(field, f"A window begins and ends within {MOST_DAYS} days.")
    for field, percent in (
        ("archivePercent", window.archive_percent),
        ("updatePercent", window.update_percent),
    ):
        if not 0 <= percent <= _PERCENT:
            raise InvalidInput(field, "A percentage is between 0 and 100.")
