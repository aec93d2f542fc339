"""Apply: the work tables into the roster, in one transaction, set by set.

Parents come first and archives last; updates before inserts, since statistics go stale inside
the transaction. Every change must still find the hash that it was planned against: fewer rows
than planned means that somebody else was here, and the plan is made again.
"""

from collections.abc import Sequence
from typing import NamedTuple

import asyncpg

from domain.roster.records import RecordType
from domain.sync.context import RunContext, allow_nested_loops
from domain.sync.entities import ENTITIES, Entity
from domain.sync.models import SyncMode, SyncRunState
from domain.sync.summarise import conclude

_LARGE = 10_000
"""Rows after which a table's statistics are renewed within the transaction."""


class PlanStale(Exception):
    """What is stored has changed since the plan was made."""


async def apply(context: RunContext) -> None:
    """Raises PlanStale, with nothing done."""
    async with context.step(SyncRunState.SUMMARISING) as connection:
        await connection.execute("SET LOCAL statement_timeout = '30min'")
        await note_links(context, connection)
        await change_all(context, connection, _BY_SOURCE_IDS)
        await archive_all(context, connection)
        await _note_first_roster(context, connection)
        await conclude(context, connection)


class Naming(NamedTuple):
    """How work tables and staged rows name what is stored.

    `references` of `entities` and `school` resolve the names. `identity` is what becomes of a
    record's source id and origin, and `membership` of a membership's origin.
    """

    entities: Sequence[Entity]
    identity: str
    school: str
    membership: str


_BY_SOURCE_IDS = Naming(
    entities=ENTITIES,
    identity="source_id = w.source_id, origin = 'PROVIDER'",
    school="sc.source_id = r.source_id",
    membership="origin = 'PROVIDER'",
)


async def change_all(context: RunContext, connection: asyncpg.Connection, naming: Naming) -> None:
    """What is created, changed or restored, parents first."""
    for entity in naming.entities:
        await _change(context, connection, entity, naming.identity)
        await _create(context, connection, entity)
    await _affiliate(context, connection, naming.school)
    await _change_memberships(context, connection, naming.membership)
    await _create_memberships(context, connection)
    await _write_spans(context, connection)


async def archive_all(context: RunContext, connection: asyncpg.Connection) -> None:
    """Children first."""
    for record_type, table in (
        (RecordType.MEMBERSHIP, "memberships"),
        *((entity.record_type, entity.table) for entity in reversed(ENTITIES)),
    ):
        await _archive(context, connection, record_type, table)


async def note_links(context: RunContext, connection: asyncpg.Connection) -> None:
    """Who was linked, and what they were before; under their former id they are found again."""
    staging = context.staging
    for entity in ENTITIES:
        linked = (
            f"SELECT r.id, w.source_id, r.source_id AS former, r.origin, r.archived_at, l.reason"
            f" FROM {staging.work(entity.record_type)} w"
            f" JOIN {staging.links} l ON l.id = w.id AND l.record_type = $2"
            f" JOIN {entity.table} r ON r.tenant_id = $1 AND r.id = w.id"
            " WHERE w.held_by IS NULL AND w.source_id IS DISTINCT FROM r.source_id"
        )
        await connection.execute(
            f"WITH linked AS ({linked}), keys AS ("
            "  INSERT INTO external_keys (tenant_id, record_type, record_id, kind, value)"
            "  SELECT $1, $2, id, 'source_id', former FROM linked WHERE former IS NOT NULL"
            "  ON CONFLICT DO NOTHING)"
            " INSERT INTO identity_links (tenant_id, record_type, record_id, source_id,"
            "  former_source_id, former_origin, former_archived_at, reason, run_id)"
            " SELECT $1, $2, id, source_id, former, origin, archived_at, reason, $3 FROM linked",
            context.tenant_id,
            entity.record_type.value,
            context.run_id,
        )


async def _note_first_roster(context: RunContext, connection: asyncpg.Connection) -> None:
    """From now on the tenant is rostered by this provider, and later runs need no approval."""
    if context.mode in (SyncMode.FULL, SyncMode.DELTA):
        await connection.execute(
            "UPDATE integrations SET rostered_at = now()"
            " WHERE tenant_id = $1 AND id = $2 AND rostered_at IS NULL",
            context.tenant_id,
            context.integration_id,
        )


async def _planned(
    context: RunContext, connection: asyncpg.Connection, record_type: RecordType, *actions: str
) -> int:
    """How many rows of the work table ask for one of the actions, and need not wait."""
    return int(
        await connection.fetchval(
            f"SELECT count(*) FROM {context.staging.work(record_type)}"
            " WHERE action = ANY ($1) AND held_by IS NULL",
            list(actions),
        )
    )


async def _done(
    connection: asyncpg.Connection, sql: str, *arguments: object, planned: int, table: str
) -> None:
    await allow_nested_loops(connection, planned)
    status = await connection.execute(sql, *arguments)
    await allow_nested_loops(connection, None)
    if int(status.rsplit(" ", 1)[1]) != planned:
        raise PlanStale
    if planned >= _LARGE:
        await connection.execute(f"ANALYZE {table}")


async def _change(
    context: RunContext, connection: asyncpg.Connection, entity: Entity, identity: str
) -> None:
    planned = await _planned(context, connection, entity.record_type, "UPDATE", "RESTORE", "REHASH")
    if not planned:
        return
    assignments = ", ".join(f"{name} = {entity.value(name)}" for name in entity.columns)
    await _done(
        connection,
        f"UPDATE {entity.table} r SET {assignments}, content_hash = w.hash, {identity},"
        "  archived_at = NULL, archived_by_run_id = NULL"
        f" FROM {context.staging.work(entity.record_type)} w"
        f" JOIN {context.staging.of(entity.record_type)} s USING (source_id)"
        f" {entity.references}"
        " WHERE r.tenant_id = $1 AND r.id = w.id AND w.action IN ('UPDATE', 'RESTORE', 'REHASH')"
        "  AND w.held_by IS NULL AND r.content_hash IS NOT DISTINCT FROM w.old_hash"
        "  AND (r.archived_at IS NOT NULL) = (w.action = 'RESTORE')",
        context.tenant_id,
        planned=planned,
        table=entity.table,
    )


async def _create(context: RunContext, connection: asyncpg.Connection, entity: Entity) -> None:
    planned = await _planned(context, connection, entity.record_type, "CREATE")
    if not planned:
        return
    values = ", ".join(entity.value(name) for name in entity.columns)
    await _done(
        connection,
        f"INSERT INTO {entity.table} (tenant_id, id, origin, source_id, content_hash,"
        f"  created_by_run_id, {', '.join(entity.columns)})"
        f" SELECT $1, w.id, 'PROVIDER', w.source_id, w.hash, $2, {values}"
        f" FROM {context.staging.work(entity.record_type)} w"
        f" JOIN {context.staging.of(entity.record_type)} s USING (source_id)"
        f" {entity.references}"
        " WHERE w.action = 'CREATE' AND w.held_by IS NULL",
        context.tenant_id,
        context.run_id,
        planned=planned,
        table=entity.table,
    )


async def _affiliate(context: RunContext, connection: asyncpg.Connection, school: str) -> None:
    """The schools of every user that was created or changed, as the provider lists them."""
    work, staged = context.staging.work(RecordType.USER), context.staging.of(RecordType.USER)
    changed = await _planned(context, connection, RecordType.USER, "UPDATE", "RESTORE")
    if changed:
        await connection.execute(
            f"DELETE FROM school_affiliations a USING {work} w"
            " WHERE a.tenant_id = $1 AND a.user_id = w.id AND w.action IN ('UPDATE', 'RESTORE')"
            "  AND w.held_by IS NULL",
            context.tenant_id,
        )
    if changed or await _planned(context, connection, RecordType.USER, "CREATE"):
        await connection.execute(
            "INSERT INTO school_affiliations (tenant_id, user_id, school_id, position)"
            " SELECT $1, w.id, sc.id, r.n"
            f" FROM {work} w JOIN {staged} s USING (source_id)"
            " CROSS JOIN unnest(s.school_source_ids) WITH ORDINALITY AS r (source_id, n)"
            f" JOIN schools sc ON sc.tenant_id = $1 AND {school}"
            " WHERE w.action IN ('CREATE', 'UPDATE', 'RESTORE') AND w.held_by IS NULL",
            context.tenant_id,
        )


async def _change_memberships(
    context: RunContext, connection: asyncpg.Connection, identity: str
) -> None:
    planned = await _planned(
        context, connection, RecordType.MEMBERSHIP, "UPDATE", "RESTORE", "REHASH"
    )
    if not planned:
        return
    work = context.staging.work(RecordType.MEMBERSHIP)
    await _done(
        connection,
        f"UPDATE memberships r SET content_hash = w.hash, {identity},"
        "  archived_at = NULL, archived_by_run_id = NULL"
        f" FROM {work} w"
        " WHERE r.tenant_id = $1 AND r.id = w.id AND w.action IN ('UPDATE', 'RESTORE', 'REHASH')"
        "  AND w.held_by IS NULL AND r.content_hash IS NOT DISTINCT FROM w.old_hash"
        "  AND (r.archived_at IS NULL OR w.action = 'RESTORE')",
        context.tenant_id,
        planned=planned,
        table="memberships",
    )
    await allow_nested_loops(connection, planned)
    await connection.execute(
        f"DELETE FROM membership_spans sp USING {work} w"
        " WHERE sp.tenant_id = $1 AND sp.membership_id = w.id"
        "  AND w.action IN ('UPDATE', 'RESTORE') AND w.held_by IS NULL",
        context.tenant_id,
    )
    await allow_nested_loops(connection, None)


async def _create_memberships(context: RunContext, connection: asyncpg.Connection) -> None:
    planned = await _planned(context, connection, RecordType.MEMBERSHIP, "CREATE")
    if not planned:
        return
    await _done(
        connection,
        "INSERT INTO memberships (tenant_id, id, user_id, group_id, role, origin, content_hash,"
        "  created_by_run_id)"
        " SELECT $1, w.id, w.user_id, w.group_id, w.role, 'PROVIDER', w.hash, $2"
        f" FROM {context.staging.work(RecordType.MEMBERSHIP)} w"
        " WHERE w.action = 'CREATE' AND w.held_by IS NULL",
        context.tenant_id,
        context.run_id,
        planned=planned,
        table="memberships",
    )


async def _write_spans(context: RunContext, connection: asyncpg.Connection) -> None:
    if not await _planned(
        context, connection, RecordType.MEMBERSHIP, "CREATE", "UPDATE", "RESTORE"
    ):
        return
    await connection.execute(
        "INSERT INTO membership_spans"
        " (tenant_id, membership_id, source_id, begins_on, ends_on, is_primary)"
        " SELECT $1, w.id, e.source_id, e.begins_on, e.ends_on, e.is_primary"
        f" FROM {context.staging.work(RecordType.MEMBERSHIP)} w"
        f" JOIN {context.staging.table('examined')} e ON e.user_id = w.user_id"
        "  AND e.group_id = w.group_id AND e.role = w.role"
        " WHERE w.action IN ('CREATE', 'UPDATE', 'RESTORE') AND w.held_by IS NULL ORDER BY w.id",
        context.tenant_id,
    )


async def _archive(
    context: RunContext, connection: asyncpg.Connection, record_type: RecordType, table: str
) -> None:
    planned = await _planned(context, connection, record_type, "ARCHIVE")
    if not planned:
        return
    await _done(
        connection,
        f"UPDATE {table} r SET archived_at = now(), archived_by_run_id = $2"
        f" FROM {context.staging.work(record_type)} w"
        " WHERE r.tenant_id = $1 AND r.id = w.id AND w.action = 'ARCHIVE' AND w.held_by IS NULL"
        "  AND r.archived_at IS NULL AND r.content_hash IS NOT DISTINCT FROM w.old_hash",
        context.tenant_id,
        context.run_id,
        planned=planned,
        table=table,
    )
