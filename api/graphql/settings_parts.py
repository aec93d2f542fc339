"""Training settings as they are read: what counts, where it comes from, what is set where."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Generic, TypeVar
from uuid import UUID

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession
from strawberry import Private

from api.graphql.change_parts import TYPE_CODES
from api.graphql.context import Info
from api.graphql.described import describe
from api.graphql.errors import bad_input
from api.graphql.loaders import Batch, Loaded
from api.graphql.node import TENANT_CODE, GlobalId, Node, find_node, read_id
from api.graphql.run_parts import Actor
from domain.roster.records import RecordType
from domain.training.effective import (
    Effective,
    Setting,
    SettingsLevel,
    effective_of_groups,
    effective_of_schools,
    effective_of_tenant,
    effective_of_users,
)
from domain.training.layouts import LayoutShape
from domain.training.models import AgeGroup
from domain.training.settings import Owner, OwnSettings, own_settings

describe(
    SettingsLevel,
    "Where a training setting is set, the nearest first.",
    USER="Of the person.",
    GROUP="Of the group.",
    SCHOOL="Of the school.",
    TENANT="Of the whole tenant.",
    DEFAULT="Nowhere: the training application does what it does by itself.",
)
describe(
    AgeGroup,
    "For whom a group's exercises are made.",
    EARLY="Who is about to learn to read.",
    ELEMENTARY="Elementary school.",
    MIDDLE="Middle school.",
    HIGH="High school.",
    ADULT="Adults.",
)
describe(
    LayoutShape,
    "How the letters of a keyboard lie.",
    QWERTY="As on most keyboards.",
    AZERTY="As in France and Belgium.",
    QWERTZ="As in Germany, Austria and Switzerland.",
    BEPO="Made for French.",
    DVORAK="After August Dvorak.",
    COLEMAK="After Shai Coleman.",
    WORKMAN="After OJ Bucao.",
)

LEVELS: Final[Mapping[str, SettingsLevel]] = {
    TENANT_CODE: SettingsLevel.TENANT,
    TYPE_CODES[RecordType.SCHOOL]: SettingsLevel.SCHOOL,
    TYPE_CODES[RecordType.GROUP]: SettingsLevel.GROUP,
    TYPE_CODES[RecordType.USER]: SettingsLevel.USER,
}
"""Whose settings an object has, by the code in its id."""
_CODES: Final = {level: code for code, level in LEVELS.items()}
_BATCHES: Final[Mapping[SettingsLevel, Batch[UUID, Effective]]] = {
    SettingsLevel.TENANT: effective_of_tenant,
    SettingsLevel.SCHOOL: effective_of_schools,
    SettingsLevel.GROUP: effective_of_groups,
}
_SPEED = "The speed to reach, in words per minute."
_ACCURACY = "The accuracy to reach, in percent."
_LAYOUT = "The id of the keyboard layout; keyboardLayouts lists them."
_AVATARS = "Whether avatars may be used."
_AGE = "For whom the group's exercises are made; only a group has it."

T = TypeVar("T")


@strawberry.type(description="A setting that counts, and where it comes from.")
class EffectiveSetting(Generic[T]):
    value: T | None = strawberry.field(description="What counts; null where nobody has set it.")
    level: SettingsLevel = strawberry.field(description="Where it is set.")
    tenant_id: Private[UUID]
    source_id: Private[UUID | None]

    @strawberry.field(
        description="The tenant, school, group or person that has set it; null where nobody has."
    )
    async def node(self, info: Info) -> Node | None:
        if self.source_id is None:
            return None
        found = GlobalId(_CODES[self.level], self.tenant_id, self.source_id)
        return await find_node(info, found)


@strawberry.type(description="What is set at one level, whatever counts.")
class OwnTrainingSettings:
    speed_target: int | None = strawberry.field(description=_SPEED)
    accuracy_target: int | None = strawberry.field(description=_ACCURACY)
    keyboard_layout: str | None = strawberry.field(description=_LAYOUT)
    has_avatars: bool | None = strawberry.field(description=_AVATARS)
    age_group: AgeGroup | None = strawberry.field(description=_AGE)
    version: int = strawberry.field(
        description="Counts the changes; 0 where nothing was ever set. Sent along with a change, "
        "it keeps what somebody else has set since from being overwritten unseen."
    )
    updated_at: datetime | None = strawberry.field(description="When it was changed last.")
    updated_by: Actor | None = strawberry.field(description="Who changed it last.")

    @classmethod
    def of(cls, found: OwnSettings) -> "OwnTrainingSettings":
        actor = Actor.of(found.updated_by) if found.updated_by else None
        return cls(**{**found._asdict(), "updated_by": actor})


@dataclass(frozen=True, slots=True)
class OwnSettingsOf:
    """The batch of a level. One for all of them would read now more and now less at once."""

    level: SettingsLevel

    async def __call__(
        self, session: AsyncSession, tenant_id: UUID, keys: Sequence[UUID]
    ) -> Mapping[UUID, OwnSettings]:
        owners = [Owner(self.level, key) for key in keys]
        found = await own_settings(session, tenant_id, owners)
        return {owner.key: own for owner, own in found.items()}


@strawberry.type(description="The training settings that count for somebody or something.")
class EffectiveTrainingSettings:
    speed_target: EffectiveSetting[int] = strawberry.field(description=_SPEED)
    accuracy_target: EffectiveSetting[int] = strawberry.field(description=_ACCURACY)
    keyboard_layout: EffectiveSetting[str] = strawberry.field(description=_LAYOUT)
    has_avatars: EffectiveSetting[bool] = strawberry.field(description=_AVATARS)
    age_group: EffectiveSetting[AgeGroup] = strawberry.field(description=_AGE)
    tenant_id: Private[UUID]
    owner: Private[Owner]

    @strawberry.field(
        graphql_type=OwnTrainingSettings, description="What is set at this very level."
    )
    def own(self, info: Info) -> Loaded[OwnTrainingSettings]:
        batch = OwnSettingsOf(self.owner.level)
        found = info.context.loaders.of(batch).load((self.tenant_id, self.owner.key))
        return Loaded(found, lambda own: OwnTrainingSettings.of(own or OwnSettings()))

    @classmethod
    def of(cls, tenant_id: UUID, owner: Owner, found: Effective) -> "EffectiveTrainingSettings":
        def shown(setting: Setting[Any]) -> Any:
            return EffectiveSetting(
                value=setting.value,
                level=setting.level,
                tenant_id=tenant_id,
                source_id=setting.source_id,
            )

        return cls(
            speed_target=shown(found.speed_target),
            accuracy_target=shown(found.accuracy_target),
            keyboard_layout=shown(found.keyboard_layout),
            has_avatars=shown(found.has_avatars),
            age_group=shown(found.age_group),
            tenant_id=tenant_id,
            owner=owner,
        )


def settings_of(parent: strawberry.Parent[Node], info: Info) -> Loaded[EffectiveTrainingSettings]:
    """For the types Tenant, School and Group."""
    owner = Owner(LEVELS[parent.type_code], parent.key)
    tenant_id = parent.tenant_id
    found = info.context.loaders.of(_BATCHES[owner.level]).load((tenant_id, parent.key))
    return Loaded(found, lambda it: EffectiveTrainingSettings.of(tenant_id, owner, it))


_Group = Annotated[
    strawberry.ID | None,
    strawberry.argument(
        description="As they count in the group with this id; if left out, in the one that the "
        "person lands in."
    ),
]


def settings_of_user(
    parent: strawberry.Parent[Node], info: Info, group: _Group = None
) -> Loaded[EffectiveTrainingSettings]:
    owner = Owner(SettingsLevel.USER, parent.key)
    tenant_id = parent.tenant_id
    group_id = None
    if group is not None:
        wanted = read_id(group, _CODES[SettingsLevel.GROUP])
        group_id = wanted.key if wanted.tenant_id == tenant_id else parent.key
    found = info.context.loaders.of(effective_of_users).load((tenant_id, (parent.key, group_id)))
    return Loaded(found, lambda it: _in_group(tenant_id, owner, it))


def _in_group(tenant_id: UUID, owner: Owner, found: Effective | None) -> EffectiveTrainingSettings:
    if found is None:
        raise bad_input("The id is not one of a group of this tenant.", reason="INVALID_ID")
    return EffectiveTrainingSettings.of(tenant_id, owner, found)
