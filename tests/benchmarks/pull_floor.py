"""The floor of a pull: a provider's answers decoded, their records copied, and nothing else.

A program of its own, in the same kind of process as the sync that it is compared with:
`python -m tests.benchmarks.pull_floor <dsn> <target as JSON>` prints what `Floor` holds as JSON.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, get_type_hints

import asyncpg

from domain.clock import utc_now
from domain.collector import calm_collector
from domain.logs import configure_logs
from domain.providers import open_source
from domain.roster.records import RECORD_CLASSES, Record, RecordType
from domain.roster.source import Page, SourceConfig
from domain.sync.fetch import BATCH
from tests.benchmarks.answers import Answer, read_answers
from tests.benchmarks.targets import Target

COLUMN_TYPES = {date: "date", bool: "boolean", str: "text"}


@dataclass(frozen=True, slots=True)
class Floor:
    """Seconds of decoding and of COPY; `reading` is a bare client's for the same answers."""

    decoding: float
    copying: float
    reading: float
    answers: int
    bytes: int
    rows: int
    records: int

    @property
    def seconds(self) -> float:
        return self.decoding + self.copying


async def measure_floor(dsn: str, target: Target) -> Floor:
    # Once for the provider to make its answers, and once to see how long it takes to give them.
    read_answers(target)
    began = time.perf_counter()
    answers = read_answers(target)
    reading = time.perf_counter() - began
    decoding = decode_all(answers)
    rows, batches = await _read_records(target)
    copying = await copy_all(dsn, batches)
    return Floor(
        decoding=decoding,
        copying=copying,
        reading=reading,
        answers=len(answers),
        bytes=sum(len(answer.body) for answer in answers),
        rows=rows,
        records=sum(len(records) for batch in batches for records in batch.values()),
    )


def decode_all(answers: Sequence[Answer]) -> float:
    began = time.perf_counter()
    for answer in answers:
        answer.decoder.decode(answer.body)
    return time.perf_counter() - began


Batch = dict[RecordType, list[Record]]


async def _read_records(target: Target) -> tuple[int, list[Batch]]:
    """The rows that were read, and the records in batches like those of the engine."""
    config = SourceConfig(
        target.provider,
        target.settings,
        today=utc_now().date(),
        credentials=target.credentials,
    )
    batches: list[Batch] = []
    rows, room = 0, 0
    pages: AsyncIterator[Page] = open_source(config, target.hosts).pages()
    async for page in pages:
        if room <= 0:
            batches.append({})
            room = BATCH
        batches[-1].setdefault(page.record_type, []).extend(page.records)
        room -= page.read
        rows += page.read
    return rows, batches


async def copy_all(dsn: str, batches: Sequence[Batch]) -> float:
    connection = await asyncpg.connect(dsn)
    seconds = 0.0
    try:
        for record_type in RecordType:
            await connection.execute(f"DROP TABLE IF EXISTS {_table(record_type)}")
            await connection.execute(_creation(record_type))
        for batch in batches:
            # As near in the caches as records are that were made just now.
            sum(hash(record) for records in batch.values() for record in records)
            began = time.perf_counter()
            for record_type, records in batch.items():
                await connection.copy_records_to_table(_table(record_type), records=records)
            seconds += time.perf_counter() - began
        for record_type in RecordType:
            await connection.execute(f"DROP TABLE {_table(record_type)}")
    finally:
        await connection.close()
    return seconds


def _table(record_type: RecordType) -> str:
    return f"pull_floor_{record_type.lower()}"


def _creation(record_type: RecordType) -> str:
    hints = get_type_hints(RECORD_CLASSES[record_type])
    columns = ", ".join(f"{name} {_column_type(hint)}" for name, hint in hints.items())
    return f"CREATE UNLOGGED TABLE {_table(record_type)} ({columns})"


def _column_type(hint: Any) -> str:
    kinds = getattr(hint, "__args__", (hint,))
    return "text[]" if hint == tuple[str, ...] else COLUMN_TYPES[kinds[0]]


if __name__ == "__main__":
    configure_logs(is_quiet=True)
    calm_collector()
    wanted = Target.parse(sys.argv[2])
    sys.stdout.write(json.dumps(asdict(asyncio.run(measure_floor(sys.argv[1], wanted)))))
