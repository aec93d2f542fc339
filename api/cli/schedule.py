"""`homerow schedule`: when a tenant syncs by itself."""

import asyncio
from datetime import date, datetime, time
from typing import Annotated, Any

import orjson
import typer

from api.cli.asking import opened, tenant_of
from api.cli.console import CommandError, tell
from domain.clock import utc_now
from domain.integrations.rhythms import GivenBlackout
from domain.integrations.schedule import next_runs
from domain.integrations.schedules import (
    Planned,
    SchedulePreset,
    ScheduleSetting,
    pause,
    read_schedule,
    resume,
    set_schedule,
)
from domain.people.callers import COMMAND_LINE

_RUNS = 3
Slug = Annotated[str, typer.Argument(help="The tenant.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

commands = typer.Typer(help="When a tenant syncs by itself, and when not.")


@commands.command(epilog="Example: homerow schedule show springfield")
def show(slug: Slug, as_json: Json = False) -> None:
    """Show a tenant's schedule and its next runs."""
    _tell(asyncio.run(_show(slug)), as_json=as_json)


async def _show(slug: str) -> Planned:
    async with opened() as resources:
        tenant_id = await tenant_of(resources.database, slug)
        async with resources.database.read(tenant_id) as session:
            return await read_schedule(session, tenant_id=tenant_id)


@commands.command(
    "set",
    epilog="Example: homerow schedule set springfield --at 21:00 --zone America/Los_Angeles"
    " --blackout 2026-12-21..2027-01-03 --preview",
)
def set_(  # noqa: PLR0913 - one for each option
    slug: Slug,
    *,
    preset: Annotated[
        SchedulePreset | None,
        typer.Option(help="A time and a zone that products are used to.", case_sensitive=False),
    ] = None,
    at: Annotated[str | None, typer.Option(help="The local time, as in 21:00.")] = None,
    zone: Annotated[
        str | None, typer.Option(help='An IANA time zone; "" is the tenant\'s.')
    ] = None,
    every_days: Annotated[int | None, typer.Option(help="Every so many days, 1 to 29.")] = None,
    first_on: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="The day from which the days are counted."),
    ] = None,
    spread: Annotated[
        int | None, typer.Option(help="Over how many minutes tenants are spread, 0 to 240.")
    ] = None,
    blackout: Annotated[
        list[str] | None,
        typer.Option(help="Days without a sync, as in 2026-12-21..2027-01-03; all of them."),
    ] = None,
    no_blackouts: Annotated[bool, typer.Option(help="Take all blackouts away.")] = False,
    preview: Annotated[bool, typer.Option(help="Only show what would come of it.")] = False,
    as_json: Json = False,
) -> None:
    """Change a tenant's schedule; what is left out stays as it is."""
    blackouts = [_blackout(given) for given in blackout or ()]
    setting = ScheduleSetting(
        preset=preset,
        local_time=_time(at) if at else None,
        time_zone=zone,
        every_days=every_days,
        first_on=first_on.date() if first_on else None,
        spread_minutes=spread,
        blackouts=blackouts if blackouts or no_blackouts else None,
    )
    _tell(asyncio.run(_set(slug, setting, is_preview=preview)), as_json=as_json)


async def _set(slug: str, setting: ScheduleSetting, *, is_preview: bool) -> Planned:
    async with opened() as resources:
        tenant_id = await tenant_of(resources.database, slug)
        async with resources.database.transaction(tenant_id) as session:
            return await set_schedule(
                session,
                tenant_id=tenant_id,
                setting=setting,
                caller=COMMAND_LINE,
                now=utc_now(),
                is_preview=is_preview,
            )


@commands.command("pause", epilog="Example: homerow schedule pause springfield")
def pause_(slug: Slug) -> None:
    """Let no sync start until the tenant's syncs are resumed."""
    asyncio.run(_pause(slug))
    tell(f"{slug} is paused.")


async def _pause(slug: str) -> None:
    async with opened() as resources:
        tenant_id = await tenant_of(resources.database, slug)
        async with resources.database.transaction(tenant_id) as session:
            await pause(session, tenant_id=tenant_id, caller=COMMAND_LINE)


@commands.command("resume", epilog="Example: homerow schedule resume springfield")
def resume_(slug: Slug) -> None:
    """Go on with a tenant's syncs, after a pause or where they were given up."""
    asyncio.run(_resume(slug))
    _tell(asyncio.run(_show(slug)), as_json=False)


async def _resume(slug: str) -> None:
    async with opened() as resources:
        tenant_id = await tenant_of(resources.database, slug)
        async with resources.database.transaction(tenant_id) as session:
            await resume(session, tenant_id=tenant_id, caller=COMMAND_LINE, now=utc_now())


def _time(text: str) -> time:
    try:
        return time.fromisoformat(text)
    except ValueError:
        raise CommandError(f"--at is a time of day such as 21:00, not {text!r}.") from None


def _blackout(text: str) -> GivenBlackout:
    try:
        starts_on, ends_on = (date.fromisoformat(day) for day in text.split(".."))
    except ValueError:
        words = f"--blackout is two days such as 2026-12-21..2027-01-03, not {text!r}."
        raise CommandError(words) from None
    return GivenBlackout(starts_on, ends_on)


def _runs(planned: Planned) -> list[datetime]:
    due = planned.row.next_due_at
    if due is None:
        return []
    return [due, *next_runs(planned.rhythm, after=due, count=_RUNS - 1)]


def _tell(planned: Planned, *, as_json: bool) -> None:
    row, zone = planned.row, planned.rhythm.zone
    if as_json:
        tell(orjson.dumps(_as_json(planned), option=orjson.OPT_INDENT_2).decode())
        return
    rhythm = "every night" if row.every_days == 1 else f"every {row.every_days} days"
    tell(f"{row.local_time:%H:%M} {zone.key}, {rhythm}, within {row.spread_minutes} minutes.")
    for one in planned.blackouts:
        tell(f"not from {one.starts_on} to {one.ends_on}{one.reason and f' ({one.reason})'}")
    runs = _runs(planned)
    for run in runs:
        tell(f"next: {run.astimezone(zone):%a %Y-%m-%d %H:%M:%S %Z}")
    if not runs:
        tell("Nothing is due: it is paused, or was given up. `homerow schedule resume` goes on.")


def _as_json(planned: Planned) -> dict[str, Any]:
    row = planned.row
    return {
        "localTime": row.local_time,
        "timeZone": planned.rhythm.zone.key,
        "everyDays": row.every_days,
        "firstOn": row.first_on,
        "spreadMinutes": row.spread_minutes,
        "nextDueAt": row.next_due_at,
        "nextRuns": _runs(planned),
        "blackouts": [
            {"startsOn": one.starts_on, "endsOn": one.ends_on, "reason": one.reason}
            for one in planned.blackouts
        ],
    }
