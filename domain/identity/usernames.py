"""Usernames of people who come back: somebody else may have theirs."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from domain.roster.models import User


async def find_shared_username(
    session: AsyncSession, *, tenant_id: UUID, user_ids: Sequence[UUID]
) -> str | None:
    """One that a live person of these shares with another one.

    That is allowed until the transaction ends, so it is asked after everything is in its place.
    """
    other = aliased(User)
    found: str | None = await session.scalar(
        select(User.username)
        .join(
            other,
            (other.tenant_id == User.tenant_id)
            & (other.username_key == User.username_key)
            & (other.id != User.id),
        )
        .where(User.tenant_id == tenant_id, User.id.in_(user_ids))
        .order_by(User.username)
        .limit(1)
    )
    return found
