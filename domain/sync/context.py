"""What every phase is given: the run, its staging tables and a connection of its own."""

import json
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

import asyncpg

from domain.clock import utc_now
from domain.metrics import PHASE_SECONDS, RUN_SECONDS, RUNS_ENDED
from domain.roster.source import Provider
from domain.sync.lease import Lease, confirm
from domain.sync.models import SyncMode, SyncRunState
from domain.sync.staging import Staging

_TOLD_SECONDS: Final = 0.25
"""Who follows a run is told of what was read this often at most."""


def _nobody(_: UUID) -> None:
    """Nobody is told."""


class RunCancelled(Exception):
    """Somebody has cancelled the run: what this phase did is rolled back."""


@dataclass(slots=True)
class RunContext:
    """`counts` are kept with the run: {record type: {fetched, created, …: n}}.

    `would_hold` are the reasons for which a preflight's plan would wait. `plans` is how many plans
    turned out stale, `attempts` how many workers have begun the run. `announce` tells who follows
    the run, after a commit, that there is news of it.
    """

    connection: asyncpg.Connection
    lease: Lease
    staging: Staging
    state: SyncRunState
    mode: SyncMode
    provider: Provider
    integration_id: UUID
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    plans: int = 0
    would_hold: list[dict[str, str | int]] = field(default_factory=list)
    attempts: int = 1
    started_at: datetime = field(default_factory=utc_now)
    announce: Callable[[UUID], None] = _nobody
    _told_at: float = 0.0

    @property
    def tenant_id(self) -> UUID:
        return self.lease.tenant_id

    @property
    def run_id(self) -> UUID:
        return self.lease.run_id

    @property
    def is_network(self) -> bool:
        """Whether pages come from a server that may change them meanwhile, or send none."""
        return self.provider is not Provider.ONEROSTER_CSV

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[asyncpg.Connection]:
        """One transaction of the tenant's, with the planner's settings for large sets."""
        async with self.connection.transaction():
            await self.connection.execute(
                "SELECT set_config('homerow.tenant_id', $1, true)", str(self.tenant_id)
            )
            yield self.connection

    @asynccontextmanager
    async def step(
        self, following: SyncRunState, *, began_at: datetime | None = None
    ) -> AsyncGenerator[asyncpg.Connection]:
        """A phase's one transaction. Its last statement moves the run on, if we still hold it.

        `began_at`: when the phase began, if it did before this transaction. Raises RunCancelled
        and LeaseLost, with nothing done.
        """
        async with self.transaction() as connection:
            started_at = began_at or await connection.fetchval("SELECT clock_timestamp()")
            # A crash of the database empties the staging tables anyway; only what reaches the
            # roster has to be on the disk before we go on.
            if self.state is not SyncRunState.APPLYING:
                await connection.execute("SET LOCAL synchronous_commit = off")
            await connection.execute("SET LOCAL work_mem = '256MB'")
            await connection.execute("SET LOCAL hash_mem_multiplier = 4")
            await allow_nested_loops(connection, None)
            yield connection
            await self._move_on(connection, following, started_at)
        self._measure(following, started_at)
        self.state = following
        self.announce(self.run_id)

    def _measure(self, following: SyncRunState, phase_began_at: datetime) -> None:
        now = utc_now()
        lasted = (now - phase_began_at).total_seconds()
        PHASE_SECONDS.labels(self.state.value).observe(lasted)
        if following in FINISHED:
            RUNS_ENDED.labels(self.mode.value, following.value).inc()
            RUN_SECONDS.labels(self.mode.value).observe((now - self.started_at).total_seconds())

    def announce_reading(self) -> None:
        """That more was read: not each time, since nobody reads so fast."""
        now = time.monotonic()
        if now - self._told_at >= _TOLD_SECONDS:
            self._told_at = now
            self.announce(self.run_id)

    async def _move_on(
        self, connection: asyncpg.Connection, following: SyncRunState, started_at: datetime
    ) -> None:
        done = await connection.execute(
            "UPDATE sync_runs SET state = $3, counts = $4, phases = phases || jsonb_build_object("
            "  $5::text, jsonb_build_object('started_at', $6::timestamptz, 'seconds',"
            "  round(extract(epoch FROM clock_timestamp() - $6::timestamptz)::numeric, 3))),"
            " finished_at = CASE WHEN $7 THEN clock_timestamp() END"
            # Whoever cancels locks the row too: so either nothing is applied, or they are told.
            " WHERE tenant_id = $1 AND id = $2 AND (cancel_requested_at IS NULL OR $8)",
            self.tenant_id,
            self.run_id,
            following.value,
            json.dumps(self.counts),
            self.state.value,
            started_at,
            following in FINISHED,
            following is SyncRunState.CANCELLED,
        )
        if done == "UPDATE 0":
            raise RunCancelled
        await confirm(connection, self.lease)

    def count(self, record_type: str, **numbers: int) -> None:
        """Set numbers of a type; what was there under other names stays."""
        self.counts.setdefault(record_type, {}).update(numbers)


_FEW = 20_000


async def allow_nested_loops(connection: asyncpg.Connection, rows: int | None) -> None:
    """For a statement that is driven by so many rows of a work table; None: not at all.

    Statistics are stale inside a transaction that fills tables: a nested loop over what seemed
    empty can run for minutes. For a few rows it spares reading whole tables.
    """
    setting = "on" if rows is not None and rows <= _FEW else "off"
    await connection.execute(f"SET LOCAL enable_nestloop = {setting}")


FINISHED = frozenset(
    {
        SyncRunState.SUCCEEDED,
        SyncRunState.SUCCEEDED_WITH_ERRORS,
        SyncRunState.SUCCEEDED_WITH_HOLD,
        SyncRunState.HELD,
        SyncRunState.FAILED,
        SyncRunState.CANCELLED,
    }
)
