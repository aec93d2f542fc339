"""Settings of many people at once: an errand, since a district has a hundred thousand (G2)."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Select, Text, cast, exists, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import InvalidInput, NotFound
from domain.people.audit import record_act
from domain.people.callers import Caller
from domain.roster.models import Group, Membership, School, SchoolAffiliation, User
from domain.roster.records import Role
from domain.training.effective import SettingsLevel
from domain.training.models import TrainingSettings
from domain.training.settings import checked, lock_settings

CHUNK: Final = 5_000
"""So many people are set by a statement; after each the errand tells how far it is."""


class LongTask(NamedTuple):
    """An errand that takes long: its id, and how to say how many of how many are done."""

    errand_id: UUID
    tell: Callable[[int, int], Awaitable[None]]


class Selection(NamedTuple):
    """Live people of the tenant who fit all of it. `roles` has one at least."""

    school_id: UUID | None = None
    group_id: UUID | None = None
    grade: str | None = None
    roles: tuple[Role, ...] = (Role.STUDENT,)

    def as_json(self) -> dict[str, Any]:
        return {
            "school_id": self.school_id and str(self.school_id),
            "group_id": self.group_id and str(self.group_id),
            "grade": self.grade,
            "roles": list(self.roles),
        }

    @classmethod
    def of_json(cls, found: Mapping[str, Any]) -> "Selection":
        school_id, group_id = found["school_id"], found["group_id"]
        return cls(
            school_id and UUID(school_id),
            group_id and UUID(group_id),
            found["grade"],
            tuple(Role(role) for role in found["roles"]),
        )


async def check_bulk(
    session: AsyncSession, tenant_id: UUID, selection: Selection, values: Mapping[str, Any]
) -> dict[str, Any]:
    """What the errand SETTINGS_BULK is asked. Raises InvalidInput and NotFound."""
    if not values:
        raise InvalidInput("values", "Say what is to be set, or taken away with null.")
    if not selection.roles:
        raise InvalidInput("roles", "Say whose settings: name one role, or leave roles out.")
    if selection.grade == "":  # nobody's; it must not mean everybody
        raise InvalidInput("filter.grade", "Name a grade, or leave it out.")
    for kind, key in ((School, selection.school_id), (Group, selection.group_id)):
        wanted = exists().where(kind.tenant_id == tenant_id, kind.id == key)
        if key is not None and not await session.scalar(select(wanted)):
            raise NotFound(kind.__name__.lower(), key)
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
    """The errand. All of it or nothing; the result is how many fitted and how many were changed."""
    await lock_settings(session, tenant_id)
    selection = Selection.of_json(asked["selection"])
    found = (await session.execute(_selected(tenant_id, selection, asked["values"]))).all()
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
    tenant_id: UUID, selection: Selection, values: Mapping[str, Any]
) -> Select[UUID, bool]:
    """Who fits, and whether something would be another there: nobody gets a row without need."""
    conditions: list[ColumnElement[bool]] = [
        User.tenant_id == tenant_id,
        User.archived_at.is_(None),
        User.roles.overlap(cast(list(selection.roles), ARRAY(Text))),
    ]
    if selection.school_id:
        link = SchoolAffiliation
        conditions.append(
            exists().where(
                link.tenant_id == tenant_id,
                link.user_id == User.id,
                link.school_id == selection.school_id,
            )
        )
    if selection.group_id:
        member = Membership
        conditions.append(
            exists().where(
                member.tenant_id == tenant_id,
                member.user_id == User.id,
                member.group_id == selection.group_id,
                member.archived_at.is_(None),
            )
        )
    if selection.grade:
        conditions.append(func.array_position(User.grades, selection.grade).is_not(None))
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
