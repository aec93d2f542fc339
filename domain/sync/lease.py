"""The lease on a run: claimed from the database, kept alive by a thread, lost at a takeover.

The heartbeat has a connection and a thread of its own, so that neither a long statement nor a
busy event loop can stop it: only the death (or the stopping) of the whole process does.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Self
from uuid import UUID

import asyncpg
import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.database import Database
from domain.jobs import WAKE, enqueue

SILENCE = timedelta(seconds=20)
"""A worker that was not heard of for so long is taken for dead."""
_INTERVAL = 2.0
"""A cancelled run stops about so long after it was asked to."""
_CUT_OFF = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)

log = structlog.get_logger()


class LeaseLost(Exception):
    """Another worker has taken the run over; whatever this one does now must not count."""


@dataclass(frozen=True, slots=True)
class Lease:
    tenant_id: UUID
    run_id: UUID
    token: int


@dataclass(frozen=True, slots=True)
class Place:
    """What may be claimed for a worker's place; None is no limit.

    `waiting` and `left` are the most digits that the expected records of a run may have, of one
    that waits and of one that a dead worker left; a size that nobody knows counts as six digits.
    `per_provider` runs may read from one provider at once, over all workers.
    """

    waiting: int | None = None
    left: int | None = None
    per_provider: int | None = None


ANY_RUN = Place()


def connection_name(run_id: UUID) -> str:
    """How a run's connection is known in pg_stat_activity."""
    return f"homerow sync {run_id}"


async def claim_run(database: Database, place: Place = ANY_RUN) -> Lease | None:
    """The next run that nobody works on; ends the connection of the worker that had it."""
    async with database.transaction() as session:
        row = (
            await session.execute(
                text("SELECT * FROM claim_sync_run(:silence, :waiting, :left, :per_provider)"),
                {
                    "silence": SILENCE,
                    "waiting": place.waiting,
                    "left": place.left,
                    "per_provider": place.per_provider,
                },
            )
        ).one_or_none()
        if row is None:
            return None
        if row.former_backend_pid is not None:
            await _end_connection(session, row.former_backend_pid, connection_name(row.run_id))
        return Lease(row.tenant_id, row.run_id, row.token)


async def give_back(database: Database, lease: Lease) -> None:
    """Let another worker go on with the run at once. That this one began it does not count.

    Where it cannot be said, others find out by its silence.
    """
    try:
        await end_own_connection(database, lease)
        async with database.transaction(lease.tenant_id) as session:
            given = await session.scalar(
                text(
                    "UPDATE sync_leases SET heartbeat_at = 'epoch', backend_pid = NULL"
                    " WHERE tenant_id = :tenant_id AND run_id = :run_id AND token = :token"
                    " RETURNING true"
                ),
                {"tenant_id": lease.tenant_id, "run_id": lease.run_id, "token": lease.token},
            )
            if not given:
                return
            await session.execute(
                text(
                    "UPDATE sync_runs SET attempts = attempts - 1"
                    " WHERE tenant_id = :tenant_id AND id = :run_id AND finished_at IS NULL"
                ),
                {"tenant_id": lease.tenant_id, "run_id": lease.run_id},
            )
            enqueue(session, WAKE)
    except (OSError, DBAPIError) as error:
        log.warning("run_not_given_back", error=type(error).__name__)
    else:
        log.info("run_given_back")


async def end_own_connection(database: Database, lease: Lease) -> None:
    """Of a run that was stopped in the middle: the server may still be busy with its statement."""
    async with database.transaction(lease.tenant_id) as session:
        pid = await session.scalar(
            text(
                "SELECT backend_pid FROM sync_leases"
                " WHERE tenant_id = :tenant_id AND run_id = :run_id AND token = :token"
            ),
            {"tenant_id": lease.tenant_id, "run_id": lease.run_id, "token": lease.token},
        )
        if pid is not None:
            await _end_connection(session, pid, connection_name(lease.run_id))


async def _end_connection(session: AsyncSession, pid: int, name: str) -> None:
    """The name guards against a pid that has passed to somebody else since.

    Where the login may not do that, the former holder's locks last until its transaction times
    out; its work does not count either way.
    """
    try:
        async with session.begin_nested():
            await session.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE pid = :pid AND application_name = :name"
                ),
                {"pid": pid, "name": name},
            )
    except DBAPIError as error:
        if error.connection_invalidated:
            # It is our own connection that has ended.
            raise
        log.warning("former_connection_not_ended", error=type(error.orig).__name__)


async def confirm(connection: asyncpg.Connection, lease: Lease) -> None:
    """Lock the lease until the transaction ends. Raises LeaseLost."""
    if not await connection.fetchval(
        "SELECT true FROM sync_leases"
        " WHERE tenant_id = $1 AND run_id = $2 AND token = $3 FOR UPDATE",
        lease.tenant_id,
        lease.run_id,
        lease.token,
    ):
        raise LeaseLost


class Heartbeat:
    """Keeps a lease alive while it is entered.

    Calls `stop` in its own thread if the lease is lost, and if the run was cancelled: then
    `is_cancelled`, and the lease is kept.
    """

    def __init__(self, database: Database, lease: Lease, stop: Callable[[], object]) -> None:
        self.is_cancelled = False
        self._database = database
        self._lease = lease
        self._stop_work = stop
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="heartbeat")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        # The claim was a beat itself: most runs of small districts have ended before the next.
        if not self._stop.wait(_INTERVAL):
            asyncio.run(self._beat())

    async def _beat(self) -> None:
        connection: asyncpg.Connection | None = None
        while not self._stop.is_set():
            try:
                if connection is None or connection.is_closed():
                    connection = await self._database.connect("homerow heartbeat")
                is_cancelled = await self._renew(connection)
                if is_cancelled is None:
                    self._stop_work()
                    break
                if is_cancelled and not self.is_cancelled:
                    self.is_cancelled = True
                    self._stop_work()
            except _CUT_OFF as error:
                log.warning("heartbeat_failed", error=type(error).__name__)
                if connection is not None:
                    connection.terminate()
            await asyncio.to_thread(self._stop.wait, _INTERVAL)
        if connection is not None:
            # Which may be gone by now, as the database may.
            with suppress(*_CUT_OFF):
                await connection.close(timeout=2)

    async def _renew(self, connection: asyncpg.Connection) -> bool | None:
        """Whether somebody has cancelled the run; None if the lease is lost."""
        async with connection.transaction():
            await connection.execute(
                "SELECT set_config('homerow.tenant_id', $1, true)", str(self._lease.tenant_id)
            )
            is_cancelled: bool | None = await connection.fetchval(
                "UPDATE sync_leases l SET heartbeat_at = clock_timestamp() FROM sync_runs r"
                " WHERE l.tenant_id = $1 AND l.run_id = $2 AND l.token = $3"
                "  AND r.tenant_id = l.tenant_id AND r.id = l.run_id"
                " RETURNING r.cancel_requested_at IS NOT NULL",
                self._lease.tenant_id,
                self._lease.run_id,
                self._lease.token,
            )
        return is_cancelled
