"""Where somebody lands after signing in: the default group and the default school of a person."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, cast
from uuid import UUID

import strawberry
from strawberry import Private

from api.graphql.change_parts import TYPE_CODES
from api.graphql.context import Info
from api.graphql.described import describe
from api.graphql.node import GlobalId, Node, find_node
from api.graphql.run_parts import Actor
from domain.roster.records import RecordType
from domain.training.places import NOWHERE, Places, PlaceSource, places_of_users

if TYPE_CHECKING:
    from api.graphql.roster import Group, School

describe(
    PlaceSource,
    "Why somebody lands there.",
    CHOSEN="It was chosen, and is theirs now.",
    ONLY_ONE="It is the only group that they are in, and no choice counts.",
    PRIMARY="It is their first school, and no choice counts.",
    ASK="Nobody knows: the person is to be asked.",
)
_SET_AT = "When it was chosen; null where nothing is."
_SET_BY = "Who has chosen it; null where nothing is."


@strawberry.type(description="The group that somebody lands in after signing in.")
class DefaultGroup:
    source: PlaceSource = strawberry.field(description="Why it is this one.")
    is_fallback: bool = strawberry.field(
        description="Whether another one was chosen that does not count now: the person is not in "
        "it any more, or a new school year has begun. A choice counts again when the person is "
        "back in the group."
    )
    set_at: datetime | None = strawberry.field(description=_SET_AT)
    set_by: Actor | None = strawberry.field(description=_SET_BY)
    tenant_id: Private[UUID]
    group_id: Private[UUID | None]
    chosen_id: Private[UUID | None]

    @strawberry.field(description="The group; null where the person is to be asked.")
    async def group(
        self, info: Info
    ) -> Annotated["Group", strawberry.lazy("api.graphql.roster")] | None:
        return cast(
            "Group | None", await _find(info, RecordType.GROUP, self.tenant_id, self.group_id)
        )

    @strawberry.field(description="The group that was chosen, whether the choice counts or not.")
    async def chosen(
        self, info: Info
    ) -> Annotated["Group", strawberry.lazy("api.graphql.roster")] | None:
        return cast(
            "Group | None", await _find(info, RecordType.GROUP, self.tenant_id, self.chosen_id)
        )


@strawberry.type(description="The school that somebody lands in after signing in.")
class DefaultSchool:
    source: PlaceSource = strawberry.field(description="Why it is this one.")
    is_fallback: bool = strawberry.field(
        description="Whether another one was chosen that is not the person's now. The choice "
        "counts again when it is."
    )
    set_at: datetime | None = strawberry.field(description=_SET_AT)
    set_by: Actor | None = strawberry.field(description=_SET_BY)
    tenant_id: Private[UUID]
    school_id: Private[UUID | None]
    chosen_id: Private[UUID | None]

    @strawberry.field(description="The school; null for who has none.")
    async def school(
        self, info: Info
    ) -> Annotated["School", strawberry.lazy("api.graphql.roster")] | None:
        return cast(
            "School | None", await _find(info, RecordType.SCHOOL, self.tenant_id, self.school_id)
        )

    @strawberry.field(description="The school that was chosen, whether the choice counts or not.")
    async def chosen(
        self, info: Info
    ) -> Annotated["School", strawberry.lazy("api.graphql.roster")] | None:
        return cast(
            "School | None", await _find(info, RecordType.SCHOOL, self.tenant_id, self.chosen_id)
        )


async def default_group_of(parent: strawberry.Parent[Node], info: Info) -> DefaultGroup:
    place = (await _places(parent, info)).group
    return DefaultGroup(
        source=place.source,
        is_fallback=place.is_fallback,
        set_at=place.set_at,
        set_by=Actor.of(place.set_by) if place.set_by else None,
        tenant_id=parent.tenant_id,
        group_id=place.id,
        chosen_id=place.chosen_id,
    )


async def default_school_of(parent: strawberry.Parent[Node], info: Info) -> DefaultSchool:
    place = (await _places(parent, info)).school
    return DefaultSchool(
        source=place.source,
        is_fallback=place.is_fallback,
        set_at=place.set_at,
        set_by=Actor.of(place.set_by) if place.set_by else None,
        tenant_id=parent.tenant_id,
        school_id=place.id,
        chosen_id=place.chosen_id,
    )


async def _places(person: Node, info: Info) -> Places:
    key = (person.tenant_id, person.key)
    return await info.context.loaders.of(places_of_users).load(key) or NOWHERE


async def _find(
    info: Info, record_type: RecordType, tenant_id: UUID, key: UUID | None
) -> Node | None:
    if key is None:
        return None
    return await find_node(info, GlobalId(TYPE_CODES[record_type], tenant_id, key))
