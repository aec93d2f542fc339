"""What cannot go without a change that waits, waits with it.

A record whose parent is not there yet, a username that somebody keeps, a membership of a person
or a group that stays as it is. One thing leads to another, so it is asked again until nothing is
found; each round marks rows, and there are only so many.
"""

import asyncpg

from domain.roster.records import RecordType
from domain.sync.context import RunContext
from domain.sync.usernames import folded
from domain.validation.codes import Code

_PARENTS = {RecordType.SCHOOL: "schools", RecordType.COURSE: "courses"}
_COMES = "w.action IN ('CREATE', 'UPDATE', 'RESTORE') AND w.held_by IS NULL"


async def hold_dependents(context: RunContext, connection: asyncpg.Connection) -> None:
    rules = (
        (RecordType.GROUP, _needs_parent(context)),
        (RecordType.USER, _needs_school(context)),
        (RecordType.USER, _needs_username(context)),
        (RecordType.SCHOOL, _has_staying_group(context)),
    )
    while True:
        found = [
            await _hold(context, connection, record_type, condition)
            for record_type, condition in rules
        ]
        if not any(found):
            break
    await _hold(context, connection, RecordType.MEMBERSHIP, _is_of_another_role(context))
    await _hold(context, connection, RecordType.MEMBERSHIP, _comes_to_nobody(context))
    await _hold(context, connection, RecordType.MEMBERSHIP, _stays_with_its_ends(context))
    await _let_go_with_its_ends(context, connection)


async def _hold(
    context: RunContext, connection: asyncpg.Connection, record_type: RecordType, condition: str
) -> bool:
    done = await connection.execute(
        f"UPDATE {context.staging.work(record_type)} w SET held_by = $2"
        f" WHERE $1::uuid IS NOT NULL AND w.held_by IS NULL AND {condition}",
        context.tenant_id,
        Code.HOLD_DEPENDS.value,
    )
    return bool(done != "UPDATE 0")


def _not_there_yet(context: RunContext, record_type: RecordType) -> str:
    """The ids under which nothing is live while it waits; a new id of what is stored is one too."""
    return (
        f"SELECT o.source_id FROM {context.staging.work(record_type)} o"
        " WHERE o.held_by IS NOT NULL AND o.action <> 'ARCHIVE' AND NOT EXISTS ("
        f"  SELECT FROM {_PARENTS[record_type]} r WHERE r.tenant_id = $1"
        "   AND r.source_id = o.source_id AND r.archived_at IS NULL)"
    )


def _needs_parent(context: RunContext) -> str:
    staged = context.staging.of(RecordType.GROUP)
    return (
        f"{_COMES} AND EXISTS (SELECT FROM {staged} s WHERE s.source_id = w.source_id"
        f" AND (s.school_source_id IN ({_not_there_yet(context, RecordType.SCHOOL)})"
        f"  OR s.course_source_id IN ({_not_there_yet(context, RecordType.COURSE)})))"
    )


def _needs_school(context: RunContext) -> str:
    staged = context.staging.of(RecordType.USER)
    return (
        f"{_COMES} AND EXISTS (SELECT FROM {staged} s WHERE s.source_id = w.source_id"
        f" AND s.school_source_ids && ARRAY({_not_there_yet(context, RecordType.SCHOOL)}))"
    )


def _needs_username(context: RunContext) -> str:
    """Somebody who waits keeps the username that they have."""
    staged, work = context.staging.of(RecordType.USER), context.staging.work(RecordType.USER)
    return (
        f"{_COMES} AND EXISTS (SELECT FROM {staged} s"
        f" JOIN users u ON u.tenant_id = $1 AND u.username_key = {folded('s')} AND u.id <> w.id"
        f" JOIN {work} o ON o.id = u.id AND o.held_by IS NOT NULL"
        " WHERE s.source_id = w.source_id)"
    )


def _has_staying_group(context: RunContext) -> str:
    return (
        "w.action = 'ARCHIVE' AND EXISTS (SELECT FROM groups g"
        f" JOIN {context.staging.work(RecordType.GROUP)} o ON o.id = g.id"
        " WHERE g.tenant_id = $1 AND g.school_id = w.id AND g.archived_at IS NULL"
        "  AND o.held_by IS NOT NULL)"
    )


def _ends(context: RunContext, condition: str) -> str:
    """SQL for whether a membership's person or group is planned so."""
    return " OR ".join(
        f"EXISTS (SELECT FROM {context.staging.work(record_type)} o"
        f" WHERE o.id = w.{column} AND {condition})"
        for record_type, column in ((RecordType.USER, "user_id"), (RecordType.GROUP, "group_id"))
    )


def _is_of_another_role(context: RunContext) -> str:
    """Who stays a student until somebody decides stays one in their groups too."""
    return (
        f"EXISTS (SELECT FROM {context.staging.work(RecordType.USER)} o"
        f" WHERE o.id = w.user_id AND o.held_by = '{Code.USER_ROLE_CHANGED}')"
        " AND w.action <> 'REHASH'"
    )


def _comes_to_nobody(context: RunContext) -> str:
    is_away = "o.held_by IS NOT NULL AND o.action IN ('CREATE', 'RESTORE')"
    return f"{_COMES} AND ({_ends(context, is_away)})"


_GOES = "o.held_by IS NULL AND o.action = 'ARCHIVE'"


def _stays_with_its_ends(context: RunContext) -> str:
    """Whoever waits to be archived keeps their memberships, but those of what does go."""
    waits = "o.held_by IS NOT NULL AND o.action = 'ARCHIVE'"
    return f"w.action = 'ARCHIVE' AND ({_ends(context, waits)}) AND NOT ({_ends(context, _GOES)})"


async def _let_go_with_its_ends(context: RunContext, connection: asyncpg.Connection) -> None:
    """Nobody who goes leaves a membership behind, whatever that one waited for."""
    await connection.execute(
        f"UPDATE {context.staging.work(RecordType.MEMBERSHIP)} w SET held_by = NULL"
        f" WHERE w.held_by IS NOT NULL AND w.action = 'ARCHIVE' AND ({_ends(context, _GOES)})"
    )
