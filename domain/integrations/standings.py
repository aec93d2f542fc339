"""How a tenant's syncs stand: whether they keep failing, since when, and what was told of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ForeignKey, SmallInteger, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from domain.database import Base
from domain.integrations.models import SyncSchedule
from domain.notifications.runs import HOW_TO_LEAVE
from domain.validation.codes import RULES, Code

IN_QUARANTINE = 2
"""So many scheduled runs failed in a row: one alone may be a passing trouble."""


class SyncStanding(Base):
    """`failures` are the scheduled runs that failed since the last that did not.

    `told` are the reasons that contacts know of: failure codes, and the codes of holds. `last_*`
    are of the latest full or delta run, its code None where it did not fail. The promise is
    watched from `watched_from` on, where that is later than the last success, and a broken one
    was told at `late_told_at`. `licence_level`: see domain.watch.licences. A digest goes at
    `digest_due_at` with what was told since `digest_from`.
    """

    __tablename__ = "sync_standings"

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"), primary_key=True)
    failures: Mapped[int] = mapped_column(server_default=text("0"))
    first_failed_at: Mapped[datetime | None]
    is_off: Mapped[bool] = mapped_column(server_default=text("false"))
    told: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    last_run_at: Mapped[datetime | None]
    last_code: Mapped[str | None]
    last_success_at: Mapped[datetime | None]
    watched_from: Mapped[datetime | None]
    late_told_at: Mapped[datetime | None]
    licence_level: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    digest_due_at: Mapped[datetime | None]
    digest_from: Mapped[datetime | None]


class Quarantine(NamedTuple):
    """`reason` is the code of the last failure; `next_try_at` None: nothing is tried any more."""

    since: datetime
    reason: Code
    failures: int
    next_try_at: datetime | None
    is_off: bool

    @property
    def message(self) -> str:
        tried = (
            "No sync starts by itself any more."
            if self.is_off
            else "It is tried again, less and less often."
        )
        return (
            f"{self.failures} scheduled syncs in a row have failed. {RULES[self.reason].remedy}"
            f" {tried} {HOW_TO_LEAVE}"
        )


async def list_quarantines(
    session: AsyncSession, tenant_id: UUID, integration_ids: Sequence[UUID]
) -> dict[UUID, Quarantine]:
    """Of those of a tenant's integrations whose syncs keep failing."""
    found = await session.execute(
        select(SyncStanding, SyncSchedule.integration_id, SyncSchedule.next_due_at)
        .join(SyncSchedule, SyncSchedule.tenant_id == SyncStanding.tenant_id)
        .where(
            SyncStanding.tenant_id == tenant_id, SyncSchedule.integration_id.in_(integration_ids)
        )
    )
    quarantines = {row[1]: quarantine_of(row[0], row[2]) for row in found}
    return {key: one for key, one in quarantines.items() if one is not None}


def quarantine_of(standing: SyncStanding, next_due_at: datetime | None) -> Quarantine | None:
    """None: its syncs do not keep failing."""
    if standing.first_failed_at is None or standing.last_code is None:
        return None
    if standing.failures < IN_QUARANTINE and not standing.is_off:
        return None
    return Quarantine(
        since=standing.first_failed_at,
        reason=Code(standing.last_code),
        failures=standing.failures,
        next_try_at=None if standing.is_off else next_due_at,
        is_off=standing.is_off,
    )


async def begin_anew(session: AsyncSession, *, tenant_id: UUID, now: datetime) -> None:
    """For whoever resumes an integration: former failures do not count, nor what was not synced.

    The schedule is the caller's to set.
    """
    await watch_from(session, tenant_id=tenant_id, now=now)
    await session.execute(
        update(SyncStanding)
        .where(SyncStanding.tenant_id == tenant_id)
        .values(failures=0, first_failed_at=None, is_off=False, told=[])
    )


async def watch_from(session: AsyncSession, *, tenant_id: UUID, now: datetime) -> None:
    """From now on the tenant is to be synced in time: what was before is not held against it."""
    await session.execute(
        insert(SyncStanding)
        .values(tenant_id=tenant_id, watched_from=now)
        .on_conflict_do_update(index_elements=["tenant_id"], set_={"watched_from": now})
    )
