"""A rush: many small tenants that are all due within one minute, and two workers.

The same runs are worked off without workers as well, some of them, so that what a worker adds to
a sync can be seen.
"""

import asyncio
import os
import resource
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

import asyncpg

from domain.clock import new_id, utc_now
from domain.database import DatabaseRole
from domain.integrations.service import Configuration, configure_integration
from domain.people.callers import COMMAND_LINE
from domain.roster.source import Provider
from domain.tenants.service import create_tenant
from tests.benchmarks.places import ROOT
from tests.benchmarks.syncing import KEY
from tests.benchmarks.workshop import Bench, as_dsn, run_program, say

WORKERS: Final = 2
WINDOW: Final = timedelta(minutes=1)
_ALONE: Final = 10
"""Every so many tenants one is worked off without a worker."""
_LONGEST: Final = 30 * 60


@dataclass(frozen=True, slots=True)
class Rush:
    """A night of all tenants: first syncs, or unchanged ones. Times are seconds, lags sorted."""

    night: str
    tenants: int
    lags: Sequence[float]
    seconds: float
    syncs: Sequence[float]
    cpu_seconds: float
    alone_runs: int
    alone_seconds: float
    alone_cpu_seconds: float

    def lag(self, share: float) -> float:
        return self.lags[min(int(share * len(self.lags)), len(self.lags) - 1)]

    @property
    def runs_a_second(self) -> float:
        return self.tenants / self.seconds

    @property
    def cpu_ratio(self) -> float:
        """Of the workers' own time in the processor for a run, to that without a worker."""
        return (self.cpu_seconds / self.tenants) / (self.alone_cpu_seconds / self.alone_runs)


async def measure_rush(bench: Bench, package: Path, *, tenants: int) -> Sequence[Rush]:
    """The first syncs are asked for by hand: what is measured are nights after them."""
    say(f"rush: {tenants:,} tenants of one package")
    everybody = [await _connect(bench, package, number) for number in range(tenants)]
    alone = everybody[::_ALONE]
    await _work_off(bench, everybody, processes=WORKERS)
    await bench.command("VACUUM (ANALYZE)")
    return [await _rush(bench, "unchanged", everybody, alone)]


async def _connect(bench: Bench, package: Path, number: int) -> UUID:
    tenant_id = new_id()
    async with bench.resources.database.transaction(tenant_id) as session:
        await create_tenant(
            session,
            tenant_id=tenant_id,
            slug=f"rush-{number}",
            name=f"Rush {number}",
            caller=COMMAND_LINE,
        )
        await configure_integration(
            session,
            tenant_id=tenant_id,
            configuration=Configuration(Provider.ONEROSTER_CSV, {"path": str(package)}),
            keys=bench.resources.keys,
            caller=COMMAND_LINE,
            now=utc_now(),
        )
    return tenant_id


async def _rush(bench: Bench, night: str, everybody: Sequence[UUID], alone: Sequence[UUID]) -> Rush:
    without = await _work_off(bench, alone)
    connection = await asyncpg.connect(as_dsn(bench.url("postgres")))
    try:
        async with _workers(bench):
            began = utc_now() + timedelta(seconds=5)
            due = [
                (tenant_id, began + WINDOW * number / len(everybody))
                for number, tenant_id in enumerate(everybody)
            ]
            await connection.executemany(
                "UPDATE sync_schedules SET next_due_at = $2 WHERE tenant_id = $1", due
            )
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            await _until_ended(connection, len(everybody), began)
            rows = await connection.fetch(_RUNS, began - timedelta(seconds=1))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    finally:
        await connection.close()
    moments = dict(due)
    failed = [row["state"] for row in rows if not row["state"].startswith("SUCCEEDED")]
    if failed or len(rows) != len(everybody):
        raise RuntimeError(f"{len(rows)} runs ended, {len(failed)} of them badly: {failed[:3]}")
    rush = Rush(
        night=night,
        tenants=len(everybody),
        lags=sorted(
            (row["started_at"] - moments[row["tenant_id"]]).total_seconds() for row in rows
        ),
        seconds=(max(row["finished_at"] for row in rows) - began).total_seconds(),
        syncs=[float(row["seconds"]) for row in rows],
        cpu_seconds=(after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime),
        alone_runs=int(without["runs"]),
        alone_seconds=without["seconds"],
        alone_cpu_seconds=without["cpu_seconds"],
    )
    say(
        f"  {night}: {rush.seconds:.0f} s, {rush.runs_a_second:.1f} runs a second, started"
        f" {rush.lag(0.5):.1f} s late (median), {rush.lags[-1]:.1f} s at most; a run costs"
        f" {rush.cpu_ratio:.2f} times the worker's processor that it does without one"
    )
    return rush


_RUNS: Final = """
    SELECT tenant_id, state, started_at, finished_at,
      (SELECT sum((p.value ->> 'seconds')::float) FROM jsonb_each(phases) p) AS seconds
    FROM sync_runs WHERE requested_at >= $1 AND trigger = 'SCHEDULE' AND finished_at IS NOT NULL
"""


async def _work_off(
    bench: Bench, tenants: Sequence[UUID], *, processes: int = 1
) -> dict[str, float]:
    """What one of the processes says."""
    connection = await asyncpg.connect(as_dsn(bench.url("postgres")))
    try:
        # Nobody is due but those who are asked for here.
        await connection.execute("UPDATE sync_schedules SET next_due_at = NULL")
        await connection.execute(
            "INSERT INTO sync_runs (tenant_id, integration_id, mode, trigger, state, requested_by,"
            " requested_at, size_class, progress) SELECT tenant_id, id, 'FULL', 'MANUAL', 'QUEUED',"
            " 'command line', now(), 3, '{}' FROM integrations WHERE tenant_id = ANY ($1)",
            list(tenants),
        )
    finally:
        await connection.close()
    return await run_program("working_off", bench.url(DatabaseRole.WORKER), bench.servers.redis_url)


@asynccontextmanager
async def _workers(bench: Bench) -> AsyncGenerator[None]:
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "worker.main"),
            cwd=ROOT,
            env={
                "PATH": os.defpath,
                "HOMEROW_DATABASE_URL": bench.url(DatabaseRole.WORKER),
                "HOMEROW_REDIS_URL": bench.servers.redis_url,
                "HOMEROW_SECRET_KEYS": KEY,
            },
            stderr=asyncio.subprocess.DEVNULL,
        )
        for _ in range(WORKERS)
    ]
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
            await process.wait()


async def _until_ended(connection: asyncpg.Connection, count: int, began: object) -> None:
    async with asyncio.timeout(_LONGEST):
        while True:
            ended = await connection.fetchval(
                "SELECT count(*) FROM sync_runs WHERE trigger = 'SCHEDULE'"
                " AND requested_at >= $1::timestamptz - interval '1 second'"
                " AND finished_at IS NOT NULL",
                began,
            )
            if ended >= count:
                return
            await asyncio.sleep(1)
