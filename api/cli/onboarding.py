"""`homerow onboarding`: districts that share with the product, and how far each tenant has come."""

import asyncio
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import orjson
import typer
from rich.table import Table

from api.cli.asking import opened, tenant_of
from api.cli.console import CommandError, result_console, tell
from domain.clock import utc_now
from domain.integrations.onboarding import Onboarding, list_onboarding
from domain.people.callers import COMMAND_LINE
from domain.sync.basis import VALID
from domain.sync.checklist import Checklist, get_checklist
from domain.sync.onboarding import approve_preflight

commands = typer.Typer(
    help="See which districts share with this product, and bring them on their way."
)

Slug = Annotated[str, typer.Argument(help="The tenant.")]


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


@commands.command(epilog="Example: homerow onboarding show springfield")
def show(
    slug: Slug,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show a tenant's checklist, from the district's request to its tile."""
    checklist = asyncio.run(_read(slug))
    if as_json:
        tell(orjson.dumps(_checklist_as_json(checklist), option=orjson.OPT_INDENT_2).decode())
        return
    table = Table("step", "state", "when", "who", "")
    for step in checklist.steps:
        at = f"{step.at:%F %T}" if step.at else ""
        table.add_row(step.name.value, step.state.value, at, step.by or "", step.message)
    result_console().print(table)
    if checklist.following is not None:
        tell(f"Next: {checklist.following.message}")


async def _read(slug: str) -> Checklist:
    async with opened() as resources:
        tenant_id = await tenant_of(resources.database, slug)
        async with resources.database.read(tenant_id) as session:
            return await get_checklist(session, tenant_id=tenant_id, now=utc_now())


def _checklist_as_json(checklist: Checklist) -> dict[str, Any]:
    """With the names of the GraphQL API."""
    steps = [
        {
            "name": step.name,
            "state": step.state,
            "at": step.at,
            "by": step.by and {"label": step.by},
            "message": step.message,
        }
        for step in checklist.steps
    ]
    following = checklist.following
    return {
        "steps": steps,
        "nextStep": next(
            (step for step in steps if following and step["name"] == following.name), None
        ),
        "approvalLapsesAt": checklist.lapses_at,
    }


@commands.command(epilog="Example: homerow onboarding approve springfield")
def approve(
    slug: Slug,
    run: Annotated[
        UUID | None, typer.Argument(help="The preflight; the last one if left out.")
    ] = None,
) -> None:
    """Approve what a preflight showed: the first sync takes over these records and no others."""
    lapses_at = asyncio.run(_approve(slug, run))
    tell(
        f"{slug}: the next sync takes over what was shown. The approval lapses on {lapses_at:%F},"
        " and when rules, policy or credentials change."
    )


async def _approve(slug: str, run_id: UUID | None) -> datetime:
    now = utc_now()
    async with opened() as resources:
        tenant_id = await tenant_of(resources.database, slug)
        async with resources.database.transaction(tenant_id) as session:
            if run_id is None:
                checklist = await get_checklist(session, tenant_id=tenant_id, now=now)
                run_id = checklist.preflight_id
            if run_id is None:
                raise CommandError(
                    f"There is no preflight: run `homerow sync {slug} --mode preflight --wait`."
                )
            await approve_preflight(
                session, tenant_id=tenant_id, run_id=run_id, caller=COMMAND_LINE, now=now
            )
    return now + VALID
