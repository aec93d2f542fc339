"""Facts about a plan that decide whether it may be applied, counted by the database.

Only what is planned is looked at; what is stored is counted for the types and schools whose
archives come near a limit.
"""

from collections.abc import Mapping

import asyncpg

from domain.roster.records import RecordType, Role
from domain.sync.approvals import Approval
from domain.sync.context import RunContext
from domain.sync.decide import (
    DEFAULT_LIMITS,
    WATCHED,
    Churn,
    Facts,
    Limits,
    SchoolCounts,
    TypeCounts,
)
from domain.sync.models import SyncMode
from domain.sync.sharing import count_archives, unknown_schools
from domain.validation.codes import Code

MOST_SCHOOLS = 20
"""So many schools are named in a hold; the changes that wait tell of all."""

_IS_OVER = (
    "(g.ends_on <= (SELECT (now() AT TIME ZONE t.time_zone)::date FROM tenants t"
    " WHERE t.id = $1)) IS TRUE"
)
"""A group past its end date: `ends_on` is the first day after it."""

_STORED = {
    RecordType.SCHOOL: "SELECT s.id AS school_id FROM schools s WHERE s.tenant_id = $1"
    " AND s.origin = 'PROVIDER' AND s.archived_at IS NULL",
    RecordType.GROUP: "SELECT g.school_id FROM groups g WHERE g.tenant_id = $1"
    f" AND g.origin IN ('PROVIDER', 'LEGACY') AND g.archived_at IS NULL AND NOT {_IS_OVER}",
    RecordType.USER: "SELECT a.school_id FROM users u LEFT JOIN school_affiliations a"
    "  ON a.tenant_id = u.tenant_id AND a.user_id = u.id AND a.position = 1"
    " WHERE u.tenant_id = $1 AND u.origin IN ('PROVIDER', 'LEGACY') AND u.archived_at IS NULL",
    RecordType.MEMBERSHIP: "SELECT g.school_id FROM memberships m"
    " JOIN groups g ON g.tenant_id = m.tenant_id AND g.id = m.group_id"
    " WHERE m.tenant_id = $1 AND m.origin = 'PROVIDER' AND m.archived_at IS NULL"
    f" AND NOT {_IS_OVER}",
}


def _archives(context: RunContext, *, is_first: bool) -> Mapping[RecordType, str]:
    """SQL for id and school_id of the archives that count, by type.

    A membership that goes with its person or its group does not count for itself; what a sharing
    rule leaves out is counted apart. People and groups from before rostering count too, but in a
    first sync: what that one does with them is approved in any case.
    """
    staging = context.staging

    def is_shared(record_type: RecordType) -> str:
        return (
            f"NOT EXISTS (SELECT FROM {staging.left_out} l"
            f" WHERE l.record_type = '{record_type.value}' AND l.source_id = w.source_id)"
        )

    def stays(record_type: RecordType, column: str) -> str:
        return (
            f"NOT EXISTS (SELECT FROM {staging.work(record_type)} o"
            f" WHERE o.id = w.{column} AND o.action = 'ARCHIVE')"
        )

    planned = "w.action = 'ARCHIVE' AND w.origin = 'PROVIDER'"
    closed = planned if is_first else "w.action = 'ARCHIVE'"
    return {
        RecordType.SCHOOL: "SELECT w.id, w.id AS school_id"
        f" FROM {staging.work(RecordType.SCHOOL)} w"
        f" WHERE {planned} AND {is_shared(RecordType.SCHOOL)}",
        RecordType.GROUP: f"SELECT w.id, g.school_id FROM {staging.work(RecordType.GROUP)} w"
        " JOIN groups g ON g.tenant_id = $1 AND g.id = w.id"
        f" WHERE {closed} AND NOT {_IS_OVER} AND {is_shared(RecordType.GROUP)}",
        RecordType.USER: f"SELECT w.id, a.school_id FROM {staging.work(RecordType.USER)} w"
        " LEFT JOIN school_affiliations a"
        "  ON a.tenant_id = $1 AND a.user_id = w.id AND a.position = 1"
        f" WHERE {closed} AND {is_shared(RecordType.USER)}",
        RecordType.MEMBERSHIP: f"SELECT w.id, g.school_id"
        f" FROM {staging.work(RecordType.MEMBERSHIP)} w"
        " JOIN groups g ON g.tenant_id = $1 AND g.id = w.group_id"
        f" WHERE {planned} AND NOT {_IS_OVER} AND {stays(RecordType.USER, 'user_id')}"
        f" AND {stays(RecordType.GROUP, 'group_id')}",
    }


async def watch(
    context: RunContext,
    connection: asyncpg.Connection,
    counts: Mapping[RecordType, TypeCounts],
    *,
    is_first: bool,
) -> dict[RecordType, TypeCounts]:
    """The counts with what is known besides, and a table of the archives that count."""
    watched = context.staging.table("watched")
    await connection.execute(f"DROP TABLE IF EXISTS {watched}")
    await connection.execute(
        f"CREATE UNLOGGED TABLE {watched} (record_type text, id uuid, school_id uuid)"
    )
    closes = await connection.fetchval(f"SELECT EXISTS (SELECT FROM {context.staging.settled})")
    for record_type, archives in _archives(context, is_first=is_first).items():
        if counts[record_type].archived or closes:
            await connection.execute(
                f"INSERT INTO {watched} SELECT $2, a.id, a.school_id FROM ({archives}) a"
                # Not every query names the tenant: a mention gives the argument its type.
                " WHERE $1::uuid IS NOT NULL",
                context.tenant_id,
                record_type.value,
            )
    empty = await _empty_types(context, connection)
    is_preview = await _is_preview(context, connection)
    return {
        name: numbers._replace(
            left_out=0 if is_preview else await count_archives(context, connection, name),
            is_empty=name.value in empty,
            watched=await connection.fetchval(
                f"SELECT count(*) FROM {watched} WHERE record_type = $1", name.value
            )
            if name in _STORED
            else None,
        )
        for name, numbers in counts.items()
    }


async def gather_facts(
    context: RunContext,
    connection: asyncpg.Connection,
    counts: dict[RecordType, TypeCounts],
    *,
    limits: Mapping[RecordType, Limits],
    approval: Approval,
) -> Facts:
    """`counts` of types near their limit get the number that they are a part of."""
    schools = {}
    for record_type in WATCHED:
        numbers, allowed = counts[record_type], limits.get(record_type, DEFAULT_LIMITS)
        if (numbers.watched or 0) > allowed.archive_count:
            found = await _of_schools(context, connection, record_type)
            counts[record_type] = numbers._replace(watched_of=sum(each.stored for each in found))
            schools[record_type] = [
                each
                for each in found
                if each.archived > allowed.archive_count and record_type is not RecordType.SCHOOL
            ]
    return Facts(
        roles=await _vanishing_roles(context, connection, counts[RecordType.USER]),
        unknown_schools=await unknown_schools(context, connection),
        schools=schools,
        vanished_schools=await _vanished_schools(context, connection),
        changed_roles=await _changed_roles(context, connection, counts[RecordType.USER]),
        churn=await _churn(context, connection),
        unmatched=await connection.fetchval(f"SELECT count(*) FROM {context.staging.unmatched}"),
        is_first=approval.is_demanded,
    )


async def _is_preview(context: RunContext, connection: asyncpg.Connection) -> bool:
    """Whoever tries out rules sees what they archive: that is approved by saving them."""
    return bool(
        await connection.fetchval(
            "SELECT sharing_rules IS NOT NULL FROM sync_runs WHERE tenant_id = $1 AND id = $2",
            context.tenant_id,
            context.run_id,
        )
    )


async def _empty_types(context: RunContext, connection: asyncpg.Connection) -> set[str]:
    rows = await connection.fetch(
        f"SELECT DISTINCT record_type FROM {context.staging.problems} WHERE code = $1",
        Code.CONN_EMPTY.value,
    )
    return {row["record_type"] for row in rows}


async def _of_schools(
    context: RunContext, connection: asyncpg.Connection, record_type: RecordType
) -> list[SchoolCounts]:
    """Every school with what it has of the type; those first that would lose most.

    People of no school are one more, without archives: no school is to be named for them.
    """
    rows = await connection.fetch(
        "SELECT coalesce(s.school_id::text, '') AS school_id, s.stored,"
        "  coalesce(n.archived, 0) AS archived"
        f" FROM (SELECT school_id, count(*) AS stored FROM ({_STORED[record_type]}) r GROUP BY 1) s"
        f" LEFT JOIN (SELECT school_id, count(*) AS archived"
        f"   FROM {context.staging.table('watched')} WHERE record_type = $2 GROUP BY 1) n"
        "  ON n.school_id = s.school_id"
        " ORDER BY 3 DESC, 1",
        context.tenant_id,
        record_type.value,
    )
    return [SchoolCounts(row["school_id"], row["stored"], row["archived"]) for row in rows]


async def _vanished_schools(context: RunContext, connection: asyncpg.Connection) -> list[str]:
    rows = await connection.fetch(
        f"SELECT id::text FROM {context.staging.table('watched')}"
        " WHERE record_type = 'SCHOOL' ORDER BY 1 LIMIT $1",
        MOST_SCHOOLS,
    )
    return [row["id"] for row in rows]


async def _changed_roles(
    context: RunContext, connection: asyncpg.Connection, users: TypeCounts
) -> int:
    """Students who would be none any more."""
    if not users.updated and not users.arriving:
        return 0
    staging = context.staging
    return int(
        await connection.fetchval(
            f"SELECT count(*) FROM {staging.work(RecordType.USER)} w"
            f" JOIN {staging.of(RecordType.USER)} s ON s.source_id = w.source_id"
            " JOIN users u ON u.tenant_id = $1 AND u.id = w.id"
            " WHERE w.action IN ('UPDATE', 'RESTORE') AND u.origin = 'PROVIDER'"
            "  AND 'STUDENT' = ANY (u.roles) AND NOT 'STUDENT' = ANY (s.roles)",
            context.tenant_id,
        )
    )


async def _churn(context: RunContext, connection: asyncpg.Connection) -> list[Churn]:
    rows = await connection.fetch(f"SELECT * FROM {context.staging.churn} ORDER BY record_type")
    return [Churn(RecordType(row["record_type"]), row["gone"], row["alike"]) for row in rows]


async def _vanishing_roles(
    context: RunContext, connection: asyncpg.Connection, users: TypeCounts
) -> Mapping[Role, TypeCounts]:
    """Students or teachers, if all of them would go and none is there. Clever lists them apart."""
    if not users.archived or context.mode in (SyncMode.SINGLE_USER, SyncMode.REVALIDATION):
        return {}
    staged, work = context.staging.of(RecordType.USER), context.staging.work(RecordType.USER)
    # Usually the first rows show that both are there.
    if await connection.fetchval(
        f"SELECT EXISTS (SELECT FROM {staged} WHERE roles @> '{{STUDENT}}')"
        f" AND EXISTS (SELECT FROM {staged} WHERE roles @> '{{TEACHER}}')"
    ):
        return {}
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
