"""What people with a reach may change: the questions that the database's policies ask as well.

They are for a transaction that knows the reach, of the API's role or of a worker's.
"""

from uuid import UUID

from sqlalchemy import Select, Uuid, func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession


def changed_students() -> Select[UUID]:
    """Those of the groups that one teaches and of the schools that one is an admin of."""
    return select(func.reach_students(type_=Uuid()))


def changed_groups() -> Select[UUID]:
    return select(func.reach_changed_groups(type_=Uuid()))


async def is_among(session: AsyncSession, key: UUID, keys: Select[UUID]) -> bool:
    return bool(await session.scalar(select(literal(key, Uuid()).in_(keys))))
