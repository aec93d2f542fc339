"""Undo: a plan made from what an earlier run changed, and applied like any other.

Its staged rows are what the records were before, and they are named by our own ids: a record from
before rostering has no source id, and one that was linked had another.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg

from domain.roster.records import Enrollment, RecordType
from domain.sync.apply import Naming, archive_all, change_all
from domain.sync.context import RunContext
from domain.sync.entities import ENTITIES, GROUPS, Entity
from domain.sync.memberships import COMBINED
from domain.sync.models import SyncRunState
from domain.sync.plan import forget_former_plan
from domain.sync.reverting import TABLES, changed_by, require_revertable, require_untouched

_MEMBERSHIP = RecordType.MEMBERSHIP
_BY_OUR_IDS = Naming(
    entities=tuple(
        entity._replace(
            references=(
                "JOIN schools sc ON sc.tenant_id = $1 AND sc.id = s.school_source_id::uuid"
                " LEFT JOIN courses co ON co.tenant_id = $1 AND co.id = s.course_source_id::uuid"
            )
        )
        if entity is GROUPS
        else entity
        for entity in ENTITIES
    ),
    identity="source_id = w.former_source_id, origin = w.origin",
    school="sc.id = r.source_id::uuid",
    membership="origin = w.origin",
)
_STEP = "CASE u.action WHEN 'CREATE' THEN 'ARCHIVE' WHEN 'ARCHIVE' THEN 'RESTORE' ELSE 'UPDATE' END"
"""What is done first: what the run had brought back gets its old values, and goes after that."""
_ACTION = f"CASE u.action WHEN 'RESTORE' THEN 'ARCHIVE' ELSE {_STEP} END"
_BACK = "u.action IN ('UPDATE', 'RESTORE')"
_SCHOOLS_BEFORE = (
    "(SELECT coalesce(jsonb_agg(f.id ORDER BY e.n), '[]')"
    " FROM jsonb_array_elements_text(u.old_values -> 'school_source_ids')"
    "  WITH ORDINALITY AS e (name, n)"
    " JOIN {formerly} f ON f.record_type = 'SCHOOL' AND f.name = e.name)"
)
_SCHOOLS = (
    "(SELECT coalesce(jsonb_agg(a.school_id ORDER BY a.position), '[]') FROM school_affiliations a"
    " WHERE a.tenant_id = $1 AND a.user_id = r.id)"
)
_ONE_BEFORE = (
    "CASE WHEN u.old_values -> '{field}' IS NULL THEN r.{column}"
    " ELSE (SELECT f.id FROM {formerly} f"
    "  WHERE f.record_type = '{name}' AND f.name = u.old_values ->> '{field}') END"
)


async def begin_undo(context: RunContext) -> None:
    """Instead of a fetch: nothing is asked of the provider."""
    async with context.step(SyncRunState.PLANNING) as connection:
        await context.staging.create(connection)


async def plan_undo(context: RunContext) -> None:
    """Raises RevertRefused."""
    async with context.transaction() as connection:
        await connection.execute("SELECT ensure_sync_changes_partitions()")
    async with context.step(SyncRunState.APPLYING) as connection:
        await _forget(context, connection)
        await _gather(context, connection)
        for entity in ENTITIES:
            await _plan_entity(context, connection, entity)
        await _plan_memberships(context, connection)
        for record_type in RecordType:
            await _store_changes(context, connection, record_type)
        await _count(context, connection)


async def undo(context: RunContext) -> None:
    """Raises PlanStale, with nothing done."""
    async with context.step(SyncRunState.SUMMARISING) as connection:
        await connection.execute("SET LOCAL statement_timeout = '30min'")
        await _free_source_ids(context, connection)
        await change_all(context, connection, _BY_OUR_IDS)
        await _hash_anew(context, connection)
        for record_type in RecordType:
            await connection.execute(
                f"UPDATE {context.staging.work(record_type)}"
                " SET action = 'ARCHIVE', old_hash = hash WHERE goes"
            )
        await archive_all(context, connection)
        await _forget_what_came_of_it(context, connection)


async def _reverted(context: RunContext, connection: asyncpg.Connection) -> UUID:
    run_id: UUID = await connection.fetchval(
        "SELECT reverts_run_id FROM sync_runs WHERE tenant_id = $1 AND id = $2",
        context.tenant_id,
        context.run_id,
    )
    return run_id


async def _forget(context: RunContext, connection: asyncpg.Connection) -> None:
    """A plan that turned out stale has left its tables."""
    await forget_former_plan(context, connection)
    for name in ("undone", "formerly", "examined"):
        await connection.execute(f"DROP TABLE IF EXISTS {context.staging.table(name)}")
    for record_type in RecordType:
        await connection.execute(f"DELETE FROM {context.staging.of(record_type)}")


async def _gather(context: RunContext, connection: asyncpg.Connection) -> None:
    """What the run changed, and what schools and courses were called before it."""
    run_id = await _reverted(context, connection)

    async def ask(sql: str) -> Sequence[Sequence[Any]]:
        rows: Sequence[Sequence[Any]] = await connection.fetch(sql, context.tenant_id, run_id)
        return rows

    span = (await require_revertable(ask)).span
    await require_untouched(ask, span)
    undone, formerly = context.staging.table("undone"), context.staging.table("formerly")
    # CREATE TABLE AS takes no parameters; these are UUIDs that we made.
    chosen = changed_by(span).replace("$1", f"'{context.tenant_id}'").replace("$2", f"'{run_id}'")
    await connection.execute(f"CREATE UNLOGGED TABLE {undone} AS {chosen}")
    await connection.execute(f"ANALYZE {undone}")
    names = " UNION ALL ".join(
        f"SELECT '{name.value}' AS record_type, r.id,"
        "  CASE WHEN u.old_values -> 'source_id' IS NULL THEN coalesce(r.source_id, r.id::text)"
        "   ELSE coalesce(u.old_values ->> 'source_id', r.id::text) END AS name"
        f" FROM {TABLES[name]} r LEFT JOIN {undone} u ON u.record_id = r.id"
        f" WHERE r.tenant_id = '{context.tenant_id}' AND u.action IS DISTINCT FROM 'CREATE'"
        for name in (RecordType.SCHOOL, RecordType.COURSE)
    )
    await connection.execute(f"CREATE UNLOGGED TABLE {formerly} AS {names}")
    await connection.execute(f"ANALYZE {formerly}")


async def _plan_entity(context: RunContext, connection: asyncpg.Connection, entity: Entity) -> None:
    staging, name = context.staging, entity.record_type.value
    undone, staged = staging.table("undone"), staging.of(entity.record_type)
    work = staging.work(entity.record_type)
    await connection.execute(
        f"CREATE UNLOGGED TABLE {work} AS"
        " SELECT r.id::text AS source_id, r.id, r.content_hash AS old_hash,"
        "  CASE u.action WHEN 'CREATE' THEN r.content_hash ELSE u.planned_hash END AS hash,"
        f"  {_STEP} AS action, u.action = 'RESTORE' AS goes,"
        "  CASE WHEN u.old_values -> 'source_id' IS NULL THEN r.source_id"
        "   ELSE u.old_values ->> 'source_id' END AS former_source_id,"
        "  u.old_values -> 'source_id' IS NOT NULL AS is_renamed,"
        "  coalesce(u.old_values ->> 'origin', r.origin) AS origin, NULL::text AS held_by"
        f" FROM {undone} u JOIN {entity.table} r ON r.id = u.record_id"
        f" WHERE r.tenant_id = '{context.tenant_id}' AND u.record_type = '{name}'"
    )
    await connection.execute(f"ANALYZE {work}")
    columns = ("source_id", *entity.compared)
    await connection.execute(
        f"INSERT INTO {staged} ({', '.join(columns)})"
        f" SELECT {', '.join(f't.{column}' for column in columns)}"
        f" FROM {undone} u JOIN {entity.table} r ON r.tenant_id = $1 AND r.id = u.record_id"
        f" CROSS JOIN LATERAL jsonb_populate_record(NULL::{staged}, to_jsonb(r) || u.old_values"
        f"  || {_references(context, entity.record_type)}"
        "  || jsonb_build_object('source_id', r.id)) t"
        " WHERE u.record_type = $2 AND u.action <> 'CREATE'",
        context.tenant_id,
        name,
    )


def _references(context: RunContext, record_type: RecordType) -> str:
    """SQL for an object with the ids of what a record was of before."""
    formerly = context.staging.table("formerly")
    if record_type is RecordType.GROUP:
        school, course = (
            _ONE_BEFORE.format(
                field=f"{word}_source_id",
                column=f"{word}_id",
                name=word.upper(),
                formerly=formerly,
            )
            for word in ("school", "course")
        )
        return f"jsonb_build_object('school_source_id', {school}, 'course_source_id', {course})"
    if record_type is RecordType.USER:
        return (
            "jsonb_build_object('school_source_ids',"
            " CASE WHEN u.old_values -> 'school_source_ids' IS NULL"
            f" THEN {_SCHOOLS} ELSE {_SCHOOLS_BEFORE.format(formerly=formerly)} END)"
        )
    return "'{}'"


async def _plan_memberships(context: RunContext, connection: asyncpg.Connection) -> None:
    """`examined` are the spans as they were, whether the run wrote them anew or archived them."""
    staging, tenant = context.staging, context.tenant_id
    undone = staging.table("undone")
    of_memberships = f"WHERE m.tenant_id = '{tenant}' AND u.record_type = '{_MEMBERSHIP.value}'"
    await connection.execute(
        f"CREATE UNLOGGED TABLE {staging.work(_MEMBERSHIP)} AS"
        " SELECT m.id, m.user_id, m.group_id, m.role::text AS role, m.content_hash AS old_hash,"
        "  CASE u.action WHEN 'CREATE' THEN m.content_hash ELSE u.planned_hash END AS hash,"
        f"  {_STEP} AS action, u.action = 'RESTORE' AS goes,"
        "  coalesce(u.old_values ->> 'origin', m.origin) AS origin, NULL::text AS held_by"
        f" FROM {undone} u JOIN memberships m ON m.id = u.record_id {of_memberships}"
    )
    await connection.execute(f"ANALYZE {staging.work(_MEMBERSHIP)}")
    member = "m.user_id, m.group_id, m.role::text AS role"
    await connection.execute(
        f"CREATE UNLOGGED TABLE {staging.table('examined')} AS"
        f" SELECT {member}, e.source_id, e.begins_on, e.ends_on, e.is_primary"
        f" FROM {undone} u JOIN memberships m ON m.id = u.record_id"
        " CROSS JOIN LATERAL jsonb_to_recordset("
        "  CASE jsonb_typeof(u.old_values -> 'spans') WHEN 'array' THEN u.old_values -> 'spans'"
        "   ELSE '[]' END) AS e (source_id text, begins_on date, ends_on date, is_primary boolean)"
        f" {of_memberships} AND {_BACK}"
        " UNION ALL"
        f" SELECT {member}, sp.source_id, sp.begins_on, sp.ends_on, sp.is_primary"
        f" FROM {undone} u JOIN memberships m ON m.id = u.record_id"
        f" JOIN membership_spans sp ON sp.tenant_id = '{tenant}' AND sp.membership_id = m.id"
        f" {of_memberships} AND u.action = 'ARCHIVE'"
    )
    await connection.execute(f"ANALYZE {staging.table('examined')}")


async def _store_changes(
    context: RunContext, connection: asyncpg.Connection, record_type: RecordType
) -> None:
    """The changes the other way round: nobody has touched the records, so theirs are the values."""
    await connection.execute(
        "INSERT INTO sync_changes (tenant_id, run_id, record_type, record_id, source_id, action,"
        "  planned_hash, old_values, new_values)"
        " SELECT $1, $2, $3::text, u.record_id, u.source_id,"
        f"  {_ACTION}, w.old_hash, {_values('new', 'false')}, {_values('old', 'true')}"
        f" FROM {context.staging.table('undone')} u"
        f" JOIN {context.staging.work(record_type)} w ON w.id = u.record_id"
        " WHERE u.record_type = $3::text",
        context.tenant_id,
        context.run_id,
        record_type.value,
    )


def _values(side: str, is_archived: str) -> str:
    return (
        f"CASE u.action WHEN 'ARCHIVE' THEN '{{}}' WHEN 'UPDATE' THEN u.{side}_values"
        f" ELSE u.{side}_values || '{{\"archived\": {is_archived}}}' END"
    )


async def _count(context: RunContext, connection: asyncpg.Connection) -> None:
    rows = await connection.fetch(
        "SELECT record_type, count(*) FILTER (WHERE action = 'UPDATE') AS updated,"
        "  count(*) FILTER (WHERE action IN ('CREATE', 'RESTORE')) AS archived,"
        "  count(*) FILTER (WHERE action = 'ARCHIVE') AS restored"
        f" FROM {context.staging.table('undone')} GROUP BY record_type"
    )
    names = ("fetched", "created", "updated", "archived", "restored", "held", "unchanged")
    for record_type in RecordType:
        context.count(record_type.value, **dict.fromkeys((*names, "rejected", "ignored"), 0))
    for row in rows:
        numbers = {name: row[name] for name in ("updated", "archived", "restored")}
        context.count(row["record_type"], **numbers)


async def _free_source_ids(context: RunContext, connection: asyncpg.Connection) -> None:
    """Who gets a former id back may find it with somebody who gets another one back."""
    for entity in ENTITIES:
        await connection.execute(
            f"UPDATE {entity.table} r SET source_id = NULL"
            f" FROM {context.staging.work(entity.record_type)} w"
            " WHERE r.tenant_id = $1 AND r.id = w.id AND w.is_renamed",
            context.tenant_id,
        )


async def _hash_anew(context: RunContext, connection: asyncpg.Connection) -> None:
    """Of memberships that only a new id of their person or group had given another hash."""
    enrollments = context.staging.of(_MEMBERSHIP)
    renamed = " OR ".join(
        f"m.{column} IN (SELECT id FROM {context.staging.work(record_type)}"
        " WHERE is_renamed AND former_source_id IS NOT NULL)"
        for record_type, column in ((RecordType.USER, "user_id"), (RecordType.GROUP, "group_id"))
    )
    fields = ", ".join(Enrollment._fields)
    await connection.execute(
        f"INSERT INTO {enrollments} ({fields}) SELECT sp.source_id, u.source_id, g.source_id,"
        "  m.role, sp.is_primary, sp.begins_on, sp.ends_on"
        " FROM memberships m JOIN membership_spans sp"
        "  ON sp.tenant_id = m.tenant_id AND sp.membership_id = m.id"
        " JOIN users u ON u.tenant_id = m.tenant_id AND u.id = m.user_id"
        " JOIN groups g ON g.tenant_id = m.tenant_id AND g.id = m.group_id"
        " WHERE m.tenant_id = $1 AND m.origin = 'PROVIDER' AND m.archived_at IS NULL"
        f" AND ({renamed}) AND m.id NOT IN (SELECT id FROM {context.staging.work(_MEMBERSHIP)})",
        context.tenant_id,
    )
    await connection.execute(
        "UPDATE memberships m SET content_hash = h.hash FROM ("
        f"  SELECT u.id AS user_id, g.id AS group_id, e.role, {COMBINED} AS hash"
        f"  FROM {enrollments} e"
        "  JOIN users u ON u.tenant_id = $1 AND u.source_id = e.user_source_id"
        "  JOIN groups g ON g.tenant_id = $1 AND g.source_id = e.group_source_id"
        "  GROUP BY 1, 2, 3) h"
        " WHERE m.tenant_id = $1 AND m.user_id = h.user_id AND m.group_id = h.group_id"
        "  AND m.role = h.role",
        context.tenant_id,
    )


async def _forget_what_came_of_it(context: RunContext, connection: asyncpg.Connection) -> None:
    """Links that it made have ended, a first roster is none, and a delta begins anew."""
    reverted = await _reverted(context, connection)
    await connection.execute(
        "UPDATE identity_links SET ended_at = now(), ended_by = $3"
        " WHERE tenant_id = $1 AND run_id = $2 AND ended_at IS NULL",
        context.tenant_id,
        reverted,
        f"run {context.run_id}",
    )
    await connection.execute(
        "UPDATE integrations i SET cursors = '{}', rostered_at = CASE"
        "  WHEN i.rostered_at BETWEEN r.started_at AND r.finished_at THEN NULL"
        "  ELSE i.rostered_at END"
        " FROM sync_runs r WHERE r.tenant_id = $1 AND r.id = $2"
        "  AND i.tenant_id = $1 AND i.id = r.integration_id",
        context.tenant_id,
        reverted,
    )
