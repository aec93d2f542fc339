"""The plan of memberships: compared by hash first, and only what differs is resolved.

A membership's key is the hash of its user's and group's source ids and its role, its content the
combined hash of its enrollments, in whatever order. Most keys are equal on most nights, so user
and group are looked up for the others only. Two memberships with one key by chance would differ
every night and then be found equal by their resolved ids: more work, no wrong result.
"""

import asyncpg

from domain.roster.records import RecordType
from domain.sync.context import RunContext
from domain.sync.decide import TypeCounts
from domain.sync.ids import NewIds
from domain.sync.staging import MAPPED
from domain.validation.codes import Code

_MEMBERSHIP = RecordType.MEMBERSHIP


async def plan_memberships(
    context: RunContext, connection: asyncpg.Connection, new_ids: NewIds
) -> TypeCounts:
    tables = ("differing", "examined", "live_users", "live_groups")
    for name in tables:
        await connection.execute(f"DROP TABLE IF EXISTS {context.staging.table(name)}")
    await _find_differing(context, connection)
    differing = context.staging.table("differing")
    if await connection.fetchval(f"SELECT EXISTS (SELECT FROM {differing})"):
        await _examine(context, connection)
        await _note_dangling(context, connection)
    await _compare(context, connection, new_ids)
    await _store_changes(context, connection)
    return await _count(context, connection)


async def _find_differing(context: RunContext, connection: asyncpg.Connection) -> None:
    """The keys that are new, changed or gone, or whose user or group is about to be archived."""
    staging, tenant = context.staging, context.tenant_id
    await connection.execute(
        f"CREATE UNLOGGED TABLE {staging.table('differing')} AS"
        " SELECT DISTINCT coalesce(k.key, m.key_hash) AS key"
        " FROM (SELECT e.key, bit_xor(e.content) AS content"
        f"   FROM {staging.of(_MEMBERSHIP)} e GROUP BY e.key) k"
        " FULL JOIN (SELECT key_hash, content_hash, user_id, group_id FROM memberships"
        f"  WHERE tenant_id = '{tenant}' AND origin = 'PROVIDER' AND archived_at IS NULL) m"
        " ON m.key_hash = k.key"
        " WHERE k.content IS DISTINCT FROM m.content_hash"
        f" OR m.user_id IN (SELECT id FROM {staging.work(RecordType.USER)}"
        "   WHERE action = 'ARCHIVE')"
        f" OR m.group_id IN (SELECT id FROM {staging.work(RecordType.GROUP)}"
        "   WHERE action = 'ARCHIVE')"
    )
    await connection.execute(f"ANALYZE {staging.table('differing')}")


async def _examine(context: RunContext, connection: asyncpg.Connection) -> None:
    """The enrollments of differing keys, with their user's and group's ids after this run."""
    staging, tenant = context.staging, context.tenant_id
    for record_type, table, name in (
        (RecordType.USER, "users", "live_users"),
        (RecordType.GROUP, "groups", "live_groups"),
    ):
        work = staging.work(record_type)
        await connection.execute(
            f"CREATE UNLOGGED TABLE {staging.table(name)} AS"
            f" SELECT r.source_id, r.id FROM {table} r WHERE r.tenant_id = '{tenant}'"
            "  AND r.origin = 'PROVIDER' AND r.archived_at IS NULL"
            f" AND NOT EXISTS (SELECT FROM {work} w WHERE w.id = r.id AND w.action = 'ARCHIVE')"
            " UNION ALL"
            f" SELECT source_id, id FROM {work} WHERE action IN ('CREATE', 'RESTORE')"
        )
        await connection.execute(f"ANALYZE {staging.table(name)}")
    await connection.execute(
        f"CREATE UNLOGGED TABLE {staging.table('examined')} AS"
        " SELECT e.*, u.id AS user_id, g.id AS group_id"
        f" FROM {staging.of(_MEMBERSHIP)} e"
        f" JOIN {staging.table('differing')} d ON d.key = e.key"
        f" LEFT JOIN {staging.table('live_users')} u ON u.source_id = e.user_source_id"
        f" LEFT JOIN {staging.table('live_groups')} g ON g.source_id = e.group_source_id"
    )
    await connection.execute(f"ANALYZE {staging.table('examined')}")


async def _note_dangling(context: RunContext, connection: asyncpg.Connection) -> None:
    """Enrollments whose user or group is not there are left out, and that is said.

    Unless the person was left out on purpose: then they are only counted.
    """
    staging = context.staging
    await connection.execute(
        f"INSERT INTO {staging.ignored} (record_type, source_id, reason)"
        " SELECT $1, e.source_id, 'the person is left out'"
        f" FROM {staging.table('examined')} e JOIN {staging.ignored} i"
        "  ON i.record_type = 'USER' AND i.source_id = e.user_source_id"
        " WHERE e.user_id IS NULL AND NOT e.is_stored",
        _MEMBERSHIP.value,
    )
    for code, column, record_type, field in (
        (Code.ENR_USER_MISSING, "user", RecordType.USER, "userSourcedId"),
        (Code.ENR_CLASS_MISSING, "group", RecordType.GROUP, "classSourcedId"),
    ):
        # An enrollment that misses both is told once, by its user.
        first = "" if column == "user" else " AND s.user_id IS NOT NULL"
        await connection.execute(
            f"INSERT INTO {staging.problems}"
            " (code, record_type, source_id, field, expected, found, cause, record, rejects)"
            f" SELECT $1, $2, s.source_id, $3, CASE WHEN p.source_id IS NULL"
            f"  THEN 'a {column} of the feed' ELSE 'a {column} that is valid' END,"
            f" s.{column}_source_id, $4 || ' ' || s.{column}_source_id,"
            f" {MAPPED}, true"
            f" FROM {staging.table('examined')} s"
            f" LEFT JOIN (SELECT DISTINCT source_id FROM {staging.problems}"
            "   WHERE record_type = $4 AND rejects) p"
            f"  ON p.source_id = s.{column}_source_id"
            f" WHERE s.{column}_id IS NULL AND NOT s.is_stored{first}"
            f" AND NOT EXISTS (SELECT FROM {staging.ignored} i"
            f"   WHERE i.record_type = $4 AND i.source_id = s.{column}_source_id)",
            code.value,
            _MEMBERSHIP.value,
            field,
            record_type.value,
        )


async def _compare(context: RunContext, connection: asyncpg.Connection, new_ids: NewIds) -> None:
    """The work table: resolved enrollments by membership against what is stored of those keys."""
    staging, tenant = context.staging, context.tenant_id
    resolved = (
        "SELECT e.user_id, e.group_id, e.role, min(e.key) AS key,"
        " bit_xor(e.content) AS content"
        f" FROM {staging.table('examined')} e"
        " WHERE e.user_id IS NOT NULL AND e.group_id IS NOT NULL"
        " GROUP BY e.user_id, e.group_id, e.role"
    )
    if not await connection.fetchval("SELECT to_regclass($1)", staging.table("examined")):
        resolved = (
            "SELECT NULL::uuid AS user_id, NULL::uuid AS group_id, NULL::text AS role,"
            " NULL::bigint AS key, NULL::bigint AS content LIMIT 0"
        )
    await connection.execute(
        f"CREATE UNLOGGED TABLE {staging.work(_MEMBERSHIP)} AS"
        # New ids are given in the order of the unique index, which is then filled in order.
        f" SELECT coalesce(q.id, {new_ids.sql}) AS id, q.user_id, q.group_id, q.role, q.key,"
        "  q.hash, q.old_hash, q.action FROM ("
        " SELECT m.id, coalesce(s.user_id, m.user_id) AS user_id,"
        "  coalesce(s.group_id, m.group_id) AS group_id, coalesce(s.role, m.role) AS role,"
        "  s.key, s.content AS hash, m.content_hash AS old_hash,"
        "  CASE WHEN m.id IS NULL THEN 'CREATE' WHEN s.user_id IS NULL THEN 'ARCHIVE'"
        "   WHEN m.archived_at IS NOT NULL THEN 'RESTORE'"
        "   WHEN m.content_hash IS DISTINCT FROM s.content THEN 'UPDATE'"
        "   WHEN m.key_hash IS DISTINCT FROM s.key THEN 'REHASH' ELSE 'NONE' END AS action"
        f" FROM ({resolved}) s FULL JOIN ("
        "  SELECT id, user_id, group_id, role::text AS role, key_hash, content_hash, archived_at"
        f" FROM memberships WHERE tenant_id = '{tenant}' AND origin = 'PROVIDER'"
        "  AND (archived_at IS NOT NULL"
        f"   OR key_hash IN (SELECT key FROM {staging.table('differing')}))) m"
        " ON m.user_id = s.user_id AND m.group_id = s.group_id AND m.role = s.role"
        " WHERE s.user_id IS NOT NULL OR m.archived_at IS NULL"
        " ORDER BY 2, 3) q"
    )
    await connection.execute(f"ANALYZE {staging.work(_MEMBERSHIP)}")


async def _store_changes(context: RunContext, connection: asyncpg.Connection) -> None:
    work = context.staging.work(_MEMBERSHIP)
    changed = "('UPDATE', 'ARCHIVE', 'RESTORE')"
    if not await connection.fetchval(
        f"SELECT EXISTS (SELECT FROM {work} WHERE action IN {changed})"
    ):
        return
    examined = context.staging.table("examined")
    has_staged = await connection.fetchval("SELECT to_regclass($1)", examined)
    staged = (
        "SELECT e.user_id, e.group_id, e.role, jsonb_agg(jsonb_build_object("
        "  'source_id', e.source_id, 'begins_on', e.begins_on, 'ends_on', e.ends_on,"
        "  'is_primary', e.is_primary) ORDER BY e.source_id) AS spans"
        f" FROM {examined} e GROUP BY e.user_id, e.group_id, e.role"
        if has_staged
        else "SELECT NULL::uuid AS user_id, NULL::uuid AS group_id, NULL::text AS role,"
        " NULL::jsonb AS spans LIMIT 0"
    )
    await connection.execute(
        "INSERT INTO sync_changes (tenant_id, run_id, record_type, record_id, action,"
        "  planned_hash, old_values, new_values)"
        " SELECT $1, $2, $3, w.id, w.action, w.old_hash,"
        "  CASE w.action WHEN 'ARCHIVE' THEN jsonb_build_object('archived', false)"
        "   ELSE jsonb_build_object('spans', old.spans) END,"
        "  CASE w.action WHEN 'ARCHIVE' THEN jsonb_build_object('archived', true)"
        "   ELSE jsonb_build_object('spans', new.spans) END"
        f" FROM {work} w"
        " LEFT JOIN (SELECT sp.membership_id, jsonb_agg(jsonb_build_object("
        "   'source_id', sp.source_id, 'begins_on', sp.begins_on, 'ends_on', sp.ends_on,"
        "   'is_primary', sp.is_primary) ORDER BY sp.source_id) AS spans"
        f"  FROM membership_spans sp JOIN {work} w2 ON w2.id = sp.membership_id"
        "    AND w2.action IN ('UPDATE', 'RESTORE')"
        "  WHERE sp.tenant_id = $1 GROUP BY sp.membership_id) old ON old.membership_id = w.id"
        f" LEFT JOIN ({staged}) new ON new.user_id = w.user_id AND new.group_id = w.group_id"
        "  AND new.role = w.role"
        f" WHERE w.action IN {changed}",
        context.tenant_id,
        context.run_id,
        _MEMBERSHIP.value,
    )


async def _count(context: RunContext, connection: asyncpg.Connection) -> TypeCounts:
    rows = await connection.fetch(
        f"SELECT action, count(*) AS n FROM {context.staging.work(_MEMBERSHIP)} GROUP BY action"
    )
    numbers = {row["action"]: row["n"] for row in rows}
    stored = await connection.fetchval(
        "SELECT count(*) FROM memberships"
        " WHERE tenant_id = $1 AND origin = 'PROVIDER' AND archived_at IS NULL",
        context.tenant_id,
    )
    created, updated = numbers.get("CREATE", 0), numbers.get("UPDATE", 0)
    archived, restored = numbers.get("ARCHIVE", 0), numbers.get("RESTORE", 0)
    context.count(
        _MEMBERSHIP.value,
        created=created,
        updated=updated,
        archived=archived,
        restored=restored,
        unchanged=stored - updated - archived,
    )
    return TypeCounts(stored=stored, arriving=created + restored, archived=archived)
