"""Licences: who of the students that arrive gets one (product.md T9).

Nobody who has one loses it. Those who arrive are taken in the tenant's order: whoever was here
before comes back first, then in the order of the feed; or by the schools that come first.
"""

import asyncpg

from domain.roster.records import RecordType
from domain.sync.approvals import Approval, approved_table
from domain.sync.context import RunContext
from domain.sync.decide import Reason, seats_short
from domain.tenants.models import LicenceOrder
from domain.training.eligibility import needs_seat
from domain.validation.codes import Code

NEAR_PERCENT = 90


def order_of_seats(licence_order: str | None) -> str:
    """SQL for the order in which those who arrive are taken; `$1` is the tenant.

    Of a row `a` are id, action and read_at, and `sc` is the person's first school.
    """
    by_school = (
        "array_position((SELECT licence_school_ids FROM subscriptions WHERE tenant_id = $1), sc.id)"
        " NULLS LAST, "
        if licence_order == LicenceOrder.SCHOOL_PRIORITY
        else ""
    )
    return (
        f"{by_school}a.action = 'CREATE', CASE WHEN a.action <> 'CREATE' THEN a.id END, a.read_at"
    )


async def hold_beyond_seats(
    context: RunContext, connection: asyncpg.Connection, approval: Approval
) -> list[Reason]:
    """Mark the students for whom there is no licence."""
    settings = await connection.fetchrow(
        "SELECT licence_limit, licence_order FROM subscriptions WHERE tenant_id = $1",
        context.tenant_id,
    )
    if settings is None or settings["licence_limit"] is None:
        return []
    limit = settings["licence_limit"]
    staying = await _staying(context, connection)
    is_let_in = _is_let_in(context, approval)
    row = await connection.fetchrow(
        f"SELECT count(*) AS n, count(*) FILTER (WHERE {is_let_in}) AS let_in"
        f" FROM ({_arriving(context)}) a",
        context.tenant_id,
    )
    short = seats_short(limit=limit, staying=staying, arriving=row["n"])
    if not short and staying + row["n"] > limit * NEAR_PERCENT / 100:
        await _tell_that_few_are_left(context, connection, staying + row["n"], limit)
    seats = max(row["n"] - short, row["let_in"])
    if seats < row["n"]:
        order = order_of_seats(settings["licence_order"])
        await _hold_last(context, connection, f"{is_let_in} DESC, {order}", seats=seats)
    waiting = await connection.fetchval(
        f"SELECT count(*) FROM {context.staging.work(RecordType.USER)} WHERE held_by = $1",
        Code.LICENCE_LIMIT.value,
    )
    return [Reason(Code.LICENCE_LIMIT, RecordType.USER, waiting, limit)] if waiting else []


def _is_let_in(context: RunContext, approval: Approval) -> str:
    """SQL for whether a row `a` was shown to an operator, who lets it in beyond the licences."""
    if not approval.with_licences:
        return "false"
    return (
        f"EXISTS (SELECT FROM {approved_table(context)} p WHERE p.record_type = 'USER'"
        " AND (p.record_id = a.id OR (p.action = 'CREATE' AND p.source_id = a.source_id)))"
    )


def _arriving(context: RunContext) -> str:
    """SQL for the rows of the work table that would take a licence; `$1` is the tenant."""
    staging = context.staging
    return (
        "SELECT w.id, w.action, w.source_id, s.read_at, s.school_source_ids"
        f" FROM {staging.work(RecordType.USER)} w"
        f" JOIN {staging.of(RecordType.USER)} s ON s.source_id = w.source_id"
        " LEFT JOIN users u ON u.tenant_id = $1 AND u.id = w.id"
        " WHERE w.held_by IS NULL AND w.action IN ('CREATE', 'RESTORE', 'UPDATE')"
        f" AND {needs_seat('s', user_id='w.id')}"
        f" AND NOT coalesce(u.archived_at IS NULL AND {needs_seat('u', user_id='u.id')}, false)"
    )


async def _staying(context: RunContext, connection: asyncpg.Connection) -> int:
    """Those who have a licence, without those who give it back now."""
    staging = context.staging
    return int(
        await connection.fetchval(
            "SELECT count(*) FROM users u WHERE u.tenant_id = $1 AND u.archived_at IS NULL"
            f" AND {needs_seat('u', user_id='u.id')} AND NOT EXISTS ("
            f"  SELECT FROM {staging.work(RecordType.USER)} w"
            f"  LEFT JOIN {staging.of(RecordType.USER)} s ON s.source_id = w.source_id"
            "   WHERE w.id = u.id AND w.held_by IS NULL AND (w.action = 'ARCHIVE'"
            f"   OR (w.action = 'UPDATE' AND NOT ({needs_seat('s', user_id='w.id')}))))",
            context.tenant_id,
        )
    )


async def _hold_last(
    context: RunContext,
    connection: asyncpg.Connection,
    order: str,
    *,
    seats: int,
) -> None:
    await connection.execute(
        f"UPDATE {context.staging.work(RecordType.USER)} w SET held_by = $3"
        f" FROM (SELECT a.id, row_number() OVER (ORDER BY {order}) AS place"
        f"  FROM ({_arriving(context)}) a"
        "   LEFT JOIN schools sc ON sc.tenant_id = $1 AND sc.source_id = a.school_source_ids[1]"
        " ) ranked"
        " WHERE ranked.id = w.id AND ranked.place > $2",
        context.tenant_id,
        seats,
        Code.LICENCE_LIMIT.value,
    )


async def _tell_that_few_are_left(
    context: RunContext, connection: asyncpg.Connection, needed: int, limit: int
) -> None:
    problems = context.staging.problems
    await connection.execute(f"DELETE FROM {problems} WHERE code = $1", Code.LICENCE_NEAR.value)
    await connection.execute(
        f"INSERT INTO {problems} (code, record_type, expected, found, cause)"
        " VALUES ($1, 'USER', $2, $3, 'LICENCES')",
        Code.LICENCE_NEAR.value,
        f"at most {NEAR_PERCENT} % of {limit} licences used",
        f"{needed} used",
    )
