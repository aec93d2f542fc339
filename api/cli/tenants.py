"""`homerow tenant`: the districts and schools that Homerow serves."""

import asyncio
from typing import Annotated

import typer

from api.cli.asking import opened, tenant_of
from api.cli.console import CommandError, tell
from domain.clock import new_id, utc_now
from domain.database import DatabaseRole
from domain.people.callers import COMMAND_LINE
from domain.privacy.erasing import Counts, delete_tenant
from domain.tenants.closing import close_tenant, reopen_tenant
from domain.tenants.service import DEFAULT_TIME_ZONE, create_tenant

commands = typer.Typer(help="Create, close and delete tenants.")


Slug = Annotated[str, typer.Argument(help="The tenant.")]


@commands.command(
    epilog="Example: homerow tenant create springfield --name 'Springfield Public Schools'"
)
def create(
    slug: Annotated[str, typer.Argument(help="The tenant's short name in addresses.")],
    name: Annotated[str, typer.Option(help="Its full name.")],
    time_zone: Annotated[
        str, typer.Option(help="Its IANA time zone: nights and dates are local.")
    ] = DEFAULT_TIME_ZONE,
) -> None:
    """Create a tenant."""
    asyncio.run(_create(slug, name=name, time_zone=time_zone))
    tell(f"The tenant {slug} was created.")


async def _create(slug: str, *, name: str, time_zone: str) -> None:
    async with opened() as resources:
        tenant_id = new_id()
        async with resources.database.transaction(tenant_id) as session:
            await create_tenant(
                session,
                tenant_id=tenant_id,
                slug=slug,
                name=name,
                time_zone=time_zone,
                caller=COMMAND_LINE,
            )


@commands.command(epilog="Example: homerow tenant close springfield")
def close(slug: Slug) -> None:
    """Close a tenant: nobody signs in and nothing is synced, and all data stays."""
    asyncio.run(_close(slug))
    tell(f"The tenant {slug} is closed.")


async def _close(slug: str) -> None:
    async with opened() as resources:
        tenant_id = await tenant_of(resources.database, slug)
        async with resources.database.transaction(tenant_id) as session:
            await close_tenant(session, tenant_id=tenant_id, caller=COMMAND_LINE, now=utc_now())


@commands.command(epilog="Example: homerow tenant reopen springfield")
def reopen(slug: Slug) -> None:
    """Open a closed tenant again."""
    asyncio.run(_reopen(slug))
    tell(f"The tenant {slug} is open.")


async def _reopen(slug: str) -> None:
    async with opened() as resources:
        tenant_id = await tenant_of(resources.database, slug)
        async with resources.database.transaction(tenant_id) as session:
            await reopen_tenant(session, tenant_id=tenant_id, caller=COMMAND_LINE)


@commands.command(epilog="Example: homerow tenant delete springfield --confirm springfield")
def delete(
    slug: Slug,
    confirm: Annotated[str, typer.Option(help="The tenant's slug once more.")],
) -> None:
    """Delete a closed tenant and all that it has. There is no way back but a backup."""
    if confirm != slug:
        raise CommandError(f"To delete {slug}, say --confirm {slug}.")
    for table, number in sorted(asyncio.run(_delete(slug)).items()):
        tell(f"{table}: {number:,} rows deleted")
    tell(f"The tenant {slug} is deleted.")


async def _delete(slug: str) -> Counts:
    async with opened() as api:
        tenant_id = await tenant_of(api.database, slug)
    async with (
        opened(DatabaseRole.OWNER) as owner,
        owner.database.transaction(tenant_id) as session,
    ):
        return await delete_tenant(session, tenant_id=tenant_id, caller=COMMAND_LINE)
