"""`homerow operator`: people on the product's own side. Their tokens are worth what they are."""

import asyncio
from typing import Annotated

import typer

from api.cli.asking import opened
from api.cli.console import tell
from domain.clock import utc_now
from domain.database import DatabaseRole
from domain.people.models import OperatorRole
from domain.people.operators import create_operator, disable_operator, list_operators

commands = typer.Typer(help="People on the product's own side: operators and support.")

Email = Annotated[str, typer.Argument(help="The operator's mail address.")]


@commands.command(
    epilog="Example: homerow operator create ada@example.org --name 'Ada Root' --role support"
)
def create(
    email: Email,
    name: Annotated[str, typer.Option(help="The operator's name.")],
    role: Annotated[
        OperatorRole,
        typer.Option(
            help="Operators do everything; support reads and starts syncs.", case_sensitive=False
        ),
    ] = OperatorRole.OPERATOR,
) -> None:
    """Add an operator. Their tokens: `homerow token create --operator EMAIL`."""
    asyncio.run(_create(email, name=name, role=role))
    tell(f"{email} is {role.value.lower()} now.")


async def _create(email: str, *, name: str, role: OperatorRole) -> None:
    async with (
        opened(DatabaseRole.OWNER) as resources,
        resources.database.transaction() as session,
    ):
        await create_operator(session, name=name, email=email, role=role)


@commands.command(name="list", epilog="Example: homerow operator list")
def list_() -> None:
    """Show all operators."""
    for line in asyncio.run(_list()):
        tell(line)


async def _list() -> list[str]:
    async with opened(DatabaseRole.OWNER) as resources, resources.database.read() as session:
        return [
            f"{one.email}  {one.role.value.lower()}  {one.name}"
            + ("  (disabled)" if one.disabled_at else "")
            for one in await list_operators(session)
        ]


@commands.command(epilog="Example: homerow operator disable ada@example.org")
def disable(email: Email) -> None:
    """End an operator's rights, and with them their tokens."""
    asyncio.run(_disable(email))
    tell(f"{email} is disabled.")


async def _disable(email: str) -> None:
    async with (
        opened(DatabaseRole.OWNER) as resources,
        resources.database.transaction() as session,
    ):
        await disable_operator(session, email=email, now=utc_now())
