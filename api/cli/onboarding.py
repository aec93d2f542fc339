"""`homerow onboarding`: districts that share with the product and wait to be connected."""

import asyncio
from typing import Annotated, Any

import orjson
import typer
from rich.table import Table

from api.cli.asking import opened
from api.cli.console import result_console, tell
from domain.integrations.onboarding import Onboarding, list_onboarding

commands = typer.Typer(help="See which districts share with this product.")


@commands.callback()
def _group() -> None:
    """Keeps `list` a word of its own: a group of one command would swallow it."""


@commands.command("list", epilog="Example: homerow onboarding list --json")
def list_requests(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array.")] = False,
) -> None:
    """Show who shares at Clever and ClassLink, the latest first, and whose tenant is connected.

    A worker reads the providers' lists once an hour, if Homerow has the keys for them.
    """
    found = asyncio.run(_list())
    if as_json:
        rows = [_as_json(one) for one in found]
        tell(orjson.dumps(rows, option=orjson.OPT_INDENT_2).decode())
    elif found:
        result_console().print(_table(found))
    else:
        tell("No district has been seen yet.")


async def _list() -> list[Onboarding]:
    async with opened() as resources, resources.database.read() as session:
        return await list_onboarding(session)


def _as_json(one: Onboarding) -> dict[str, Any]:
    return {
        "provider": one.provider.value,
        "externalId": one.external_id,
        "name": one.name,
        "firstSeenAt": one.first_seen_at,
        "lastSeenAt": one.last_seen_at,
        "isShared": one.is_shared,
        "tenant": one.tenant_slug,
    }


def _table(found: list[Onboarding]) -> Table:
    table = Table("provider", "id", "name", "first seen", "last seen", "shared", "tenant")
    for one in found:
        table.add_row(
            one.provider.value,
            one.external_id,
            one.name,
            f"{one.first_seen_at:%F %T}",
            f"{one.last_seen_at:%F %T}",
            "yes" if one.is_shared else "no",
            one.tenant_slug or "",
        )
    return table
