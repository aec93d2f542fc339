"""How each tenant stands: what runs, waits, is due or keeps failing. For the product's own side."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.sync.models import SyncRunState
from domain.sync.progress import RunProgress


@dataclass(frozen=True, slots=True)
class Underway:
    """A run that waits or is worked on."""

    run_id: UUID
    state: SyncRunState
    requested_at: datetime
    progress: RunProgress


@dataclass(frozen=True, slots=True)
class Standing:
    """`failures`: how many runs have failed since the last one that did not, `failure_code` why.

    `due_at` is when the next run is; `is_due`: that is past, and it has not been started. A tenant
    is late since it was noticed that its last success is older than promised (domain.watch.late).
    """

    tenant_id: UUID
    slug: str
    underway: Underway | None
    held_run_id: UUID | None
    held_since: datetime | None
    due_at: datetime | None
    is_due: bool
    failures: int
    failure_code: str | None
    last_success_at: datetime | None
    late_since: datetime | None

    @classmethod
    def of(cls, row: Row[tuple[object, ...]], *, now: datetime) -> Self:
        """A row of the database's function list_standing."""
        return cls(
            tenant_id=row.tenant_id,
            slug=row.slug,
            underway=_underway(row, now) if row.run_id else None,
            held_run_id=row.held_run_id,
            held_since=row.held_since,
            due_at=row.due_at,
            is_due=row.is_due,
            failures=row.failures,
            failure_code=row.failure_code,
            last_success_at=row.last_success_at,
            late_since=row.late_since,
        )


def _underway(row: Row[tuple[object, ...]], now: datetime) -> Underway:
    state = SyncRunState(row.state)
    progress = RunProgress.read_from(state, row.progress, row.phases, now=now)
    return Underway(row.run_id, state, row.requested_at, progress)


async def list_standing(session: AsyncSession, *, now: datetime) -> Sequence[Standing]:
    """All tenants by their slugs."""
    rows = await session.execute(text("SELECT * FROM list_standing()"))
    return [Standing.of(row, now=now) for row in rows]
