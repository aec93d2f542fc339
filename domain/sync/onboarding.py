"""The approval of a first sync: what a preflight showed, and nothing else, is taken over."""

from datetime import datetime
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Conflict, InvalidInput, NotFound
from domain.integrations.existing_accounts import require_policy
from domain.integrations.models import Integration
from domain.integrations.service import take_integration
from domain.people.audit import record_act
from domain.people.callers import Caller
from domain.sync.basis import DIGEST, VALID, basis_of
from domain.sync.models import SUCCESSFUL, SyncMode, SyncRun
from domain.sync.service import get_run

_RUN = "syncRunId"


async def valid_approval(
    connection: asyncpg.Connection, *, tenant_id: UUID, integration_id: UUID
) -> UUID | None:
    """The run whose records the first sync may take over, as long as that is so."""
    found: UUID | None = await connection.fetchval(
        "SELECT approved_run_id FROM integrations"
        " WHERE tenant_id = $1 AND id = $2 AND approved_at > now() - $3::interval"
        f" AND approved_basis = ({DIGEST.format(tenant_id='$1', integration_id='$2')})",
        tenant_id,
        integration_id,
        VALID,
    )
    return found


async def approve_preflight(
    session: AsyncSession, *, tenant_id: UUID, run_id: UUID, caller: Caller, now: datetime
) -> Integration:
    """Let the first sync take over what this preflight showed.

    Raises InvalidInput and Conflict: what was shown must be what would be done now.
    """
    integration = await take_integration(session, tenant_id=tenant_id)
    run = await _get_preflight(session, integration, run_id)
    await _require_current(session, integration, run, now=now)
    await require_policy(session, integration)
    integration.approved_run_id = run.id
    integration.approved_at = now
    integration.approved_by = caller.actor
    integration.approved_basis = run.basis
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="onboardingApprove",
        target=str(run.id),
    )
    await session.flush()
    return integration


async def _get_preflight(session: AsyncSession, integration: Integration, run_id: UUID) -> SyncRun:
    try:
        run = await get_run(session, tenant_id=integration.tenant_id, run_id=run_id)
    except NotFound as error:
        raise InvalidInput(_RUN, "There is no such run of this tenant.") from error
    if run.mode is not SyncMode.PREFLIGHT or run.integration_id != integration.id:
        raise InvalidInput(_RUN, "This run is not a preflight of the tenant's integration.")
    if run.sharing_rules is not None:
        raise InvalidInput(
            _RUN, "This is a preview of sharing rules; save them and start a preflight."
        )
    if run.finished_at is None:
        raise Conflict("The preflight has not ended yet.", field=_RUN)
    if run.state not in SUCCESSFUL:
        raise InvalidInput(_RUN, "This preflight did not succeed; start another one.")
    return run


async def _require_current(
    session: AsyncSession, integration: Integration, run: SyncRun, *, now: datetime
) -> None:
    if integration.rostered_at is not None:
        raise Conflict("The first sync has been applied; nothing needs to be approved.")
    if run.finished_at is None or run.finished_at <= now - VALID:
        raise Conflict(
            f"This preflight is older than {VALID.days} days; start another one.", field=_RUN
        )
    basis = await basis_of(session, tenant_id=integration.tenant_id, integration_id=integration.id)
    if run.basis != basis:
        raise Conflict(
            "Rules, policy or credentials have changed since this preflight; start another one.",
            field=_RUN,
        )
    is_approved = integration.approved_run_id == run.id and integration.approved_basis == basis
    if is_approved and integration.approved_at and integration.approved_at > now - VALID:
        raise Conflict("This preflight is approved already.", field=_RUN)
