"""A run from its claim to its end: fetch → validate → plan → (hold) → apply → summarise.

Each phase is one transaction that ends by moving the run's state on, so that a worker which dies
anywhere leaves a run that another one continues from its last finished phase.
"""

import asyncio
import json
from typing import NamedTuple
from uuid import UUID

import asyncpg
import structlog

from domain.clock import utc_now
from domain.database import Database
from domain.integrations.config import read_source_config
from domain.logs import frames_of
from domain.roster.source import Provider, RosterSource, SourceError, SourceOpener
from domain.secrets import KeyRing
from domain.sync.apply import PlanStale, apply
from domain.sync.cancelling import end_cancelled, forget_plan
from domain.sync.context import RunCancelled, RunContext
from domain.sync.fetch import fetch
from domain.sync.lease import (
    ANY_RUN,
    Heartbeat,
    Lease,
    LeaseLost,
    Place,
    claim_run,
    confirm,
    connection_name,
    end_own_connection,
    give_back,
)
from domain.sync.models import ACTIVE, PICKED_MODES, SyncMode, SyncRunState
from domain.sync.picking import PickedSource
from domain.sync.plan import plan
from domain.sync.reverting import RevertRefused
from domain.sync.staging import Staging, list_staged_runs
from domain.sync.steps import explain_failure
from domain.sync.summarise import is_all_held, summarise
from domain.sync.undoing import begin_undo, plan_undo, undo
from domain.sync.validate import validate
from domain.validation.codes import RULES, Code

MAX_ATTEMPTS = 10
"""A run that so many workers have begun and none has ended fails."""

MOST_PLANS = 3
"""Something that changes the roster as fast as it is planned is not waited for for ever."""
DATABASE_GONE = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    # What asyncpg makes of an answer that was cut off.
    asyncpg.InternalClientError,
    # Somebody locked the same rows in another order, and the database let them go on.
    asyncpg.DeadlockDetectedError,
)
"""No fault of the run's: it stays as it is until somebody claims it again."""

log = structlog.get_logger()


class Sources(NamedTuple):
    """How a run gets at its provider: with the source's opener, and the keys to its secrets."""

    open: SourceOpener
    keys: KeyRing


async def work(
    database: Database, open_source: SourceOpener, keys: KeyRing, place: Place = ANY_RUN
) -> UUID | None:
    """Claim one run and bring it to its end. None: there is nothing to do.

    Where this is cancelled, another worker may go on with the run at once.
    """
    lease = await claim_run(database, place)
    if lease is None:
        return None
    database.queue.announce(lease.run_id)
    with structlog.contextvars.bound_contextvars(
        tenant_id=str(lease.tenant_id), run_id=str(lease.run_id)
    ):
        try:
            await _hold_lease(database, lease, Sources(open_source, keys))
        except asyncio.CancelledError:
            await give_back(database, lease)
            raise
    return lease.run_id


async def _hold_lease(database: Database, lease: Lease, sources: Sources) -> None:
    """Work under a heartbeat; when the lease is lost or the run cancelled, stop where we are."""
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(_execute(database, lease, sources))
    with Heartbeat(database, lease, lambda: loop.call_soon_threadsafe(task.cancel)) as heartbeat:
        try:
            if await _is_cancelled(task, heartbeat):
                await _cancel(database, lease)
        except LeaseLost:
            log.warning("lease_lost")
        except (OSError, *DATABASE_GONE) as error:
            log.warning("run_interrupted", error=type(error).__name__)


async def _is_cancelled(task: asyncio.Future[None], heartbeat: Heartbeat) -> bool:
    """Wait for its end, and whether that is because the run was cancelled. Raises LeaseLost."""
    try:
        await task
    except RunCancelled:
        return True
    except asyncio.CancelledError:
        current = asyncio.current_task()
        if not task.cancelled() or (current is not None and current.cancelling() > 0):
            raise
        if not heartbeat.is_cancelled:
            raise LeaseLost from None
    except (OSError, *DATABASE_GONE):
        # Stopped in the middle of a statement, a connection may break in many ways.
        if not heartbeat.is_cancelled:
            raise
    return heartbeat.is_cancelled


async def _cancel(database: Database, lease: Lease) -> None:
    """End the run that was stopped in the middle of a phase, by another connection."""
    await end_own_connection(database, lease)
    connection = await database.connect(connection_name(lease.run_id))
    try:
        await end_cancelled(await _open_context(database, connection, lease))
    finally:
        connection.terminate()


async def _execute(database: Database, lease: Lease, sources: Sources) -> None:
    connection = await database.connect(connection_name(lease.run_id))
    try:
        await connection.execute("SET idle_in_transaction_session_timeout = '60s'")
        context = await _open_context(database, connection, lease)
        try:
            if context.attempts > MAX_ATTEMPTS:
                message = f"{MAX_ATTEMPTS} workers began this run and none ended it."
                await _fail(context, Code.RUN_INTERNAL, message)
            await _run_phases(context, sources)
        except SourceError as error:
            await _fail(context, error.code, str(error))
        except RevertRefused as error:
            await _fail(context, Code.RUN_REVERT_REFUSED, str(error))
        except (LeaseLost, RunCancelled, ConnectionError, *DATABASE_GONE):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the run ends
            # A bug ends the run, and says so: a run must not stay under way for ever.
            frames = frames_of(error)
            log.error("run_failed", error=type(error).__name__, frames=frames)  # noqa: TRY400
            await _fail(
                context,
                Code.RUN_INTERNAL,
                f"Homerow failed while {context.state.value.lower()} ({type(error).__name__}).",
            )
    finally:
        connection.terminate()


async def _open_context(
    database: Database, connection: asyncpg.Connection, lease: Lease
) -> RunContext:
    async with connection.transaction():
        await connection.execute(
            "SELECT set_config('homerow.tenant_id', $1, true)", str(lease.tenant_id)
        )
        await confirm(connection, lease)
        await connection.execute(
            "UPDATE sync_leases SET backend_pid = pg_backend_pid()"
            " WHERE tenant_id = $1 AND run_id = $2",
            lease.tenant_id,
            lease.run_id,
        )
        row = await connection.fetchrow(
            "SELECT r.state, r.mode, r.counts, r.attempts, r.integration_id,"
            "  r.started_at, i.provider FROM sync_runs r JOIN integrations i"
            "  ON i.tenant_id = r.tenant_id AND i.id = r.integration_id"
            " WHERE r.tenant_id = $1 AND r.id = $2",
            lease.tenant_id,
            lease.run_id,
        )
    return RunContext(
        connection=connection,
        lease=lease,
        staging=Staging(lease.run_id),
        state=SyncRunState(row["state"]),
        mode=SyncMode(row["mode"]),
        provider=Provider(row["provider"]),
        integration_id=row["integration_id"],
        counts=json.loads(row["counts"]),
        attempts=row["attempts"],
        started_at=row["started_at"],
        announce=database.queue.announce,
    )


async def _run_phases(context: RunContext, sources: Sources) -> None:
    await _start_again_if_lost(context)
    is_undoing = context.mode is SyncMode.REVERT
    while context.state in ACTIVE:
        log.info("phase_started", phase=context.state.value)
        match context.state:
            case SyncRunState.FETCHING if is_undoing:
                await begin_undo(context)
            case SyncRunState.FETCHING:
                await fetch(context, *await _open_source(context, sources))
            case SyncRunState.VALIDATING:
                await validate(context)
            case SyncRunState.PLANNING if is_undoing:
                await plan_undo(context)
            case SyncRunState.PLANNING:
                await plan(context)
            case SyncRunState.APPLYING:
                await _apply_or_plan_again(context)
            case _:
                await summarise(context)
    log.info("run_ended", state=context.state.value)


async def _open_source(context: RunContext, sources: Sources) -> tuple[RosterSource, str]:
    """The source, and the version of what it was opened with."""
    async with context.transaction() as connection:
        config = await read_source_config(
            connection,
            tenant_id=context.tenant_id,
            integration_id=context.integration_id,
            keys=sources.keys,
            now=utc_now(),
            is_delta=context.mode is SyncMode.DELTA,
        )
    source = sources.open(config)
    return PickedSource(context, source) if context.mode in PICKED_MODES else source, config.version


async def _start_again_if_lost(context: RunContext) -> None:
    """A crash of the database empties unlogged tables: what was fetched must be fetched again.

    Unless the roster is changed already. Then all that is to be said of it is stored too.
    """
    async with context.transaction() as connection:
        if await context.staging.is_whole(connection):
            return
    if context.state not in ACTIVE or context.state is SyncRunState.FETCHING:
        return
    if context.state is SyncRunState.SUMMARISING and not await is_all_held(context):
        return
    async with context.step(SyncRunState.FETCHING):
        pass


async def _apply_or_plan_again(context: RunContext) -> None:
    if await is_all_held(context):
        async with context.step(SyncRunState.SUMMARISING):
            pass
        return
    try:
        await (undo(context) if context.mode is SyncMode.REVERT else apply(context))
    except PlanStale:
        context.plans += 1
        log.warning("plan_stale", plans=context.plans)
        if context.plans >= MOST_PLANS:
            raise
        async with context.step(SyncRunState.PLANNING):
            pass


async def _fail(context: RunContext, code: Code, message: str) -> None:
    async with context.step(SyncRunState.FAILED) as connection:
        await connection.execute(
            "UPDATE sync_runs SET failure_code = $3, failure_message = $4"
            " WHERE tenant_id = $1 AND id = $2",
            context.tenant_id,
            context.run_id,
            code.value,
            message,
        )
        await explain_failure(context, connection, message)
        if context.state is not SyncRunState.SUMMARISING:
            await forget_plan(context, connection)
        await context.staging.drop(connection)
    log.warning("run_failed", code=code.value, remedy=RULES[code].remedy)


async def reap(database: Database) -> int:
    """Drop what finished runs left in staging. How many runs that were."""
    connection = await database.connect("homerow reaper")
    try:
        # Looked up first: a run that begins meanwhile has no tables in this list.
        staged = await list_staged_runs(connection)
        unfinished = {
            row["run_id"] for row in await connection.fetch("SELECT * FROM list_unfinished_runs()")
        }
        left = staged - unfinished
        for run_id in left:
            await Staging(run_id).drop(connection)
        return len(left)
    finally:
        await connection.close()
