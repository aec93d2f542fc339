"""`homerow tenant`: the districts and schools that Homerow serves."""

import asyncio
from typing import Annotated

import typer

from api.cli.asking import opened
from api.cli.console import tell
from domain.clock import new_id
from domain.people.callers import COMMAND_LINE
from domain.tenants.service import DEFAULT_TIME_ZONE, create_tenant

commands = typer.Typer(help="Create tenants.")


@commands.callback()
def _group() -> None:
    """Keeps `create` a word of its own: a group of one command would swallow it."""


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
