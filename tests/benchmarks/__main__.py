"""`python -m tests.benchmarks`: how fast a sync is, as multiples of the least it could cost."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from api.local import servers
from domain.clock import utc_now
from tests.benchmarks.districts import nights_of
from tests.benchmarks.machine import describe_machine
from tests.benchmarks.nights import as_dsn, measure, open_bench, say
from tests.benchmarks.places import PAGE, RESULTS, ROOT
from tests.benchmarks.results import Results, store
from tests.benchmarks.samples import Kind, Size
from tests.benchmarks.tables import show, write_page

SIZES = (
    Size("100k", 13_000, {Kind.FIRST: 3, Kind.UNCHANGED: 3, Kind.CHANGED: 3}),
    Size("1m", 130_000, {Kind.FIRST: 1, Kind.UNCHANGED: 3, Kind.CHANGED: 3}),
)
QUICK = Size("100k", 13_000, dict.fromkeys(Kind, 1))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--size", choices=[*(size.name for size in SIZES), "all"], default="all")
    parser.add_argument("--quick", action="store_true", help="100k records, everything once")
    parser.add_argument("--write-docs", action="store_true", help=f"the tables into {PAGE.name}")
    wanted = parser.parse_args()
    if wanted.quick:
        sizes: Sequence[Size] = [QUICK]
    else:
        sizes = [size for size in SIZES if wanted.size in (size.name, "all")]
    results = asyncio.run(_measure_all(sizes))
    show(results)
    path = store(results)
    say(f"kept in {path.relative_to(ROOT)}")
    if wanted.write_docs:
        write_page(results, PAGE)
        say(f"written into {PAGE.relative_to(ROOT)}")


async def _measure_all(sizes: Sequence[Size]) -> Results:
    at = utc_now()
    RESULTS.mkdir(parents=True, exist_ok=True)
    # Beside the results and not in /tmp, which on some systems is memory.
    with (
        tempfile.TemporaryDirectory(dir=RESULTS, prefix="servers-") as folder,
        servers(Path(folder)) as local,
    ):
        machine = await describe_machine(as_dsn(local.postgres.url("postgres")))
        say(str(machine))
        measured = []
        for size in sizes:
            say(f"{size.name}: a district of {size.students:,} students")
            nights = nights_of(size.students)
            async with open_bench(local, size) as bench:
                measured.append(await measure(bench, size, nights))
    command = " ".join(["python -m tests.benchmarks", *sys.argv[1:]])
    return Results(at=at, command=command, machine=machine, measured=measured)


main()
