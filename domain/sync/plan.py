"""Plan: what is staged against what is stored, compared by the database and kept as changes.

For each type a work table says what is to be done with each record that differs, under the id
that it has or will have. Updates, archives and restores are stored as SyncChanges besides, with
the hash they were planned against; a create is known by its run.
"""

from collections.abc import Mapping

import asyncpg

from domain.roster.records import RecordType, Role
from domain.sync.context import RunContext, allow_nested_loops
from domain.sync.decide import TypeCounts, Verdict, decide
from domain.sync.entities import ENTITIES, Entity
from domain.sync.ids import NewIds
from domain.sync.memberships import plan_memberships
from domain.sync.models import SyncMode, SyncRunState
from domain.sync.sharing import count_archives, unknown_schools
from domain.validation.codes import Code

HASH_VERSION = 2
"""Seeds every hash. Raise it when what is hashed changes meaning: hashes are then renewed
without counting as updates."""


def content_hash(entity: Entity) -> str:
    """SQL for the hash of a staged row `s`."""
    columns = ", ".join(f"s.{column}" for column in entity.compared)
    return f"hash_record_extended(ROW({columns}), {HASH_VERSION})"


async def plan(context: RunContext) -> Verdict:
    """A preflight ends here: what it would do is stored and counted, and nobody waits for it."""
    is_preflight = context.mode is SyncMode.PREFLIGHT
    async with context.transaction() as connection:
        await connection.execute("SELECT ensure_sync_changes_partitions()")
    async with context.step(
        SyncRunState.SUMMARISING if is_preflight else SyncRunState.APPLYING
    ) as connection:
        await _forget_former_plan(context, connection)
        counts = {}
        for entity in ENTITIES:
            await _compare(context, connection, entity, await NewIds.begin(connection))
            counts[entity.record_type] = await _settle(context, connection, entity)
        counts[RecordType.MEMBERSHIP] = await plan_memberships(
            context, connection, await NewIds.begin(connection)
        )
        await _count_notes(context, connection)
        verdict = await _judge(context, connection, counts)
        if verdict.is_held and not is_preflight:
            await _hold(context, connection, verdict)
    return verdict


async def _judge(
    context: RunContext, connection: asyncpg.Connection, counts: Mapping[RecordType, TypeCounts]
) -> Verdict:
    rows = await connection.fetch(
        f"SELECT DISTINCT record_type FROM {context.staging.problems} WHERE code = $1",
        Code.CONN_EMPTY.value,
    )
    empty = {row["record_type"] for row in rows}
    return decide(
        {
            name: numbers._replace(
                left_out=await count_archives(context, connection, name),
                is_empty=name.value in empty,
            )
            for name, numbers in counts.items()
        },
        roles=await _vanishing_roles(context, connection, counts[RecordType.USER]),
        unknown_schools=await unknown_schools(context, connection),
    )


async def _vanishing_roles(
    context: RunContext, connection: asyncpg.Connection, users: TypeCounts
) -> Mapping[Role, TypeCounts]:
    """Students or teachers, if all of them would go and none is there. Clever lists them apart."""
    if not users.archived:
        return {}
    staged, work = context.staging.of(RecordType.USER), context.staging.work(RecordType.USER)
    rows = await connection.fetch(
        "SELECT r.role, count(*) AS stored FROM users u CROSS JOIN unnest(u.roles) AS r (role)"
        f" LEFT JOIN {work} w ON w.id = u.id AND w.action = 'ARCHIVE'"
        " WHERE u.tenant_id = $1 AND u.origin = 'PROVIDER' AND u.archived_at IS NULL"
        "  AND r.role IN ('STUDENT', 'TEACHER')"
        f" AND NOT EXISTS (SELECT FROM {staged} s WHERE r.role = ANY (s.roles))"
        " GROUP BY r.role HAVING count(*) = count(w.id)",
        context.tenant_id,
    )
    return {
        Role(row["role"]): TypeCounts(row["stored"], 0, row["stored"], is_empty=context.is_network)
        for row in rows
    }


async def _forget_former_plan(context: RunContext, connection: asyncpg.Connection) -> None:
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
    context: RunContext, connection: asyncpg.Connection, entity: Entity, new_ids: NewIds
) -> None:
    staged, work = context.staging.of(entity.record_type), context.staging.work(entity.record_type)
    # CREATE TABLE AS takes no parameters; the tenant's id is a UUID that we made.
    await connection.execute(
        f"CREATE UNLOGGED TABLE {work} AS"
        " SELECT coalesce(s.source_id, r.source_id) AS source_id, "
        f" coalesce(r.id, {new_ids.sql}) AS id,"
        "  s.hash, r.content_hash AS old_hash,"
        "  CASE WHEN r.id IS NULL THEN 'CREATE' WHEN s.source_id IS NULL THEN 'ARCHIVE'"
        "    WHEN r.archived_at IS NOT NULL THEN 'RESTORE' ELSE 'UPDATE' END AS action"
        f" FROM (SELECT s.source_id, {content_hash(entity)} AS hash FROM {staged} s) s"
        " FULL JOIN (SELECT source_id, id, content_hash, archived_at"
        f"   FROM {entity.table} WHERE tenant_id = '{context.tenant_id}'"
        "   AND origin = 'PROVIDER') r ON r.source_id = s.source_id"
        " WHERE r.id IS NULL OR (s.source_id IS NULL AND r.archived_at IS NULL)"
        "  OR (s.source_id IS NOT NULL"
        "    AND (r.archived_at IS NOT NULL OR r.content_hash IS DISTINCT FROM s.hash))"
    )
    await connection.execute(f"ANALYZE {work}")


async def _settle(
    context: RunContext, connection: asyncpg.Connection, entity: Entity
) -> TypeCounts:
    """Store the changes and count them. What differs in its hash alone is no update."""
    staged, work = context.staging.of(entity.record_type), context.staging.work(entity.record_type)
    if await connection.fetchval(f"SELECT EXISTS (SELECT FROM {work} WHERE action <> 'CREATE')"):
        await allow_nested_loops(connection, await _changing(connection, work))
        await _store_changes(context, connection, entity)
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
    # A record that was put back from what is stored can still change with its references.
    rows = await connection.fetch(
        "SELECT w.action, count(*) AS n, count(*) FILTER (WHERE s.is_stored) AS stored"
        f" FROM {work} w LEFT JOIN {staged} s USING (source_id) GROUP BY w.action"
    )
    numbers = {row["action"]: row["n"] for row in rows}
    taken = sum(
        row["n"] - row["stored"] for row in rows if row["action"] in ("CREATE", "UPDATE", "RESTORE")
    )
    name = entity.record_type.value
    accepted = await connection.fetchval(f"SELECT count(*) FROM {staged} WHERE NOT is_stored")
    context.count(
        name,
        created=numbers.get("CREATE", 0),
        updated=numbers.get("UPDATE", 0),
        archived=numbers.get("ARCHIVE", 0),
        restored=numbers.get("RESTORE", 0),
        unchanged=accepted - taken,
    )
    return TypeCounts(
        stored=stored,
        arriving=numbers.get("CREATE", 0) + numbers.get("RESTORE", 0),
        archived=numbers.get("ARCHIVE", 0),
    )


async def _changing(connection: asyncpg.Connection, work: str) -> int:
    return int(await connection.fetchval(f"SELECT count(*) FROM {work} WHERE action <> 'CREATE'"))


async def _store_changes(
    context: RunContext, connection: asyncpg.Connection, entity: Entity
) -> None:
    staged, work = context.staging.of(entity.record_type), context.staging.work(entity.record_type)
    fields = ", ".join(("source_id", *entity.compared))

    def changing(key: str) -> str:
        return f"SELECT {key} FROM {work} WHERE action IN ('UPDATE', 'RESTORE')"

    await connection.execute(
        "INSERT INTO sync_changes (tenant_id, run_id, record_type, record_id, source_id, action,"
        "  planned_hash, old_values, new_values)"
        " SELECT $1, $2, $3, d.id, d.source_id, d.action, d.old_hash, d.old_values, d.new_values"
        " FROM ("
        "  SELECT w.*,"
        "   CASE WHEN w.action = 'ARCHIVE' THEN jsonb_build_object('archived', false)"
        "    ELSE changed.old_values END AS old_values,"
        "   CASE WHEN w.action = 'ARCHIVE' THEN jsonb_build_object('archived', true)"
        "    ELSE changed.new_values END AS new_values"
        f"  FROM {work} w"
        "  LEFT JOIN (SELECT r.id, to_jsonb(r) - 'id' AS j"
        f"    FROM ({entity.stored_rows(changing('id'))}) r) old ON old.id = w.id"
        "  LEFT JOIN (SELECT s.source_id, to_jsonb(s) AS j"
        f"    FROM (SELECT {fields} FROM {staged}"
        # OFFSET 0 keeps the planner from turning every staged row into JSON before it chooses.
        f"    WHERE source_id IN ({changing('source_id')}) OFFSET 0) s) new"
        "   ON new.source_id = w.source_id"
        "  LEFT JOIN LATERAL ("
        "    SELECT coalesce(jsonb_object_agg(n.key, old.j -> n.key), '{}') AS old_values,"
        "      coalesce(jsonb_object_agg(n.key, n.value), '{}') AS new_values"
        "    FROM jsonb_each(new.j) n WHERE n.value IS DISTINCT FROM old.j -> n.key) changed"
        "    ON true"
        "  WHERE w.action <> 'CREATE') d"
        " WHERE d.action <> 'UPDATE' OR d.new_values <> '{}'",
        context.tenant_id,
        context.run_id,
        entity.record_type.value,
    )


async def _count_notes(context: RunContext, connection: asyncpg.Connection) -> None:
    staging = context.staging
    for name in RecordType:
        context.counts.setdefault(name.value, {})
        for number in ("fetched", "created", "updated", "archived", "restored", "unchanged"):
            context.counts[name.value].setdefault(number, 0)
        context.count(name.value, rejected=0, ignored=0)
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


async def _hold(context: RunContext, connection: asyncpg.Connection, verdict: Verdict) -> None:
    await connection.execute(
        "INSERT INTO holds (tenant_id, run_id, reasons) VALUES ($1, $2, $3)"
        " ON CONFLICT (tenant_id, run_id) DO UPDATE SET reasons = excluded.reasons",
        context.tenant_id,
        context.run_id,
        verdict.as_json(),
    )
