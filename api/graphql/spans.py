"""The stays of people in groups, as the provider enrolls them."""

from collections.abc import Mapping, Sequence
from datetime import date
from uuid import UUID

import strawberry
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.roster import models


@strawberry.type(description="One stay of a person in a group: the provider's enrollment.")
class MembershipSpan:
    source_id: str = strawberry.field(description="The provider's id of the enrollment.")
    begins_on: date | None = strawberry.field(description="Its first day.")
    ends_on: date | None = strawberry.field(description="The first day after it.")
    is_primary: bool = strawberry.field(
        description="Whether the provider names the person first for this group."
    )


async def spans_of_memberships(
    session: AsyncSession, tenant_id: UUID, membership_ids: Sequence[UUID]
) -> Mapping[UUID, list[MembershipSpan]]:
    row = models.MembershipSpan
    rows = await session.execute(
        select(row.membership_id, row.source_id, row.begins_on, row.ends_on, row.is_primary)
        .where(row.tenant_id == tenant_id, row.membership_id.in_(membership_ids))
        .order_by(row.membership_id, row.begins_on, row.source_id)
    )
    spans: dict[UUID, list[MembershipSpan]] = {}
    for membership_id, source_id, begins_on, ends_on, is_primary in rows:
        spans.setdefault(membership_id, []).append(
            MembershipSpan(
                source_id=source_id, begins_on=begins_on, ends_on=ends_on, is_primary=is_primary
            )
        )
    return spans
