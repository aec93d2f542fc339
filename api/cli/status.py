"""`homerow status`: what is under way, what waits for somebody, and how the last syncs went."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

import orjson
import typer
from rich.table import Table

from api.cli.asking import opened
from api.cli.console import result_console, settings_for_a_person, tell
from api.local import find_running
from api.showing import amount
from domain.clock import utc_now
from domain.sync.models import SyncRunState
from domain.sync.standing import Standing, list_standing

_KINDS: dict[str, Callable[[Standing], bool]] = {
    "running": lambda each: _state(each) not in (None, SyncRunState.QUEUED),
    "queued": lambda each: _state(each) is SyncRunState.QUEUED,
    "held": lambda each: each.held_run_id is not None,
    "due": lambda each: each.is_due,
    "failing": lambda each: each.failures > 0,
    "late": lambda each: each.late_since is not None,
}
"""What is told of first. A tenant may be several of them."""

commands = typer.Typer()


@commands.command(epilog="Example: homerow status --limit 50")
def status(
    limit: Annotated[int, typer.Option(min=1, help="How many tenants each table shows.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show what runs, waits, is held, due, failing or late, and how every tenant stands."""
    settings = settings_for_a_person()
    running = find_running(settings.data_dir)
    standing = asyncio.run(_read())
    if as_json:
        told = {"url": running and running.url, **_as_json(standing)}
        tell(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode())
        return
    console, now = result_console(), utc_now()
    console.print(_summary(standing))
    for name in ("running", "queued"):
        if found := _of_kind(standing, name):
            console.print(_underway(name, found, limit, now))
    for name in ("held", "due", "failing", "late"):
        if found := _of_kind(standing, name):
            console.print(_tenants(name, found, limit, now))
    console.print(_tenants("tenants", standing, limit, now))
    if settings.database_url is None:
        tell(f"`homerow up` is at {running.url}." if running else "`homerow up` is not running.")


async def _read() -> Sequence[Standing]:
    async with opened() as resources, resources.database.read() as session:
        return await list_standing(session, now=utc_now())


def _state(each: Standing) -> SyncRunState | None:
    return each.underway.state if each.underway else None


def _of_kind(standing: Sequence[Standing], name: str) -> list[Standing]:
    return [each for each in standing if _KINDS[name](each)]


def _summary(standing: Sequence[Standing]) -> str:
    counts = (f"{len(_of_kind(standing, name)):,} {name}" for name in _KINDS)
    return f"{len(standing):,} tenants: {', '.join(counts)}"


def _underway(name: str, found: Sequence[Standing], limit: int, now: datetime) -> Table:
    table = Table("tenant", "run", "state", "progress", "asked for", title=name.capitalize())
    for each, run in ((each, each.underway) for each in found[:limit] if each.underway):
        percent = "" if run.progress.percent is None else f"{run.progress.percent} %  "
        said = f"{percent}{amount(run.progress)}"
        table.add_row(
            each.slug, str(run.run_id), run.state.value, said, _ago(run.requested_at, now)
        )
    return _more(table, found, limit)


def _tenants(name: str, found: Sequence[Standing], limit: int, now: datetime) -> Table:
    table = Table(
        "tenant", "last success", "failed since", "held for", "next run", title=name.capitalize()
    )
    for each in found[:limit]:
        failed = f"{each.failures:,} runs: {each.failure_code}" if each.failures else ""
        table.add_row(
            each.slug,
            _ago(each.last_success_at, now) or "never",
            failed,
            _long(now - each.held_since) if each.held_since else "",
            _next(each, now),
        )
    return _more(table, found, limit)


def _next(each: Standing, now: datetime) -> str:
    if each.due_at is None:
        return ""
    return f"due for {_long(now - each.due_at)}" if each.is_due else f"{each.due_at:%F %R} UTC"


def _more(table: Table, found: Sequence[Standing], limit: int) -> Table:
    if len(found) > limit:
        table.caption = f"{len(found) - limit:,} more; show them with --limit."
    return table


def _ago(instant: datetime | None, now: datetime) -> str:
    return f"{_long(now - instant)} ago" if instant else ""


def _long(time: timedelta) -> str:
    seconds = max(int(time.total_seconds()), 0)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _as_json(standing: Sequence[Standing]) -> dict[str, Any]:
    """With GraphQL's names; what there is nothing to tell of is in the count alone."""
    return {
        "tenantCount": len(standing),
        **{name: [_told(each) for each in _of_kind(standing, name)] for name in _KINDS},
    }


def _told(each: Standing) -> dict[str, Any]:
    # strawberry takes half a second to import, which only this has to wait for.
    from api.graphql.node import TENANT_CODE, encode_id  # noqa: PLC0415
    from api.graphql.syncs import SyncRun  # noqa: PLC0415

    def run_id(key: Any) -> str | None:
        return key and encode_id(SyncRun.type_code, each.tenant_id, key)

    run = each.underway
    return {
        "tenant": {
            "id": encode_id(TENANT_CODE, each.tenant_id, each.tenant_id),
            "slug": each.slug,
        },
        "syncRun": run
        and {
            "id": run_id(run.run_id),
            "state": run.state.value,
            "requestedAt": run.requested_at,
            "progress": {
                "phase": run.progress.phase and run.progress.phase.value,
                "read": run.progress.read,
                "expected": run.progress.expected,
                "percent": run.progress.percent,
                "rate": run.progress.rate,
                "estimatedFinishAt": run.progress.estimated_finish_at,
            },
        },
        "heldRunId": run_id(each.held_run_id),
        "heldSince": each.held_since,
        "nextSyncAt": each.due_at,
        "failures": each.failures,
        "failureCode": each.failure_code,
        "lastSuccessAt": each.last_success_at,
        "lateSince": each.late_since,
    }
