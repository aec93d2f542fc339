"""Hold limits: how much a run may change unasked, as the tenant has set it (product.md S8)."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import InvalidInput
from domain.integrations.models import HoldLimit
from domain.integrations.service import take_integration
from domain.people.audit import record_act
from domain.people.callers import Caller
from domain.roster.records import RecordType

MOST_COUNT = 1_000_000
_PERCENT = 100


class LimitSetting(NamedTuple):
    """Of one record type; None: as usual."""

    record_type: RecordType
    archive_count: int | None = None
    archive_percent: int | None = None
    update_percent: int | None = None


async def set_hold_limits(
    session: AsyncSession,
    *,
    tenant_id: UUID,
    limits: Sequence[LimitSetting],
    holds_everything: bool | None,
    caller: Caller,
) -> None:
    """Put them in the place of the former ones. Raises InvalidInput."""
    _check(limits)
    integration = await take_integration(session, tenant_id=tenant_id)
    await session.execute(delete(HoldLimit).where(HoldLimit.tenant_id == tenant_id))
    session.add_all(HoldLimit(tenant_id=tenant_id, **limit._asdict()) for limit in limits)
    if holds_everything is not None:
        integration.holds_everything = holds_everything
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="holdLimitsSet",
        target=str(integration.id),
        details={
            "limits": {limit.record_type.value: list(limit[1:]) for limit in limits},
            "holds_everything": integration.holds_everything,
        },
    )
    await session.flush()


def _check(limits: Sequence[LimitSetting]) -> None:
    seen = set()
    for limit in limits:
        if limit.record_type in seen:
            raise InvalidInput("limits", f"{limit.record_type.value} is there twice.")
        seen.add(limit.record_type)
        if limit.archive_count is not None and not 0 <= limit.archive_count <= MOST_COUNT:
            raise InvalidInput("limits", f"A count is between 0 and {MOST_COUNT:,}.")
        for percent in (limit.archive_percent, limit.update_percent):
            if percent is not None and not 0 <= percent <= _PERCENT:
                raise InvalidInput("limits", "A percentage is between 0 and 100.")


async def list_hold_limits(
    session: AsyncSession, tenant_id: UUID, integration_ids: Sequence[UUID]
) -> Mapping[UUID, Sequence[LimitSetting]]:
    """What the tenant has set, for a loader: a tenant's limits hold for all its integrations."""
    rows = await session.scalars(
        select(HoldLimit).where(HoldLimit.tenant_id == tenant_id).order_by(HoldLimit.record_type)
    )
    found = [
        LimitSetting(row.record_type, row.archive_count, row.archive_percent, row.update_percent)
        for row in rows
    ]
    return dict.fromkeys(integration_ids, found)
