"""Completes what was staged from what is stored, so that every later phase sees a whole roster.

Two things are missing from staging although they are not gone: the records that a delta does not
name, and the records that were rejected, whose last good state stays. Both are put there as they
are stored, and then nothing downstream needs to know of deltas or rejections.
"""

from collections.abc import Sequence

import asyncpg

from domain.roster.records import Enrollment, RecordType
from domain.sync.context import RunContext, allow_nested_loops
from domain.sync.entities import USERS, Entity

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
_ENROLLMENT = ", ".join(Enrollment._fields)
_NAMED = "source_id = ANY ($3)"


async def complete_entity(
    context: RunContext, connection: asyncpg.Connection, entity: Entity, *, is_delta: bool
) -> None:
    rejected = await _rejected(context, connection, entity.record_type)
    if not is_delta and not rejected:
        return
    await _withdraw_links(context, connection, entity)
    await _put(
        context,
        connection,
        entity.record_type,
        columns=_columns(entity),
        stored=f"SELECT * FROM ({_stored(context, entity)}) r WHERE {_not_deleted(context)}"
        if is_delta
        else _stored(context, entity, _NAMED),
        ids=() if is_delta else rejected,
    )


async def complete_enrollments(
    context: RunContext, connection: asyncpg.Connection, *, is_delta: bool
) -> None:
    rejected = await _rejected(context, connection, RecordType.MEMBERSHIP)
    if not is_delta and not rejected:
        return
    wanted = _not_deleted(context) if is_delta else f"r.{_NAMED}"
    await _put(
        context,
        connection,
        RecordType.MEMBERSHIP,
        columns=_ENROLLMENT,
        stored=f"SELECT * FROM ({_SPANS}) r WHERE {wanted}",
        ids=() if is_delta else rejected,
    )


async def keep_users(
    context: RunContext, connection: asyncpg.Connection, source_ids: Sequence[str]
) -> None:
    """Put people who are not in the feed back, with their memberships, so that they stay."""
    await _put(
        context,
        connection,
        RecordType.USER,
        columns=_columns(USERS),
        stored=_stored(context, USERS, _NAMED),
        ids=source_ids,
    )
    await _put(
        context,
        connection,
        RecordType.MEMBERSHIP,
        columns=_ENROLLMENT,
        stored=f"SELECT * FROM ({_SPANS}) r WHERE r.user_source_id = ANY ($3)",
        ids=source_ids,
    )


def _columns(entity: Entity) -> str:
    return ", ".join(("source_id", *entity.compared))


def _stored(context: RunContext, entity: Entity, condition: str = "true") -> str:
    """SQL for what is live, under the ids that the feed uses (domain.sync.linking)."""
    links = (
        f"SELECT id, source_id FROM {context.staging.links}"
        f" WHERE record_type = '{entity.record_type.value}'"
    )
    named = condition.replace(
        _NAMED, f"({_NAMED} OR id = ANY (ARRAY(SELECT id FROM ({links}) l WHERE l.{_NAMED})))"
    )
    rows = entity.stored_rows(
        f"SELECT id FROM {entity.table} WHERE tenant_id = $1 AND origin = 'PROVIDER'"
        f" AND archived_at IS NULL AND {named}"
    )
    return (
        f"SELECT coalesce(l.source_id, r.source_id) AS source_id, {', '.join(entity.compared)}"
        f" FROM ({rows}) r LEFT JOIN ({links}) l ON l.id = r.id"
    )


async def _withdraw_links(
    context: RunContext, connection: asyncpg.Connection, entity: Entity
) -> None:
    """Who was there before rostering stays so, if what came of them cannot be taken."""
    links, name = context.staging.links, entity.record_type.value
    staged = context.staging.of(entity.record_type)
    if await connection.fetchval(
        f"SELECT EXISTS (SELECT FROM {links} WHERE record_type = $1)", name
    ):
        await connection.execute(
            f"DELETE FROM {links} l USING {entity.table} r"
            " WHERE l.record_type = $2 AND r.tenant_id = $1 AND r.id = l.id"
            " AND r.origin = 'LEGACY' AND NOT EXISTS ("
            f"  SELECT FROM {staged} s WHERE s.source_id = l.source_id)",
            context.tenant_id,
            name,
        )


def _not_deleted(context: RunContext) -> str:
    return (
        f"NOT EXISTS (SELECT FROM {context.staging.deleted} d"
        " WHERE d.record_type = $2 AND d.source_id = r.source_id)"
    )


async def _rejected(
    context: RunContext, connection: asyncpg.Connection, record_type: RecordType
) -> list[str]:
    """The ids of which nothing is staged because what came of them was rejected."""
    rejected = await connection.fetchval(
        f"SELECT array_agg(DISTINCT p.source_id) FROM {context.staging.problems} p"
        " WHERE p.record_type = $1 AND p.rejects AND NOT EXISTS ("
        f"  SELECT FROM {context.staging.of(record_type)} s WHERE s.source_id = p.source_id)",
        record_type.value,
    )
    return list(rejected or ())


async def _put(
    context: RunContext,
    connection: asyncpg.Connection,
    record_type: RecordType,
    *,
    columns: str,
    stored: str,
    ids: Sequence[str],
) -> None:
    """Stage what is stored, unless the feed has it or a sharing rule has left it out."""
    staged = context.staging.of(record_type)
    # Where `ids` are empty everything that is stored may be wanted.
    await allow_nested_loops(connection, len(ids) or None)
    # The stored rows differ in what they are chosen by: a mention gives each argument its type.
    await connection.execute(
        f"INSERT INTO {staged} ({columns}, is_stored)"
        f" SELECT {columns}, true FROM ({stored}) r"
        " WHERE $2::text IS NOT NULL AND $3::text[] IS NOT NULL"
        f" AND NOT EXISTS (SELECT FROM {staged} s WHERE s.source_id = r.source_id)"
        f" AND NOT EXISTS (SELECT FROM {context.staging.left_out} l"
        "   WHERE l.record_type = $2 AND l.source_id = r.source_id)",
        context.tenant_id,
        record_type.value,
        ids,
    )
    await allow_nested_loops(connection, None)
