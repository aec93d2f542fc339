"""`homerow status`: what is under way, and how each tenant's last sync went."""

import asyncio
from typing import Annotated
from uuid import UUID

import typer
from rich.table import Table
from sqlalchemy import text

from api.cli.asking import opened
from api.cli.console import result_console, settings_for_a_person, tell
from api.local import find_running
from domain.database import Database
from domain.sync.service import get_run
from domain.tenants.service import list_summaries

commands = typer.Typer()


@commands.command(epilog="Example: homerow status --limit 50")
def status(
    limit: Annotated[int, typer.Option(min=1, help="How many tenants are shown.")] = 20,
) -> None:
    """Show the runs that are not finished, and every tenant's last one."""
    settings = settings_for_a_person()
    running = find_running(settings.data_dir)
    asyncio.run(_show(limit))
    if settings.database_url is None:
        tell(f"`homerow up` is at {running.url}." if running else "`homerow up` is not running.")


async def _show(limit: int) -> None:
    async with opened() as resources:
        unfinished = await _unfinished(resources.database, limit)
        last = await _last(resources.database, limit)
    result_console().print(unfinished, last)


async def _slugs(database: Database) -> dict[UUID, str]:
    async with database.read() as session:
        rows = await session.execute(text("SELECT id, slug FROM list_tenants() ORDER BY slug"))
        return {row.id: row.slug for row in rows}


async def _unfinished(database: Database, limit: int) -> Table:
    table = Table("tenant", "run", "state", "read", "requested at", title="Unfinished runs")
    slugs = await _slugs(database)
    async with database.read() as session:
        found = (
            await session.execute(
                text("SELECT * FROM list_unfinished_runs() ORDER BY requested_at LIMIT :limit"),
                {"limit": limit},
            )
        ).all()
    for row in found:
        async with database.read(row.tenant_id) as session:
            run = await get_run(session, tenant_id=row.tenant_id, run_id=row.run_id)
        read = f"{run.progress.get('read', 0):,}"
        table.add_row(
            slugs[row.tenant_id], str(run.id), run.state.value, read, f"{run.requested_at:%F %T}"
        )
    return table


async def _last(database: Database, limit: int) -> Table:
    table = Table("tenant", "last run", "ended at", "records", "open errors", title="Tenants")
    slugs = await _slugs(database)
    shown = list(slugs)[:limit]
    async with database.read() as session:
        summaries = await list_summaries(session, tenant_ids=shown)
    for tenant_id in shown:
        summary = summaries[tenant_id]
        if summary.last_run_id is None:
            table.add_row(slugs[tenant_id], "none", "", "", "")
            continue
        async with database.read(tenant_id) as session:
            run = await get_run(session, tenant_id=tenant_id, run_id=summary.last_run_id)
        ended, read = f"{run.finished_at:%F %T}", f"{run.progress.get('read', 0):,}"
        table.add_row(slugs[tenant_id], run.state.value, ended, read, f"{summary.open_errors:,}")
    if len(slugs) > limit:
        table.caption = f"{len(slugs) - limit:,} more; show them with --limit."
    return table
