"""Setting training settings: of one level, taken away again, and of many people at once."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any

import strawberry
from strawberry import UNSET, Private

from api.graphql.context import Info
from api.graphql.described import describe
from api.graphql.errands import Errand, run_errand
from api.graphql.errors import UserError, user_errors
from api.graphql.node import GlobalId, Node, find_id, find_node
from api.graphql.permissions import Permitted
from api.graphql.selections import selection_of
from api.graphql.settings_parts import LEVELS, OwnTrainingSettings
from api.graphql.targets import INPUT, tenant_of
from domain.errands.models import ErrandKind
from domain.errors import DomainError, InvalidInput, NotFound
from domain.people.callers import Caller
from domain.roster.records import Role
from domain.tenants.service import get_tenant
from domain.training.bulk import check_bulk
from domain.training.layouts import LAYOUTS, LayoutShape
from domain.training.models import AgeGroup
from domain.training.settings import FIELDS, Owner, OwnSettings, set_settings

_LEAVE = "If left out, it stays as it is; null takes it away, so that the next level counts."
_SPEED = f"Words per minute, 1 to 250. {_LEAVE}"
_ACCURACY = f"Percent, 0 to 100. {_LEAVE}"
_LAYOUT = f"A layout's id; keyboardLayouts lists them. {_LEAVE}"
_AVATARS = f"Whether avatars may be used. {_LEAVE}"
_VERSION = (
    "The version that you have read: where somebody else has changed the settings since, nothing "
    "is done and they are named. If left out, it is set whatever the version is."
)
_OWNER = "The id of the tenant, school, group or person whose settings they are."


class TrainingSettingsField(StrEnum):
    SPEED_TARGET = "speed_target"
    ACCURACY_TARGET = "accuracy_target"
    KEYBOARD_LAYOUT = "keyboard_layout"
    HAS_AVATARS = "has_avatars"
    AGE_GROUP = "age_group"


describe(
    TrainingSettingsField,
    "A training setting.",
    SPEED_TARGET="The speed to reach.",
    ACCURACY_TARGET="The accuracy to reach.",
    KEYBOARD_LAYOUT="The keyboard layout.",
    HAS_AVATARS="Whether avatars may be used.",
    AGE_GROUP="For whom a group's exercises are made.",
)


@strawberry.type(description="A keyboard layout that can be set.")
class KeyboardLayout:
    id: str = strawberry.field(
        description="Its name at XKB: the layout, with its variant in brackets."
    )
    name: str = strawberry.field(description="What it is called.")
    shape: LayoutShape = strawberry.field(description="How the letters lie.")


@strawberry.input(description="What is to be set of one tenant, school, group or person.")
class TrainingSettingsSetInput:
    id: strawberry.ID = strawberry.field(description=_OWNER)
    speed_target: int | None = strawberry.field(default=UNSET, description=_SPEED)
    accuracy_target: int | None = strawberry.field(default=UNSET, description=_ACCURACY)
    keyboard_layout: str | None = strawberry.field(default=UNSET, description=_LAYOUT)
    has_avatars: bool | None = strawberry.field(default=UNSET, description=_AVATARS)
    age_group: AgeGroup | None = strawberry.field(
        default=UNSET, description=f"Of a group only. {_LEAVE}"
    )
    version: int | None = strawberry.field(default=None, description=_VERSION)


@strawberry.input(description="Which settings are taken away of whom.")
class TrainingSettingsResetInput:
    id: strawberry.ID = strawberry.field(description=_OWNER)
    fields: list[TrainingSettingsField] | None = strawberry.field(
        default=None, description="Which of them; all, if left out."
    )
    version: int | None = strawberry.field(default=None, description=_VERSION)


@strawberry.input(description="Whose settings: live people who fit all of it.")
class TrainingSettingsFilter:
    school_id: strawberry.ID | None = strawberry.field(
        default=None, description="Those of the school with this id."
    )
    group_id: strawberry.ID | None = strawberry.field(
        default=None, description="Those who are in the group with this id."
    )
    grade: str | None = strawberry.field(
        default=None, description="Those in this grade, as a CEDS code."
    )
    roles: list[Role] = strawberry.field(
        default_factory=lambda: [Role.STUDENT],
        description="Those with one of these roles; students, if left out.",
    )


@strawberry.input(description="What is to be set of many people.")
class TrainingSettingsSetBulkInput:
    tenant_id: strawberry.ID = strawberry.field(description="The tenant's id.")
    filter: TrainingSettingsFilter = strawberry.field(
        description="Whose settings; with an empty one those of all students."
    )
    speed_target: int | None = strawberry.field(default=UNSET, description=_SPEED)
    accuracy_target: int | None = strawberry.field(default=UNSET, description=_ACCURACY)
    keyboard_layout: str | None = strawberry.field(default=UNSET, description=_LAYOUT)
    has_avatars: bool | None = strawberry.field(default=UNSET, description=_AVATARS)


async def _node(parent: strawberry.Parent["TrainingSettingsSetPayload"], info: Info) -> Node | None:
    return await find_node(info, parent.target) if parent.target else None


_WHOSE = "Whose settings they are; null where it was refused."
_SET = "What is set at this level now; null where it was refused."
_REFUSED = "Why it was refused; empty where it was not."


@strawberry.type(description="The settings as they are now.")
class TrainingSettingsSetPayload:
    target: Private[GlobalId | None] = None
    settings: OwnTrainingSettings | None = strawberry.field(default=None, description=_SET)
    node: Node | None = strawberry.field(
        resolver=_node, description=_WHOSE, permission_classes=[Permitted]
    )
    user_errors: list[UserError] = strawberry.field(default_factory=list, description=_REFUSED)


@strawberry.type(description="The settings as they are now.")
class TrainingSettingsResetPayload(TrainingSettingsSetPayload):
    pass


@strawberry.type(description="What was done, or is being done.")
class TrainingSettingsSetBulkPayload:
    errand: Errand | None = strawberry.field(
        default=None,
        description="The errand, which is done already where it was quick; else it is to be "
        "followed by its id, and its progress says how far it is.",
    )
    matched_count: int | None = strawberry.field(
        default=None, description="How many people fitted; null until it is done."
    )
    changed_count: int | None = strawberry.field(
        default=None, description="Of how many of them something was changed."
    )
    user_errors: list[UserError] = strawberry.field(default_factory=list, description=_REFUSED)


def _given(input: Any, names: Sequence[str]) -> dict[str, Any]:
    values = {name: getattr(input, name, UNSET) for name in names}
    return {name: value for name, value in values.items() if value is not UNSET}


def _target(id: str, caller: Caller) -> GlobalId:
    """Raises InvalidInput and NotFound, before anything is read."""
    found = find_id(id)
    if found is None or found.code not in LEVELS:
        raise InvalidInput("id", "This is not the id of a tenant, a school, a group or a person.")
    if not caller.may_see(found.tenant_id):
        raise NotFound(LEVELS[found.code].value.lower(), id)
    return found


@strawberry.type
class TrainingSettingsQuery:
    @strawberry.field(
        description="The keyboard layouts that can be set.", permission_classes=[Permitted]
    )
    def keyboard_layouts(self) -> list[KeyboardLayout]:
        return [KeyboardLayout(id=it.layout_id, name=it.name, shape=it.shape) for it in LAYOUTS]


@strawberry.type
class TrainingSettingsMutation:
    @strawberry.mutation(
        description="Sets training settings of a tenant, a school, a group or a person. The "
        "nearest to the person counts, and no sync ever changes them.",
        permission_classes=[Permitted],
    )
    async def training_settings_set(
        self, info: Info, input: Annotated[TrainingSettingsSetInput, INPUT]
    ) -> TrainingSettingsSetPayload:
        values = _given(input, list(TrainingSettingsField))
        try:
            target, own = await _change(info, input.id, values, input.version)
        except DomainError as error:
            return TrainingSettingsSetPayload(user_errors=user_errors(error))
        return TrainingSettingsSetPayload(target=target, settings=OwnTrainingSettings.of(own))

    @strawberry.mutation(
        description="Takes training settings of one level away, so that the next one counts.",
        permission_classes=[Permitted],
    )
    async def training_settings_reset(
        self, info: Info, input: Annotated[TrainingSettingsResetInput, INPUT]
    ) -> TrainingSettingsResetPayload:
        try:
            target, own = await _change(info, input.id, input.fields, input.version)
        except DomainError as error:
            return TrainingSettingsResetPayload(user_errors=user_errors(error))
        return TrainingSettingsResetPayload(target=target, settings=OwnTrainingSettings.of(own))

    @strawberry.mutation(
        description="Sets training settings of many people, each their own. A worker does it, "
        "all or nothing: for few at once, for many it gives the errand to follow.",
        permission_classes=[Permitted],
    )
    async def training_settings_set_bulk(
        self, info: Info, input: Annotated[TrainingSettingsSetBulkInput, INPUT]
    ) -> TrainingSettingsSetBulkPayload:
        context = info.context
        context.loaders.forget()
        try:
            tenant_id = tenant_of(input.tenant_id, context.caller)
            wanted = input.filter
            selection = selection_of(
                wanted.school_id, wanted.group_id, wanted.grade, tenant_id=tenant_id
            )._replace(roles=tuple(dict.fromkeys(wanted.roles)))
            async with context.database.read(tenant_id) as session:
                await get_tenant(session, tenant_id=tenant_id)
                values = _given(input, list(TrainingSettingsField))
                asked = await check_bulk(session, tenant_id, selection, values)
            outcome = await run_errand(
                context, tenant_id=tenant_id, kind=ErrandKind.SETTINGS_BULK, asked=asked
            )
        except DomainError as error:
            return TrainingSettingsSetBulkPayload(user_errors=user_errors(error))
        result = outcome.result or {}
        return TrainingSettingsSetBulkPayload(
            errand=outcome.errand,
            matched_count=result.get("matched"),
            changed_count=result.get("changed"),
        )


async def _change(
    info: Info,
    id: str,
    asked: Mapping[str, Any] | Sequence[str] | None,
    version: int | None,
) -> tuple[GlobalId, OwnSettings]:
    """Set the values of a mapping; take the fields of a list away, or all where there is none."""
    context = info.context
    context.loaders.forget()
    target = _target(id, context.caller)
    async with context.database.transaction(target.tenant_id) as session:
        await get_tenant(session, tenant_id=target.tenant_id)
        owner = Owner(LEVELS[target.code], target.key)
        if not isinstance(asked, Mapping):
            asked = dict.fromkeys(FIELDS if asked is None else asked)
        own = await set_settings(
            session,
            tenant_id=target.tenant_id,
            owner=owner,
            values=asked,
            version=version,
            caller=context.caller,
        )
    return target, own
