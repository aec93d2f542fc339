"""Rules over what is stored after a run, asked only of what it may have made another.

On most nights nearly every class is as it was, and a look at all enrollments would be felt: so
what was seen of such a class before is simply told again.
"""

from collections.abc import Sequence

import asyncpg

from domain.roster.records import RecordType
from domain.sync.context import RunContext, allow_nested_loops
from domain.sync.local_notes import note_local
from domain.sync.rules import MOST_EXAMPLES, SAID, tell_number
from domain.validation.codes import Code

_TOLD_BY_CLASS = (
    Code.ENR_SCHOOL_MISMATCH,
    Code.CLASS_TEACHER_OTHER_SCHOOL,
    Code.ENR_OUTSIDE_DATES,
)
_TODAY = "SELECT (now() AT TIME ZONE time_zone)::date AS today FROM tenants WHERE id = {}"
_IS_ELSEWHEN = "(p.begins_on > d.today OR p.ends_on <= d.today) IS TRUE"
"""Whether an enrollment `p` is not of the day."""


async def observe(context: RunContext, connection: asyncpg.Connection) -> None:
    touched = await _find_touched(context, connection)
    if touched:
        await allow_nested_loops(connection, touched)
        await _note_other_days(context, connection)
        await _note_other_schools(context, connection)
    await allow_nested_loops(connection, None)
    await _tell_again(
        context,
        connection,
        _TOLD_BY_CLASS,
        unless="EXISTS (SELECT FROM touched t WHERE t.source_id = v.source_id)",
    )
    await _note_shared_numbers(context, connection)
    await note_local(context, connection)


async def _note_other_schools(context: RunContext, connection: asyncpg.Connection) -> None:
    """Students and teachers who are in a class of a school that is none of theirs.

    Who is in several schools is told as such: a student is stored with the first of them.
    """
    problems = context.staging.problems
    await connection.execute(
        "CREATE TEMPORARY TABLE members ON COMMIT DROP AS"
        " SELECT t.source_id, t.school_id, m.role, m.user_id FROM touched t"
        f" JOIN memberships m ON m.tenant_id = '{context.tenant_id}' AND m.group_id = t.id"
        " WHERE m.archived_at IS NULL AND m.role IN ('STUDENT', 'TEACHER')"
        "  AND t.archived_at IS NULL"
    )
    await connection.execute("ANALYZE members")
    # The notes have no index: each member is looked for in them at once.
    await allow_nested_loops(connection, None)
    await connection.execute(
        f"INSERT INTO {problems} {SAID}"
        " SELECT CASE f.role WHEN 'STUDENT' THEN $2 ELSE $3 END, $4, f.source_id, NULL,"
        "  'people of the class''s school',"
        "  f.number || CASE f.role WHEN 'STUDENT' THEN ' student' ELSE ' teacher' END"
        "   || CASE f.number WHEN 1 THEN ' of another school' ELSE 's of other schools' END,"
        f" $4 || ' ' || f.source_id, {tell_number('f.number', 'f.examples')}, false"
        " FROM (SELECT m.source_id, m.role, count(*) AS number,"
        f"   (array_agg(u.source_id ORDER BY u.source_id))[:{MOST_EXAMPLES}] AS examples"
        "  FROM members m JOIN users u ON u.tenant_id = $1 AND u.id = m.user_id"
        "  WHERE u.origin = 'PROVIDER' AND u.archived_at IS NULL"
        "   AND EXISTS (SELECT FROM school_affiliations a"
        "    WHERE a.tenant_id = $1 AND a.user_id = u.id)"
        "   AND NOT EXISTS (SELECT FROM school_affiliations a"
        "    WHERE a.tenant_id = $1 AND a.user_id = u.id AND a.school_id = m.school_id)"
        f"  AND NOT EXISTS (SELECT FROM {problems} p"
        "    WHERE p.code = $5 AND p.source_id = u.source_id)"
        "   AND NOT EXISTS (SELECT FROM validation_errors v WHERE v.tenant_id = $1"
        "    AND v.code = $5 AND v.source_id = u.source_id AND v.state <> 'RESOLVED')"
        "  GROUP BY m.source_id, m.role) f",
        context.tenant_id,
        Code.ENR_SCHOOL_MISMATCH.value,
        Code.CLASS_TEACHER_OTHER_SCHOOL.value,
        RecordType.GROUP.value,
        Code.STUDENT_MULTI_SCHOOL.value,
    )


async def _note_other_days(context: RunContext, connection: asyncpg.Connection) -> None:
    """Who is in a class that is under way, and by none of their enrollments today."""
    await connection.execute(
        f"INSERT INTO {context.staging.problems} {SAID}"
        " SELECT $2, $3, f.source_id, NULL, 'people who are in the class today',"
        "  (f.number - f.later) || ' have ended, ' || f.later || ' begin later',"
        "  $3 || ' ' || f.source_id, jsonb_build_object('concerned', f.number,"
        f"  'examples', f.examples[:{MOST_EXAMPLES}], 'later', f.later), false"
        " FROM (SELECT e.source_id, count(*) AS number,"
        "   count(*) FILTER (WHERE e.is_later) AS later,"
        "   array_agg(u.source_id ORDER BY u.source_id) AS examples"
        "  FROM (SELECT t.source_id, m.user_id, bool_or(p.begins_on > d.today) IS TRUE AS is_later"
        f"  FROM ({_TODAY.format('$1')}) d"
        "    CROSS JOIN touched t"
        "    JOIN memberships m ON m.tenant_id = $1 AND m.group_id = t.id"
        "    JOIN membership_spans p ON p.tenant_id = $1 AND p.membership_id = m.id"
        "   WHERE m.archived_at IS NULL AND t.archived_at IS NULL"
        "    AND (t.starts_on > d.today) IS NOT TRUE AND (t.ends_on <= d.today) IS NOT TRUE"
        "   GROUP BY t.source_id, m.user_id"
        f"  HAVING bool_and({_IS_ELSEWHEN})) e"
        "  JOIN users u ON u.tenant_id = $1 AND u.id = e.user_id GROUP BY e.source_id) f",
        context.tenant_id,
        Code.ENR_OUTSIDE_DATES.value,
        RecordType.GROUP.value,
    )


async def _find_touched(context: RunContext, connection: asyncpg.Connection) -> int:
    """Classes of which something else may have to be told than before. How many they are.

    Newcomers whose school it is not, or who are not there today; classes and people of another
    school; what was told of a class that has other members now; and who was about to enter a
    class, where only the days pass.
    """
    # CREATE TABLE AS takes no parameters; both are UUIDs that we made.
    tenant, work = f"'{context.tenant_id}'", context.staging.work(RecordType.MEMBERSHIP)
    changes = (
        f"SELECT c.record_id FROM sync_changes c WHERE c.tenant_id = {tenant}"
        f" AND c.run_id = '{context.run_id}' AND c.record_type = '{{}}' AND c.new_values ? '{{}}'"
    )
    told = ", ".join(f"'{code.value}'" for code in _TOLD_BY_CLASS)
    counts = context.counts.get(RecordType.MEMBERSHIP.value, {})
    news = sum(counts.get(name, 0) for name in ("created", "updated", "restored"))
    await allow_nested_loops(connection, news)
    done = await connection.execute(
        "CREATE TEMPORARY TABLE touched ON COMMIT DROP AS"
        " SELECT g.id, g.source_id, g.school_id, g.archived_at, g.starts_on, g.ends_on"
        "  FROM groups g"
        f" WHERE g.tenant_id = {tenant} AND g.origin = 'PROVIDER' AND g.id IN ("
        f"  SELECT w.group_id FROM {work} w"
        f"   JOIN groups n ON n.tenant_id = {tenant} AND n.id = w.group_id"
        "   WHERE w.action IN ('CREATE', 'RESTORE') AND w.role IN ('STUDENT', 'TEACHER')"
        f"   AND NOT EXISTS (SELECT FROM school_affiliations a WHERE a.tenant_id = {tenant}"
        "     AND a.user_id = w.user_id AND a.school_id = n.school_id)"
        f"  UNION SELECT p.group_id FROM {context.staging.table('examined')} p"
        f"   CROSS JOIN ({_TODAY.format(tenant)}) d WHERE {_IS_ELSEWHEN}"
        f"  UNION {changes.format('GROUP', 'school_source_id')}"
        f"  UNION {changes.format('GROUP', 'starts_on')}"
        f"  UNION {changes.format('GROUP', 'ends_on')}"
        f"  UNION SELECT m.group_id FROM memberships m WHERE m.tenant_id = {tenant}"
        "    AND m.archived_at IS NULL"
        f"   AND m.user_id IN ({changes.format('USER', 'school_source_ids')})"
        "   UNION SELECT l.id FROM groups l"
        f"   JOIN validation_errors v ON v.tenant_id = {tenant} AND v.source_id = l.source_id"
        f"   WHERE l.tenant_id = {tenant} AND v.code IN ({told}) AND v.state <> 'RESOLVED'"
        f"    AND ((v.record ->> 'later')::int > 0 OR v.source_id IN ("
        f"     SELECT source_id FROM {context.staging.table('differing')})))"
    )
    await connection.execute("ANALYZE touched")
    return int(done.removeprefix("SELECT "))


async def _note_shared_numbers(context: RunContext, connection: asyncpg.Connection) -> None:
    """Students with the same number. Who was rejected for it is told already, by name."""
    counts = context.counts.get(RecordType.USER.value, {})
    code = Code.USER_SECOND_ID_TAKEN
    if not any(counts.get(name) for name in ("created", "updated", "archived", "restored")):
        told = f"SELECT FROM {context.staging.problems} p WHERE p.code = v.code"
        await _tell_again(
            context,
            connection,
            [code],
            unless=f"v.severity = 'ERROR' OR EXISTS ({told} AND p.source_id = v.source_id)",
        )
        return
    await connection.execute(
        f"INSERT INTO {context.staging.problems} {SAID}"
        " SELECT $2, $3, u.source_id, 'identifier', 'a number of their own', u.number,"
        "  'NUMBER ' || u.number, NULL, false"
        " FROM users u JOIN (SELECT number FROM users WHERE tenant_id = $1"
        "   AND origin = 'PROVIDER' AND archived_at IS NULL AND number IS NOT NULL"
        "   AND roles @> '{STUDENT}' GROUP BY 1 HAVING count(*) > 1) d ON d.number = u.number"
        " WHERE u.tenant_id = $1 AND u.origin = 'PROVIDER' AND u.archived_at IS NULL"
        "  AND u.roles @> '{STUDENT}'"
        f" AND NOT EXISTS (SELECT FROM {context.staging.problems} p"
        "   WHERE p.code = $2 AND p.rejects AND p.source_id = u.source_id)",
        context.tenant_id,
        code.value,
        RecordType.USER.value,
    )


async def _tell_again(
    context: RunContext, connection: asyncpg.Connection, codes: Sequence[Code], *, unless: str
) -> None:
    """What stands as it was seen before. `unless` is SQL about the stored error `v`."""
    await connection.execute(
        f"INSERT INTO {context.staging.problems} {SAID}"
        " SELECT v.code, v.record_type, v.source_id, v.field, v.expected, v.found, v.cause,"
        "  v.record, false FROM validation_errors v"
        " WHERE v.tenant_id = $1 AND v.code = ANY ($2) AND v.state <> 'RESOLVED'"
        f" AND NOT ({unless})",
        context.tenant_id,
        [code.value for code in codes],
    )
