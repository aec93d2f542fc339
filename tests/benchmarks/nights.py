"""Times the syncs of one district: first ones, unchanged nights, nights of changes."""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
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
from domain.roster.source import Provider
from domain.secrets import KeyRing
from domain.sync.models import SUCCESSFUL, SyncMode, SyncTrigger
from domain.sync.service import get_run, request_run
from domain.tenants.service import create_tenant
from tests.benchmarks.districts import Nights
from tests.benchmarks.places import ROOT
from tests.benchmarks.samples import Kind, Measured, Sample, Size
from tests.benchmarks.syncing import KEY


@dataclass(frozen=True, slots=True)
class Bench:
    """A database of its own, and the tables of the floor in another."""

    servers: LocalServers
    resources: Resources
    database: str

    def url(self, login: str) -> str:
        return _url(self.servers, self.database, login)

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
async def open_bench(servers: LocalServers, size: Size) -> AsyncGenerator[Bench]:
    database = f"bench_{size.name}"
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
        role=DatabaseRole.API,
    ) as resources:
        yield Bench(servers, resources, database)


async def measure(bench: Bench, size: Size, nights: Nights) -> Measured:
    """The nights are the last tenant's, one after the other."""
    samples = []
    tenant_id = new_id()
    for _ in range(size.repetitions[Kind.FIRST]):
        tenant_id = await _create_tenant(bench)
        samples.append(await _sync(bench, Kind.FIRST, tenant_id, nights.first))
        # What autovacuum does in the hours before the next night, after so many inserts.
        await bench.command("VACUUM (ANALYZE)")
    samples += [
        await _sync(bench, Kind.UNCHANGED, tenant_id, nights.first)
        for _ in range(size.repetitions[Kind.UNCHANGED])
    ]
    for number in range(size.repetitions[Kind.CHANGED]):
        package = nights.first if number % 2 else nights.second
        samples.append(await _sync(bench, Kind.CHANGED, tenant_id, package))
    return Measured(size, samples)


async def _create_tenant(bench: Bench) -> UUID:
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


async def _sync(bench: Bench, kind: Kind, tenant_id: UUID, package: Path) -> Sample:
    run_id = await _request(bench, tenant_id, package)
    # A night begins after the checkpoints of the day.
    await bench.command("CHECKPOINT")
    floor_dsn = as_dsn(bench.servers.postgres.url("postgres"))
    before = await _run("floor", floor_dsn, str(package))
    done = await _run("syncing", bench.url(DatabaseRole.WORKER), bench.servers.redis_url)
    after = await _run("floor", floor_dsn, str(package))
    async with bench.resources.database.read(tenant_id) as session:
        run = await get_run(session, tenant_id=tenant_id, run_id=run_id)
    if run.state not in SUCCESSFUL:
        raise RuntimeError(f"the {kind} sync ended as {run.state}: {run.failure_message}")
    sample = Sample(
        kind=kind,
        seconds=done["seconds"],
        floors=(before["seconds"], after["seconds"]),
        rows=int(before["rows"]),
        bytes=int(before["bytes"]),
        peak_memory_mb=done["peak_memory_mb"],
        phases={name: float(phase["seconds"]) for name, phase in run.phases.items()},
        counts=run.counts,
    )
    if (sample.changes == 0) is not (kind is Kind.UNCHANGED):
        raise RuntimeError(f"the {kind} sync changed {sample.changes} records")
    say(
        f"  {kind}: {sample.seconds:.2f} s, floor {before['seconds']:.2f} and"
        f" {after['seconds']:.2f} s: {sample.ratio:.2f} floors,"
        f" {sample.peak_memory_mb:.0f} MB, {sample.changes} changes"
    )
    return sample


async def _request(bench: Bench, tenant_id: UUID, package: Path) -> UUID:
    async with bench.resources.database.transaction(tenant_id) as session:
        await configure_integration(
            session,
            tenant_id=tenant_id,
            configuration=Configuration(Provider.ONEROSTER_CSV, {"path": str(package)}),
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


async def _run(module: str, *arguments: str) -> dict[str, Any]:
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
