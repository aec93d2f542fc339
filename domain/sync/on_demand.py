"""Syncs beside the schedule: who may ask for them, and how soon again (product.md S2)."""

import math
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Conflict, Forbidden, InvalidInput
from domain.integrations.models import Integration, OnDemand
from domain.integrations.service import get_integration, take_integration
from domain.people.audit import record_act
from domain.people.callers import Caller, CallerRole
from domain.sync.models import SyncMode, SyncRun, SyncRunState, SyncTrigger
from domain.sync.service import Requested, request_run, take_turn

LONGEST_COOLDOWN: Final = 24 * 60
_REFUSALS: Final = {
    OnDemand.NOBODY: "This tenant syncs by its schedule alone. Ask the product's support, who can"
    " change that.",
    OnDemand.SUPPORT: "In this tenant only the product's support starts syncs. Ask them, or wait"
    " for the next night.",
}


async def request_on_demand(
    session: AsyncSession, *, tenant_id: UUID, mode: SyncMode, caller: Caller, now: datetime
) -> Requested:
    """Like request_run, as far as the tenant's policy lets the caller. Operators always may.

    Raises Forbidden for whoever may not, and Conflict while the cooldown lasts.
    """
    await take_turn(session, tenant_id=tenant_id)
    integration = await get_integration(session, tenant_id=tenant_id)
    if not caller.is_operator:
        _require_policy(integration.on_demand, caller)
        if not await _is_under_way(session, tenant_id, mode):
            await _require_cooled_down(session, integration, mode, now)
    return await request_run(
        session,
        tenant_id=tenant_id,
        mode=mode,
        trigger=SyncTrigger.MANUAL,
        caller=caller,
        now=now,
    )


def _require_policy(policy: OnDemand, caller: Caller) -> None:
    is_support = CallerRole.SUPPORT in caller.roles
    if policy is OnDemand.ADMINISTRATORS or (policy is OnDemand.SUPPORT and is_support):
        return
    raise Forbidden(_REFUSALS[policy])


async def _is_under_way(session: AsyncSession, tenant_id: UUID, mode: SyncMode) -> bool:
    """Then it is joined, which costs nothing."""
    found = await session.scalar(
        select(SyncRun.id)
        .where(
            SyncRun.tenant_id == tenant_id,
            SyncRun.mode == mode,
            SyncRun.finished_at.is_(None),
        )
        .limit(1)
    )
    return found is not None


async def _require_cooled_down(
    session: AsyncSession, integration: Integration, mode: SyncMode, now: datetime
) -> None:
    last: datetime | None = await session.scalar(
        select(SyncRun.finished_at)
        .where(
            SyncRun.tenant_id == integration.tenant_id,
            SyncRun.mode == mode,
            SyncRun.trigger == SyncTrigger.MANUAL,
            SyncRun.finished_at.is_not(None),
            SyncRun.state != SyncRunState.CANCELLED,
        )
        .order_by(SyncRun.finished_at.desc())
        .limit(1)
    )
    left = remaining(last, integration.cooldown_minutes, now)
    if left > timedelta(0):
        minutes = math.ceil(left / timedelta(minutes=1))
        raise Conflict(
            f"A sync of this mode ended a moment ago; the next one can be asked for in {minutes}"
            f" {'minute' if minutes == 1 else 'minutes'}, at {now + left:%H:%M:%S} UTC.",
            field="mode",
        )


def remaining(last: datetime | None, cooldown_minutes: int, now: datetime) -> timedelta:
    """How long it is until the next sync may be asked for; nothing where it may be now."""
    if last is None:
        return timedelta(0)
    return max(last + timedelta(minutes=cooldown_minutes) - now, timedelta(0))


async def set_on_demand(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    policy: OnDemand | None,
    cooldown_minutes: int | None,
    caller: Caller,
) -> Integration:
    """What is None stays as it is. It is the product's to say. Raises InvalidInput."""
    integration = await take_integration(session, tenant_id=tenant_id)
    if not caller.is_operator:
        raise InvalidInput(
            "policy", "Only an operator of the product says who may ask for syncs: ask them."
        )
    if cooldown_minutes is not None and not 0 <= cooldown_minutes <= LONGEST_COOLDOWN:
        raise InvalidInput("cooldownMinutes", f"A cooldown lasts 0 to {LONGEST_COOLDOWN} minutes.")
    integration.on_demand = policy or integration.on_demand
    if cooldown_minutes is not None:
        integration.cooldown_minutes = cooldown_minutes
    told: dict[str, Any] = {
        "policy": integration.on_demand.value,
        "cooldown_minutes": integration.cooldown_minutes,
    }
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="onDemandSet",
        target=str(integration.id),
        details=told,
    )
    await session.flush()
    return integration
