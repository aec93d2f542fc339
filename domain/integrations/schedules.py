"""A tenant's schedule: when it syncs by itself, when not, and pausing all of it (S1, T8)."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import Select, delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Conflict, InvalidInput, NotFound
from domain.integrations.models import (
    Integration,
    IntegrationStatus,
    SyncBlackout,
    SyncSchedule,
)
from domain.integrations.rhythms import (
    GivenBlackout,
    list_blackouts,
    restart_schedule,
    rhythm_of,
)
from domain.integrations.schedule import Rhythm, next_due
from domain.integrations.service import get_integration, take_integration
from domain.integrations.standings import begin_anew, watch_from
from domain.people.audit import record_act
from domain.people.callers import Caller
from domain.tenants.service import check_time_zone, get_tenant

MOST_DAYS: Final = 29
MOST_SPREAD: Final = 240
EARLIEST: Final = date(2000, 1, 1)
LATEST: Final = timedelta(days=366)
MOST_BLACKOUTS: Final = 50
LONGEST_BLACKOUT: Final = 366
_LONGEST_REASON: Final = 200
_LEFT: Final = timedelta(days=400)
"""Within so long at least one night has to be left."""


class SchedulePreset(StrEnum):
    """What products are used to."""

    NIGHT_UTC_MINUS_5 = "NIGHT_UTC_MINUS_5"
    LOS_ANGELES_21 = "LOS_ANGELES_21"


PRESETS: Final[Mapping[SchedulePreset, tuple[time, str]]] = {
    # Etc/GMT+5 is five hours behind UTC the whole year: POSIX has the sign turned around.
    SchedulePreset.NIGHT_UTC_MINUS_5: (time(2, 0), "Etc/GMT+5"),
    SchedulePreset.LOS_ANGELES_21: (time(21, 0), "America/Los_Angeles"),
}


class ScheduleSetting(NamedTuple):
    """What is None stays as it is; `time_zone` "" is the tenant's. A preset comes first."""

    preset: SchedulePreset | None = None
    local_time: time | None = None
    time_zone: str | None = None
    every_days: int | None = None
    first_on: date | None = None
    spread_minutes: int | None = None
    blackouts: Sequence[GivenBlackout] | None = None


class Planned(NamedTuple):
    """A schedule as it is, or as it would be, with what is not to be seen in its row."""

    row: SyncSchedule
    blackouts: Sequence[GivenBlackout]
    rhythm: Rhythm


async def set_schedule(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    setting: ScheduleSetting,
    caller: Caller,
    now: datetime,
    is_preview: bool = False,
) -> Planned:
    """Change when a tenant syncs by itself, or only say what would come of it.

    Raises InvalidInput, and NotFound where nothing is connected. A tenant whose syncs were given
    up begins anew.
    """
    integration = await take_integration(session, tenant_id=tenant_id)
    tenant = await get_tenant(session, tenant_id=tenant_id)
    schedule = await _take(session, integration)
    stored = (await list_blackouts(session, tenant_id, [integration.id]))[integration.id]
    blackouts = stored if setting.blackouts is None else _check_blackouts(setting.blackouts)
    changed = _changed(schedule, setting, now=now)
    row = SyncSchedule(
        tenant_id=tenant_id, integration_id=integration.id, **changed, next_due_at=None
    )
    rhythm = rhythm_of(
        row, time_zone=tenant.time_zone, blackouts=[given[:2] for given in blackouts]
    )
    due = next_due(rhythm, after=now)
    if due is None or due > max(now, rhythm.night(rhythm.first_on)) + _LEFT:
        raise InvalidInput(
            "blackouts", f"They leave no night within {_LEFT.days} days: nothing would ever sync."
        )
    row.next_due_at = due if integration.status is IntegrationStatus.ACTIVE else None
    if is_preview:
        return Planned(row, blackouts, rhythm)
    if row.next_due_at is not None and schedule.next_due_at is None:
        await begin_anew(session, tenant_id=tenant_id, now=now)
    else:
        # A promise that is new today was not broken yesterday.
        await watch_from(session, tenant_id=tenant_id, now=now)
    for name, value in (*changed.items(), ("next_due_at", row.next_due_at)):
        setattr(schedule, name, value)
    if setting.blackouts is not None:
        await _replace_blackouts(session, integration, blackouts)
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="syncScheduleSet",
        target=str(integration.id),
        details=_told(schedule, blackouts),
    )
    await session.flush()
    return Planned(schedule, blackouts, rhythm)


async def read_schedule(session: AsyncSession, *, tenant_id: UUID) -> Planned:
    """Raises NotFound."""
    integration = await get_integration(session, tenant_id=tenant_id)
    tenant = await get_tenant(session, tenant_id=tenant_id)
    schedule: SyncSchedule | None = await session.scalar(_of(integration))
    if schedule is None:
        raise NotFound("schedule of tenant", tenant_id)
    blackouts = (await list_blackouts(session, tenant_id, [integration.id]))[integration.id]
    days = [given[:2] for given in blackouts]
    return Planned(
        schedule, blackouts, rhythm_of(schedule, time_zone=tenant.time_zone, blackouts=days)
    )


async def pause(session: AsyncSession, *, tenant_id: UUID, caller: Caller) -> Integration:
    """Nothing is asked for until it is resumed; what is under way goes on. Raises Conflict."""
    integration = await take_integration(session, tenant_id=tenant_id)
    if integration.status is IntegrationStatus.PAUSED:
        raise Conflict("The integration is paused already.")
    integration.status = IntegrationStatus.PAUSED
    (await _take(session, integration)).next_due_at = None
    _record(session, integration, caller, "integrationPause")
    await session.flush()
    return integration


async def resume(
    session: AsyncSession, *, tenant_id: UUID, caller: Caller, now: datetime
) -> Integration:
    """It goes on with the next night. Raises Conflict for one that is in use."""
    integration = await take_integration(session, tenant_id=tenant_id)
    schedule = await _take(session, integration)
    if integration.status is IntegrationStatus.ACTIVE and schedule.next_due_at is not None:
        raise Conflict("The integration is in use already: there is nothing to be resumed.")
    integration.status = IntegrationStatus.ACTIVE
    await restart_schedule(session, schedule, now=now)
    await begin_anew(session, tenant_id=tenant_id, now=now)
    _record(session, integration, caller, "integrationResume")
    await session.flush()
    return integration


def _record(session: AsyncSession, integration: Integration, caller: Caller, action: str) -> None:
    record_act(
        session,
        tenant_id=integration.tenant_id,
        caller=caller,
        action=action,
        target=str(integration.id),
    )


async def _take(session: AsyncSession, integration: Integration) -> SyncSchedule:
    """To be changed; whoever else wants to change it waits. Raises NotFound."""
    found: SyncSchedule | None = await session.scalar(_of(integration).with_for_update())
    if found is None:
        raise NotFound("schedule of tenant", integration.tenant_id)
    return found


def _of(integration: Integration) -> Select[Any]:
    return select(SyncSchedule).where(
        SyncSchedule.tenant_id == integration.tenant_id,
        SyncSchedule.integration_id == integration.id,
    )


def _changed(schedule: SyncSchedule, setting: ScheduleSetting, *, now: datetime) -> dict[str, Any]:
    """The row's columns as they are wanted. Raises InvalidInput."""
    at, zone = PRESETS[setting.preset] if setting.preset else (None, None)
    if setting.local_time is not None:
        at = setting.local_time
    if setting.time_zone is not None:
        zone = _check_zone(setting.time_zone)
    every_days = schedule.every_days if setting.every_days is None else setting.every_days
    spread = schedule.spread_minutes if setting.spread_minutes is None else setting.spread_minutes
    if not 1 <= every_days <= MOST_DAYS:
        raise InvalidInput(
            "everyDays",
            f"A tenant syncs every 1 to {MOST_DAYS} days: a roster that is a month old lets in"
            " who has left. To sync never, pause the integration.",
        )
    first_on = setting.first_on
    if first_on is not None and not EARLIEST <= first_on <= now.date() + LATEST:
        raise InvalidInput(
            "firstOn",
            f"The first day is {EARLIEST} at the earliest, and at most {LATEST.days} days from now:"
            " nothing would sync before it.",
        )
    if not 0 <= spread <= MOST_SPREAD:
        raise InvalidInput("spreadMinutes", f"Nights are spread over 0 to {MOST_SPREAD} minutes.")
    if at is not None and (at.second or at.microsecond or at.tzinfo):
        raise InvalidInput("localTime", "A time of day has hours and minutes, and no zone.")
    return {
        "local_time": schedule.local_time if at is None else at,
        "time_zone": schedule.time_zone if zone is None else zone or None,
        "every_days": every_days,
        "first_on": setting.first_on or schedule.first_on,
        "spread_minutes": spread,
    }


def _check_zone(name: str) -> str:
    """Raises InvalidInput for an unknown one."""
    if name:
        check_time_zone(name)
    return name


def _check_blackouts(given: Sequence[GivenBlackout]) -> list[GivenBlackout]:
    """In their order. Raises InvalidInput."""
    if len(given) > MOST_BLACKOUTS:
        raise InvalidInput("blackouts", f"There are at most {MOST_BLACKOUTS} blackouts.")
    checked = []
    for index, one in enumerate(given):
        field, days = f"blackouts.{index}", (one.ends_on - one.starts_on).days + 1
        if days < 1:
            raise InvalidInput(
                f"{field}.endsOn", f"It ends on {one.ends_on}, before it begins {one.starts_on}."
            )
        if days > LONGEST_BLACKOUT:
            raise InvalidInput(
                f"{field}.endsOn",
                f"A blackout has at most {LONGEST_BLACKOUT} days; for longer, pause the"
                " integration.",
            )
        reason = one.reason.strip()
        if len(reason) > _LONGEST_REASON or not reason.isprintable():
            raise InvalidInput(f"{field}.reason", f"It has at most {_LONGEST_REASON} characters.")
        checked.append(one._replace(reason=reason))
    checked.sort()
    for former, later in pairwise(checked):
        if later.starts_on <= former.ends_on:
            raise InvalidInput(
                "blackouts",
                f"Those from {former.starts_on} and from {later.starts_on} have days in common:"
                " make one of them.",
            )
    return checked


async def _replace_blackouts(
    session: AsyncSession, integration: Integration, blackouts: Sequence[GivenBlackout]
) -> None:
    row = SyncBlackout
    await session.execute(
        delete(row).where(
            row.tenant_id == integration.tenant_id, row.integration_id == integration.id
        )
    )
    session.add_all(
        row(tenant_id=integration.tenant_id, integration_id=integration.id, **one._asdict())
        for one in blackouts
    )


def _told(schedule: SyncSchedule, blackouts: Sequence[GivenBlackout]) -> dict[str, Any]:
    return {
        "local_time": f"{schedule.local_time:%H:%M}",
        "time_zone": schedule.time_zone,
        "every_days": schedule.every_days,
        "first_on": schedule.first_on.isoformat(),
        "spread_minutes": schedule.spread_minutes,
        "blackouts": [[one.starts_on.isoformat(), one.ends_on.isoformat()] for one in blackouts],
    }
