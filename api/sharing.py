"""Sharing rules: previewed before they are saved, so that nobody archives a school unawares."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Conflict, InvalidInput, NotFound
from domain.integrations.service import get_integration
from domain.integrations.sharing import SharingRules, set_sharing_rules
from domain.people.callers import Caller
from domain.sync.models import SyncMode, SyncRunState, SyncTrigger
from domain.sync.service import Requested, get_run, request_run

VALID: Final = timedelta(days=7)
_FAILED: Final = frozenset({SyncRunState.FAILED, SyncRunState.CANCELLED})


async def preview_rules(
    session: AsyncSession, *, tenant_id: UUID, rules: SharingRules, caller: Caller, now: datetime
) -> Requested:
    """A run that reads and compares everything under these rules, and changes nothing."""
    return await request_run(
        session,
        tenant_id=tenant_id,
        mode=SyncMode.PREFLIGHT,
        trigger=SyncTrigger.MANUAL,
        caller=caller,
        now=now,
        sharing_rules={subject: list(values) for subject, values in rules.values.items()},
    )


async def save_rules(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    rules: SharingRules,
    preview_run_id: UUID | None,
    caller: Caller,
    now: datetime,
) -> None:
    """What a preview showed is not held later; without one, archives may be."""
    if preview_run_id is not None:
        await _check_preview(session, tenant_id, preview_run_id, rules, now=now)
    await set_sharing_rules(
        session,
        tenant_id=tenant_id,
        rules=rules,
        preview_run_id=preview_run_id,
        caller=caller,
        now=now,
    )


async def _check_preview(
    session: AsyncSession, tenant_id: UUID, run_id: UUID, rules: SharingRules, *, now: datetime
) -> None:
    field = "previewRunId"
    integration = await get_integration(session, tenant_id=tenant_id)
    try:
        run = await get_run(session, tenant_id=tenant_id, run_id=run_id)
    except NotFound as error:
        raise InvalidInput(field, "There is no such run of this tenant.") from error
    if run.mode is not SyncMode.PREFLIGHT or run.integration_id != integration.id:
        raise InvalidInput(field, "This run is not a preview of sharing rules.")
    if run.finished_at is None:
        raise Conflict("The preview has not ended yet.", field=field)
    if run.state in _FAILED:
        raise InvalidInput(field, "This preview did not succeed; start another one.")
    if run.finished_at < now - VALID:
        raise InvalidInput(field, f"This preview is older than {VALID.days} days.")
    if not rules.is_same(run.sharing_rules):
        raise InvalidInput(field, "This is a preview of other rules than these.")
