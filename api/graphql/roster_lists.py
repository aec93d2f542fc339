"""The roster's lists: which objects are wanted, and in which order."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Any
from uuid import UUID

import strawberry
from sqlalchemy import ColumnElement, SQLColumnExpression, func, or_, select

from api.graphql.connection import Listing
from api.graphql.cursors import scope_of
from api.graphql.described import describe
from api.graphql.errors import bad_input
from api.graphql.node import Node, read_id
from api.graphql.pages import OrderDirection, Sorting
from api.graphql.roster import Group, School, User, is_archived
from domain.roster import models
from domain.roster.records import Role

SEARCH_LENGTH = 200
_BOTH = "Live ones (false), archived ones (true) or both (null)."
_ASC = OrderDirection.ASC


class SchoolOrderField(StrEnum):
    NAME = "NAME"
    CREATED = "CREATED"


class GroupOrderField(StrEnum):
    NAME = "NAME"
    CREATED = "CREATED"


class UserOrderField(StrEnum):
    NAME = "NAME"
    USERNAME = "USERNAME"
    CREATED = "CREATED"


_CREATED = "When it was stored here first."
describe(SchoolOrderField, "What schools are ordered by.", NAME="The name.", CREATED=_CREATED)
describe(GroupOrderField, "What groups are ordered by.", NAME="The name.", CREATED=_CREATED)
describe(
    UserOrderField,
    "What people are ordered by.",
    NAME="The family name, then the given name.",
    USERNAME="The username; those without one first.",
    CREATED=_CREATED,
)


@strawberry.input(description="How schools are ordered.")
class SchoolOrder:
    field: SchoolOrderField = strawberry.field(description="By what.")
    direction: OrderDirection = strawberry.field(default=_ASC, description="Which way.")


@strawberry.input(description="How groups are ordered.")
class GroupOrder:
    field: GroupOrderField = strawberry.field(description="By what.")
    direction: OrderDirection = strawberry.field(default=_ASC, description="Which way.")


@strawberry.input(description="How people are ordered.")
class UserOrder:
    field: UserOrderField = strawberry.field(description="By what.")
    direction: OrderDirection = strawberry.field(default=_ASC, description="Which way.")


@strawberry.input(description="Which schools are wanted; all conditions hold together.")
class SchoolFilter:
    archived: bool | None = strawberry.field(default=False, description=_BOTH)
    search: str | None = strawberry.field(
        default=None, description="A part of the name, the display name or the number."
    )


@strawberry.input(description="Which groups are wanted; all conditions hold together.")
class GroupFilter:
    school: strawberry.ID | None = strawberry.field(
        default=None, description="Only groups of the school with this id."
    )
    grade: str | None = strawberry.field(
        default=None, description="Only groups for this grade, as a CEDS code."
    )
    archived: bool | None = strawberry.field(default=False, description=_BOTH)
    search: str | None = strawberry.field(
        default=None, description="A part of the name or the code."
    )


@strawberry.input(description="Which people are wanted; all conditions hold together.")
class UserFilter:
    role: Role | None = strawberry.field(default=None, description="Only people with this role.")
    school: strawberry.ID | None = strawberry.field(
        default=None, description="Only people of the school with this id."
    )
    group: strawberry.ID | None = strawberry.field(
        default=None, description="Only people who are in the group with this id now."
    )
    grade: str | None = strawberry.field(
        default=None, description="Only people in this grade, as a CEDS code."
    )
    archived: bool | None = strawberry.field(default=False, description=_BOTH)
    search: str | None = strawberry.field(
        default=None, description="A part of a name, the username or the number."
    )


def schools(tenant_id: UUID, filter: SchoolFilter | None, order_by: SchoolOrder | None) -> Listing:
    chosen, row = filter or SchoolFilter(), models.School
    order = order_by or SchoolOrder(field=SchoolOrderField.NAME)
    statement = select(*School.columns()).where(
        row.tenant_id == tenant_id,
        *is_archived(row.archived_at, chosen.archived),
        *contains(chosen.search, row.name, row.display_name, row.number),
    )
    keys = [func.lower(row.name)] if order.field is SchoolOrderField.NAME else []
    sorting = Sorting.by(keys, row.id, order.direction)
    return Listing(scope_of("schools", tenant_id, chosen, order), tenant_id, statement, sorting)


def groups(tenant_id: UUID, filter: GroupFilter | None, order_by: GroupOrder | None) -> Listing:
    chosen, row = filter or GroupFilter(), models.Group
    order = order_by or GroupOrder(field=GroupOrderField.NAME)
    statement = select(*Group.columns()).where(
        row.tenant_id == tenant_id,
        *is_archived(row.archived_at, chosen.archived),
        *contains(chosen.search, row.name, row.code),
    )
    if chosen.school is not None:
        statement = statement.where(row.school_id == _key(chosen.school, School, tenant_id))
    if chosen.grade is not None:
        statement = statement.where(row.grades.any_() == chosen.grade)
    keys = [func.lower(row.name)] if order.field is GroupOrderField.NAME else []
    sorting = Sorting.by(keys, row.id, order.direction)
    return Listing(scope_of("groups", tenant_id, chosen, order), tenant_id, statement, sorting)


def users(tenant_id: UUID, filter: UserFilter | None, order_by: UserOrder | None) -> Listing:
    chosen, row = filter or UserFilter(), models.User
    order = order_by or UserOrder(field=UserOrderField.NAME)
    full_name = row.given_name + " " + row.family_name
    preferred = (row.preferred_given_name, row.preferred_family_name)
    statement = select(*User.columns()).where(
        row.tenant_id == tenant_id,
        *is_archived(row.archived_at, chosen.archived),
        *contains(chosen.search, full_name, *preferred, row.username, row.number),
        *_in_school_or_group(tenant_id, chosen),
    )
    if chosen.role is not None:
        statement = statement.where(row.roles.any_() == chosen.role.value)
    if chosen.grade is not None:
        statement = statement.where(row.grades.any_() == chosen.grade)
    keys: dict[UserOrderField, list[ColumnElement[str]]] = {
        UserOrderField.NAME: [func.lower(row.family_name), func.lower(row.given_name)],
        UserOrderField.USERNAME: [func.lower(func.coalesce(row.username, ""))],
        UserOrderField.CREATED: [],
    }
    sorting = Sorting.by(keys[order.field], row.id, order.direction)
    return Listing(scope_of("users", tenant_id, chosen, order), tenant_id, statement, sorting)


def _in_school_or_group(tenant_id: UUID, chosen: UserFilter) -> Iterator[ColumnElement[bool]]:
    if chosen.school is not None:
        link = models.SchoolAffiliation
        yield models.User.id.in_(
            select(link.user_id).where(
                link.tenant_id == tenant_id,
                link.school_id == _key(chosen.school, School, tenant_id),
            )
        )
    if chosen.group is not None:
        member = models.Membership
        yield models.User.id.in_(
            select(member.user_id).where(
                member.tenant_id == tenant_id,
                member.group_id == _key(chosen.group, Group, tenant_id),
                member.archived_at.is_(None),
            )
        )


def _key(id: str, node: type[Node], tenant_id: UUID) -> UUID | None:
    """None, which equals nothing, for another tenant's id. Raises the caller's error."""
    found = read_id(id, node.type_code)
    return found.key if found.tenant_id == tenant_id else None


def contains(search: str | None, *columns: SQLColumnExpression[Any]) -> list[ColumnElement[bool]]:
    """Whether one of the columns has the text in it, whatever its case."""
    if search is None or not search.strip():
        return []
    if len(search) > SEARCH_LENGTH:
        raise bad_input(f"`search` has at most {SEARCH_LENGTH} characters.")
    return [or_(*(column.icontains(search.strip(), autoescape=True) for column in columns))]
