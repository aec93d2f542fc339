"""Deciding holds: an administrator lets go what was shown, or sets it aside."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Conflict
from domain.people.audit import record_act
from domain.people.callers import Caller
from domain.sync.approvals import WITH_LICENCES
from domain.sync.models import Hold, SyncMode, SyncTrigger
from domain.sync.service import Asked, Requested, get_run, request_run
from domain.validation.codes import Code


async def approve_run(
    session: AsyncSession, *, tenant_id: UUID, run_id: UUID, caller: Caller, now: datetime
) -> Requested:
    """Ask for a run that fetches again and may do to what waits what was shown of it.

    Raises NotFound, and Conflict where nothing waits any more. Only an operator lets students in
    beyond the licences.
    """
    hold = await _waiting(session, tenant_id=tenant_id, run_id=run_id)
    codes = {reason["code"] for reason in hold.reasons}
    if codes == {Code.LICENCE_LIMIT.value} and not caller.is_operator:
        raise Conflict("These students wait for licences: ask for more, or share fewer students.")
    requested = await request_run(
        session,
        tenant_id=tenant_id,
        mode=SyncMode.FULL,
        trigger=SyncTrigger.MANUAL,
        caller=caller,
        now=now,
        asked=Asked(
            approves_run_id=run_id, target={WITH_LICENCES: True} if caller.is_operator else None
        ),
    )
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="syncRunApprove",
        target=str(run_id),
        details={"sync_run_id": str(requested.run.id), "reasons": sorted(codes)},
    )
    return requested


async def discard_run(
    session: AsyncSession, *, tenant_id: UUID, run_id: UUID, caller: Caller, now: datetime
) -> None:
    """Set aside what waits; nothing of it is done, and the next run judges anew."""
    hold = await _waiting(session, tenant_id=tenant_id, run_id=run_id)
    hold.ended_at = now
    hold.ended_by = caller.actor
    record_act(
        session, tenant_id=tenant_id, caller=caller, action="syncRunDiscard", target=str(run_id)
    )
    await session.flush()


async def _waiting(session: AsyncSession, *, tenant_id: UUID, run_id: UUID) -> Hold:
    await get_run(session, tenant_id=tenant_id, run_id=run_id)
    hold: Hold | None = await session.scalar(
        select(Hold).where(Hold.tenant_id == tenant_id, Hold.run_id == run_id).with_for_update()
    )
    if hold is None:
        raise Conflict("Nothing of this run waits.")
    if hold.ended_at is not None:
        raise Conflict(
            f"This plan is gone: {hold.ended_by} has ended the hold. Look at the latest run."
        )
    return hold
