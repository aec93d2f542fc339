"""Settings of many people at once: an errand, since a district has a hundred thousand (G2)."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import InvalidInput
from domain.people.audit import record_act
from domain.people.callers import Caller
from domain.roster.models import User
from domain.training.effective import SettingsLevel
from domain.training.models import TrainingSettings
from domain.training.selection import Selection, check_selection, is_selected
from domain.training.settings import checked, lock_settings

CHUNK: Final = 5_000
"""So many people are set by a statement; after each the errand tells how far it is."""


class LongTask(NamedTuple):
    """An errand that takes long: its id, and how to say how many of how many are done."""

    errand_id: UUID
    tell: Callable[[int, int], Awaitable[None]]


async def check_bulk(
    session: AsyncSession, tenant_id: UUID, selection: Selection, values: Mapping[str, Any]
) -> dict[str, Any]:
    """What the errand SETTINGS_BULK is asked. Raises InvalidInput and NotFound."""
    if not values:
        raise InvalidInput("values", "Say what is to be set, or taken away with null.")
    await check_selection(session, tenant_id, selection)
    return {
        "selection": selection.as_json(),
        "values": checked(values, SettingsLevel.USER),
    }


async def set_in_bulk(
    session: AsyncSession,
    tenant_id: UUID,
    asked: Mapping[str, Any],
    caller: Caller,
    task: LongTask,
) -> dict[str, Any]:
    """The errand. All of it or nothing; the result is how many fitted and how many were changed.

    For a caller with a reach, which the transaction knows, only their students fit.
    """
    await lock_settings(session, tenant_id)
    selection = Selection.of_json(asked["selection"])
    wanted = _selected(tenant_id, is_selected(tenant_id, selection, caller.reach), asked["values"])
    found = (await session.execute(wanted)).all()
    ids = [row.id for row in found if row.differs]
    changed = 0
    for start in range(0, len(ids), CHUNK):
        changed += (
            await session.scalar(
                text("SELECT set_settings_in_bulk(:tenant_id, :errand_id, :user_ids)"),
                {
                    "tenant_id": tenant_id,
                    "errand_id": task.errand_id,
                    "user_ids": ids[start : start + CHUNK],
                },
            )
            or 0
        )
        await task.tell(min(start + CHUNK, len(ids)), len(ids))
    record_act(
        session,
        tenant_id=tenant_id,
        caller=caller,
        action="trainingSettingsSetBulk",
        details={**asked, "matched": len(found), "changed": changed},
    )
    return {"matched": len(found), "changed": changed}


def _selected(
    tenant_id: UUID, conditions: Sequence[ColumnElement[bool]], values: Mapping[str, Any]
) -> Select[UUID, bool]:
    """Who fits, and whether something would be another there: nobody gets a row without need."""
    row = TrainingSettings
    is_own = (
        (row.tenant_id == tenant_id)
        & row.school_id.is_(None)
        & row.group_id.is_(None)
        & (row.user_id == User.id)
    )
    differs = or_(*(getattr(row, name).is_distinct_from(value) for name, value in values.items()))
    return (
        select(User.id, differs.label("differs"))
        .outerjoin(row, is_own)
        .where(*conditions)
        .order_by(User.id)
    )
