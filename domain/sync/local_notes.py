"""Notes about what the training product keeps: a sync never changes it, and says what it means.

Around a declared beginning of the school year everybody changes classes: then nobody is named, and
one note says how many choices are cleared.
"""

from datetime import date
from typing import Final, NamedTuple

import asyncpg

from domain.roster.records import RecordType
from domain.sync.context import RunContext, allow_nested_loops
from domain.sync.rules import SAID, tell_number
from domain.training.places import IS_OF_THIS_YEAR, YEAR_BEGAN
from domain.training.years import school_year_of
from domain.validation.codes import Code

_EARNED: Final = (
    "(p.lessons > 0 OR p.seconds > 0 OR p.speed_count > 0 OR p.accuracy_count > 0"
    " OR p.best_speed IS NOT NULL)"
)
_IS_MEMBER: Final = (
    "EXISTS (SELECT FROM memberships m JOIN groups mg ON mg.tenant_id = m.tenant_id"
    " AND mg.id = m.group_id WHERE m.tenant_id = $1 AND m.user_id = {user}"
    " AND m.group_id = {group} AND m.archived_at IS NULL AND mg.archived_at IS NULL)"
)
# What was moved is not there any more, so whatever is there has been earned since.
_IS_COPIED: Final = (
    "EXISTS (SELECT FROM progress_carries k CROSS JOIN jsonb_array_elements(k.carried) e"
    " WHERE k.tenant_id = $1 AND k.user_id = p.user_id AND k.from_group_id = p.group_id"
    " AND k.mode = 'COPY' AND k.undone_at IS NULL"
    " AND (e -> 'gone' ->> 'school_year')::int = p.school_year"
    " AND (e -> 'gone' ->> 'lessons')::int >= p.lessons"
    " AND (e -> 'gone' ->> 'seconds')::int >= p.seconds)"
)


class _Year(NamedTuple):
    """The school year that is under way, and whether it is just changing."""

    school_year: int
    is_changing: bool


async def note_local(context: RunContext, connection: asyncpg.Connection) -> None:
    year = await _read_year(context, connection)
    if not year.is_changing:
        await _note_moves(context, connection, year.school_year)
        await _tell_moves_again(context, connection, year.school_year)
    choices = await connection.fetchval(
        "SELECT count(*) FROM default_places WHERE tenant_id = $1", context.tenant_id
    )
    if choices:
        await allow_nested_loops(connection, choices)
        if year.is_changing:
            await _note_cleared(context, connection)
        else:
            await _note_lost_groups(context, connection)
        await _note_lost_schools(context, connection)
        await allow_nested_loops(connection, None)


async def _read_year(context: RunContext, connection: asyncpg.Connection) -> _Year:
    rows = await connection.fetch(
        "SELECT d.today, r.rolls_on,"
        " d.today BETWEEN r.rolls_on - r.days_before AND r.rolls_on + r.days_after AS is_changing"
        " FROM (SELECT (now() AT TIME ZONE time_zone)::date AS today FROM tenants WHERE id = $1) d"
        " LEFT JOIN year_rollovers r ON r.tenant_id = $1 AND r.cancelled_at IS NULL",
        context.tenant_id,
    )
    today: date = rows[0]["today"]
    declared = [row["rolls_on"] for row in rows if row["rolls_on"]]
    return _Year(school_year_of(today, declared), any(row["is_changing"] for row in rows))


async def _note_moves(
    context: RunContext, connection: asyncpg.Connection, school_year: int
) -> None:
    """Who left a group in which they have earned something for another one, in this run."""
    counts = context.counts.get(RecordType.MEMBERSHIP.value, {})
    left, came = counts.get("archived", 0), counts.get("created", 0) + counts.get("restored", 0)
    if not (left and came):
        return
    work = context.staging.work(RecordType.MEMBERSHIP)
    await allow_nested_loops(connection, min(left, came))
    await connection.execute(
        f"INSERT INTO {context.staging.problems} {SAID}"
        " SELECT $2, $3, u.source_id, 'group', 'progress in a group that the student is in',"
        "  'left ' || f.name || ' for ' || string_agg(DISTINCT t.name, ', '),"
        "  'GROUP ' || f.source_id,"
        "  jsonb_build_object('from_group_id', f.id, 'from_group', f.source_id, 'to_group_ids',"
        "   jsonb_agg(DISTINCT t.id), 'to_groups', jsonb_agg(DISTINCT t.source_id)), false"
        f" FROM {work} w"
        " JOIN progress p ON p.tenant_id = $1 AND p.user_id = w.user_id AND p.group_id = w.group_id"
        f"  AND p.school_year = $4 AND {_EARNED}"
        " JOIN users u ON u.tenant_id = $1 AND u.id = w.user_id AND u.archived_at IS NULL"
        " JOIN groups f ON f.tenant_id = $1 AND f.id = w.group_id"
        f" JOIN {work} n ON n.user_id = w.user_id AND n.group_id <> w.group_id"
        "  AND n.action IN ('CREATE', 'RESTORE') AND n.held_by IS NULL AND n.role = 'STUDENT'"
        " JOIN groups t ON t.tenant_id = $1 AND t.id = n.group_id"
        " WHERE w.action = 'ARCHIVE' AND w.held_by IS NULL AND w.role = 'STUDENT'"
        f"  AND u.source_id IS NOT NULL AND NOT {_IS_MEMBER.format(user='u.id', group='f.id')}"
        f"  AND NOT {_IS_COPIED}"
        " GROUP BY u.id, u.source_id, f.id, f.source_id, f.name",
        context.tenant_id,
        Code.PROGRESS_GROUP_MOVED.value,
        RecordType.USER.value,
        school_year,
    )
    await allow_nested_loops(connection, None)


async def _tell_moves_again(
    context: RunContext, connection: asyncpg.Connection, school_year: int
) -> None:
    """Until the student is back, the progress was carried, or another year has begun."""
    problems = context.staging.problems
    former = "(v.record ->> 'from_group_id')::uuid"
    await connection.execute(
        f"INSERT INTO {problems} {SAID}"
        " SELECT v.code, v.record_type, v.source_id, v.field, v.expected, v.found, v.cause,"
        "  v.record, false"
        " FROM validation_errors v"
        " JOIN users u ON u.tenant_id = $1 AND u.source_id = v.source_id AND u.archived_at IS NULL"
        " WHERE v.tenant_id = $1 AND v.code = $2 AND v.state <> 'RESOLVED'"
        f"  AND EXISTS (SELECT FROM progress p WHERE p.tenant_id = $1 AND p.user_id = u.id"
        f"   AND p.group_id = {former} AND p.school_year = $3 AND {_EARNED} AND NOT {_IS_COPIED})"
        f"  AND NOT {_IS_MEMBER.format(user='u.id', group=former)}"
        f"  AND NOT EXISTS (SELECT FROM {problems} o WHERE o.code = $2"
        "   AND o.source_id = v.source_id"
        "   AND o.record ->> 'from_group_id' = v.record ->> 'from_group_id')",
        context.tenant_id,
        Code.PROGRESS_GROUP_MOVED.value,
        school_year,
    )


_CHOICES: Final = (
    " FROM default_places d JOIN tenants t ON t.id = d.tenant_id"
    f" CROSS JOIN (SELECT {YEAR_BEGAN.format(tenant='$1')} AS began) y"
    " JOIN users u ON u.tenant_id = $1 AND u.id = d.user_id AND u.archived_at IS NULL"
)


async def _note_lost_groups(context: RunContext, connection: asyncpg.Connection) -> None:
    await connection.execute(
        f"INSERT INTO {context.staging.problems} {SAID}"
        " SELECT $2, $3, u.source_id, 'defaultGroup', 'a group that the person is in',"
        "  g.name, 'GROUP ' || coalesce(g.source_id, g.id::text),"
        "  jsonb_build_object('group_id', g.id), false"
        f"{_CHOICES} JOIN groups g ON g.tenant_id = $1 AND g.id = d.group_id"
        " WHERE d.tenant_id = $1 AND u.source_id IS NOT NULL"
        f"  AND {IS_OF_THIS_YEAR} AND NOT {_IS_MEMBER.format(user='u.id', group='d.group_id')}",
        context.tenant_id,
        Code.OVERRIDE_INVALID_NOW.value,
        RecordType.USER.value,
    )


async def _note_lost_schools(context: RunContext, connection: asyncpg.Connection) -> None:
    await connection.execute(
        f"INSERT INTO {context.staging.problems} {SAID}"
        " SELECT $2, $3, u.source_id, 'defaultSchool', 'a school of the person',"
        "  s.name, 'SCHOOL ' || coalesce(s.source_id, s.id::text),"
        "  jsonb_build_object('school_id', s.id), false"
        f"{_CHOICES} JOIN schools s ON s.tenant_id = $1 AND s.id = d.school_id"
        " WHERE d.tenant_id = $1 AND u.source_id IS NOT NULL AND (s.archived_at IS NOT NULL"
        "  OR NOT EXISTS (SELECT FROM school_affiliations a"
        "   WHERE a.tenant_id = $1 AND a.user_id = u.id AND a.school_id = s.id))",
        context.tenant_id,
        Code.OVERRIDE_INVALID_NOW.value,
        RecordType.USER.value,
    )


async def _note_cleared(context: RunContext, connection: asyncpg.Connection) -> None:
    """One note for all choices of a group that do not count in the new year."""
    number = await connection.fetchval(
        f"SELECT count(*){_CHOICES} WHERE d.tenant_id = $1 AND d.group_id IS NOT NULL"
        f"  AND NOT ({IS_OF_THIS_YEAR} AND {_IS_MEMBER.format(user='u.id', group='d.group_id')})",
        context.tenant_id,
    )
    if number:
        await connection.execute(
            f"INSERT INTO {context.staging.problems} {SAID}"
            " SELECT $1, $2, NULL, 'defaultGroup', 'default groups of this school year',"
            "  $3::bigint || ' of the last one', 'YEAR ROLLOVER',"
            f" {tell_number('$3::bigint')}, false",
            Code.DEFAULTS_CLEARED.value,
            RecordType.USER.value,
            number,
        )
