"""`homerow rollover`: the declared day on which a school year begins, and what it would bring."""

import asyncio
from datetime import date
from typing import Annotated

import typer

from api.cli.asking import opened, tenant_of
from api.cli.console import CommandError, tell
from api.cli.syncs import Doing, ask_for
from api.runs import NextYear
from domain.clock import utc_now
from domain.people.callers import COMMAND_LINE
from domain.tenants.service import get_tenant
from domain.training.models import YearRollover
from domain.training.rollover import (
    USUAL,
    Window,
    cancel_rollover,
    closes_on,
    declared_days,
    list_rollovers,
    opens_on,
    school_year_on,
    set_rollover,
    state_of,
    today_of,
)

Slug = Annotated[str, typer.Argument(help="The tenant.")]
Day = Annotated[str, typer.Argument(help="The first day of the school year, as in 2026-08-20.")]

commands = typer.Typer(help="Declare when a school year begins, and see what it would bring.")


@commands.command("set", epilog="Example: homerow rollover set springfield 2026-08-20")
def set_(
    slug: Slug,
    day: Day,
    days_before: Annotated[
        int, typer.Option(help="So many days before it the wider hold limits begin.")
    ] = USUAL.days_before,
    days_after: Annotated[
        int, typer.Option(help="So many days after it they end.")
    ] = USUAL.days_after,
    archive_percent: Annotated[
        int, typer.Option(help="How much of what is live may be archived unasked.")
    ] = USUAL.archive_percent,
    update_percent: Annotated[
        int, typer.Option(help="How much of it may be updated unasked.")
    ] = USUAL.update_percent,
) -> None:
    """Declare the day, or give a declared day another window."""
    window = Window(days_before, days_after, archive_percent, update_percent)
    tell(asyncio.run(_set(slug, _day(day), window)))


async def _set(slug: str, day: date, window: Window) -> str:
    async with opened() as resources:
        tenant_id = await tenant_of(resources.database, slug)
        now = utc_now()
        async with resources.database.transaction(tenant_id) as session:
            found = await set_rollover(
                session,
                tenant_id=tenant_id,
                rolls_on=day,
                window=window,
                caller=COMMAND_LINE,
                now=now,
            )
            tenant = await get_tenant(session, tenant_id=tenant_id)
            return _said(found, today_of(tenant, now))


@commands.command(epilog="Example: homerow rollover show springfield")
def show(slug: Slug) -> None:
    """Say which school year it is, and the days that are declared."""
    for line in asyncio.run(_show(slug)):
        tell(line)


async def _show(slug: str) -> list[str]:
    async with opened() as resources:
        tenant_id = await tenant_of(resources.database, slug)
        async with resources.database.read(tenant_id) as session:
            tenant = await get_tenant(session, tenant_id=tenant_id)
            today = today_of(tenant, utc_now())
            declared = await declared_days(session, tenant_id, [tenant_id])
            rows = await list_rollovers(session, tenant_id, [tenant_id])
    year = school_year_on(today, declared[tenant_id])
    first = f"{slug}: the school year {year.year} is from {year.starts_on} to {year.ends_on}."
    return [first, *(_said(row, today) for row in rows[tenant_id])]


@commands.command(epilog="Example: homerow rollover cancel springfield 2026-08-20")
def cancel(slug: Slug, day: Day) -> None:
    """Take a declared day back."""
    tell(asyncio.run(_cancel(slug, _day(day))))


async def _cancel(slug: str, day: date) -> str:
    async with opened() as resources:
        tenant_id = await tenant_of(resources.database, slug)
        now = utc_now()
        async with resources.database.transaction(tenant_id) as session:
            found = await cancel_rollover(
                session, tenant_id=tenant_id, rolls_on=day, caller=COMMAND_LINE, now=now
            )
            tenant = await get_tenant(session, tenant_id=tenant_id)
            return _said(found, today_of(tenant, now))


@commands.command(epilog="Example: homerow rollover preflight springfield --wait")
def preflight(
    slug: Slug,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the run has ended.")] = False,
    here: Annotated[
        bool, typer.Option("--here", help="Do the worker's part in this process.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show what a sync at the next turn of the year would do, by its limits. Nothing changes."""
    ask_for(slug, NextYear(), doing=Doing.of(wait=wait, here=here), as_json=as_json)


def _said(rollover: YearRollover, today: date) -> str:
    return (
        f"{rollover.rolls_on} {state_of(rollover, today).value}: from {opens_on(rollover)} to"
        f" {closes_on(rollover)} up to {rollover.archive_percent} % of people archived and"
        f" {rollover.update_percent} % updated unasked."
    )


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise CommandError(f"{text!r} is not a day as in 2026-08-20.") from None
