"""Approvals: which records of a plan that would wait an administrator has seen and let go.

What is approved is the set of records that were shown, with what was shown of them: the same
number of others waits again, and so does one of which something else would be changed now.
"""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import asyncpg

from domain.people.callers import COMMAND_LINE
from domain.roster.records import RecordType
from domain.sync.changes import NEW_MEMBERSHIP
from domain.sync.context import RunContext
from domain.sync.models import PICKED_MODES, SyncMode
from domain.sync.onboarding import valid_approval
from domain.validation.codes import Code

WITH_LICENCES = "with_licences"
"""In a run's target: whoever approved may go beyond the licences."""


class Approval(NamedTuple):
    """`run_ids` are the runs whose shown records are let go.

    `is_demanded`: of a first sync nothing else may be taken over. `with_licences`: who waits for
    a licence is let go too. `is_first`: nothing was applied yet.
    """

    run_ids: Sequence[UUID] = ()
    is_demanded: bool = False
    with_licences: bool = False
    is_first: bool = False


async def find_approval(context: RunContext, connection: asyncpg.Connection) -> Approval:
    """Of a preflight nothing is approved: it shows what would have to be."""
    row = await connection.fetchrow(
        "SELECT r.requested_by, r.approves_run_id, i.rostered_at,"
        " coalesce((r.target ->> $4)::boolean, false) AS with_licences"
        " FROM sync_runs r JOIN integrations i"
        "  ON i.tenant_id = r.tenant_id AND i.id = $3 WHERE r.tenant_id = $1 AND r.id = $2",
        context.tenant_id,
        context.run_id,
        context.integration_id,
        WITH_LICENCES,
    )
    is_first = row["rostered_at"] is None
    if context.mode in PICKED_MODES:
        # Asked for while there was a roster, which may have been undone since.
        return Approval(is_demanded=is_first, is_first=is_first)
    if context.mode not in (SyncMode.FULL, SyncMode.DELTA):
        return Approval(is_first=is_first)
    run_ids = [row["approves_run_id"]] if row["approves_run_id"] else []
    if not is_first:
        return Approval(run_ids, with_licences=row["with_licences"])
    if not run_ids:
        approved = await valid_approval(
            connection, tenant_id=context.tenant_id, integration_id=context.integration_id
        )
        run_ids = [approved] if approved else []
    return Approval(
        run_ids,
        is_demanded=not await _is_first_and_harmless(context, connection, row["requested_by"]),
        with_licences=row["with_licences"],
        is_first=True,
    )


async def _is_first_and_harmless(
    context: RunContext, connection: asyncpg.Connection, requested_by: str
) -> bool:
    """An operator at the command line approves by asking, where nobody is there yet to be lost.

    Administrators and staff that were imported are never touched by a sync.
    """
    return requested_by == COMMAND_LINE.actor and not await connection.fetchval(
        "SELECT EXISTS (SELECT FROM users WHERE tenant_id = $1 AND origin <> 'IMPORT')",
        context.tenant_id,
    )


def approved_table(context: RunContext) -> str:
    """What was shown and approved: see `release`."""
    return context.staging.table("approved")


async def release(
    context: RunContext, connection: asyncpg.Connection, approval: Approval, *, holds_all: bool
) -> None:
    """Let go what was approved. Memberships that come follow their people and groups."""
    approved = approved_table(context)
    await connection.execute(f"DROP TABLE IF EXISTS {approved}")
    await connection.execute(
        f"CREATE UNLOGGED TABLE {approved} (record_type text, action text, source_id text,"
        " record_id uuid, new_values jsonb)"
    )
    await connection.execute(
        f"INSERT INTO {approved} SELECT record_type, action, source_id, record_id, new_values"
        " FROM sync_changes WHERE tenant_id = $1 AND run_id = ANY ($2)"
        "  AND held_by IS DISTINCT FROM $3",
        context.tenant_id,
        list(approval.run_ids),
        None if approval.with_licences else Code.LICENCE_LIMIT.value,
    )
    await connection.execute(f"ANALYZE {approved}")
    for record_type in RecordType:
        await _release_shown(context, connection, record_type)
    await _name_who_waits_for_a_licence(context, connection, approval)
    if holds_all:
        await _release_memberships(context, connection)


async def _name_who_waits_for_a_licence(
    context: RunContext, connection: asyncpg.Connection, approval: Approval
) -> None:
    """Who was shown as one for whom there is no licence waits for that, not for an approval."""
    await connection.execute(
        f"UPDATE {context.staging.work(RecordType.USER)} w SET held_by = $3 FROM sync_changes c"
        " WHERE w.held_by IS NOT NULL AND c.tenant_id = $1 AND c.run_id = ANY ($2)"
        "  AND c.record_type = 'USER' AND c.held_by = $3 AND c.action = w.action"
        "  AND (c.record_id = w.id OR c.source_id = w.source_id)",
        context.tenant_id,
        list(approval.run_ids),
        Code.LICENCE_LIMIT.value,
    )


async def _release_memberships(context: RunContext, connection: asyncpg.Connection) -> None:
    """Those that come with a person or a group that was approved, and those that were listed."""
    ends = " OR ".join(
        f"EXISTS (SELECT FROM {context.staging.work(record_type)} o WHERE o.id = w.{column}"
        "  AND o.held_by IS NULL AND o.action IN ('CREATE', 'UPDATE', 'RESTORE'))"
        for record_type, column in ((RecordType.USER, "user_id"), (RecordType.GROUP, "group_id"))
    )
    await connection.execute(
        f"UPDATE {context.staging.work(RecordType.MEMBERSHIP)} w SET held_by = NULL"
        f" WHERE w.held_by IS NOT NULL AND w.action = 'CREATE' AND ({ends}"
        f"  OR EXISTS (SELECT FROM {approved_table(context)} a WHERE a.record_type = 'MEMBERSHIP'"
        f"   AND a.action = 'CREATE' AND a.new_values = {NEW_MEMBERSHIP}))"
    )


async def _release_shown(
    context: RunContext, connection: asyncpg.Connection, record_type: RecordType
) -> None:
    work, approved = context.staging.work(record_type), approved_table(context)
    if record_type is not RecordType.MEMBERSHIP:
        staged = context.staging.of(record_type)
        # Somebody who was shown as a student is not let in as an administrator.
        is_same = (
            "to_jsonb(s.roles) = a.new_values -> 'roles'"
            if record_type is RecordType.USER
            else "true"
        )
        await connection.execute(
            f"UPDATE {work} w SET held_by = NULL FROM {approved} a"
            f" JOIN {staged} s USING (source_id)"
            " WHERE w.held_by IS NOT NULL AND w.action = 'CREATE' AND a.action = 'CREATE'"
            f"  AND a.record_type = $1 AND a.source_id = w.source_id AND {is_same}",
            record_type.value,
        )
    await connection.execute(
        f"UPDATE {work} w SET held_by = NULL FROM {approved} a, sync_changes c"
        " WHERE w.held_by IS NOT NULL AND a.record_type = $3 AND a.record_id = w.id"
        "  AND a.action = w.action AND c.tenant_id = $1 AND c.run_id = $2"
        "  AND c.record_type = $3 AND c.record_id = w.id AND c.new_values = a.new_values",
        context.tenant_id,
        context.run_id,
        record_type.value,
    )
