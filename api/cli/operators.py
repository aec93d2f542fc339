"""`homerow operator`: people on the product's own side. Their tokens are worth what they are."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

import orjson
import typer

from api.cli.asking import opened
from api.cli.console import tell
from domain.clock import utc_now
from domain.database import DatabaseRole
from domain.people.models import Operator, OperatorRole
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


@commands.command(name="list", epilog="Example: homerow operator list --json")
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array.")] = False,
) -> None:
    """Show all operators."""
    found = asyncio.run(_list())
    if as_json:
        rows = [_as_json(one) for one in found]
        tell(orjson.dumps(rows, option=orjson.OPT_INDENT_2).decode())
        return
    for one in found:
        state = "  (disabled)" if one.disabled_at else ""
        tell(f"{one.email}  {one.role.value.lower()}  {one.name}{state}")


async def _list() -> Sequence[Operator]:
    async with opened(DatabaseRole.OWNER) as resources, resources.database.read() as session:
        return await list_operators(session)


def _as_json(one: Operator) -> dict[str, Any]:
    return {
        "email": one.email,
        "name": one.name,
        "role": one.role.value,
        "createdAt": one.created_at,
        "disabledAt": one.disabled_at,
    }


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
