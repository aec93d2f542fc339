"""The end of a run: problems become stored errors with what is applied, and then staging goes."""

import asyncpg

from domain.sync.context import RunContext
from domain.sync.fetch import delta_types
from domain.sync.models import SyncMode, SyncRunState
from domain.sync.observations import observe
from domain.sync.steps import explain
from domain.validation.codes import COUNTED, RULES, Severity

_COUNTED = ", ".join(f"'{code.value}'" for code in sorted(COUNTED))
_FINGERPRINT = (
    "md5(ROW(p.code, p.record_type, p.source_id, p.field, CASE"
    f" WHEN p.code = 'ID_DUPLICATE' THEN p.record::text WHEN p.code IN ({_COUNTED}) THEN NULL"
    " ELSE p.found END)::text)::uuid"
)


async def summarise(context: RunContext) -> None:
    """End the run. Where it has changed the roster, nothing is needed of what was staged."""
    following = await _end(context)
    async with context.step(following) as connection:
        if following is SyncRunState.HELD:
            await conclude(context, connection)
        await context.staging.drop(connection)


async def conclude(context: RunContext, connection: asyncpg.Connection) -> None:
    """Store what is to be said of the run, in the transaction that changes the roster.

    A crash of the database between the two would lose it: what is staged would be gone, and who
    reads the roster again finds nothing new in it. Of a preflight nothing stays but the run itself,
    with its counts, changes and report; and an undoing says nothing of the feed.
    """
    waits = await _has_hold(context, connection)
    await observe(context, connection)
    await _store_errors(context, connection)
    if not (waits and _changes_nothing(context)):
        await _resolve_errors(context, connection)
    if context.mode is SyncMode.FULL:
        await _end_former_holds(context, connection)
    if context.mode in (SyncMode.FULL, SyncMode.DELTA) and not waits:
        await _move_cursors(context, connection)
    await explain(context, connection)


async def is_all_held(context: RunContext) -> bool:
    """Whether nothing of the plan may be applied: then the run ends without applying."""
    async with context.transaction() as connection:
        return await _has_hold(context, connection) and _changes_nothing(context)


async def _has_hold(context: RunContext, connection: asyncpg.Connection) -> bool:
    """Whether something of the plan waits."""
    return bool(
        await connection.fetchval(
            "SELECT EXISTS (SELECT FROM holds WHERE tenant_id = $1 AND run_id = $2)",
            context.tenant_id,
            context.run_id,
        )
    )


def _changes_nothing(context: RunContext) -> bool:
    return not any(
        numbers.get(action, 0)
        for numbers in context.counts.values()
        for action in ("created", "updated", "archived", "restored")
    )


async def _end(context: RunContext) -> SyncRunState:
    if context.mode in (SyncMode.PREFLIGHT, SyncMode.REVERT):
        return SyncRunState.SUCCEEDED
    async with context.transaction() as connection:
        if await _has_hold(context, connection):
            is_held = _changes_nothing(context)
            return SyncRunState.HELD if is_held else SyncRunState.SUCCEEDED_WITH_HOLD
        errors = await connection.fetchval(
            "SELECT EXISTS (SELECT FROM validation_errors"
            " WHERE tenant_id = $1 AND last_seen_run_id = $2 AND severity = $3)",
            context.tenant_id,
            context.run_id,
            Severity.ERROR.value,
        )
    return SyncRunState.SUCCEEDED_WITH_ERRORS if errors else SyncRunState.SUCCEEDED


async def _store_errors(context: RunContext, connection: asyncpg.Connection) -> None:
    """New ones open, those seen again count one run more.

    An accepted one stays accepted: another value is another fingerprint. Unless it is an error
    by now, since the tenant requires more: errors cannot be accepted.
    """
    opens = "v.state = 'RESOLVED' OR (excluded.severity = 'ERROR' AND v.severity <> 'ERROR')"
    await connection.execute(
        "INSERT INTO validation_errors AS v (tenant_id, fingerprint, state, code, severity,"
        "  record_type, source_id, field, expected, found, place, cause, record,"
        "  first_seen_run_id, first_seen_at, last_seen_run_id, last_seen_at, runs)"
        f" SELECT DISTINCT ON (f.fingerprint) $1, f.fingerprint, 'OPEN', f.code,"
        "  coalesce(f.severity, r.severity),"
        "  f.record_type, f.source_id, f.field, f.expected, f.found, f.place,"
        "  coalesce(f.cause, f.record_type || coalesce(' ' || f.source_id, '')), f.record,"
        "  $2, now(), $2, now(), 1"
        f" FROM (SELECT p.*, {_FINGERPRINT} AS fingerprint FROM {context.staging.problems} p) f"
        " JOIN unnest($3::text[], $4::text[]) AS r (code, severity) ON r.code = f.code"
        " ON CONFLICT (tenant_id, fingerprint) DO UPDATE SET"
        "  last_seen_run_id = $2, last_seen_at = now(), runs = v.runs + 1,"
        "  expected = excluded.expected, found = excluded.found, place = excluded.place,"
        "  record = excluded.record, severity = excluded.severity, resolved_at = NULL,"
        f" state = CASE WHEN {opens} THEN 'OPEN' ELSE v.state END,"
        f" accepted_at = CASE WHEN {opens} THEN NULL ELSE v.accepted_at END,"
        f" accepted_by = CASE WHEN {opens} THEN NULL ELSE v.accepted_by END,"
        f" accepted_note = CASE WHEN {opens} THEN NULL ELSE v.accepted_note END",
        context.tenant_id,
        context.run_id,
        [code.value for code in RULES],
        [rule.severity.value for rule in RULES.values()],
    )


async def _resolve_errors(context: RunContext, connection: asyncpg.Connection) -> None:
    """Errors that were not seen again are resolved; a delta can tell only of what it names."""
    staging = context.staging
    deltas = await delta_types(context, connection)
    named = " UNION ALL ".join(
        [
            f"SELECT record_type, source_id FROM {table}"
            for table in (staging.deleted, staging.ignored, staging.left_out)
        ]
        + [f"SELECT record_type, source_id FROM {staging.problems} WHERE rejects"]
        + [
            f"SELECT '{name.value}', source_id FROM {staging.of(name)} WHERE NOT is_stored"
            for name in deltas
        ]
    )
    await connection.execute(
        "UPDATE validation_errors v SET state = 'RESOLVED', resolved_at = now()"
        " WHERE v.tenant_id = $1 AND v.state <> 'RESOLVED' AND v.last_seen_run_id <> $2"
        f" AND (v.record_type <> ALL ($3) OR (v.record_type, v.source_id) IN ({named}))",
        context.tenant_id,
        context.run_id,
        [name.value for name in deltas],
    )


async def _end_former_holds(context: RunContext, connection: asyncpg.Connection) -> None:
    """A new look at the whole roster ends what waited: it is within limits now, or waits anew."""
    await connection.execute(
        "UPDATE holds SET ended_at = now(), ended_by = $2"
        " WHERE tenant_id = $1 AND ended_at IS NULL AND run_id <> $3",
        context.tenant_id,
        f"run {context.run_id}",
        context.run_id,
    )


async def _move_cursors(context: RunContext, connection: asyncpg.Connection) -> None:
    """Where the next delta begins. Only now: what a failed run has read must be asked for again.

    Not after a change that made the integration forget its cursors while this run went on.
    """
    await connection.execute(
        "UPDATE integrations i SET cursors = i.cursors || (r.checkpoint -> 'modified')"
        " FROM sync_runs r WHERE r.tenant_id = $1 AND r.id = $2 AND i.tenant_id = $1"
        " AND i.id = r.integration_id AND r.checkpoint -> 'modified' <> '{}'"
        " AND i.updated_at <= r.started_at",
        context.tenant_id,
        context.run_id,
    )
