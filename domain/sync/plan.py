"""Plan: what is staged against what is stored, compared by the database and kept as changes.

For each type a work table says what is to be done with each record that differs, under the id
that it has or will have. Updates, archives and restores are stored as SyncChanges besides, with
the hash they were planned against; a create is known by its run. What may not be done unasked is
marked in the work tables (domain.sync.holding), and stays out of what is applied.
"""

import asyncpg

from domain.roster.records import RecordType
from domain.sync.changes import store_changes, tell_what_waits
from domain.sync.context import RunContext, allow_nested_loops
from domain.sync.decide import TypeCounts
from domain.sync.entities import ENTITIES, Entity
from domain.sync.holding import hold
from domain.sync.ids import NewIds
from domain.sync.memberships import plan_memberships
from domain.sync.models import SyncMode, SyncRunState
from domain.sync.preflight import report
from domain.sync.stored import Stored

HASH_VERSION = 2
"""Seeds every hash. Raise it when what is hashed changes meaning: hashes are then renewed
without counting as updates."""


def content_hash(entity: Entity) -> str:
    """SQL for the hash of a staged row `s`."""
    columns = ", ".join(f"s.{column}" for column in entity.compared)
    return f"hash_record_extended(ROW({columns}), {HASH_VERSION})"


async def plan(context: RunContext) -> None:
    """A preflight ends here: what it would do is stored and counted, and nobody waits for it."""
    is_preflight = context.mode is SyncMode.PREFLIGHT
    async with context.transaction() as connection:
        await connection.execute("SELECT ensure_sync_changes_partitions()")
    async with context.step(
        SyncRunState.SUMMARISING if is_preflight else SyncRunState.APPLYING
    ) as connection:
        await forget_former_plan(context, connection)
        stored = await Stored.of(context, connection)
        counts = {}
        for entity in ENTITIES:
            await _compare(context, connection, entity, stored)
            counts[entity.record_type] = await _settle(context, connection, entity)
        counts[RecordType.MEMBERSHIP] = await plan_memberships(
            context, connection, await NewIds.begin(connection), stored
        )
        await hold(context, connection, counts)
        await tell_what_waits(context, connection)
        await _count(context, connection, counts)
        if is_preflight:
            await report(context, connection)


async def forget_former_plan(context: RunContext, connection: asyncpg.Connection) -> None:
    """A plan that turned out stale is made anew."""
    await connection.execute(
        "DELETE FROM sync_changes WHERE tenant_id = $1 AND run_id = $2",
        context.tenant_id,
        context.run_id,
    )
    await connection.execute(
        "DELETE FROM holds WHERE tenant_id = $1 AND run_id = $2", context.tenant_id, context.run_id
    )
    for record_type in RecordType:
        await connection.execute(f"DROP TABLE IF EXISTS {context.staging.work(record_type)}")


async def _compare(
    context: RunContext, connection: asyncpg.Connection, entity: Entity, stored: Stored
) -> None:
    staged, work = context.staging.of(entity.record_type), context.staging.work(entity.record_type)
    new_ids = await NewIds.begin(connection)
    await connection.execute(
        f"CREATE UNLOGGED TABLE {work} AS"
        " SELECT coalesce(s.source_id, r.source_id) AS source_id, "
        f" coalesce(r.id, {new_ids.sql}) AS id,"
        "  s.hash, r.content_hash AS old_hash,"
        "  CASE WHEN r.id IS NULL THEN 'CREATE' WHEN s.source_id IS NULL THEN 'ARCHIVE'"
        "    WHEN r.archived_at IS NOT NULL THEN 'RESTORE' ELSE 'UPDATE' END AS action,"
        "  coalesce(r.origin, 'PROVIDER') AS origin, NULL::text AS held_by"
        f" FROM (SELECT s.source_id, {content_hash(entity)} AS hash FROM {staged} s) s"
        f" FULL JOIN ({stored.records(entity.record_type)}) r ON r.source_id = s.source_id"
        " WHERE r.id IS NULL OR (s.source_id IS NULL AND r.archived_at IS NULL)"
        "  OR (s.source_id IS NOT NULL AND (r.archived_at IS NOT NULL OR r.is_linked"
        "    OR r.content_hash IS DISTINCT FROM s.hash))"
    )
    await connection.execute(f"ANALYZE {work}")


async def _settle(
    context: RunContext, connection: asyncpg.Connection, entity: Entity
) -> TypeCounts:
    """Store the changes and count them. What differs in its hash alone is no update."""
    work = context.staging.work(entity.record_type)
    changing = await connection.fetchval(f"SELECT count(*) FROM {work} WHERE action <> 'CREATE'")
    if changing:
        await allow_nested_loops(connection, changing)
        await store_changes(context, connection, entity)
        await allow_nested_loops(connection, None)
        await connection.execute(
            f"UPDATE {work} w SET action = 'REHASH' WHERE w.action = 'UPDATE' AND NOT EXISTS ("
            "  SELECT FROM sync_changes c WHERE c.tenant_id = $1 AND c.run_id = $2"
            "  AND c.record_type = $3 AND c.record_id = w.id)",
            context.tenant_id,
            context.run_id,
            entity.record_type.value,
        )
    stored = await connection.fetchval(
        f"SELECT count(*) FROM {entity.table}"
        " WHERE tenant_id = $1 AND origin = 'PROVIDER' AND archived_at IS NULL",
        context.tenant_id,
    )
    rows = await connection.fetch(
        f"SELECT action, count(*) AS n FROM {work} WHERE origin = 'PROVIDER' GROUP BY action"
    )
    numbers = {row["action"]: row["n"] for row in rows}
    return TypeCounts(
        stored=stored,
        arriving=numbers.get("CREATE", 0) + numbers.get("RESTORE", 0),
        archived=numbers.get("ARCHIVE", 0),
        updated=numbers.get("UPDATE", 0),
    )


async def _count(
    context: RunContext,
    connection: asyncpg.Connection,
    counts: dict[RecordType, TypeCounts],
) -> None:
    """What is done, and what waits; the same names whatever the type."""
    for record_type in RecordType:
        await _count_actions(context, connection, record_type)
        unchanged = await _unchanged(context, connection, record_type, counts[record_type].stored)
        context.count(record_type.value, unchanged=unchanged, rejected=0, ignored=0)
        context.counts[record_type.value].setdefault("fetched", 0)
    await _count_notes(context, connection)


async def _count_actions(
    context: RunContext, connection: asyncpg.Connection, record_type: RecordType
) -> None:
    rows = await connection.fetch(
        "SELECT CASE WHEN held_by IS NULL THEN action ELSE 'HELD' END AS action, count(*) AS n"
        f" FROM {context.staging.work(record_type)} WHERE action <> 'REHASH' GROUP BY 1"
    )
    numbers = {row["action"]: row["n"] for row in rows}
    context.count(
        record_type.value,
        created=numbers.get("CREATE", 0),
        updated=numbers.get("UPDATE", 0),
        archived=numbers.get("ARCHIVE", 0),
        restored=numbers.get("RESTORE", 0),
    )
    context.counts[record_type.value].pop("held", None)
    if "HELD" in numbers:
        context.count(record_type.value, held=numbers["HELD"])


async def _unchanged(
    context: RunContext, connection: asyncpg.Connection, record_type: RecordType, stored: int
) -> int:
    """Records of the feed that are as they were. Of memberships, all that stay as they are."""
    staged, work = context.staging.of(record_type), context.staging.work(record_type)
    if record_type is RecordType.MEMBERSHIP:
        touched = await connection.fetchval(
            f"SELECT count(*) FROM {work} WHERE origin = 'PROVIDER'"
            " AND action IN ('UPDATE', 'ARCHIVE')"
        )
        return int(stored - touched)
    # A record that was put back from what is stored can still change with its references.
    taken = await connection.fetchval(
        f"SELECT count(*) FROM {work} w JOIN {staged} s USING (source_id)"
        " WHERE w.action IN ('CREATE', 'UPDATE', 'RESTORE') AND NOT s.is_stored"
    )
    accepted = await connection.fetchval(f"SELECT count(*) FROM {staged} WHERE NOT is_stored")
    return int(accepted - taken)


async def _count_notes(context: RunContext, connection: asyncpg.Connection) -> None:
    staging = context.staging
    # Where pages overlap, what is wrong with a record is told twice.
    problems, ignored = (
        ("DISTINCT (code, source_id, field, found, place)", "DISTINCT source_id")
        if context.is_network
        else ("*", "*")
    )
    for number, counted, table, condition in (
        ("rejected", problems, staging.problems, "rejects"),
        ("ignored", ignored, staging.ignored, "true"),
    ):
        rows = await connection.fetch(
            f"SELECT record_type, count({counted}) AS n FROM {table} WHERE {condition}"
            " GROUP BY record_type"
        )
        for row in rows:
            context.count(row["record_type"], **{number: row["n"]})
