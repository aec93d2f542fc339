"""Completes what was staged from what is stored, so that every later phase sees a whole roster.

Two things are missing from staging although they are not gone: the records that a delta does not
name, and the records that were rejected, whose last good state stays. Both are put there as they
are stored, and then nothing downstream needs to know of deltas or rejections.
"""

import asyncpg

from domain.roster.records import Enrollment, RecordType
from domain.sync.context import RunContext
from domain.sync.entities import Entity

_SPANS = (
    "SELECT sp.source_id, u.source_id AS user_source_id, g.source_id AS group_source_id, m.role,"
    " sp.is_primary, sp.begins_on, sp.ends_on"
    " FROM membership_spans sp"
    " JOIN memberships m ON m.tenant_id = sp.tenant_id AND m.id = sp.membership_id"
    " JOIN users u ON u.tenant_id = m.tenant_id AND u.id = m.user_id"
    " JOIN groups g ON g.tenant_id = m.tenant_id AND g.id = m.group_id"
    " WHERE sp.tenant_id = $1 AND m.origin = 'PROVIDER' AND (m.archived_at IS NULL"
    # They went with their user or group and come back with it; while it is gone they are not
    # resolved, and nothing happens to them.
    "  OR m.archived_by_run_id IN (u.archived_by_run_id, g.archived_by_run_id))"
)


async def complete_entity(
    context: RunContext, connection: asyncpg.Connection, entity: Entity, *, is_delta: bool
) -> None:
    columns = ", ".join(("source_id", *entity.compared))
    await _complete(
        context,
        connection,
        entity.record_type,
        columns=columns,
        stored=entity.stored_rows(
            f"SELECT id FROM {entity.table} WHERE tenant_id = $1 AND archived_at IS NULL"
            + ("" if is_delta else " AND source_id = ANY ($3)")
        ),
        is_delta=is_delta,
    )


async def complete_enrollments(
    context: RunContext, connection: asyncpg.Connection, *, is_delta: bool
) -> None:
    await _complete(
        context,
        connection,
        RecordType.MEMBERSHIP,
        columns=", ".join(Enrollment._fields),
        stored=_SPANS,
        is_delta=is_delta,
    )


async def _complete(
    context: RunContext,
    connection: asyncpg.Connection,
    record_type: RecordType,
    *,
    columns: str,
    stored: str,
    is_delta: bool,
) -> None:
    staged = context.staging.of(record_type)
    if is_delta:
        wanted = (
            f"NOT EXISTS (SELECT FROM {context.staging.deleted} d"
            "  WHERE d.record_type = $2 AND d.source_id = r.source_id)"
        )
    else:
        wanted = "r.source_id = ANY ($3)"
    rejected = await connection.fetchval(
        f"SELECT array_agg(DISTINCT p.source_id) FROM {context.staging.problems} p"
        " WHERE p.record_type = $1 AND p.rejects"
        f" AND NOT EXISTS (SELECT FROM {staged} s WHERE s.source_id = p.source_id)",
        record_type.value,
    )
    if not is_delta and not rejected:
        return
    # Both kinds of the condition get the same arguments: a mention gives each its type.
    await connection.execute(
        f"INSERT INTO {staged} ({columns}, is_stored)"
        f" SELECT {columns}, true FROM ({stored}) r WHERE {wanted}"
        " AND $2::text IS NOT NULL AND $3::text[] IS NOT NULL"
        f" AND NOT EXISTS (SELECT FROM {staged} s WHERE s.source_id = r.source_id)",
        context.tenant_id,
        record_type.value,
        rejected or [],
    )
