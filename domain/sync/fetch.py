"""Fetch: the source's pages into the run's staging tables, with a checkpoint for each batch."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from domain.roster.records import Record, RecordType
from domain.roster.source import Checkpoint, Completeness, Page, RosterSource
from domain.sync.context import RunContext
from domain.sync.lease import confirm
from domain.sync.models import SyncRunState

BATCH = 20_000
"""Rows for one COPY and one checkpoint: fewer cost round trips, more cost memory."""
STALE = timedelta(minutes=30)
"""A fetch that was interrupted is not gone on with after so long: the roster has moved on."""


@dataclass(slots=True)
class Progress:
    """What has been read. Stored with each batch as the run's checkpoint."""

    fingerprint: str
    started_at: str
    at: Checkpoint | None = None
    read: dict[str, int] = field(default_factory=dict)
    delta: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        return sum(self.read.values())


async def fetch(context: RunContext, source: RosterSource) -> None:
    """Raises SourceError if a collection cannot be read to its end."""
    progress = await _resume_or_begin(context, source)
    async with aclosing(_batches(source.pages(progress.at))) as batches:
        async for batch in batches:
            await _store_batch(context, batch, progress)
    missing = [name for name in RecordType if name.value not in progress.ended]
    if missing:
        raise RuntimeError(f"the source ended without a last page for {missing}")
    for name in RecordType:
        context.count(name.value, fetched=progress.read.get(name.value, 0))
    began_at = datetime.fromisoformat(progress.started_at)
    async with context.step(SyncRunState.VALIDATING, began_at=began_at):
        pass


async def _store_batch(context: RunContext, batch: Sequence[Page], progress: Progress) -> None:
    async with context.transaction() as connection:
        await connection.execute("SET LOCAL synchronous_commit = off")
        await _stage(context, connection, batch, progress)
        await confirm(connection, context.lease)


async def _resume_or_begin(context: RunContext, source: RosterSource) -> Progress:
    fingerprint = await source.fingerprint()
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
        return progress


async def _batches(pages: AsyncIterator[Page]) -> AsyncGenerator[list[Page], None]:
    """Pages of one type together, up to about BATCH rows."""
    batch: list[Page] = []
    async for page in pages:
        batch.append(page)
        if page.is_last or sum(page.read for page in batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


async def _stage(
    context: RunContext, connection: asyncpg.Connection, batch: Sequence[Page], progress: Progress
) -> None:
    record_type = batch[0].record_type
    records: list[Record] = [record for page in batch for record in page.records]
    await context.staging.copy(connection, record_type, records)
    await _stage_notes(context, connection, batch)
    name = record_type.value
    progress.read[name] = progress.read.get(name, 0) + sum(page.read for page in batch)
    last = batch[-1]
    progress.at = last.checkpoint
    if last.is_last:
        progress.ended.append(name)
        if last.completeness is Completeness.DELTA:
            progress.delta.append(name)
    await _store(context, connection, progress)


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
        " progress = progress || jsonb_build_object('read', $4::bigint)"
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
            }
        ),
        progress.total,
    )


async def delta_types(context: RunContext, connection: asyncpg.Connection) -> list[RecordType]:
    """The collections of which only what changed was read."""
    checkpoint = await connection.fetchval(
        "SELECT checkpoint FROM sync_runs WHERE tenant_id = $1 AND id = $2",
        context.tenant_id,
        context.run_id,
    )
    return [RecordType(name) for name in json.loads(checkpoint)["delta"]]
