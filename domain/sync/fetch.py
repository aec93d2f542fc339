"""Fetch: the source's pages into the run's staging tables, with a checkpoint for each batch.

While one batch is stored the next one is read: the provider and the database work at once.
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import structlog

from domain.metrics import RECORDS_READ
from domain.roster.records import Record, RecordType
from domain.roster.source import Checkpoint, Completeness, Page, RosterMoved, RosterSource
from domain.sync.completeness import Orders, require_all
from domain.sync.context import RunContext
from domain.sync.lease import confirm
from domain.sync.models import SyncRunState

BATCH = 20_000
"""Rows for one COPY and one checkpoint: fewer cost round trips, more cost memory."""
SECONDS = 1.0
"""A source that is slow is stored as often as that, so that all see how far it is."""
STALE = timedelta(minutes=30)
"""A fetch that was interrupted is not gone on with after so long: the roster has moved on."""
MOST_READINGS = 3
"""A roster that changes while it is read is read anew, so many times in all."""

log = structlog.get_logger()


@dataclass(slots=True)
class Progress:
    """What has been read. Stored with each batch as the run's checkpoint.

    `modified` is the latest time of change of each type, in the provider's words. `orders` is
    kept from one reading of this process to the next; `began` is when this process began to read,
    and how much there was then.
    """

    fingerprint: str
    started_at: str
    at: Checkpoint | None = None
    read: dict[str, int] = field(default_factory=dict)
    delta: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    modified: dict[str, str] = field(default_factory=dict)
    orders: Orders = field(default_factory=dict)
    began: tuple[float, int] = (0.0, 0)

    @property
    def total(self) -> int:
        return sum(self.read.values())

    @property
    def rate(self) -> float:
        """Records per second, as long as this process has read."""
        began_at, read_before = self.began
        seconds = max(time.monotonic() - began_at, 0.001)
        return round((self.total - read_before) / seconds, 1)


async def fetch(context: RunContext, source: RosterSource, version: str = "") -> None:
    """Raises SourceError if a collection cannot be read to its end.

    `version` is that of what the source was opened with: a fetch goes on with no other.
    """
    progress = await _read_whole(context, source, version)
    missing = [name for name in RecordType if name.value not in progress.ended]
    if missing:
        raise RuntimeError(f"the source ended without a last page for {missing}")
    for name in RecordType:
        context.count(name.value, fetched=progress.read.get(name.value, 0))
    began_at = datetime.fromisoformat(progress.started_at)
    async with context.step(SyncRunState.VALIDATING, began_at=began_at):
        pass


async def _read_whole(context: RunContext, source: RosterSource, version: str) -> Progress:
    """A roster that changed while it was read is read again from its beginning."""
    orders: Orders = {}
    for reading in range(1, MOST_READINGS):
        try:
            return await _read(context, source, version, orders)
        except RosterMoved as error:
            log.warning("roster_moved", reading=reading, code=error.code.value)
            await _forget(context)
    return await _read(context, source, version, orders)


async def _read(
    context: RunContext, source: RosterSource, version: str, orders: Orders
) -> Progress:
    """Every page, each batch stored while the next one is read."""
    progress = await _resume_or_begin(context, source, version)
    progress.orders = orders
    progress.began = (time.monotonic(), progress.total)
    storing: asyncio.Task[None] | None = None
    try:
        async with aclosing(_batches(source.pages(progress.at))) as batches:
            async for batch in batches:
                if storing:
                    await storing
                storing = asyncio.create_task(_store_batch(context, batch, progress))
        if storing:
            await storing
    finally:
        if storing and not storing.done():
            storing.cancel()
            await asyncio.gather(storing, return_exceptions=True)
    return progress


async def _forget(context: RunContext) -> None:
    async with context.transaction() as connection:
        await connection.execute(
            "UPDATE sync_runs SET checkpoint = NULL WHERE tenant_id = $1 AND id = $2",
            context.tenant_id,
            context.run_id,
        )
        await confirm(connection, context.lease)


async def _store_batch(context: RunContext, batch: Sequence[Page], progress: Progress) -> None:
    async with context.transaction() as connection:
        await connection.execute("SET LOCAL synchronous_commit = off")
        await _stage(context, connection, batch, progress)
        await confirm(connection, context.lease)
    RECORDS_READ.inc(sum(page.read for page in batch))
    context.announce_reading()


async def _resume_or_begin(context: RunContext, source: RosterSource, version: str) -> Progress:
    fingerprint = f"{await source.fingerprint()} {version}"
    async with context.transaction() as connection:
        row = await connection.fetchrow(
            "SELECT checkpoint, now() AS now, checkpoint->>'started_at' AS started_at,"
            " now() - (checkpoint->>'started_at')::timestamptz < $3 AS is_fresh"
            " FROM sync_runs WHERE tenant_id = $1 AND id = $2",
            context.tenant_id,
            context.run_id,
            STALE,
        )
        if row["checkpoint"] and row["is_fresh"] and await context.staging.is_whole(connection):
            progress = Progress(**json.loads(row["checkpoint"]))
            if progress.fingerprint == fingerprint:
                return progress
        await context.staging.create(connection)
        progress = Progress(fingerprint=fingerprint, started_at=row["now"].isoformat())
        await _store(context, connection, progress)
        # Who was overtaken must not leave tables in the way of who makes them now.
        await confirm(connection, context.lease)
        return progress


async def _batches(pages: AsyncIterator[Page]) -> AsyncGenerator[list[Page], None]:
    """Pages together, up to about BATCH rows or SECONDS."""
    batch: list[Page] = []
    rows, began_at = 0, time.monotonic()
    async for page in pages:
        batch.append(page)
        rows += page.read
        if rows >= BATCH or time.monotonic() - began_at >= SECONDS:
            yield batch
            batch, rows, began_at = [], 0, time.monotonic()
    if batch:
        yield batch


async def _stage(
    context: RunContext, connection: asyncpg.Connection, batch: Sequence[Page], progress: Progress
) -> None:
    for record_type in dict.fromkeys(page.record_type for page in batch):
        records: list[Record] = [
            record for page in batch if page.record_type is record_type for record in page.records
        ]
        await context.staging.copy(connection, record_type, records)
    await _stage_notes(context, connection, batch)
    for page in batch:
        _take_note(progress, page)
    progress.at = batch[-1].checkpoint
    for page in batch:
        read = progress.read[page.record_type.value]
        await require_all(connection, context.staging, page, read=read, orders=progress.orders)
    await _store(context, connection, progress)


def _take_note(progress: Progress, page: Page) -> None:
    name = page.record_type.value
    progress.read[name] = progress.read.get(name, 0) + page.read
    if page.modified is not None:
        progress.modified[name] = max(progress.modified.get(name, ""), page.modified)
    if page.is_last:
        progress.ended.append(name)
        if page.completeness is Completeness.DELTA:
            progress.delta.append(name)


async def _stage_notes(
    context: RunContext, connection: asyncpg.Connection, batch: Sequence[Page]
) -> None:
    staging = context.staging
    await staging.copy_notes(
        connection,
        "problems",
        (
            "code",
            "record_type",
            "source_id",
            "field",
            "expected",
            "found",
            "place",
            "record",
            "rejects",
        ),
        (
            (
                problem.code.value,
                problem.record_type.value,
                problem.source_id,
                problem.field,
                problem.expected,
                problem.found,
                problem.place,
                _as_json(problem.record),
                problem.rejects,
            )
            for page in batch
            for problem in page.problems
        ),
    )
    await staging.copy_notes(
        connection,
        "ignored",
        ("record_type", "source_id", "reason"),
        (
            (page.record_type.value, ignored.source_id, ignored.reason)
            for page in batch
            for ignored in page.ignored
        ),
    )
    await staging.copy_notes(
        connection,
        "deleted",
        ("record_type", "source_id"),
        ((page.record_type.value, source_id) for page in batch for source_id in page.deleted),
    )


def _as_json(record: Any) -> str | None:
    return None if record is None else json.dumps(record, default=str)


async def _store(context: RunContext, connection: asyncpg.Connection, progress: Progress) -> None:
    await connection.execute(
        "UPDATE sync_runs SET checkpoint = $3,"
        " progress = progress || jsonb_build_object('read', $4::bigint,"
        "  'rate', nullif($5::float8, 0), 'at', clock_timestamp())"
        " WHERE tenant_id = $1 AND id = $2",
        context.tenant_id,
        context.run_id,
        json.dumps(
            {
                "fingerprint": progress.fingerprint,
                "started_at": progress.started_at,
                "at": progress.at,
                "read": progress.read,
                "delta": progress.delta,
                "ended": progress.ended,
                "modified": progress.modified,
            }
        ),
        progress.total,
        progress.rate,
    )


async def delta_types(context: RunContext, connection: asyncpg.Connection) -> list[RecordType]:
    """The collections of which only what changed was read."""
    checkpoint = await connection.fetchval(
        "SELECT checkpoint FROM sync_runs WHERE tenant_id = $1 AND id = $2",
        context.tenant_id,
        context.run_id,
    )
    return [RecordType(name) for name in json.loads(checkpoint)["delta"]]
