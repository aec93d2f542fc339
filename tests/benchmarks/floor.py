"""The floor of a sync: a package's cells decoded and copied as text, and nothing else.

A program of its own, so that it runs in the same kind of process as the sync it is compared with:
`python -m tests.benchmarks.floor <dsn> <folder>` prints {"seconds": …, "rows": …, "bytes": …}.
"""

import asyncio
import csv
import json
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import asyncpg

FILES = ("orgs", "academicSessions", "courses", "classes", "users", "enrollments")
BATCH = 20_000
"""Rows of one COPY, as the engine's."""


async def measure_floor(dsn: str, folder: Path) -> dict[str, float]:
    connection = await asyncpg.connect(dsn)
    try:
        for name in FILES:
            await _create_table(connection, folder, name)
        began = time.perf_counter()
        rows = 0
        for name in FILES:
            for batch in _batches(_path(folder, name)):
                await connection.copy_records_to_table(_table(name), records=batch)
                rows += len(batch)
        seconds = time.perf_counter() - began
        for name in FILES:
            await connection.execute(f"DROP TABLE {_table(name)}")
    finally:
        await connection.close()
    size = sum(_path(folder, name).stat().st_size for name in FILES)
    return {"seconds": seconds, "rows": rows, "bytes": size}


def _path(folder: Path, name: str) -> Path:
    return folder / f"{name}.csv"


def _table(name: str) -> str:
    return f"floor_{name.lower()}"


async def _create_table(connection: asyncpg.Connection, folder: Path, name: str) -> None:
    with _path(folder, name).open(newline="", encoding="utf-8") as lines:
        columns = ", ".join(f"c{number} text" for number, _ in enumerate(next(csv.reader(lines))))
    await connection.execute(f"CREATE UNLOGGED TABLE {_table(name)} ({columns})")


def _batches(path: Path) -> Iterator[list[list[str]]]:
    with path.open(newline="", encoding="utf-8") as lines:
        rows = csv.reader(lines)
        next(rows)
        while batch := list(islice(rows, BATCH)):
            yield batch


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(measure_floor(sys.argv[1], Path(sys.argv[2])))))
