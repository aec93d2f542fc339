"""`homerow run`: stops a run, or undoes one."""

import asyncio
from contextlib import suppress
from typing import Annotated
from uuid import UUID

import typer
from sqlalchemy import select

from api.cli.asking import opened, tenant_of
from api.cli.console import FAILED, CommandError, say, tell
from api.runs import work_here
from domain.clock import utc_now
from domain.database import Database, DatabaseRole
from domain.errors import NotFound
from domain.global_ids import RUN_CODE
from domain.people.callers import COMMAND_LINE
from domain.sync.cancelling import cancel_run
from domain.sync.models import SyncRun, SyncRunState
from domain.sync.reverting import revert_run
from domain.sync.service import get_run

Slug = Annotated[str, typer.Argument(help="The tenant.")]

commands = typer.Typer(help="Stop a run, or undo one.")


@commands.command(epilog="Example: homerow run cancel springfield")
def cancel(
    slug: Slug,
    run: Annotated[
        str | None,
        typer.Argument(help="The run's id; without it, the run that is under way or else waits."),
    ] = None,
) -> None:
    """Stop a run with nothing changed."""
    found = asyncio.run(_cancel(slug, run))
    if found.state is SyncRunState.CANCELLED:
        tell(f"The run {found.id} is CANCELLED.")
    else:
        tell(f"The run {found.id} stops within seconds; it was {found.state.value}.")


async def _cancel(slug: str, run: str | None) -> SyncRun:
    async with opened() as resources:
        database = resources.database
        tenant_id = await tenant_of(database, slug)
        run_id = _id_of(run) if run else await _unfinished(database, tenant_id, slug)
        async with database.transaction(tenant_id) as session:
            return await cancel_run(
                session, tenant_id=tenant_id, run_id=run_id, caller=COMMAND_LINE, now=utc_now()
            )


async def _unfinished(database: Database, tenant_id: UUID, slug: str) -> UUID:
    async with database.read(tenant_id) as session:
        run_id = await session.scalar(
            select(SyncRun.id)
            .where(SyncRun.tenant_id == tenant_id, SyncRun.finished_at.is_(None))
            .order_by(SyncRun.state == SyncRunState.QUEUED, SyncRun.requested_at)
            .limit(1)
        )
    if run_id is None:
        raise NotFound("run under way of the tenant", slug)
    return run_id


@commands.command(
    epilog="Example: homerow run revert springfield 0198c0de-0000-7000-8000-000000000000"
)
def revert(
    slug: Slug,
    run: Annotated[str, typer.Argument(help="The run's id.")],
    here: Annotated[
        bool, typer.Option("--here", help="Do the worker's part in this process.")
    ] = False,
) -> None:
    """Undo what a finished run has changed.

    The next sync does it again, unless what the provider shares was corrected by then.
    """
    found = asyncio.run(_revert(slug, run, here=here))
    if found.finished_at is None:
        tell(f"The run {found.id} will undo it; it is {found.state.value}.")
    elif found.failure_message is not None:
        raise CommandError(found.failure_message, status=FAILED)
    else:
        tell(f"The run {found.id} has ended {found.state.value}.")
    say("The next sync does it again unless the provider's data were corrected: pause until then.")


async def _revert(slug: str, run: str, *, here: bool) -> SyncRun:
    async with opened(DatabaseRole.WORKER if here else DatabaseRole.API) as resources:
        database = resources.database
        tenant_id = await tenant_of(database, slug)
        async with database.transaction(tenant_id) as session:
            found = await revert_run(
                session,
                tenant_id=tenant_id,
                run_id=_id_of(run),
                caller=COMMAND_LINE,
                now=utc_now(),
            )
        if not here:
            return found
        await work_here(resources, tenant_id=tenant_id, run_id=found.id, show=lambda _: None)
        async with database.read(tenant_id) as session:
            return await get_run(session, tenant_id=tenant_id, run_id=found.id)


def _id_of(text: str) -> UUID:
    """As `homerow sync` says it, or as --json and the API do."""
    with suppress(ValueError):
        return UUID(text)
    # strawberry takes half a second to import.
    from api.graphql.node import find_id  # noqa: PLC0415

    found = find_id(text)
    if found is None or found.code != RUN_CODE:
        raise CommandError(f"{text!r} is not the id of a run.")
    return found.key
