"""What a worker does with errands: each kind has its one function, in one transaction."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.clock import utc_now
from domain.database import Database
from domain.errands.models import Errand, ErrandKind, ErrandState
from domain.errors import Conflict, DomainError, InvalidInput, NotFound
from domain.logs import frames_of
from domain.people.callers import Caller

Handler = Callable[[AsyncSession, UUID, Mapping[str, Any], Caller], Awaitable[dict[str, Any]]]
"""Given the tenant, what was asked and who asked. Raises DomainError, with nothing done."""

HANDLERS: dict[ErrandKind, Handler] = {}

log = structlog.get_logger()


async def perform_errand(database: Database) -> bool:
    """Claim the oldest errand that may be run now and run it. False: there is none."""
    async with database.transaction() as session:
        claimed = (await session.execute(text("SELECT * FROM claim_errand()"))).first()
    if claimed is None:
        return False
    tenant_id, errand_id = claimed
    with structlog.contextvars.bound_contextvars(tenant_id=str(tenant_id)):
        try:
            await _run(database, tenant_id, errand_id)
        except DomainError as error:
            await _refuse(database, tenant_id, errand_id, error)
        except Exception as error:  # noqa: BLE001 - whoever waits is answered, whatever happens
            log.error("errand_failed", error=type(error).__name__, frames=frames_of(error))  # noqa: TRY400
            message = "Something went wrong here; it is in the worker's log, as errand_failed."
            await _refuse(database, tenant_id, errand_id, Conflict(message))
    return True


async def _run(database: Database, tenant_id: UUID, errand_id: UUID) -> None:
    async with database.transaction(tenant_id) as session:
        # Requests for runs take the same lock: no sync begins beside an errand.
        await session.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended(:tenant_id, 0))"),
            {"tenant_id": str(tenant_id)},
        )
        errand = (
            await session.scalars(
                select(Errand).where(Errand.tenant_id == tenant_id, Errand.id == errand_id)
            )
        ).one()
        asker = Caller(actor=errand.requested_by, name=errand.requested_by, tenant_id=tenant_id)
        handler = HANDLERS[ErrandKind(errand.kind)]
        result = await handler(session, tenant_id, errand.asked, asker)
        await session.execute(
            update(Errand)
            .where(Errand.tenant_id == tenant_id, Errand.id == errand_id)
            .values(state=ErrandState.DONE, finished_at=utc_now(), result=result)
        )


async def _refuse(database: Database, tenant_id: UUID, errand_id: UUID, error: DomainError) -> None:
    field: str | None
    match error:
        case InvalidInput():
            code, field = "INVALID", error.field
        case NotFound():
            code, field = "NOT_FOUND", None
        case _:
            code, field = "CONFLICT", getattr(error, "field", None)
    async with database.transaction(tenant_id) as session:
        await session.execute(
            update(Errand)
            .where(Errand.tenant_id == tenant_id, Errand.id == errand_id)
            .values(
                state=ErrandState.REFUSED,
                finished_at=utc_now(),
                refused_code=code,
                refused_field=field,
                message=str(error),
            )
        )
