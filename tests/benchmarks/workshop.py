"""What every measurement needs: a database of its own, tenants, programs of their own."""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import make_url

from api.local import LocalServers
from api.migrate import migrate
from domain.clock import new_id, utc_now
from domain.database import DatabaseRole
from domain.integrations.service import Configuration, configure_integration
from domain.people.callers import COMMAND_LINE
from domain.resources import Resources, open_resources
from domain.secrets import KeyRing
from domain.sync.models import SUCCESSFUL, SyncMode, SyncRun, SyncTrigger
from domain.sync.service import get_run, request_run
from domain.tenants.service import create_tenant
from tests.benchmarks.places import ROOT
from tests.benchmarks.syncing import KEY
from tests.sources import HOSTS


@dataclass(frozen=True, slots=True)
class Bench:
    """A database of its own, and the tables of the floor in another."""

    servers: LocalServers
    resources: Resources
    database: str

    def url(self, login: str) -> str:
        return _url(self.servers, self.database, login)

    @property
    def floor_dsn(self) -> str:
        return as_dsn(self.servers.postgres.url("postgres"))

    async def command(self, statement: str) -> None:
        connection = await asyncpg.connect(as_dsn(self.url("postgres")))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


def as_dsn(url: str) -> str:
    """The URL as asyncpg spells it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def _url(servers: LocalServers, database: str, login: str) -> str:
    url = make_url(servers.postgres.url(login)).set(database=database)
    return url.render_as_string(hide_password=False)


def say(text: str) -> None:
    sys.stderr.write(f"{utc_now():%H:%M:%S} {text}\n")
    sys.stderr.flush()


@asynccontextmanager
async def open_bench(servers: LocalServers, name: str) -> AsyncGenerator[Bench]:
    database = f"bench_{name}"
    connection = await asyncpg.connect(as_dsn(servers.postgres.url("postgres")))
    try:
        await connection.execute(f"CREATE DATABASE {database}")
    finally:
        await connection.close()
    await migrate(_url(servers, database, "postgres"))
    async with open_resources(
        database_url=_url(servers, database, DatabaseRole.API),
        redis_url=servers.redis_url,
        keys=KeyRing.parse(KEY),
        hosts=HOSTS,
        role=DatabaseRole.API,
    ) as resources:
        yield Bench(servers, resources, database)


async def create_bench_tenant(bench: Bench) -> UUID:
    tenant_id = new_id()
    async with bench.resources.database.transaction(tenant_id) as session:
        await create_tenant(
            session,
            tenant_id=tenant_id,
            slug=f"t-{tenant_id}",
            name="Benchmark",
            caller=COMMAND_LINE,
        )
    return tenant_id


async def request_sync(bench: Bench, tenant_id: UUID, configuration: Configuration) -> UUID:
    async with bench.resources.database.transaction(tenant_id) as session:
        await configure_integration(
            session,
            tenant_id=tenant_id,
            configuration=configuration,
            keys=bench.resources.keys,
            caller=COMMAND_LINE,
            now=utc_now(),
        )
        requested = await request_run(
            session,
            tenant_id=tenant_id,
            mode=SyncMode.FULL,
            trigger=SyncTrigger.MANUAL,
            caller=COMMAND_LINE,
            now=utc_now(),
        )
        return requested.run.id


async def read_successful_run(bench: Bench, tenant_id: UUID, run_id: UUID) -> SyncRun:
    async with bench.resources.database.read(tenant_id) as session:
        run = await get_run(session, tenant_id=tenant_id, run_id=run_id)
    if run.state not in SUCCESSFUL:
        raise RuntimeError(f"a sync ended as {run.state}: {run.failure_message}")
    return run


async def run_program(module: str, *arguments: str) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"tests.benchmarks.{module}", *arguments),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"tests.benchmarks.{module} ended with status {process.returncode}")
    result: dict[str, Any] = json.loads(output)
    return result
