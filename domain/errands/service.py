"""Asking for an errand, and waiting for what came of it."""

import asyncio
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.database import Database
from domain.errands.models import Errand, ErrandKind, ErrandState
from domain.errors import Conflict, DomainError, InvalidInput, NotFound, ProviderManaged
from domain.jobs import ERRAND, enqueue
from domain.people.callers import Caller

POLL_SECONDS = 0.05
WAIT_SECONDS = 20.0
"""A request of the API waits so long; a large import may take longer, and is then polled."""


async def request_errand(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    kind: ErrandKind,
    asked: Mapping[str, Any],
    caller: Caller,
) -> UUID:
    errand = Errand(
        tenant_id=tenant_id,
        kind=kind.value,
        asked=dict(asked),
        state=ErrandState.WAITING,
        requested_by=caller.actor,
        reach=caller.reach and caller.reach.stored(),
    )
    session.add(errand)
    await session.flush()
    enqueue(session, ERRAND)
    return errand.id


async def wait_for_errand(
    database: Database, *, tenant_id: UUID, errand_id: UUID, seconds: float = WAIT_SECONDS
) -> dict[str, Any] | None:
    """Its result; None: it is still waiting, for a sync that is under way or for a worker.

    Raises the DomainError that it was refused with.
    """
    row = Errand
    wanted = select(row.state, row.result, row.refused_code, row.refused_field, row.message).where(
        row.tenant_id == tenant_id, row.id == errand_id
    )
    try:
        async with asyncio.timeout(seconds):
            while True:
                async with database.read(tenant_id) as session:
                    found = (await session.execute(wanted)).one()
                if found.state is ErrandState.DONE:
                    return dict(found.result or {})
                if found.state is ErrandState.REFUSED:
                    raise _refusal(
                        found.refused_code, found.refused_field, found.message, found.result
                    )
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        return None


def _refusal(
    code: str, field: str | None, message: str, result: Mapping[str, Any] | None
) -> DomainError:
    if code == "PROVIDER_MANAGED" and result:
        return ProviderManaged(message, field=field, provider=result["provider"])
    if code == "INVALID" and field:
        return InvalidInput(field, message)
    if code == "NOT_FOUND":
        refusal = NotFound("record", "")
        refusal.args = (message,)
        return refusal
    return Conflict(message, field=field)
