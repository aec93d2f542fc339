"""Choosing where somebody lands after signing in: the default group and the default school."""

from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import Private

from api.graphql.context import Info
from api.graphql.errors import UserError, user_errors
from api.graphql.node import GlobalId, Node, load
from api.graphql.permissions import Permitted
from api.graphql.roster import Group, School, User
from api.graphql.targets import INPUT, node_of
from domain.clock import utc_now
from domain.errors import DomainError
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


async def _user(parent: strawberry.Parent["DefaultGroupSetPayload"], info: Info) -> User | None:
    found = parent.found
    return await load(info, User, found.tenant_id, found.key) if found else None


@strawberry.type(description="The person as they are now.")
class DefaultGroupSetPayload:
    found: Private[GlobalId | None] = None
    user: User | None = strawberry.field(
        resolver=_user,
        description="The person; null where it was refused.",
        permission_classes=[Permitted],
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why nothing was changed; empty where it was."
    )


@strawberry.type(description="The person as they are now.")
class DefaultSchoolSetPayload(DefaultGroupSetPayload):
    pass


def _place(
    id: str | None, node: type[Node], field: str, caller: Caller, tenant_id: UUID
) -> UUID | None:
    return node_of(id, node, field, caller, tenant_id=tenant_id).key if id is not None else None


@strawberry.type
class DefaultPlaceMutation:
    @strawberry.mutation(
        description="Chooses the group that somebody lands in after signing in: for the person "
        "who chooses, or by an administrator.",
        permission_classes=[Permitted],
    )
    async def default_group_set(
        self, info: Info, input: Annotated[DefaultGroupSetInput, INPUT]
    ) -> DefaultGroupSetPayload:
        context = info.context
        context.loaders.forget()
        try:
            found = node_of(input.user_id, User, "userId", context.caller)
            group_id = _place(input.group_id, Group, "groupId", context.caller, found.tenant_id)
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
        permission_classes=[Permitted],
    )
    async def default_school_set(
        self, info: Info, input: Annotated[DefaultSchoolSetInput, INPUT]
    ) -> DefaultSchoolSetPayload:
        context = info.context
        context.loaders.forget()
        try:
            found = node_of(input.user_id, User, "userId", context.caller)
            school_id = _place(input.school_id, School, "schoolId", context.caller, found.tenant_id)
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
