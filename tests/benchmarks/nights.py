"""Times the syncs of one district: first ones, unchanged nights, nights of changes."""

from pathlib import Path
from uuid import UUID

from domain.clock import new_id
from domain.database import DatabaseRole
from domain.integrations.service import Configuration
from domain.roster.source import Provider
from tests.benchmarks.districts import Nights
from tests.benchmarks.samples import Kind, Measured, Sample, Size
from tests.benchmarks.workshop import (
    Bench,
    create_bench_tenant,
    read_successful_run,
    request_sync,
    run_program,
    say,
)


async def measure(bench: Bench, size: Size, nights: Nights) -> Measured:
    """The nights are the last tenant's, one after the other."""
    samples = []
    tenant_id = new_id()
    for _ in range(size.repetitions[Kind.FIRST]):
        tenant_id = await create_bench_tenant(bench)
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


async def _sync(bench: Bench, kind: Kind, tenant_id: UUID, package: Path) -> Sample:
    configuration = Configuration(Provider.ONEROSTER_CSV, {"path": str(package)})
    run_id = await request_sync(bench, tenant_id, configuration)
    # A night begins after the checkpoints of the day.
    await bench.command("CHECKPOINT")
    before = await run_program("floor", bench.floor_dsn, str(package))
    done = await run_program("syncing", bench.url(DatabaseRole.WORKER), bench.servers.redis_url)
    after = await run_program("floor", bench.floor_dsn, str(package))
    run = await read_successful_run(bench, tenant_id, run_id)
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
