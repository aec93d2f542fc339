"""`homerow role-map`: what people are whom the provider calls so and so."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer
from rich.table import Table

from api.cli.asking import opened, tenant_of
from api.cli.console import CommandError, result_console, tell
from domain.clock import utc_now
from domain.integrations.roles import (
    RoleMapEntry,
    check_role_map,
    get_role_changes,
    merge_role_maps,
    set_role_map,
)
from domain.integrations.service import get_integration
from domain.people.callers import COMMAND_LINE
from domain.providers import default_role_map
from domain.roster.records import Role

commands = typer.Typer(help="Say what people are whom the provider calls so and so.")

Slug = Annotated[str, typer.Argument(help="The tenant.")]
_NOBODY = "none"


@commands.command(epilog="Example: homerow role-map show springfield")
def show(slug: Slug) -> None:
    """Show the provider's words for roles, and what such people are here."""
    table = Table("provider's word", "role", "")
    for entry in asyncio.run(_read(slug)):
        role = entry.role.value if entry.role else "left out"
        table.add_row(entry.provider_role, role, "changed" if entry.is_changed else "")
    result_console().print(table)


async def _read(slug: str) -> list[RoleMapEntry]:
    async with opened() as resources:
        tenant_id = await tenant_of(resources.database, slug)
        async with resources.database.read(tenant_id) as session:
            integration = await get_integration(session, tenant_id=tenant_id)
            changes = await get_role_changes(session, tenant_id=tenant_id)
    return merge_role_maps(default_role_map(integration.provider), changes)


@commands.command(
    "set", epilog="Example: homerow role-map set springfield aide=TEACHER proctor=none"
)
def set_roles(
    slug: Slug,
    entries: Annotated[
        list[str] | None,
        typer.Argument(help="The provider's word and the role, as word=ROLE; none leaves out."),
    ] = None,
    usual: Annotated[
        bool, typer.Option("--usual", help="Take every change back: the usual roles.")
    ] = False,
) -> None:
    """Change what people are, in the place of all former changes, from the next sync on."""
    if usual == bool(entries):
        raise CommandError("Give entries such as aide=TEACHER, or --usual for none.")
    changes = check_role_map([_entry(text) for text in entries or ()])
    asyncio.run(_save(slug, changes))
    tell(f"The role map of {slug} is set; it holds from the next sync on.")


def _entry(text: str) -> tuple[str, Role | None]:
    word, separator, name = text.rpartition("=")
    name = name.strip().upper().replace("-", "_")
    known: Sequence[str] = [role.value for role in Role]
    if not separator or (name not in known and name != _NOBODY.upper()):
        choices = ", ".join([*known, _NOBODY])
        raise CommandError(f"{text!r} is not word=ROLE. The roles are: {choices}.")
    return word, Role(name) if name in known else None


async def _save(slug: str, changes: Mapping[str, Role | None]) -> None:
    async with opened() as resources:
        tenant_id = await tenant_of(resources.database, slug)
        async with resources.database.transaction(tenant_id) as session:
            await set_role_map(
                session,
                tenant_id=tenant_id,
                entries=changes,
                caller=COMMAND_LINE,
                now=utc_now(),
            )
