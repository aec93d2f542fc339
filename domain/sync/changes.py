"""The changes of a plan, stored with old and new values: what is reviewed, exported, reverted."""

import asyncpg

from domain.roster.records import RecordType
from domain.sync.context import RunContext, allow_nested_loops
from domain.sync.entities import ENTITIES, Entity
from domain.sync.models import SyncMode

_NAMES = {
    RecordType.USER: "'username', s.username, 'given_name', s.given_name,"
    " 'family_name', s.family_name, 'number', s.number, 'roles', s.roles",
}
_NAME = "'name', s.name"
NEW_MEMBERSHIP = "jsonb_build_object('user_id', w.user_id, 'group_id', w.group_id, 'role', w.role)"
"""SQL for what a membership that is not stored yet is known by, of a row `w` of the work table."""


async def store_changes(
    context: RunContext, connection: asyncpg.Connection, entity: Entity
) -> None:
    """Every update, archive and restore of the work table; an update of nothing is none."""
    staged, work = context.staging.of(entity.record_type), context.staging.work(entity.record_type)
    fields = ", ".join(("source_id", *entity.compared))

    def changing(key: str) -> str:
        return f"SELECT {key} FROM {work} WHERE action IN ('UPDATE', 'RESTORE')"

    await connection.execute(
        "INSERT INTO sync_changes (tenant_id, run_id, record_type, record_id, source_id, action,"
        "  planned_hash, old_values, new_values)"
        " SELECT $1, $2, $3, d.id, d.source_id, d.action, d.old_hash, d.old_values, d.new_values"
        " FROM ("
        "  SELECT w.*,"
        "   CASE WHEN w.action = 'ARCHIVE' THEN jsonb_build_object('archived', false)"
        "    ELSE changed.old_values END AS old_values,"
        "   CASE WHEN w.action = 'ARCHIVE' THEN jsonb_build_object('archived', true)"
        "    ELSE changed.new_values END AS new_values"
        f"  FROM {work} w"
        "  LEFT JOIN (SELECT r.id, to_jsonb(r) - 'id' AS j"
        f"    FROM ({entity.stored_rows(changing('id'))}) r) old ON old.id = w.id"
        "  LEFT JOIN (SELECT s.source_id, to_jsonb(s) AS j"
        f"    FROM (SELECT {fields}, 'PROVIDER' AS origin FROM {staged}"
        # OFFSET 0 keeps the planner from turning every staged row into JSON before it chooses.
        f"    WHERE source_id IN ({changing('source_id')}) OFFSET 0) s) new"
        "   ON new.source_id = w.source_id"
        "  LEFT JOIN LATERAL ("
        "    SELECT coalesce(jsonb_object_agg(n.key, old.j -> n.key), '{}') AS old_values,"
        "      coalesce(jsonb_object_agg(n.key, n.value), '{}') AS new_values"
        "    FROM jsonb_each(new.j) n WHERE n.value IS DISTINCT FROM old.j -> n.key) changed"
        "    ON true"
        "  WHERE w.action <> 'CREATE') d"
        " WHERE d.action <> 'UPDATE' OR d.new_values <> '{}'",
        context.tenant_id,
        context.run_id,
        entity.record_type.value,
    )


async def tell_what_waits(context: RunContext, connection: asyncpg.Connection) -> None:
    """Mark the stored changes that wait, and store the creates that do.

    A preflight stores all its creates, since nothing else will tell of them. Memberships of
    people or groups that come or change follow those, and are counted only.
    """
    is_preflight = context.mode is SyncMode.PREFLIGHT
    for record_type in RecordType:
        work = context.staging.work(record_type)
        if await connection.fetchval(
            f"SELECT EXISTS (SELECT FROM {work} WHERE held_by IS NOT NULL AND action <> 'CREATE')"
        ):
            # Without nested loops: of what this transaction has written there are no statistics.
            await allow_nested_loops(connection, None)
            await connection.execute(
                f"UPDATE sync_changes c SET held_by = w.held_by FROM {work} w"
                " WHERE c.tenant_id = $1 AND c.run_id = $2 AND c.record_type = $3"
                "  AND c.record_id = w.id AND w.held_by IS NOT NULL",
                context.tenant_id,
                context.run_id,
                record_type.value,
            )
    for entity in ENTITIES:
        names = _NAMES.get(entity.record_type, _NAME)
        await connection.execute(
            "INSERT INTO sync_changes (tenant_id, run_id, record_type, record_id, source_id,"
            "  action, old_values, new_values, held_by)"
            f" SELECT $1, $2, $3, w.id, w.source_id, 'CREATE', '{{}}', jsonb_build_object({names}),"
            "  w.held_by"
            f" FROM {context.staging.work(entity.record_type)} w"
            f" JOIN {context.staging.of(entity.record_type)} s USING (source_id)"
            " WHERE w.action = 'CREATE' AND ($4 OR w.held_by IS NOT NULL)",
            context.tenant_id,
            context.run_id,
            entity.record_type.value,
            is_preflight,
        )
    await _store_new_memberships(context, connection, is_preflight=is_preflight)


async def _store_new_memberships(
    context: RunContext, connection: asyncpg.Connection, *, is_preflight: bool
) -> None:
    """Those between a person and a group who are here already, and as they were."""
    ends = " OR ".join(
        f"EXISTS (SELECT FROM {context.staging.work(record_type)} o WHERE o.id = w.{column}"
        "  AND o.action IN ('CREATE', 'UPDATE', 'RESTORE'))"
        for record_type, column in ((RecordType.USER, "user_id"), (RecordType.GROUP, "group_id"))
    )
    await connection.execute(
        "INSERT INTO sync_changes (tenant_id, run_id, record_type, record_id, action, old_values,"
        "  new_values, held_by)"
        f" SELECT $1, $2, $3, w.id, 'CREATE', '{{}}', {NEW_MEMBERSHIP}, w.held_by"
        f" FROM {context.staging.work(RecordType.MEMBERSHIP)} w"
        f" WHERE w.action = 'CREATE' AND ($4 OR w.held_by IS NOT NULL) AND NOT ({ends})",
        context.tenant_id,
        context.run_id,
        RecordType.MEMBERSHIP.value,
        is_preflight,
    )
