"""`homerow hold`: what waits for an administrator, and deciding it."""

import asyncio
from typing import Annotated, NamedTuple
from uuid import UUID

import typer
from sqlalchemy import select

from api.cli.asking import opened, tenant_of
from api.cli.console import tell
from domain.clock import utc_now
from domain.database import Database
from domain.errors import NotFound
from domain.people.callers import COMMAND_LINE
from domain.sync.hold_words import describe_hold, describe_reason
from domain.sync.holds import approve_run, discard_run
from domain.sync.models import Hold, SyncChange, SyncRun
from domain.sync.service import get_run

MOST_SHOWN = 20

Slug = Annotated[str, typer.Argument(help="The tenant.")]

commands = typer.Typer(help="See what waits for an administrator, approve it or set it aside.")


class Waiting(NamedTuple):
    run: SyncRun
    hold: Hold
    changes: list[SyncChange]


@commands.command(epilog="Example: homerow hold show springfield")
def show(slug: Slug) -> None:
    """Say what waits, why, and which records it is."""
    waiting = asyncio.run(_show(slug))
    words = describe_hold(waiting.run.counts, told=waiting.hold.told, is_open=True)
    tell(f"{slug}: run {waiting.run.id} is {waiting.run.state.value}. {words.message}")
    for reason in waiting.hold.reasons:
        tell(f"- {describe_reason(reason)}")
    for change in waiting.changes:
        named = change.source_id or change.record_id
        tell(f"  {change.action.value.lower()} {change.record_type.value.lower()} {named}")
    if words.waiting > len(waiting.changes):
        tell(f"  All of them: homerow export changes {slug} {waiting.run.id}")
    tell(f"To let it go: homerow hold approve {slug}. To set it aside: homerow hold discard {slug}")


async def _show(slug: str) -> Waiting:
    async with opened() as resources:
        tenant_id = await tenant_of(resources.database, slug)
        run_id = await _latest(resources.database, tenant_id, slug)
        async with resources.database.read(tenant_id) as session:
            row = SyncChange
            hold = await session.scalars(
                select(Hold).where(Hold.tenant_id == tenant_id, Hold.run_id == run_id)
            )
            changes = await session.scalars(
                select(row)
                .where(row.tenant_id == tenant_id, row.run_id == run_id, row.held_by.is_not(None))
                .order_by(row.record_type.desc(), row.id)
                .limit(MOST_SHOWN)
            )
            run = await get_run(session, tenant_id=tenant_id, run_id=run_id)
            return Waiting(run, hold.one(), list(changes))


@commands.command(epilog="Example: homerow hold approve springfield")
def approve(slug: Slug) -> None:
    """Start a run that fetches again and may do what was shown, and no more."""
    run = asyncio.run(_approve(slug))
    tell(f"The run {run.id} is {run.state.value}; `homerow status` shows how it goes.")


async def _approve(slug: str) -> SyncRun:
    async with opened() as resources:
        tenant_id = await tenant_of(resources.database, slug)
        run_id = await _latest(resources.database, tenant_id, slug)
        async with resources.database.transaction(tenant_id) as session:
            requested = await approve_run(
                session, tenant_id=tenant_id, run_id=run_id, caller=COMMAND_LINE, now=utc_now()
            )
            return requested.run


@commands.command(epilog="Example: homerow hold discard springfield")
def discard(slug: Slug) -> None:
    """Set aside what waits: nothing of it is done, and the next run judges anew."""
    run_id = asyncio.run(_discard(slug))
    tell(f"What waited of the run {run_id} is set aside.")


async def _discard(slug: str) -> UUID:
    async with opened() as resources:
        tenant_id = await tenant_of(resources.database, slug)
        run_id = await _latest(resources.database, tenant_id, slug)
        async with resources.database.transaction(tenant_id) as session:
            await discard_run(
                session, tenant_id=tenant_id, run_id=run_id, caller=COMMAND_LINE, now=utc_now()
            )
        return run_id


async def _latest(database: Database, tenant_id: UUID, slug: str) -> UUID:
    async with database.read(tenant_id) as session:
        run_id = await session.scalar(
            select(Hold.run_id)
            .where(Hold.tenant_id == tenant_id, Hold.ended_at.is_(None))
            .order_by(Hold.id.desc())
            .limit(1)
        )
    if run_id is None:
        raise NotFound("hold of the tenant", slug)
    return run_id
