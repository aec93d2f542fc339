"""The plan of memberships: compared group by group first, and only what differs is resolved.

An enrollment's content hash covers all of it, a membership's is the combination of its
enrollments', and a group's the combination of its memberships'. On most nights most groups are
equal, so people are looked up for the others only.

A combination is the XOR of the hashes with the number of enrollments in its last byte: of a new
enrollment that is there twice the XOR alone would show nothing.
"""

import asyncpg

from domain.roster.records import RecordType
from domain.sync.context import RunContext
from domain.sync.decide import TypeCounts
from domain.sync.ids import NewIds
from domain.sync.staging import MAPPED
from domain.sync.stored import Stored
from domain.validation.codes import Code

_MEMBERSHIP = RecordType.MEMBERSHIP
_LEFT_OUT = "the person is left out"
_SAID = "(code, record_type, source_id, field, expected, found, cause, record, rejects, is_planned)"
_NUMBER = 255
"""The bits of a membership's hash that count its enrollments; the others are those of the XOR."""
COMBINED = f"(bit_xor(e.content) & {~_NUMBER}) | (count(*) & {_NUMBER})"
"""SQL for the hash of a membership from its staged enrollments `e`."""


async def plan_memberships(
    context: RunContext, connection: asyncpg.Connection, new_ids: NewIds, stored: Stored
) -> TypeCounts:
    await _forget_former_plan(context, connection)
    await _find_differing_groups(context, connection, stored)
    await _examine(context, connection, stored)
    await _reject_duplicates(context, connection)
    await _note_dangling(context, connection)
    await _compare(context, connection, new_ids, stored)
    await _store_changes(context, connection)
    return await _count(context, connection)


async def _forget_former_plan(context: RunContext, connection: asyncpg.Connection) -> None:
    """A plan that turned out stale has left its tables, and notes that are made again."""
    staging = context.staging
    for name in ("differing", "examined", "live_users", "live_groups"):
        await connection.execute(f"DROP TABLE IF EXISTS {staging.table(name)}")
    await connection.execute(
        f"DELETE FROM {staging.problems} WHERE is_planned",
    )
    await connection.execute(
        f"DELETE FROM {staging.ignored} WHERE record_type = $1 AND reason = $2",
        _MEMBERSHIP.value,
        _LEFT_OUT,
    )


async def _find_differing_groups(
    context: RunContext, connection: asyncpg.Connection, stored: Stored
) -> None:
    """By source id: groups with other enrollments than stored, or about to lose a member.

    A group from before rostering that is closed has only its own id. And the groups that share
    the id of an enrollment with one of those: which of the two is taken has to be judged together.
    """
    staging = context.staging
    groups_seen = stored.records(RecordType.GROUP)
    # Memberships from before rostering have no hash that could differ.
    is_other = "false" if stored.is_plain else "bool_or(origin <> 'PROVIDER')"
    differing, enrollments = staging.table("differing"), staging.of(_MEMBERSHIP)
    groups, users = staging.work(RecordType.GROUP), staging.work(RecordType.USER)
    await connection.execute(
        f"CREATE UNLOGGED TABLE {differing} AS"
        " SELECT coalesce(s.group_source_id, m.source_id) AS source_id, m.group_id"
        f" FROM (SELECT group_source_id, bit_xor(content) & {~_NUMBER} AS content, count(*) AS n"
        f"   FROM {enrollments} GROUP BY 1) s"
        " FULL JOIN (SELECT g.source_id, x.group_id, x.content, x.n, x.loses, x.is_other FROM"
        f"   (SELECT group_id, bit_xor(content_hash) & {~_NUMBER} AS content,"
        f"    sum((content_hash & {_NUMBER})::int) AS n,"
        f"    bool_or(user_id IN (SELECT id FROM {users} WHERE action = 'ARCHIVE')) AS loses,"
        f"    {is_other} AS is_other"
        f"    FROM ({stored.memberships}) r WHERE archived_at IS NULL GROUP BY group_id) x"
        f"   JOIN ({groups_seen}) g ON g.id = x.group_id) m"
        "  ON m.source_id = s.group_source_id"
        " WHERE s.content IS DISTINCT FROM m.content OR s.n IS DISTINCT FROM m.n OR m.loses"
        "  OR m.is_other"
        f"  OR m.source_id IN (SELECT source_id FROM {groups} WHERE action = 'ARCHIVE')"
    )
    await connection.execute(f"ANALYZE {differing}")
    await connection.execute(
        f"INSERT INTO {differing} (source_id)"
        f" SELECT DISTINCT e.group_source_id FROM {enrollments} e"
        f" WHERE NOT EXISTS (SELECT FROM {differing} d WHERE d.source_id = e.group_source_id)"
        f" AND e.source_id IN (SELECT x.source_id FROM {enrollments} x"
        f"   JOIN {differing} d ON d.source_id = x.group_source_id)"
    )


async def _examine(context: RunContext, connection: asyncpg.Connection, stored: Stored) -> None:
    """The enrollments of those groups, with their user's and group's ids after this run."""
    staging = context.staging
    for record_type, name in (
        (RecordType.USER, "live_users"),
        (RecordType.GROUP, "live_groups"),
    ):
        work = staging.work(record_type)
        await connection.execute(
            f"CREATE UNLOGGED TABLE {staging.table(name)} AS"
            f" SELECT r.source_id, r.id FROM ({stored.records(record_type)}) r"
            " WHERE r.archived_at IS NULL AND r.source_id IS NOT NULL"
            f" AND NOT EXISTS (SELECT FROM {work} w WHERE w.id = r.id AND w.action = 'ARCHIVE')"
            f" AND EXISTS (SELECT FROM {staging.table('differing')})"
            " UNION ALL"
            f" SELECT source_id, id FROM {work} WHERE action IN ('CREATE', 'RESTORE')"
        )
        await connection.execute(f"ANALYZE {staging.table(name)}")
    await connection.execute(
        f"CREATE UNLOGGED TABLE {staging.table('examined')} AS"
        " SELECT e.*, e.ctid AS read_at, u.id AS user_id, g.id AS group_id"
        f" FROM {staging.of(_MEMBERSHIP)} e"
        f" JOIN {staging.table('differing')} d ON d.source_id = e.group_source_id"
        f" LEFT JOIN {staging.table('live_users')} u ON u.source_id = e.user_source_id"
        f" LEFT JOIN {staging.table('live_groups')} g ON g.source_id = e.group_source_id"
    )
    await connection.execute(f"ANALYZE {staging.table('examined')} (source_id, user_id, group_id)")


async def _reject_duplicates(context: RunContext, connection: asyncpg.Connection) -> None:
    """The first enrollment of an id is taken; rows of a fresh COPY lie in the order of reading.

    Pages of a server may overlap: that an enrollment is there twice as it is says nothing.
    Looking at differing groups is enough: of two enrollments with one id one is not stored, and
    its group differs every night.
    """
    examined = context.staging.table("examined")
    await connection.execute(
        "WITH twins AS (SELECT source_id, min(read_at) AS first"
        f"   FROM {examined} GROUP BY source_id HAVING count(*) > 1),"
        f" gone AS (DELETE FROM {examined} s USING twins t JOIN {examined} f ON f.read_at = t.first"
        "   WHERE s.source_id = t.source_id AND s.read_at <> t.first"
        "   RETURNING s.*, $3 AND s.content = f.content AS is_copy)"
        f" INSERT INTO {context.staging.problems}"
        f" {_SAID}"
        " SELECT $1, $2, s.source_id, 'sourcedId', 'an id of its own', 'an id used before',"
        f" $2 || ' ' || s.source_id, {MAPPED}, true, true FROM gone s WHERE NOT s.is_copy",
        Code.ID_DUPLICATE.value,
        _MEMBERSHIP.value,
        context.is_network,
    )


async def _note_dangling(context: RunContext, connection: asyncpg.Connection) -> None:
    """Enrollments whose user or group is not there are left out, and that is said.

    Unless the person was left out on purpose: then they are only counted.
    """
    staging = context.staging
    await connection.execute(
        f"INSERT INTO {staging.ignored} (record_type, source_id, reason)"
        f" SELECT $1, s.source_id, $2 FROM {staging.table('examined')} s"
        " WHERE s.user_id IS NULL AND NOT s.is_stored AND EXISTS ("
        f"  SELECT FROM {staging.ignored} i"
        "   WHERE i.record_type = 'USER' AND i.source_id = s.user_source_id)",
        _MEMBERSHIP.value,
        _LEFT_OUT,
    )
    for code, name, record_type, field in (
        (Code.ENR_USER_MISSING, "user", RecordType.USER, "userSourcedId"),
        (Code.ENR_CLASS_MISSING, "group", RecordType.GROUP, "classSourcedId"),
    ):
        # An enrollment that misses both is told once, by its user.
        first = "" if name == "user" else " AND s.user_id IS NOT NULL"
        await connection.execute(
            f"INSERT INTO {staging.problems}"
            f" {_SAID}"
            " SELECT $1, $2, s.source_id, $3, CASE WHEN p.source_id IS NULL"
            f"  THEN 'a {name} of the feed' ELSE 'a {name} that is valid' END,"
            f" s.{name}_source_id, $4 || ' ' || s.{name}_source_id, {MAPPED}, true, true"
            f" FROM {staging.table('examined')} s"
            f" LEFT JOIN (SELECT DISTINCT source_id FROM {staging.problems}"
            f"   WHERE record_type = $4 AND rejects) p ON p.source_id = s.{name}_source_id"
            f" WHERE s.{name}_id IS NULL AND NOT s.is_stored{first}"
            f" AND NOT EXISTS (SELECT FROM {staging.ignored} i"
            f"   WHERE i.record_type = $4 AND i.source_id = s.{name}_source_id)",
            code.value,
            _MEMBERSHIP.value,
            field,
            record_type.value,
        )


async def _compare(
    context: RunContext, connection: asyncpg.Connection, new_ids: NewIds, stored: Stored
) -> None:
    """The work table: what is resolved, by membership, against what is stored of those groups."""
    staging, differing = context.staging, context.staging.table("differing")
    await connection.execute(
        f"CREATE UNLOGGED TABLE {staging.work(_MEMBERSHIP)} AS"
        # New ids are given in the order of the unique index, which is then filled in order.
        f" SELECT coalesce(q.id, {new_ids.sql}) AS id, q.user_id, q.group_id, q.role, q.hash,"
        "  q.old_hash, q.action, q.origin, NULL::text AS held_by FROM ("
        " SELECT m.id, coalesce(s.user_id, m.user_id) AS user_id,"
        "  coalesce(s.group_id, m.group_id) AS group_id, coalesce(s.role, m.role) AS role,"
        "  s.content AS hash, m.content_hash AS old_hash,"
        "  CASE WHEN m.id IS NULL THEN 'CREATE' WHEN s.user_id IS NULL THEN 'ARCHIVE'"
        "   WHEN m.archived_at IS NOT NULL THEN 'RESTORE' ELSE 'UPDATE' END AS action,"
        "  coalesce(m.origin, 'PROVIDER') AS origin"
        " FROM (SELECT e.user_id, e.group_id, e.role,"
        f"   {COMBINED} AS content"
        f"   FROM {staging.table('examined')} e"
        "   WHERE e.user_id IS NOT NULL AND e.group_id IS NOT NULL"
        "   GROUP BY e.user_id, e.group_id, e.role) s"
        " FULL JOIN (SELECT id, user_id, group_id, role::text AS role, content_hash, archived_at,"
        f"   origin FROM ({stored.memberships}) r WHERE group_id IN ("
        f"    SELECT g.id FROM ({stored.records(RecordType.GROUP)}) g"
        f"    JOIN {differing} d ON d.source_id = g.source_id"
        f"    UNION ALL SELECT group_id FROM {differing} WHERE source_id IS NULL)) m"
        "  ON m.user_id = s.user_id AND m.group_id = s.group_id AND m.role = s.role"
        " WHERE (s.user_id IS NULL AND m.archived_at IS NULL)"
        "  OR (s.user_id IS NOT NULL AND (m.id IS NULL OR m.archived_at IS NOT NULL"
        "   OR m.content_hash IS DISTINCT FROM s.content OR m.origin <> 'PROVIDER'))"
        " ORDER BY 2, 3) q"
    )
    await connection.execute(f"ANALYZE {staging.work(_MEMBERSHIP)}")


async def _store_changes(context: RunContext, connection: asyncpg.Connection) -> None:
    """Old and new spans; a membership of which only the hash is another is no update."""
    work = context.staging.work(_MEMBERSHIP)
    spans = (
        "jsonb_agg(jsonb_build_object('source_id', {0}.source_id, 'begins_on', {0}.begins_on,"
        " 'ends_on', {0}.ends_on, 'is_primary', {0}.is_primary) ORDER BY {0}.source_id)"
    )
    changed = f"(SELECT * FROM {work} WHERE action IN ('UPDATE', 'RESTORE'))"
    await connection.execute(
        "INSERT INTO sync_changes (tenant_id, run_id, record_type, record_id, action,"
        "  planned_hash, old_values, new_values)"
        " SELECT $1, $2, $3, w.id, w.action, w.old_hash,"
        "  CASE w.action WHEN 'ARCHIVE' THEN jsonb_build_object('archived', false)"
        "   ELSE jsonb_build_object('spans', old.spans) || CASE w.origin WHEN 'PROVIDER' THEN '{}'"
        "    ELSE jsonb_build_object('origin', w.origin) END END,"
        "  CASE w.action WHEN 'ARCHIVE' THEN jsonb_build_object('archived', true)"
        "   ELSE jsonb_build_object('spans', new.spans) || CASE w.origin WHEN 'PROVIDER' THEN '{}'"
        "    ELSE jsonb_build_object('origin', 'PROVIDER') END END"
        f" FROM {work} w"
        f" LEFT JOIN (SELECT c.id, {spans.format('sp')} AS spans FROM membership_spans sp"
        f"   JOIN {changed} c ON c.id = sp.membership_id"
        "    WHERE sp.tenant_id = $1 GROUP BY c.id) old ON old.id = w.id"
        f" LEFT JOIN (SELECT c.id, {spans.format('e')} AS spans"
        f"   FROM {context.staging.table('examined')} e JOIN {changed} c"
        "    ON c.user_id = e.user_id AND c.group_id = e.group_id AND c.role = e.role"
        "   GROUP BY c.id) new ON new.id = w.id"
        " WHERE w.action IN ('ARCHIVE', 'RESTORE')"
        "  OR (w.action = 'UPDATE' AND (w.origin <> 'PROVIDER'"
        "   OR old.spans IS DISTINCT FROM new.spans))",
        context.tenant_id,
        context.run_id,
        _MEMBERSHIP.value,
    )
    await connection.execute(
        f"UPDATE {work} w SET action = 'REHASH' WHERE w.action = 'UPDATE' AND NOT EXISTS ("
        "  SELECT FROM sync_changes c WHERE c.tenant_id = $1 AND c.run_id = $2"
        "  AND c.record_type = $3 AND c.record_id = w.id)",
        context.tenant_id,
        context.run_id,
        _MEMBERSHIP.value,
    )


async def _count(context: RunContext, connection: asyncpg.Connection) -> TypeCounts:
    rows = await connection.fetch(
        f"SELECT action, count(*) AS n FROM {context.staging.work(_MEMBERSHIP)}"
        " WHERE origin = 'PROVIDER' GROUP BY action"
    )
    numbers = {row["action"]: row["n"] for row in rows}
    stored = await connection.fetchval(
        "SELECT count(*) FROM memberships"
        " WHERE tenant_id = $1 AND origin = 'PROVIDER' AND archived_at IS NULL",
        context.tenant_id,
    )
    return TypeCounts(
        stored=stored,
        arriving=numbers.get("CREATE", 0) + numbers.get("RESTORE", 0),
        archived=numbers.get("ARCHIVE", 0),
        updated=numbers.get("UPDATE", 0),
    )
