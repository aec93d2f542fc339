"""Undoing a run: asked for here, and refused where it would undo more than the run did.

What stands in the way is asked of the database twice: when it is asked for, and again by the
worker, in the transaction that makes the plan (domain.sync.undoing).
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Conflict
from domain.jobs import WAKE, enqueue
from domain.people.audit import record_act
from domain.people.callers import Caller
from domain.roster.records import RecordType
from domain.sync.models import SyncMode, SyncRun, SyncRunState, SyncTrigger
from domain.sync.service import get_run, take_turn
from domain.sync.spans import RunSpan

Ask = Callable[[str], Awaitable[Sequence[Sequence[Any]]]]
"""Runs a query of which `$1` is the tenant and `$2` the run that is to be undone."""

TABLES = {
    RecordType.SCHOOL: "schools",
    RecordType.TERM: "terms",
    RecordType.COURSE: "courses",
    RecordType.GROUP: "groups",
    RecordType.USER: "users",
    RecordType.MEMBERSHIP: "memberships",
}
MOST_AT_ONCE = 50_000
"""A run that has changed more is looked through by the worker only: it takes seconds."""
_NAMED = 3


class RevertRefused(Exception):
    """The run cannot be undone any more. The message says why, and may be shown."""


class Revertable(NamedTuple):
    """A run that can be undone, as far as it alone can tell.

    `span` is where what it created lies, and `changed` how much it changed. `is_disturbed`: there
    was something since that may have changed the same records.
    """

    span: RunSpan
    changed: int
    is_disturbed: bool


async def revert_run(
    session: AsyncSession, *, tenant_id: UUID, run_id: UUID, caller: Caller, now: datetime
) -> SyncRun:
    """Request a run that undoes another one. It needs nothing of the provider, nor an active one.

    Raises NotFound, and Conflict where it is refused.
    """
    await take_turn(session, tenant_id=tenant_id)
    run = await get_run(session, tenant_id=tenant_id, run_id=run_id)
    ask = _asking(session, run)
    try:
        found = await require_revertable(ask)
        if found.is_disturbed and found.changed <= MOST_AT_ONCE:
            await require_untouched(ask, found.span)
    except RevertRefused as refusal:
        raise Conflict(str(refusal)) from refusal
    await _require_nothing_under_way(session, tenant_id)
    revert = SyncRun(
        tenant_id=tenant_id,
        integration_id=run.integration_id,
        mode=SyncMode.REVERT,
        reverts_run_id=run.id,
        trigger=SyncTrigger.MANUAL,
        state=SyncRunState.QUEUED,
        requested_by=caller.actor,
        requested_at=now,
        size_class=len(str(found.changed)),
        progress={"read": 0, "expected": 0},
    )
    session.add(revert)
    await session.flush()
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="syncRunRevert",
        target=str(run.id),
        details={"run_id": str(revert.id)},
    )
    enqueue(session, WAKE)
    return revert


async def _require_nothing_under_way(session: AsyncSession, tenant_id: UUID) -> None:
    """What comes before it may change the same records, or be what is to be undone first."""
    unfinished = await session.scalar(
        select(SyncRun)
        .where(SyncRun.tenant_id == tenant_id, SyncRun.finished_at.is_(None))
        .limit(1)
    )
    if unfinished is not None:
        raise Conflict(
            f"A run of mode {unfinished.mode.value} is waiting or under way; wait for its end or"
            " cancel it first."
        )


def _asking(session: AsyncSession, run: SyncRun) -> Ask:
    async def ask(sql: str) -> Sequence[Sequence[Any]]:
        statement = text(sql.replace("$1", ":tenant_id").replace("$2", ":run_id"))
        values = {"tenant_id": run.tenant_id, "run_id": run.id}
        return (await session.execute(statement, values)).all()

    return ask


async def require_revertable(ask: Ask) -> Revertable:
    """Raises RevertRefused."""
    [(run_id, state, mode, started_at, finished_at, *numbers)] = await ask(_RUN)
    reverted_by, is_kept, is_disturbed, counted, created = numbers
    if finished_at is None:
        raise RevertRefused("The run is not over yet; syncRunCancel stops it.")
    if mode == SyncMode.REVERT:
        raise RevertRefused(
            "This run has undone another one. The next sync does again what the provider shares."
        )
    if mode == SyncMode.PREFLIGHT or not state.startswith(SyncRunState.SUCCEEDED):
        sort = "preflight" if mode == SyncMode.PREFLIGHT else "run"
        raise RevertRefused(f"There is nothing to undo: the {sort} ended {state}.")
    if reverted_by is not None:
        raise RevertRefused(f"The run is undone already, by run {reverted_by}.")
    if counted + created == 0:
        raise RevertRefused("There is nothing to undo: the run changed nothing.")
    [(found,)] = await ask(_FOUND)
    if not is_kept or found < counted:
        raise RevertRefused("What the run changed is not kept any more, so it cannot be undone.")
    span = RunSpan.of(run_id, started_at, finished_at)
    return Revertable(span, int(counted + created), is_disturbed)


_RUN = """
    SELECT r.id, r.state::text, r.mode::text, r.started_at, r.finished_at,
      (SELECT u.id FROM sync_runs u WHERE u.tenant_id = $1 AND u.reverts_run_id = $2
        AND u.state LIKE 'SUCCEEDED%') AS reverted_by,
      to_regclass('public.sync_changes_' || to_char(r.started_at AT TIME ZONE 'UTC', 'YYYY_MM'))
        IS NOT NULL AS is_kept,
      EXISTS (SELECT FROM sync_runs l WHERE l.tenant_id = $1 AND l.started_at > r.started_at
          AND l.mode <> 'PREFLIGHT')
        OR EXISTS (SELECT FROM errands e WHERE e.tenant_id = $1 AND e.finished_at > r.started_at)
        OR EXISTS (SELECT FROM people_merges p WHERE p.tenant_id = $1
          AND p.created_at > r.started_at) AS is_disturbed,
      n.counted, n.created
    FROM sync_runs r CROSS JOIN LATERAL (
      SELECT coalesce(sum(n.value::bigint) FILTER (WHERE n.key <> 'created'), 0) AS counted,
        coalesce(sum(n.value::bigint) FILTER (WHERE n.key = 'created'), 0) AS created
      FROM jsonb_each(r.counts) t CROSS JOIN jsonb_each_text(t.value) n
      WHERE n.key IN ('created', 'updated', 'archived', 'restored')) n
    WHERE r.tenant_id = $1 AND r.id = $2"""
_FOUND = """
    SELECT count(*) FROM sync_changes
    WHERE tenant_id = $1 AND run_id = $2 AND held_by IS NULL AND action <> 'CREATE'"""


def changed_by(span: RunSpan) -> str:
    """SQL for every record that the run changed or created, with what was there before."""
    created = " UNION ALL ".join(
        f"SELECT '{name.value}', id, {'NULL' if name is RecordType.MEMBERSHIP else 'source_id'},"
        " 'CREATE', NULL, '{}', '{}'"
        f" FROM {table} WHERE tenant_id = $1 AND created_by_run_id = $2"
        f" AND id BETWEEN '{span.first}' AND '{span.last}'"
        for name, table in TABLES.items()
    )
    return (
        "SELECT record_type::text, record_id, source_id, action::text, planned_hash, old_values,"
        " new_values FROM sync_changes"
        " WHERE tenant_id = $1 AND run_id = $2 AND held_by IS NULL AND action <> 'CREATE'"
        f" UNION ALL {created}"
    )


async def require_untouched(ask: Ask, span: RunSpan) -> None:
    """Raises RevertRefused with some of the records that are not as the run has left them."""
    rows = await ask(
        "WITH run AS (SELECT started_at AS at FROM sync_runs WHERE tenant_id = $1 AND id = $2),"
        f" changed AS MATERIALIZED ({changed_by(span)}),"
        " going AS (SELECT record_id AS id FROM changed WHERE action IN ('CREATE', 'RESTORE')),"
        f" later AS ({_LATER}),"
        f" found AS ({' UNION '.join((*_TOUCHED, *_states(), *_leaning(), *_missing()))})"
        f" SELECT f.number, f.record_type, coalesce({_NAME}, f.record_id::text) FROM ("
        "  SELECT count(*) OVER () AS number, record_type, record_id FROM found"
        f"  ORDER BY record_type, record_id LIMIT {_NAMED}) f ORDER BY 2, 3"
    )
    if not rows:
        return
    number = rows[0][0]
    names = [f"{record_type} {name}" for _, record_type, name in rows]
    if number > len(names):
        names.append(f"{number - len(names)} more")
    records = "1 record has" if number == 1 else f"{number} records have"
    raise RevertRefused(
        f"{records} changed since, or others would be left without them: {', '.join(names)}."
        " Undo the later runs first."
    )


_NAME = """(
    SELECT source_id FROM schools WHERE tenant_id = $1 AND id = f.record_id UNION ALL
    SELECT source_id FROM terms WHERE tenant_id = $1 AND id = f.record_id UNION ALL
    SELECT source_id FROM courses WHERE tenant_id = $1 AND id = f.record_id UNION ALL
    SELECT source_id FROM groups WHERE tenant_id = $1 AND id = f.record_id UNION ALL
    SELECT source_id FROM users WHERE tenant_id = $1 AND id = f.record_id UNION ALL
    SELECT u.source_id || ' in ' || g.source_id FROM memberships m
      JOIN users u ON u.tenant_id = $1 AND u.id = m.user_id
      JOIN groups g ON g.tenant_id = $1 AND g.id = m.group_id
      WHERE m.tenant_id = $1 AND m.id = f.record_id)"""
_LATER = """
    SELECT r.id FROM sync_runs r, run
    WHERE r.tenant_id = $1 AND r.started_at > run.at AND r.mode NOT IN ('PREFLIGHT', 'REVERT')
      AND (r.state LIKE 'SUCCEEDED%' OR r.phases -> 'APPLYING' IS NOT NULL AND r.state = 'FAILED')
      AND NOT EXISTS (SELECT FROM sync_runs u WHERE u.tenant_id = $1 AND u.reverts_run_id = r.id
        AND u.state LIKE 'SUCCEEDED%')"""
_FREE = "NOT EXISTS (SELECT FROM changed c WHERE c.record_id = {0})"
_TOUCHED = (
    # by later runs that were not undone
    """SELECT c.record_type, c.record_id FROM changed c, sync_changes l, run
    WHERE l.tenant_id = $1 AND l.record_id = c.record_id AND l.run_id IN (SELECT id FROM later)
      AND l.created_at > run.at AND l.held_by IS NULL AND l.action <> 'CREATE'""",
    # by somebody who made two people one, or took them apart
    """SELECT c.record_type, c.record_id FROM changed c, people_merges p, run
    WHERE p.tenant_id = $1 AND p.undone_at IS NULL AND p.created_at > run.at
      AND c.record_id IN (p.kept_id, p.merged_id)""",
    """SELECT c.record_type, c.record_id FROM changed c, memberships m, people_merges p, run
    WHERE p.tenant_id = $1 AND p.undone_at IS NULL AND p.created_at > run.at
      AND m.tenant_id = $1 AND m.user_id IN (p.kept_id, p.merged_id) AND c.record_id = m.id""",
    """SELECT c.record_type, c.record_id FROM changed c, identity_links l, run
    WHERE l.tenant_id = $1 AND l.record_id = c.record_id AND l.ended_at > run.at
      AND l.ended_by NOT LIKE 'run %'""",
    # a username that somebody else has now
    f"""SELECT c.record_type, c.record_id FROM changed c
    JOIN users u ON u.tenant_id = $1 AND u.id = c.record_id
    JOIN users o ON o.tenant_id = $1 AND o.id <> u.id AND o.username_key = casefold(
      coalesce(c.old_values ->> 'username', u.username) COLLATE "pg_unicode_fast")
    WHERE c.record_type = 'USER' AND {_FREE.format("o.id")} AND (c.action = 'ARCHIVE'
      OR c.action = 'UPDATE' AND c.old_values -> 'username' IS NOT NULL)""",
)


def _states() -> list[str]:
    """What is not live or not archived any more, as the run left it; ids that are taken again."""
    states = [
        f"""SELECT c.record_type, c.record_id FROM changed c
        LEFT JOIN {table} r ON r.tenant_id = $1 AND r.id = c.record_id
        WHERE c.record_type = '{name.value}'
          AND (r.id IS NULL OR (r.archived_at IS NOT NULL) <> (c.action = 'ARCHIVE'))"""
        for name, table in TABLES.items()
    ]
    taken = [
        f"""SELECT c.record_type, c.record_id FROM changed c
        JOIN {table} r ON r.tenant_id = $1 AND r.source_id = c.old_values ->> 'source_id'
        WHERE c.record_type = '{name.value}' AND {_FREE.format("r.id")}"""
        for name, table in TABLES.items()
        if name is not RecordType.MEMBERSHIP
    ]
    return states + taken


def _leaning() -> list[str]:
    """What came later and would be left without its person, group, course or school."""
    children = (
        ("MEMBERSHIP", "memberships", "user_id"),
        ("MEMBERSHIP", "memberships", "group_id"),
        ("GROUP", "groups", "school_id"),
        ("GROUP", "groups", "course_id"),
    )
    return [
        *(
            f"""SELECT '{name}', r.id FROM {table} r JOIN going ON going.id = r.{parent}
            WHERE r.tenant_id = $1 AND r.archived_at IS NULL AND {_FREE.format("r.id")}"""
            for name, table, parent in children
        ),
        f"""SELECT 'USER', u.id FROM school_affiliations a JOIN going ON going.id = a.school_id
        JOIN users u ON u.tenant_id = $1 AND u.id = a.user_id
        WHERE a.tenant_id = $1 AND u.archived_at IS NULL AND {_FREE.format("u.id")}""",
    ]


def _missing() -> list[str]:
    """What would come back to a person, a group or a school that has gone since."""
    gone = f"r.tenant_id = $1 AND r.archived_at > run.at AND {_FREE.format('r.id')}"
    members = [
        f"""SELECT c.record_type, c.record_id FROM {table} r, run, changed c, memberships m
        WHERE {gone} AND m.tenant_id = $1 AND m.{parent} = r.id AND m.id = c.record_id
          AND c.action = 'ARCHIVE'"""
        for table, parent in (("users", "user_id"), ("groups", "group_id"))
    ]
    return [
        *members,
        f"""SELECT c.record_type, c.record_id FROM schools r, run, changed c, groups g
        WHERE {gone} AND g.tenant_id = $1 AND g.id = c.record_id AND CASE
          WHEN c.action = 'ARCHIVE' THEN g.school_id = r.id
          WHEN c.action = 'UPDATE' THEN c.old_values ->> 'school_source_id' = r.source_id END""",
        f"""SELECT c.record_type, c.record_id FROM schools r, run, changed c
        WHERE {gone} AND c.record_type = 'USER' AND CASE
          WHEN c.action = 'ARCHIVE' THEN EXISTS (SELECT FROM school_affiliations a
            WHERE a.tenant_id = $1 AND a.user_id = c.record_id AND a.school_id = r.id)
          WHEN c.action = 'UPDATE' THEN
            c.old_values -> 'school_source_ids' @> to_jsonb(r.source_id) END""",
    ]
