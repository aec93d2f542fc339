"""Summarise: problems become stored errors, and staging goes."""

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
    """Of a preflight nothing stays but the run itself, with its counts, changes and report.

    Nor does an undoing say anything of the feed.
    """
    is_preflight = context.mode in (SyncMode.PREFLIGHT, SyncMode.REVERT)
    waits = not is_preflight and await has_hold(context)
    following = SyncRunState.SUCCEEDED if is_preflight else await _end(context, waits=waits)
    async with context.step(following) as connection:
        if not is_preflight:
            await observe(context, connection)
            await _store_errors(context, connection)
            if following is not SyncRunState.HELD:
                await _resolve_errors(context, connection)
        if context.mode is SyncMode.FULL:
            await _end_former_holds(context, connection)
        if context.mode in (SyncMode.FULL, SyncMode.DELTA) and not waits:
            await _move_cursors(context, connection)
        await explain(context, connection)
        await context.staging.drop(connection)


async def summarise_lost(context: RunContext) -> None:
    """After a crash of the database, which left the roster as applied and emptied staging.

    What was wrong with the feed is not known any more: stored errors stay as they were, and the
    next run tells. Nothing moves on that a delta begins with.
    """
    is_preflight = context.mode in (SyncMode.PREFLIGHT, SyncMode.REVERT)
    following = SyncRunState.SUCCEEDED
    if not is_preflight and await has_hold(context):
        following = await _end_waiting(context)
    elif not is_preflight and await _has_stored_errors(context):
        following = SyncRunState.SUCCEEDED_WITH_ERRORS
    async with context.step(following) as connection:
        if context.mode is SyncMode.FULL:
            await _end_former_holds(context, connection)
        await context.staging.drop(connection)


async def _has_stored_errors(context: RunContext) -> bool:
    async with context.transaction() as connection:
        return bool(
            await connection.fetchval(
                "SELECT EXISTS (SELECT FROM validation_errors"
                "  WHERE tenant_id = $1 AND state = 'OPEN' AND severity = $2)",
                context.tenant_id,
                Severity.ERROR.value,
            )
        )


async def has_hold(context: RunContext) -> bool:
    """Whether something of the plan waits."""
    async with context.transaction() as connection:
        return bool(
            await connection.fetchval(
                "SELECT EXISTS (SELECT FROM holds WHERE tenant_id = $1 AND run_id = $2)",
                context.tenant_id,
                context.run_id,
            )
        )


async def is_all_held(context: RunContext) -> bool:
    """Whether nothing of the plan may be applied: then the run ends without applying."""
    return await has_hold(context) and not any(
        numbers.get(action, 0)
        for numbers in context.counts.values()
        for action in ("created", "updated", "archived", "restored")
    )


async def _end_waiting(context: RunContext) -> SyncRunState:
    is_held = await is_all_held(context)
    return SyncRunState.HELD if is_held else SyncRunState.SUCCEEDED_WITH_HOLD


async def _end(context: RunContext, *, waits: bool) -> SyncRunState:
    if waits:
        return await _end_waiting(context)
    async with context.transaction() as connection:
        errors = await connection.fetchval(
            f"SELECT EXISTS (SELECT FROM {context.staging.problems}"
            "  WHERE severity = $2 OR (severity IS NULL AND code = ANY ($1)))",
            [code.value for code, rule in RULES.items() if rule.severity is Severity.ERROR],
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
