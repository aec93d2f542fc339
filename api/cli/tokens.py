"""`homerow token`: credentials for machines that use the API."""

import asyncio
from typing import Annotated
from uuid import UUID

import typer

from api.cli.asking import opened, tenant_of
from api.cli.console import CommandError, say, tell
from domain.clock import utc_now
from domain.database import DatabaseRole
from domain.people.audit import record_act
from domain.people.callers import COMMAND_LINE, Scope
from domain.people.operators import get_operator
from domain.people.tokens import DEFAULT_LIFETIME, create_api_token

commands = typer.Typer(help="Create tokens for the API.")


@commands.callback()
def _group() -> None:
    """Keeps `create` a word of its own: a group of one command would swallow it."""


@commands.command(
    epilog="Example: homerow token create --tenant springfield --scope roster:read --name dashboard"
)
def create(
    tenant: Annotated[
        str | None, typer.Option(help="Whose token; without it an operator's, for all tenants.")
    ] = None,
    scope: Annotated[
        list[Scope] | None, typer.Option(help="What it may do; may be repeated. All by default.")
    ] = None,
    name: Annotated[str, typer.Option(help="What it is called in lists.")] = "command line",
    operator: Annotated[
        str | None,
        typer.Option(help="Whose it is, by mail address: worth what they are, as long as that."),
    ] = None,
) -> None:
    """Create a token and print it: this once, for only its hash is kept."""
    if tenant is not None and operator is not None:
        raise CommandError("A token is a tenant's or an operator's: say --tenant or --operator.")
    secret = asyncio.run(_create(tenant, scopes=scope or list(Scope), name=name, operator=operator))
    tell(secret)
    say(f"Keep it well: it is shown this once, and is good for {DEFAULT_LIFETIME.days} days.")


async def _create(slug: str | None, *, scopes: list[Scope], name: str, operator: str | None) -> str:
    operator_id = await _operator_id(operator) if operator is not None else None
    async with opened() as resources:
        database = resources.database
        tenant_id = await tenant_of(database, slug) if slug is not None else None
        async with database.transaction(tenant_id) as session:
            token, secret = await create_api_token(
                session,
                tenant_id=tenant_id,
                name=name,
                scopes=scopes,
                now=utc_now(),
                created_by=COMMAND_LINE.actor,
                operator_id=operator_id,
            )
            if tenant_id is not None:
                record_act(
                    session,
                    tenant_id=tenant_id,
                    caller=COMMAND_LINE,
                    action="apiTokenCreate",
                    target=str(token.id),
                    details={"scopes": token.scopes},
                )
        return secret


async def _operator_id(email: str) -> UUID:
    """Only the owner's role sees who the operators are."""
    async with opened(DatabaseRole.OWNER) as resources, resources.database.read() as session:
        return (await get_operator(session, email)).id
