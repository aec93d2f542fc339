"""Adding and changing by hand what no provider manages; what one does is refused, saying where."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Annotated, Any, Final, TypeVar, cast
from uuid import UUID

import strawberry
from strawberry import Private

from api.graphql.context import Info
from api.graphql.errands import Errand, run_errand
from api.graphql.errors import UserError, user_errors
from api.graphql.node import GlobalId, Node, load
from api.graphql.permissions import Permitted
from api.graphql.roster import Group, Membership, School, User
from api.graphql.roster_edit_inputs import (
    GroupCreateInput,
    GroupUpdateInput,
    MembershipArchiveInput,
    MembershipCreateInput,
    SchoolUpdateInput,
    UserArchiveInput,
    UserCreateInput,
    UserRestoreInput,
    UserUpdateInput,
)
from api.graphql.targets import INPUT, key_of, node_of, tenant_of
from domain.errands.models import ErrandKind
from domain.errors import DomainError, InvalidInput
from domain.identity.edit_values import MOST_VALUES, input_name
from domain.identity.editing import Act, Asked, examine_edit
from domain.people.callers import Caller
from domain.roster.records import RecordType
from domain.tenants.service import get_tenant

_REFUSED: Final = "Why it was refused; empty where it was not."
_WAITS: Final = (
    "The errand to follow, where it could not be done at once: a sync is under way, say."
)
_NODES: Final[Mapping[RecordType, type[Node]]] = {
    RecordType.USER: User,
    RecordType.GROUP: Group,
    RecordType.SCHOOL: School,
    RecordType.MEMBERSHIP: Membership,
}
_NAMED: Final[Mapping[str, type[Node]]] = {
    "user_id": User,
    "group_id": Group,
    "school_id": School,
    "membership_id": Membership,
}
"""The fields of inputs that are ids, by their names in the domain."""


@strawberry.type(description="What came of an edit.")
class _Edited:
    found: Private[GlobalId | None] = None
    errand: Errand | None = strawberry.field(default=None, description=_WAITS)


Payload = TypeVar("Payload", bound=_Edited)


async def _edit(info: Info, input: Any, act: Act, payload: type[Payload]) -> Payload:
    """`input` as it was given: what was left out stays as it is, and null takes a value away."""
    context, make = info.context, cast("Callable[..., Payload]", payload)
    context.loaders.forget()
    try:
        tenant_id, asked = _asked(input, act, context.caller)
        async with context.database.read(tenant_id) as session:
            await get_tenant(session, tenant_id=tenant_id)
            await examine_edit(session, tenant_id=tenant_id, asked=asked)
        outcome = await run_errand(
            context, tenant_id=tenant_id, kind=ErrandKind.ROSTER_EDIT, asked=asked.as_errand()
        )
        context.loaders.forget()
    except DomainError as error:
        return make(user_errors=user_errors(error))
    if outcome.result is None:
        return make(errand=outcome.errand)
    code = _NODES[act.record_type].type_code
    return make(found=GlobalId(code, tenant_id, UUID(outcome.result["id"])))


def _asked(input: Any, act: Act, caller: Caller) -> tuple[UUID, Asked]:
    given = {name: value for name, value in vars(input).items() if value is not strawberry.UNSET}
    tenant_id = tenant_of(given.pop("tenant_id"), caller) if "tenant_id" in given else None
    record_id = None
    own = f"{act.record_type.lower()}_id"
    for name in [name for name in given if name in _NAMED]:
        found = node_of(given.pop(name) or "", _NAMED[name], input_name(name), caller)
        if tenant_id is not None and found.tenant_id != tenant_id:
            raise InvalidInput(input_name(name), "Both have to be of one tenant.")
        tenant_id = found.tenant_id
        if name == own:
            record_id = found.key
        else:
            given[name] = str(found.key)
    assert tenant_id is not None  # every input names the tenant, or something in it
    if given.get("school_ids") is not None:
        ids = given["school_ids"][: MOST_VALUES + 1]
        given["school_ids"] = [str(key_of(text, School, "schoolIds", tenant_id)) for text in ids]
    for name, value in given.items():
        if isinstance(value, date):
            given[name] = value.isoformat()
    return tenant_id, Asked(act, record_id, given, caller.is_operator)


async def _user(parent: strawberry.Parent[_Edited], info: Info) -> User | None:
    return cast("User | None", await _node(info, parent.found, User))


async def _group(parent: strawberry.Parent[_Edited], info: Info) -> Group | None:
    return cast("Group | None", await _node(info, parent.found, Group))


async def _school(parent: strawberry.Parent[_Edited], info: Info) -> School | None:
    return cast("School | None", await _node(info, parent.found, School))


async def _membership(parent: strawberry.Parent[_Edited], info: Info) -> Membership | None:
    return cast("Membership | None", await _node(info, parent.found, Membership))


async def _node(info: Info, found: GlobalId | None, node: type[Node]) -> Any:
    return await load(info, node, found.tenant_id, found.key) if found else None


def _errors() -> Any:
    return strawberry.field(default_factory=list, description=_REFUSED)


def _shown(resolver: Any, what: str) -> Any:
    return strawberry.field(
        resolver=resolver,
        description=f"{what}; null where nothing was done.",
        permission_classes=[Permitted],
    )


@strawberry.type(description="The person who was added.")
class UserCreatePayload(_Edited):
    user: User | None = _shown(_user, "The person as they are now")
    user_errors: list[UserError] = _errors()


@strawberry.type(description="The person as they are now.")
class UserUpdatePayload(UserCreatePayload):
    pass


@strawberry.type(description="The person, who is archived now.")
class UserArchivePayload(UserCreatePayload):
    pass


@strawberry.type(description="The person, who is back.")
class UserRestorePayload(UserCreatePayload):
    pass


@strawberry.type(description="The group that was added.")
class GroupCreatePayload(_Edited):
    group: Group | None = _shown(_group, "The group as it is now")
    user_errors: list[UserError] = _errors()


@strawberry.type(description="The group as it is now.")
class GroupUpdatePayload(GroupCreatePayload):
    pass


@strawberry.type(description="The school as it is now.")
class SchoolUpdatePayload(_Edited):
    school: School | None = _shown(_school, "The school as it is now")
    user_errors: list[UserError] = _errors()


@strawberry.type(description="The membership that was added.")
class MembershipCreatePayload(_Edited):
    membership: Membership | None = _shown(_membership, "The membership as it is now")
    user_errors: list[UserError] = _errors()


@strawberry.type(description="The membership, which is archived now.")
class MembershipArchivePayload(MembershipCreatePayload):
    pass


@strawberry.type
class RosterEditMutation:
    @strawberry.mutation(
        description="Adds a person, in a tenant that does not roster.",
        permission_classes=[Permitted],
    )
    async def user_create(
        self, info: Info, input: Annotated[UserCreateInput, INPUT]
    ) -> UserCreatePayload:
        return await _edit(info, input, Act.USER_CREATE, UserCreatePayload)

    @strawberry.mutation(
        description="Changes a person whom no provider manages.",
        permission_classes=[Permitted],
    )
    async def user_update(
        self, info: Info, input: Annotated[UserUpdateInput, INPUT]
    ) -> UserUpdatePayload:
        return await _edit(info, input, Act.USER_UPDATE, UserUpdatePayload)

    @strawberry.mutation(
        description="Archives a person whom no provider manages, with the memberships; nothing is "
        "erased, and sessions end.",
        permission_classes=[Permitted],
    )
    async def user_archive(
        self, info: Info, input: Annotated[UserArchiveInput, INPUT]
    ) -> UserArchivePayload:
        return await _edit(info, input, Act.USER_ARCHIVE, UserArchivePayload)

    @strawberry.mutation(
        description="Brings back a person who was archived here, with the memberships that went "
        "at the same time, and with all settings and progress.",
        permission_classes=[Permitted],
    )
    async def user_restore(
        self, info: Info, input: Annotated[UserRestoreInput, INPUT]
    ) -> UserRestorePayload:
        return await _edit(info, input, Act.USER_RESTORE, UserRestorePayload)

    @strawberry.mutation(
        description="Adds a group, in a tenant that does not roster.",
        permission_classes=[Permitted],
    )
    async def group_create(
        self, info: Info, input: Annotated[GroupCreateInput, INPUT]
    ) -> GroupCreatePayload:
        return await _edit(info, input, Act.GROUP_CREATE, GroupCreatePayload)

    @strawberry.mutation(
        description="Changes a group that no provider manages.",
        permission_classes=[Permitted],
    )
    async def group_update(
        self, info: Info, input: Annotated[GroupUpdateInput, INPUT]
    ) -> GroupUpdatePayload:
        return await _edit(info, input, Act.GROUP_UPDATE, GroupUpdatePayload)

    @strawberry.mutation(
        description="Changes a school: the display name of every school, the rest where no "
        "provider manages it.",
        permission_classes=[Permitted],
    )
    async def school_update(
        self, info: Info, input: Annotated[SchoolUpdateInput, INPUT]
    ) -> SchoolUpdatePayload:
        return await _edit(info, input, Act.SCHOOL_UPDATE, SchoolUpdatePayload)

    @strawberry.mutation(
        description="Puts a person into a group that no provider manages.",
        permission_classes=[Permitted],
    )
    async def membership_create(
        self, info: Info, input: Annotated[MembershipCreateInput, INPUT]
    ) -> MembershipCreatePayload:
        return await _edit(info, input, Act.MEMBERSHIP_CREATE, MembershipCreatePayload)

    @strawberry.mutation(
        description="Takes a person out of a group that no provider manages; what was earned in "
        "it is kept.",
        permission_classes=[Permitted],
    )
    async def membership_archive(
        self, info: Info, input: Annotated[MembershipArchiveInput, INPUT]
    ) -> MembershipArchivePayload:
        return await _edit(info, input, Act.MEMBERSHIP_ARCHIVE, MembershipArchivePayload)
