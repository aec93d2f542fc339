"""Times pulls over the network: the fetch phase of a sync from a provider that answers at once."""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from uuid import UUID

from domain.database import DatabaseRole
from domain.integrations.connections import Platform
from domain.integrations.service import Configuration
from domain.sync.models import SyncRunState
from tests.benchmarks.places import ROOT
from tests.benchmarks.pull_floor import Floor
from tests.benchmarks.targets import Target, Way
from tests.benchmarks.workshop import (
    Bench,
    create_bench_tenant,
    read_successful_run,
    request_sync,
    run_program,
    say,
)


@dataclass(frozen=True, slots=True)
class Pull:
    """One timed fetch phase between two timed floors."""

    seconds: float
    floors: tuple[Floor, Floor]
    peak_memory_mb: float

    @property
    def ratio(self) -> float:
        return self.seconds / fmean(floor.seconds for floor in self.floors)


@dataclass(frozen=True, slots=True)
class Pulled:
    """All pulls from one provider. `users` are those that are in the roster then."""

    way: Way
    users: int
    pulls: list[Pull]

    @property
    def floor(self) -> Floor:
        """Any of them, for what is the same in all: the numbers of answers, rows and bytes."""
        return self.pulls[0].floors[0]

    @property
    def ratios(self) -> list[float]:
        return [pull.ratio for pull in self.pulls]

    @property
    def peak_memory_mb(self) -> float:
        return max(pull.peak_memory_mb for pull in self.pulls)

    def middle(self, seconds: Callable[[Floor], float]) -> float:
        """The median of all floors."""
        return median(seconds(floor) for pull in self.pulls for floor in pull.floors)


async def measure_pulls(
    bench: Bench, package: Path, *, ways: Iterable[Way], repetitions: int
) -> list[Pulled]:
    measured = []
    for way in ways:
        async with _answering(way, package) as target:
            measured.append(await _measure_way(bench, target, repetitions))
    return measured


@asynccontextmanager
async def _answering(way: Way, package: Path) -> AsyncGenerator[Target]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.benchmarks.answering", way.fake, str(package)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Target.of(way, json.loads(await process.stdout.readline()))
    finally:
        process.stdin.close()
        await process.wait()


async def _measure_way(bench: Bench, target: Target, repetitions: int) -> Pulled:
    """The first sync creates all records, the others find them as they were; each reads all."""
    tenant_id = await create_bench_tenant(bench)
    floor = await _measure_floor(bench, target)
    pulls: list[Pull] = []
    users = 0
    for number in range(repetitions):
        run_id = await _request(bench, target, tenant_id)
        done = await run_program(
            "syncing", bench.url(DatabaseRole.WORKER), bench.servers.redis_url, target.url
        )
        run = await read_successful_run(bench, tenant_id, run_id)
        read = sum(numbers["fetched"] for numbers in run.counts.values())
        if read != floor.rows:
            raise RuntimeError(f"the sync read {read} rows, and the floor has {floor.rows}")
        if number == 0:
            users = run.counts["USER"]["created"]
            await bench.command("VACUUM (ANALYZE)")
        before, floor = floor, await _measure_floor(bench, target)
        seconds = float(run.phases[SyncRunState.FETCHING.value]["seconds"])
        pulls.append(Pull(seconds, (before, floor), done["peak_memory_mb"]))
        say(_line(target.way, pulls[-1]))
    return Pulled(target.way, users, pulls)


async def _measure_floor(bench: Bench, target: Target) -> Floor:
    await bench.command("CHECKPOINT")
    return Floor(**await run_program("pull_floor", bench.floor_dsn, target.text))


async def _request(bench: Bench, target: Target, tenant_id: UUID) -> UUID:
    near = Platform(allow_private=True)
    configuration = Configuration(
        target.provider, target.settings, target.credentials, platform=near
    )
    run_id = await request_sync(bench, tenant_id, configuration)
    await bench.command("CHECKPOINT")
    return run_id


def _line(way: Way, pull: Pull) -> str:
    floor = pull.floors[1]
    return (
        f"  {way}: fetched in {pull.seconds:.2f} s, floor {pull.floors[0].seconds:.2f} and"
        f" {floor.seconds:.2f} s (decoding {floor.decoding:.2f}, COPY {floor.copying:.2f}):"
        f" {pull.ratio:.2f} floors; bare reading {floor.reading:.2f} s,"
        f" {pull.peak_memory_mb:.0f} MB"
    )
