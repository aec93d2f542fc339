"""Which people are meant, where many are changed at once: all conditions hold together."""

from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Text, cast, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import InvalidInput, NotFound
from domain.reach import Reach
from domain.roster.models import Group, Membership, School, SchoolAffiliation, User
from domain.roster.records import Role
from domain.training.reach import changed_students


class Selection(NamedTuple):
    """Live people of a tenant. `roles` has one at least; None elsewhere: whatever it is."""

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


async def check_selection(session: AsyncSession, tenant_id: UUID, selection: Selection) -> None:
    """Raises InvalidInput and NotFound."""
    if not selection.roles:
        raise InvalidInput("filter.roles", "Name one role at least, or leave roles out.")
    if selection.grade == "":  # nobody's; it must not mean everybody
        raise InvalidInput("filter.grade", "Name a grade, or leave it out.")
    for kind, key in ((School, selection.school_id), (Group, selection.group_id)):
        is_there = exists().where(kind.tenant_id == tenant_id, kind.id == key)
        if key is not None and not await session.scalar(select(is_there)):
            raise NotFound(kind.__name__.lower(), key)


def is_selected(
    tenant_id: UUID, selection: Selection, reach: Reach | None = None
) -> list[ColumnElement[bool]]:
    """What has to hold of a row of users. With a `reach`, which the transaction knows: theirs."""
    conditions: list[ColumnElement[bool]] = [
        User.tenant_id == tenant_id,
        User.archived_at.is_(None),
        User.roles.overlap(cast(list(selection.roles), ARRAY(Text))),
    ]
    if reach is not None:
        conditions.append(User.id.in_(changed_students()))
    if selection.school_id is not None:
        link = SchoolAffiliation
        in_school = select(link.user_id).where(
            link.tenant_id == tenant_id, link.school_id == selection.school_id
        )
        conditions.append(User.id.in_(in_school))
    if selection.group_id is not None:
        member = Membership
        in_group = select(member.user_id).where(
            member.tenant_id == tenant_id,
            member.group_id == selection.group_id,
            member.archived_at.is_(None),
        )
        conditions.append(User.id.in_(in_group))
    if selection.grade is not None:
        conditions.append(User.grades.any_() == selection.grade)
    return conditions
