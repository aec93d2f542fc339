"""What a worker does with errands: each kind has its one function, in one transaction."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.clock import utc_now
from domain.database import Database, set_tenant
from domain.errands.models import Errand, ErrandKind, ErrandState
from domain.errors import Conflict, DomainError, InvalidInput, NotFound, ProviderManaged
from domain.identity.editing import edit_roster
from domain.identity.merging import merge_people
from domain.identity.unlinking import unlink_person
from domain.identity.unmerging import undo_merge
from domain.legacy.service import import_legacy
from domain.logs import frames_of
from domain.people.callers import Caller
from domain.reach import Reach
from domain.staffing.service import import_people
from domain.sync.turns import take_turn
from domain.training.bulk import LongTask, set_in_bulk

Handler = Callable[[AsyncSession, UUID, Mapping[str, Any], Caller], Awaitable[dict[str, Any]]]
"""Given the tenant, what was asked and who asked. Raises DomainError, with nothing done."""

HANDLERS: dict[ErrandKind, Handler] = {
    ErrandKind.LEGACY_IMPORT: import_legacy,
    ErrandKind.PEOPLE_MERGE: merge_people,
    ErrandKind.PEOPLE_MERGE_UNDO: undo_merge,
    ErrandKind.IDENTITY_UNLINK: unlink_person,
    ErrandKind.ROSTER_EDIT: edit_roster,
    ErrandKind.PEOPLE_IMPORT: import_people,
}

LongHandler = Callable[
    [AsyncSession, UUID, Mapping[str, Any], Caller, LongTask], Awaitable[dict[str, Any]]
]
LONG_HANDLERS: dict[ErrandKind, LongHandler] = {ErrandKind.SETTINGS_BULK: set_in_bulk}
"""The same for what takes long enough to say how far it is."""

BEAT_SECONDS = 15.0
"""How often a worker says that it still runs an errand; after a minute's silence it is dead."""

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
            async with _beating(database, tenant_id, errand_id):
                await _run(database, tenant_id, errand_id)
        except DomainError as error:
            await _refuse(database, tenant_id, errand_id, error)
        except Exception as error:  # noqa: BLE001 - whoever waits is answered, whatever happens
            log.error("errand_failed", error=type(error).__name__, frames=frames_of(error))  # noqa: TRY400
            message = "Something went wrong here; it is in the worker's log, as errand_failed."
            await _refuse(database, tenant_id, errand_id, Conflict(message))
    return True


@asynccontextmanager
async def _beating(database: Database, tenant_id: UUID, errand_id: UUID) -> AsyncGenerator[None]:
    """A long errand is not taken for a dead worker's, and begun a second time."""
    beat = asyncio.create_task(_beat(database, tenant_id, errand_id))
    try:
        yield
    finally:
        beat.cancel()
        with suppress(asyncio.CancelledError):
            await beat


async def _beat(database: Database, tenant_id: UUID, errand_id: UUID) -> None:
    while True:
        await asyncio.sleep(BEAT_SECONDS)
        try:
            async with database.transaction(tenant_id) as session:
                # Never waits for the errand's own transaction, which ends by writing this row.
                await session.execute(text("SET LOCAL lock_timeout = '1s'"))
                await session.execute(
                    update(Errand)
                    .where(
                        Errand.tenant_id == tenant_id,
                        Errand.id == errand_id,
                        Errand.state == ErrandState.RUNNING,
                    )
                    .values(started_at=func.clock_timestamp())
                )
        except (SQLAlchemyError, OSError) as error:
            log.warning("errand_beat_failed", error=type(error).__name__)


async def _run(database: Database, tenant_id: UUID, errand_id: UUID) -> None:
    async with database.transaction(tenant_id) as session:
        if not await take_turn(session, tenant_id):
            await _finish(session, tenant_id, errand_id, state=ErrandState.WAITING)
            return
        errand = (
            await session.scalars(
                select(Errand).where(Errand.tenant_id == tenant_id, Errand.id == errand_id)
            )
        ).one()
        if errand.state is not ErrandState.RUNNING:
            return  # a worker that was taken for dead has run it after all
        asker = _asker(errand)
        # Only now: whether a sync is under way is asked of all of the tenant.
        await set_tenant(session, tenant_id, asker.reach)
        kind = ErrandKind(errand.kind)
        if long_handler := LONG_HANDLERS.get(kind):
            task = LongTask(errand_id, partial(_tell, database, tenant_id, errand_id))
            result = await long_handler(session, tenant_id, errand.asked, asker, task)
        else:
            result = await HANDLERS[kind](session, tenant_id, errand.asked, asker)
        await _finish(
            session,
            tenant_id,
            errand_id,
            state=ErrandState.DONE,
            finished_at=utc_now(),
            result=result,
        )


def _asker(errand: Errand) -> Caller:
    """No policy binds a worker: a handler that people with a reach may ask for keeps to it."""
    actor = errand.requested_by
    return Caller(
        actor=actor, name=actor, tenant_id=errand.tenant_id, reach=Reach.read(errand.reach)
    )


async def _tell(
    database: Database, tenant_id: UUID, errand_id: UUID, done: int, total: int
) -> None:
    """In a transaction of its own, so that it is seen while the errand's goes on."""
    async with database.transaction(tenant_id) as session:
        await _finish(session, tenant_id, errand_id, progress={"done": done, "total": total})


async def _finish(
    session: AsyncSession, tenant_id: UUID, errand_id: UUID, **values: object
) -> None:
    await session.execute(
        update(Errand).where(Errand.tenant_id == tenant_id, Errand.id == errand_id).values(**values)
    )


async def _refuse(database: Database, tenant_id: UUID, errand_id: UUID, error: DomainError) -> None:
    field: str | None
    values: dict[str, object] = {}
    match error:
        case InvalidInput():
            code, field = "INVALID", error.field
        case NotFound():
            code, field = "NOT_FOUND", None
        case ProviderManaged():
            code, field = "PROVIDER_MANAGED", error.field
            values["result"] = {"provider": error.provider}
        case _:
            code, field = "CONFLICT", getattr(error, "field", None)
    async with database.transaction(tenant_id) as session:
        await _finish(
            session,
            tenant_id,
            errand_id,
            state=ErrandState.REFUSED,
            finished_at=utc_now(),
            refused_code=code,
            refused_field=field,
            message=str(error),
            **values,
        )
