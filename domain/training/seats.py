"""Licences that are taken, and that a change here takes no more than there are (product.md T9)."""

from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Conflict
from domain.tenants.models import Subscription
from domain.training.eligibility import needs_seat

_TAKEN: Final = text(
    "SELECT count(*) FROM users u WHERE u.tenant_id = :tenant_id AND u.archived_at IS NULL"  # noqa: S608 - our own SQL
    f" AND {needs_seat('u', user_id='u.id', tenant_id=':tenant_id')}"
)


class Seats(NamedTuple):
    """`limit` None: any number, and nobody counts them."""

    limit: int | None
    taken: int


async def read_seats(session: AsyncSession, *, tenant_id: UUID) -> Seats:
    limit: int | None = await session.scalar(
        select(Subscription.licence_limit).where(Subscription.tenant_id == tenant_id)
    )
    return Seats(limit, 0 if limit is None else await _count(session, tenant_id))


async def require_seats(
    session: AsyncSession, *, tenant_id: UUID, before: Seats, field: str
) -> None:
    """After a change. Raises Conflict where it takes licences that are not there.

    Whoever is too many already stays, and may even become fewer.
    """
    limit = before.limit
    if limit is None:
        return
    taken = await _count(session, tenant_id)
    if taken > max(limit, before.taken):
        raise Conflict(
            f"There are not licences enough: {limit} in all, {before.taken} taken, and"
            f" {taken - before.taken} more would be. Only an operator may go beyond.",
            field=field,
        )


async def _count(session: AsyncSession, tenant_id: UUID) -> int:
    found: int = (await session.execute(_TAKEN, {"tenant_id": tenant_id})).scalar_one()
    return found
