"""All that is kept about one person, as one document: for parents, and for whoever is asked."""

from typing import Any
from uuid import UUID

from sqlalchemy import Select, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.database import Base
from domain.errors import NotFound
from domain.people.audit import record_act
from domain.people.callers import Caller
from domain.privacy.inventory import PLACES, Place
from domain.roster.models import User

FORMAT = 1


async def export_person(
    session: AsyncSession, *, tenant_id: UUID, user_id: UUID, caller: Caller
) -> dict[str, Any]:
    """Rows by table, as they are stored. Raises NotFound. That it was asked for is audited."""
    if await session.get(User, (tenant_id, user_id)) is None:
        raise NotFound("user", str(user_id))
    document: dict[str, Any] = {"format": FORMAT, "userId": str(user_id)}
    for place in PLACES:
        found = await session.execute(_rows(place), {"tenant_id": tenant_id, "ids": [user_id]})
        if rows := [dict(row) for row in found.mappings()]:
            document[place.table] = rows
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="personExport",
        target=str(user_id),
    )
    return document


def _rows(place: Place) -> Select[Any]:
    table = Base.metadata.tables[place.table]
    columns = [column for column in table.columns if column.name not in place.hidden]
    is_of_tenant = text(f"{place.table}.tenant_id = :tenant_id AND ({place.rows})")
    return select(*columns).where(is_of_tenant).order_by(*table.primary_key.columns)
