"""`python -m tests.benchmarks`: how fast syncs and lists are, as multiples of the least cost."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from api.local import LocalServers, servers
from domain.clock import utc_now
from tests.benchmarks.districts import first_night_of, nights_of
from tests.benchmarks.lists import Listed, measure_lists
from tests.benchmarks.machine import describe_machine
from tests.benchmarks.nights import measure
from tests.benchmarks.places import PAGE, RESULTS, ROOT
from tests.benchmarks.pulls import Pulled, measure_pulls
from tests.benchmarks.results import Results, store
from tests.benchmarks.rush import Rush, measure_rush
from tests.benchmarks.samples import Kind, Measured, Size
from tests.benchmarks.tables import show, write_page
from tests.benchmarks.targets import Way
from tests.benchmarks.workshop import as_dsn, open_bench, say

SIZES = (
    Size("100k", 13_000, {Kind.FIRST: 3, Kind.UNCHANGED: 3, Kind.CHANGED: 3}),
    Size("1m", 130_000, {Kind.FIRST: 1, Kind.UNCHANGED: 3, Kind.CHANGED: 3}),
)
QUICK = Size("100k", 13_000, dict.fromkeys(Kind, 1))


class Pulling(NamedTuple):
    """A district of 1.06 times as many users, and how often it is pulled from each provider."""

    students: int
    repetitions: int


PULLS = Pulling(94_000, 3)
QUICK_PULLS = Pulling(9_400, 1)
LIST_STUDENTS = 13_000
RUSH_STUDENTS = 470
"""Which is 500 people."""
TENANTS = 1000
QUICK_TENANTS = 50
PAGES = 100
QUICK_PAGES = 20


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument(
        "--size",
        choices=[*(size.name for size in SIZES), "none", "all"],
        default="all",
        help="of the district whose package is synced",
    )
    parser.add_argument(
        "--pulls",
        choices=[*(way.name for way in Way), "none", "all"],
        default="all",
        help="the provider that is pulled from",
    )
    parser.add_argument(
        "--lists", choices=["none", "all"], default="all", help="pages of users by the API"
    )
    parser.add_argument(
        "--rush", choices=["none", "all"], default="all", help="many tenants due in one minute"
    )
    parser.add_argument("--quick", action="store_true", help="small districts, everything once")
    parser.add_argument("--write-docs", action="store_true", help=f"the tables into {PAGE.name}")
    wanted = parser.parse_args()
    results = asyncio.run(_measure_all(wanted))
    show(results)
    path = store(results)
    say(f"kept in {path.relative_to(ROOT)}")
    if wanted.write_docs:
        write_page(results, PAGE)
        say(f"written into {PAGE.relative_to(ROOT)}")


async def _measure_all(wanted: argparse.Namespace) -> Results:
    at = utc_now()
    RESULTS.mkdir(parents=True, exist_ok=True)
    # Beside the results and not in /tmp, which on some systems is memory.
    with (
        tempfile.TemporaryDirectory(dir=RESULTS, prefix="servers-") as folder,
        servers(Path(folder)) as local,
    ):
        machine = await describe_machine(as_dsn(local.postgres.url("postgres")))
        say(str(machine))
        measured = [await _measure_size(local, size) for size in _sizes(wanted)]
        pulled = await _measure_pulls(local, wanted)
        listed = await _measure_lists(local, wanted)
        rushes = await _measure_rush(local, wanted)
    command = " ".join(["python -m tests.benchmarks", *sys.argv[1:]])
    return Results(
        at=at,
        command=command,
        machine=machine,
        measured=measured,
        pulled=pulled,
        listed=listed,
        rushes=rushes,
    )


def _sizes(wanted: argparse.Namespace) -> Sequence[Size]:
    if wanted.quick and wanted.size != "none":
        return [QUICK]
    return [size for size in SIZES if wanted.size in {size.name, "all"}]


async def _measure_size(local: LocalServers, size: Size) -> Measured:
    say(f"{size.name}: a district of {size.students:,} students")
    nights = nights_of(size.students)
    async with open_bench(local, size.name) as bench:
        return await measure(bench, size, nights)


async def _measure_pulls(local: LocalServers, wanted: argparse.Namespace) -> Sequence[Pulled]:
    ways = [way for way in Way if wanted.pulls in {way.name, "all"}]
    if not ways:
        return []
    students, repetitions = QUICK_PULLS if wanted.quick else PULLS
    say(f"pulls: a district of {students:,} students")
    package = first_night_of(students)
    async with open_bench(local, "pulls") as bench:
        return await measure_pulls(bench, package, ways=ways, repetitions=repetitions)


async def _measure_lists(local: LocalServers, wanted: argparse.Namespace) -> Sequence[Listed]:
    if wanted.lists == "none":
        return []
    say(f"lists: a district of {LIST_STUDENTS:,} students")
    package = first_night_of(LIST_STUDENTS)
    async with open_bench(local, "lists") as bench:
        repetitions = QUICK_PAGES if wanted.quick else PAGES
        return await measure_lists(bench, package, repetitions=repetitions)


async def _measure_rush(local: LocalServers, wanted: argparse.Namespace) -> Sequence[Rush]:
    if wanted.rush == "none":
        return []
    package = first_night_of(RUSH_STUDENTS)
    async with open_bench(local, "rush") as bench:
        tenants = QUICK_TENANTS if wanted.quick else TENANTS
        return await measure_rush(bench, package, tenants=tenants)


main()
