"""Trying a connection: asked for as a row, tried by a worker, read back by whoever asked.

Only a worker may read secrets and call providers, so that whoever breaks into the API gets neither.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.clock import utc_now
from domain.database import Database
from domain.errors import DomainError
from domain.integrations.config import read_source_config
from domain.integrations.models import CheckState, IntegrationCheck
from domain.integrations.service import get_integration
from domain.jobs import CHECK, enqueue
from domain.logs import frames_of
from domain.people.audit import record_act
from domain.people.callers import Caller
from domain.roster.source import CheckStep, SourceConfig, SourceOpener
from domain.secrets import KeyRing, SecretUnreadable

MOST_SECONDS = 75.0
"""A provider that takes longer is not working; see also how long the API waits for the answer."""
POLL_SECONDS = 0.2
KEPT = timedelta(days=1)
_OPENING = "settings"
_SLOW = "answer"
_BUG = "homerow"

log = structlog.get_logger()


async def request_check(
    session: AsyncSession, *, tenant_id: UUID, caller: Caller, now: datetime
) -> UUID:
    """The id of the check that will answer: one that waits already, or a new one."""
    integration = await get_integration(session, tenant_id=tenant_id)
    row = IntegrationCheck
    check_id = await session.scalar(
        select(row.id).where(
            row.tenant_id == tenant_id,
            row.integration_id == integration.id,
            row.state == CheckState.WAITING,
        )
    )
    if check_id is None:
        check = IntegrationCheck(
            tenant_id=tenant_id,
            integration_id=integration.id,
            state=CheckState.WAITING,
            requested_at=now,
        )
        session.add(check)
        await session.flush()
        check_id = check.id
    record_check(session, tenant_id=tenant_id, integration_id=integration.id, caller=caller)
    enqueue(session, CHECK)
    return check_id


def record_check(
    session: AsyncSession, *, tenant_id: UUID, integration_id: UUID, caller: Caller
) -> None:
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="integrationTest",
        target=str(integration_id),
    )


async def wait_for_check(
    database: Database, *, tenant_id: UUID, check_id: UUID, seconds: float
) -> Sequence[CheckStep] | None:
    """The steps, as soon as a worker has tried them. None: nobody has, in all that time."""
    row = IntegrationCheck
    done = select(row.steps).where(
        row.tenant_id == tenant_id, row.id == check_id, row.state == CheckState.DONE
    )
    try:
        async with asyncio.timeout(seconds):
            while True:
                async with database.read(tenant_id) as session:
                    steps = await session.scalar(done)
                if steps is not None:
                    return [CheckStep(**step) for step in steps]
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        return None


async def perform_check(database: Database, open_source: SourceOpener, keys: KeyRing) -> bool:
    """Claim the oldest check that waits and try it. False: none waits."""
    async with database.transaction() as session:
        claimed = (await session.execute(text("SELECT * FROM claim_integration_check()"))).first()
    if claimed is None:
        return False
    with structlog.contextvars.bound_contextvars(tenant_id=str(claimed.tenant_id)):
        steps = await try_connection(
            database,
            open_source,
            keys,
            tenant_id=claimed.tenant_id,
            integration_id=claimed.integration_id,
        )
    row = IntegrationCheck
    async with database.transaction(claimed.tenant_id) as session:
        await session.execute(
            update(row)
            .where(row.tenant_id == claimed.tenant_id, row.id == claimed.check_id)
            .values(
                state=CheckState.DONE,
                finished_at=utc_now(),
                steps=[step._asdict() for step in steps],
            )
        )
    return True


async def try_connection(
    database: Database,
    open_source: SourceOpener,
    keys: KeyRing,
    *,
    tenant_id: UUID,
    integration_id: UUID,
) -> Sequence[CheckStep]:
    """As the worker's role. What goes wrong is a step that fails; nothing is raised."""
    try:
        config = await _read_config(
            database, keys, tenant_id=tenant_id, integration_id=integration_id
        )
        async with asyncio.timeout(MOST_SECONDS):
            return await open_source(config).check()
    except (DomainError, SecretUnreadable) as error:
        advice = "Set up the integration again, with its credentials."
        return [CheckStep(_OPENING, is_ok=False, message=str(error), advice=advice)]
    except TimeoutError:
        message = f"The provider did not answer within {MOST_SECONDS:.0f} seconds."
        advice = "Try again later; if it stays so, ask the provider."
        return [CheckStep(_SLOW, is_ok=False, message=message, advice=advice)]
    except Exception as error:  # noqa: BLE001 - whoever waits is answered, whatever happens
        log.error("check_failed", error=type(error).__name__, frames=frames_of(error))  # noqa: TRY400
        advice = "It is in the worker's log, as check_failed."
        return [CheckStep(_BUG, is_ok=False, message="Something went wrong here.", advice=advice)]


async def _read_config(
    database: Database, keys: KeyRing, *, tenant_id: UUID, integration_id: UUID
) -> SourceConfig:
    connection = await database.connect("homerow check")
    try:
        async with connection.transaction():
            await connection.execute(
                "SELECT set_config('homerow.tenant_id', $1, true)", str(tenant_id)
            )
            return await read_source_config(
                connection,
                tenant_id=tenant_id,
                integration_id=integration_id,
                keys=keys,
                now=utc_now(),
            )
    finally:
        await connection.close()


async def delete_old_checks(database: Database, *, now: datetime) -> None:
    """Answers are read within minutes; what they say is true for not much longer."""
    async with database.read() as session:
        tenant_ids = (await session.scalars(text("SELECT id FROM list_tenants()"))).all()
    row = IntegrationCheck
    for tenant_id in tenant_ids:
        async with database.transaction(tenant_id) as session:
            await session.execute(
                delete(row).where(row.tenant_id == tenant_id, row.requested_at < now - KEPT)
            )
