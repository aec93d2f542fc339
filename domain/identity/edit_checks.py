"""What an edit refers to, and what it may not take from others."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import collate, func, literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Conflict, InvalidInput
from domain.roster.models import Group, Membership, School, User
from domain.roster.records import Role

_NAMES: Mapping[type[Any], str] = {School: "school", Group: "group", User: "person"}


async def require_live(
    session: AsyncSession, row: type[Any], tenant_id: UUID, key: UUID, *, field: str
) -> Any:
    """Raises InvalidInput."""
    found = await session.scalar(
        select(row).where(row.tenant_id == tenant_id, row.id == key, row.archived_at.is_(None))
    )
    if found is None:
        raise InvalidInput(field, f"There is no live {_NAMES[row]} {str(key)!r} of this tenant.")
    return found


async def require_schools(
    session: AsyncSession, tenant_id: UUID, school_ids: Sequence[UUID]
) -> None:
    row = School
    known = await session.scalars(
        select(row.id).where(
            row.tenant_id == tenant_id, row.id.in_(school_ids), row.archived_at.is_(None)
        )
    )
    if unknown := set(school_ids) - set(known):
        raise InvalidInput(
            "schoolIds", f"There is no live school {str(min(unknown))!r} of this tenant."
        )


async def require_username(
    session: AsyncSession, tenant_id: UUID, username: str, *, but: UUID | None, field: str
) -> None:
    """Live people have different ones, whatever their case. Raises Conflict, with whose it is."""
    folded = func.casefold(collate(literal(username), "pg_unicode_fast"))
    holder = await session.scalar(
        select(User.id).where(
            User.tenant_id == tenant_id, User.username_key == folded, User.id.is_distinct_from(but)
        )
    )
    if holder is not None:
        raise Conflict(f"The person {str(holder)!r} has this username.", field=field)


async def has_district_admin(session: AsyncSession, tenant_id: UUID) -> bool:
    """Whether somebody live and enabled is one, wherever they come from."""
    found = await session.scalar(
        select(User.id)
        .where(User.tenant_id == tenant_id, User.archived_at.is_(None), User.is_enabled)
        .where(User.roles.any_() == Role.DISTRICT_ADMIN.value)
        .limit(1)
    )
    return found is not None


async def find_membership(
    session: AsyncSession, tenant_id: UUID, values: Mapping[str, Any]
) -> Membership | None:
    row = Membership
    found: Membership | None = await session.scalar(
        select(row).where(
            row.tenant_id == tenant_id,
            *(getattr(row, name) == values[name] for name in ("user_id", "group_id", "role")),
        )
    )
    return found
