"""`homerow person`: what is kept about somebody, and having it erased."""

import asyncio
import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import orjson
import typer

from api.cli.asking import opened, tenant_of
from api.cli.console import say, tell
from domain.clock import utc_now
from domain.database import DatabaseRole
from domain.people.callers import COMMAND_LINE
from domain.privacy.erasing import Counts, erase_person, purge
from domain.privacy.persons import export_person
from domain.settings import read_settings

commands = typer.Typer(help="Export or erase what is kept about people.")

Slug = Annotated[str, typer.Argument(help="The tenant.")]
Person = Annotated[UUID, typer.Argument(help="The person's id: `userId` of an export, a UUID.")]


@commands.command(epilog="Example: homerow person export springfield 01993b1c-… --output mia.json")
def export(
    slug: Slug,
    user_id: Person,
    *,
    output: Annotated[
        Path | None, typer.Option(help="The file; without it, standard output.", dir_okay=False)
    ] = None,
) -> None:
    """Write all that is kept about one person, as JSON."""
    content = orjson.dumps(
        asyncio.run(_export(slug, user_id)), option=orjson.OPT_INDENT_2, default=str
    )
    if output is None:
        sys.stdout.buffer.write(content + b"\n")
    else:
        output.write_bytes(content + b"\n")
        say(f"Written to {output}.")


async def _export(slug: str, user_id: UUID) -> dict[str, Any]:
    async with opened() as resources:
        tenant_id = await tenant_of(resources.database, slug)
        async with resources.database.transaction(tenant_id) as session:
            return await export_person(
                session, tenant_id=tenant_id, user_id=user_id, caller=COMMAND_LINE
            )


@commands.command(epilog="Example: homerow person erase springfield 01993b1c-…")
def erase(slug: Slug, user_id: Person) -> None:
    """Erase an archived person for good, with results, settings and history."""
    _tell_counts(asyncio.run(_erase(slug, user_id)))


async def _erase(slug: str, user_id: UUID) -> Counts:
    async with opened() as api:
        tenant_id = await tenant_of(api.database, slug)
    async with (
        opened(DatabaseRole.WORKER) as worker,
        worker.database.transaction(tenant_id) as session,
    ):
        return await erase_person(
            session, tenant_id=tenant_id, user_id=user_id, caller=COMMAND_LINE
        )


@commands.command(name="purge", epilog="Example: homerow person purge")
def purge_() -> None:
    """Erase who has been archived for HOMEROW_PURGE_DAYS, as the worker does every night."""
    _tell_counts(asyncio.run(_purge()))


async def _purge() -> Counts:
    kept = timedelta(days=read_settings().purge_days)
    async with opened(DatabaseRole.WORKER) as resources:
        return await purge(resources.database, now=utc_now(), kept=kept)


def _tell_counts(counts: Counts) -> None:
    for table, number in sorted(counts.items()):
        tell(f"{table}: {number:,} rows erased")
    if not counts:
        say("There is nobody to erase.")
