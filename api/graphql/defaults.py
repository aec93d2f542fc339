"""Choosing where somebody lands after signing in: the default group and the default school."""

from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import Private

from api.graphql.context import Info
from api.graphql.errors import UserError, user_errors
from api.graphql.node import GlobalId, Node, find_id, load
from api.graphql.permissions import MayChoosePlaces, MayReadRosters
from api.graphql.roster import Group, School, User
from api.graphql.targets import INPUT
from domain.clock import utc_now
from domain.errors import DomainError, InvalidInput, NotFound
from domain.people.callers import Caller
from domain.training.defaults import set_default_group, set_default_school

_PERSON = "The person: theirs is the choice."


@strawberry.input(description="Which group somebody wants to land in.")
class DefaultGroupSetInput:
    user_id: strawberry.ID = strawberry.field(description=_PERSON)
    group_id: strawberry.ID | None = strawberry.field(
        description="A group that the person is in now; null takes the choice back."
    )


@strawberry.input(description="Which school somebody wants to land in.")
class DefaultSchoolSetInput:
    user_id: strawberry.ID = strawberry.field(description=_PERSON)
    school_id: strawberry.ID | None = strawberry.field(
        description="A school of the person now; null takes the choice back."
    )


async def _user_of_group(
    parent: strawberry.Parent["DefaultGroupSetPayload"], info: Info
) -> User | None:
    return await _user(info, parent.found)


async def _user_of_school(
    parent: strawberry.Parent["DefaultSchoolSetPayload"], info: Info
) -> User | None:
    return await _user(info, parent.found)


@strawberry.type(description="The person as they are now.")
class DefaultGroupSetPayload:
    found: Private[GlobalId | None] = None

    user: User | None = strawberry.field(
        resolver=_user_of_group,
        description="The person; null where it was refused.",
        permission_classes=[MayReadRosters],
    )

    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why nothing was changed; empty where it was."
    )


@strawberry.type(description="The person as they are now.")
class DefaultSchoolSetPayload:
    found: Private[GlobalId | None] = None

    user: User | None = strawberry.field(
        resolver=_user_of_school,
        description="The person; null where it was refused.",
        permission_classes=[MayReadRosters],
    )

    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why nothing was changed; empty where it was."
    )


async def _user(info: Info, found: GlobalId | None) -> User | None:
    return await load(info, User, found.tenant_id, found.key) if found else None


def _person(id: str, caller: Caller) -> GlobalId:
    """Another tenant's is answered like one that is not there."""
    found = find_id(id)
    if found is None or found.code != User.type_code:
        raise InvalidInput("userId", "This is not the id of a person.")
    if not caller.may_see(found.tenant_id):
        raise NotFound("person", found.key)
    return found


def _place(id: str | None, node: type[Node], field: str, tenant_id: UUID) -> UUID | None:
    """Another tenant's does not exist for somebody of this one."""
    if id is None:
        return None
    what = "group" if node is Group else "school"
    found = find_id(id)
    if found is None or found.code != node.type_code:
        raise InvalidInput(field, f"This is not the id of a {what}.")
    if found.tenant_id != tenant_id:
        raise NotFound(what, found.key)
    return found.key


@strawberry.type
class DefaultPlaceMutation:
    @strawberry.mutation(
        description="Chooses the group that somebody lands in after signing in: for the person "
        "who chooses, or by an administrator.",
        permission_classes=[MayChoosePlaces],
    )
    async def default_group_set(
        self, info: Info, input: Annotated[DefaultGroupSetInput, INPUT]
    ) -> DefaultGroupSetPayload:
        context = info.context
        context.loaders.forget()
        try:
            found = _person(input.user_id, context.caller)
            group_id = _place(input.group_id, Group, "groupId", found.tenant_id)
            async with context.database.transaction(found.tenant_id) as session:
                await set_default_group(
                    session,
                    tenant_id=found.tenant_id,
                    user_id=found.key,
                    group_id=group_id,
                    caller=context.caller,
                    now=utc_now(),
                )
        except DomainError as error:
            return DefaultGroupSetPayload(user_errors=user_errors(error))
        return DefaultGroupSetPayload(found=found)

    @strawberry.mutation(
        description="Chooses the school that somebody lands in after signing in: for the person "
        "who chooses, or by an administrator.",
        permission_classes=[MayChoosePlaces],
    )
    async def default_school_set(
        self, info: Info, input: Annotated[DefaultSchoolSetInput, INPUT]
    ) -> DefaultSchoolSetPayload:
        context = info.context
        context.loaders.forget()
        try:
            found = _person(input.user_id, context.caller)
            school_id = _place(input.school_id, School, "schoolId", found.tenant_id)
            async with context.database.transaction(found.tenant_id) as session:
                await set_default_school(
                    session,
                    tenant_id=found.tenant_id,
                    user_id=found.key,
                    school_id=school_id,
                    caller=context.caller,
                    now=utc_now(),
                )
        except DomainError as error:
            return DefaultSchoolSetPayload(user_errors=user_errors(error))
        return DefaultSchoolSetPayload(found=found)
