"""`homerow doctor`: whether everything that Homerow needs is there, works and is safe."""

import asyncio
import platform
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from enum import StrEnum
from typing import NamedTuple, TypeVar

import typer
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from redis.asyncio import Redis
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

from api.cli.console import EXPECTED, FAILED, explain, settings_for_a_person, tell
from api.cli.safety import examine_safety
from api.local import find_running
from api.migrate import alembic_config
from api.site import SUPERUSER, Site, open_site, prepare
from domain.database import DatabaseRole
from domain.settings import Environment, Settings
from domain.watch.undelivered import COUNT_MAILS, Outbox

OLDEST_PYTHON = (3, 11)
OLDEST_POSTGRESQL = 18

Answer = TypeVar("Answer")
Check = Callable[[Site], Awaitable[str]]

commands = typer.Typer()


class Mark(StrEnum):
    WELL = "ok"
    WRONG = "NO"
    NOTE = "--"


class Finding(NamedTuple):
    mark: Mark
    line: str


class Wrong(Exception):
    """What a check has found to be wrong, and what to do about it."""


@commands.command(epilog="Example: homerow doctor")
def doctor() -> None:
    """Check Python, the settings, the database and Redis, a line each.

    Ends with status 1 if something is wrong. In production that is also a setting with which
    `homerow api` would not start.
    """
    findings: list[Finding] = []
    try:
        settings = settings_for_a_person()
        is_new_enough = sys.version_info >= OLDEST_PYTHON
        python = f"Python {platform.python_version()}"
        findings.append(Finding(Mark.WELL if is_new_enough else Mark.WRONG, python))
        findings.append(Finding(Mark.WELL, _describe(settings)))
        with open_site(settings) as site:
            findings.extend(asyncio.run(_examine(site)))
    except EXPECTED as error:
        findings.append(Finding(Mark.WRONG, explain(error)[0]))
    for finding in findings:
        tell(f"{finding.mark.value}  {finding.line}")
    if any(finding.mark is Mark.WRONG for finding in findings):
        raise typer.Exit(FAILED)


def _describe(settings: Settings) -> str:
    running = find_running(settings.data_dir)
    up = f"`homerow up` is at {running.url}" if running else "`homerow up` is not running"
    return f"Settings: {settings.environment.value}, data in {settings.data_dir.absolute()}; {up}"


async def _examine(site: Site) -> list[Finding]:
    checks = (_keys, _postgresql, _roles, _schema, _redis, _mails)
    return [*[await _try(check, site) for check in checks], *await _safety(site)]


async def _try(check: Check, site: Site) -> Finding:
    try:
        return Finding(Mark.WELL, await check(site))
    except Wrong as wrong:
        return Finding(Mark.WRONG, str(wrong))
    except EXPECTED as error:
        return Finding(Mark.WRONG, explain(error)[0])


async def _safety(site: Site) -> list[Finding]:
    """A developer's machine need not be safe: there it is noted what is a mistake anywhere."""
    with suppress(*EXPECTED):  # a database that is not there is a finding of its own already
        found = await examine_safety(site)
        if site.settings.environment is Environment.LOCAL:
            return [Finding(Mark.NOTE, str(one)) for one in found if one.matters_locally]
        if not found:
            return [Finding(Mark.WELL, "Settings: safe for production")]
        return [Finding(Mark.WRONG, str(one)) for one in found]
    return []


async def _keys(site: Site) -> str:
    ring = site.keys()
    return f"Secret keys: {len(ring.keys)}; {ring.primary!r} seals"


async def _postgresql(site: Site) -> str:
    await prepare(site)
    version = await _ask(
        site, lambda connection: connection.exec_driver_sql("SHOW server_version").scalar_one()
    )
    if int(str(version).split(".")[0]) < OLDEST_POSTGRESQL:
        raise Wrong(f"PostgreSQL {version}: Homerow needs {OLDEST_POSTGRESQL} or newer")
    return f"PostgreSQL {version}{', embedded' if site.is_embedded else ''}"


async def _roles(site: Site) -> str:
    """Row-level security stands and falls with these: no role of ours may pass it by."""
    wanted = {role.value for role in DatabaseRole}
    rows = await _ask(
        site,
        lambda connection: connection.execute(
            text(
                "SELECT rolname, rolsuper OR rolbypassrls FROM pg_roles"
                " WHERE rolname = ANY (:names)"
            ),
            {"names": sorted(wanted)},
        ).all(),
    )
    if missing := wanted - {name for name, _ in rows}:
        raise Wrong(f"Roles: {', '.join(sorted(missing))} missing; run `homerow migrate`")
    if mighty := sorted(name for name, is_mighty in rows if is_mighty):
        raise Wrong(f"Roles: {', '.join(mighty)} may bypass row-level security; take that away")
    return f"Roles: {', '.join(sorted(wanted))}"


async def _schema(site: Site) -> str:
    current, newest = await _ask(site, _revisions)
    if current != newest:
        raise Wrong(f"Schema {current or 'missing'}, newest {newest}: run `homerow migrate`")
    return f"Schema {current}, the newest"


def _revisions(connection: Connection) -> tuple[str | None, str | None]:
    may_own = text("SELECT pg_has_role(session_user, :owner, 'SET')")
    if connection.scalar(may_own, {"owner": DatabaseRole.OWNER.value}):
        connection.exec_driver_sql(f"SET ROLE {DatabaseRole.OWNER.value}")
    newest = ScriptDirectory.from_config(alembic_config(connection)).get_current_head()
    return MigrationContext.configure(connection).get_current_revision(), newest


async def _redis(site: Site) -> str:
    async with Redis.from_url(site.redis_url) as redis:
        answer = await redis.info("server")
    name = answer.get("server_name", "redis").capitalize()
    version = answer.get("valkey_version", answer.get("redis_version"))
    return f"{name} {version}{', embedded' if site.is_embedded else ''}"


async def _mails(site: Site) -> str:
    """What waits is no fault; what was given up never arrived."""
    row = await _ask(site, lambda connection: connection.execute(COUNT_MAILS).one())
    found = Outbox(*row)
    waiting = f"Mails: {found.waiting:,} waiting, {found.failing:,} of them tried in vain so far"
    if found.given_up:
        raise Wrong(
            f"{waiting}; {found.given_up:,} given up in the last seven days: look for mail_failed"
            " in the worker's log, and at HOMEROW_SMTP_URL"
        )
    return waiting


async def _ask(site: Site, question: Callable[[Connection], Answer]) -> Answer:
    engine = create_async_engine(site.login_url(SUPERUSER))
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(question)
    finally:
        await engine.dispose()
