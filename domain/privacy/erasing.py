"""Erasing: who has been archived for long, one person who asks for it, or a whole tenant.

Each leaves a row in `removals` that says how much of what is gone, and names nobody.
"""

from datetime import datetime, timedelta
from typing import Any, Final, cast
from uuid import UUID

import structlog
from sqlalchemy import CursorResult, delete, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.database import Base, Database
from domain.errors import Conflict, NotFound
from domain.people.audit import record_act
from domain.people.callers import SYSTEM, Caller
from domain.people.models import Removal, RemovalKind
from domain.roster.models import User
from domain.sync.turns import take_turn
from domain.tenants.models import Tenant, TenantStatus

KEPT: Final = timedelta(days=365)
"""How long somebody is archived before they are erased, unless the settings say otherwise."""
AT_ONCE: Final = 1000

log = structlog.get_logger()

Counts = dict[str, int]
"""Rows that are gone, by table."""


async def purge(database: Database, *, now: datetime, kept: timedelta = KEPT) -> Counts:
    """Erase who was archived longer than `kept` ago, in all tenants. For the worker's role.

    A tenant whose sync is under way has its turn the next time.
    """
    before, gone, passed = now - kept, Counts(), set[UUID]()
    while True:
        async with database.read() as session:
            found = await session.execute(
                text("SELECT * FROM find_erasable(:before, :most)"),
                {"before": before, "most": AT_ONCE},
            )
            waiting = [(row.tenant_id, row.user_ids) for row in found]
        fresh = [(tenant_id, ids) for tenant_id, ids in waiting if tenant_id not in passed]
        if not fresh:
            break
        for tenant_id, ids in fresh:
            counts = await _purge(database, tenant_id, ids)
            if not counts:
                passed.add(tenant_id)
            _add(gone, counts)
    async with database.transaction() as session:
        await session.execute(text("SELECT delete_old_traces(:before)"), {"before": before})
    if gone:
        log.info("people_erased", **gone)
    return gone


def _add(sum_: Counts, counts: Counts) -> None:
    for table, number in counts.items():
        sum_[table] = sum_.get(table, 0) + number


async def _purge(database: Database, tenant_id: UUID, ids: list[UUID]) -> Counts:
    async with database.transaction(tenant_id) as session:
        if not await take_turn(session, tenant_id):
            return {}
        return await _erase(session, tenant_id, ids, kind=RemovalKind.PURGE, caller=SYSTEM)


async def erase_person(
    session: AsyncSession, *, tenant_id: UUID, user_id: UUID, caller: Caller
) -> Counts:
    """Somebody who is archived. For the worker's role. Raises NotFound and Conflict."""
    user = await session.get(User, (tenant_id, user_id))
    if user is None:
        raise NotFound("user", str(user_id))
    if user.archived_at is None:
        raise Conflict(
            "This person is not archived: the next sync would bring them back. Take them out of"
            " the roster first."
        )
    if not await take_turn(session, tenant_id):
        raise Conflict("A sync of this tenant is under way. Try again when it has ended.")
    return await _erase(session, tenant_id, [user_id], kind=RemovalKind.PERSON, caller=caller)


async def _erase(
    session: AsyncSession,
    tenant_id: UUID,
    ids: list[UUID],
    *,
    kind: RemovalKind,
    caller: Caller,
) -> Counts:
    counts: Counts = await session.scalar(
        text("SELECT erase_people(CAST(:ids AS uuid[]), :kind, :by)"),
        {"ids": ids, "kind": kind.value, "by": caller.actor},
    )
    if counts:
        record_act(
            session,
            tenant_id=tenant_id,
            caller=caller,
            action="peopleErase",
            details={"kind": kind.value, "counts": counts},
        )
    return counts


async def delete_tenant(session: AsyncSession, *, tenant_id: UUID, caller: Caller) -> Counts:
    """A closed tenant with all that it has. For the owner's role. Raises NotFound and Conflict."""
    tenant = await session.get(Tenant, tenant_id, with_for_update=True)
    if tenant is None:
        raise NotFound("tenant", str(tenant_id))
    if tenant.status is not TenantStatus.CLOSED:
        raise Conflict(f"The tenant {tenant.slug} is not closed. Close it first.")
    if not await take_turn(session, tenant_id):
        raise Conflict("A sync of this tenant is under way. Try again when it has ended.")
    counts = Counts()
    for table in reversed(Base.metadata.sorted_tables):
        owner = table.columns.get("id" if table is Tenant.__table__ else "tenant_id")
        if owner is None or table is Removal.__table__:
            continue
        deleted = await session.execute(delete(table).where(owner == tenant_id))
        if number := cast("CursorResult[Any]", deleted).rowcount:
            counts[table.name] = number
    await session.execute(
        insert(Removal).values(
            tenant_id=tenant_id,
            slug=tenant.slug,
            kind=RemovalKind.TENANT,
            counts=counts,
            requested_by=caller.actor,
        )
    )
    return counts


async def removals_of(session: AsyncSession, tenant_id: UUID) -> list[Removal]:
    """The newest first."""
    found = await session.scalars(
        select(Removal).where(Removal.tenant_id == tenant_id).order_by(Removal.id.desc())
    )
    return list(found)
