"""What students have earned in groups, year by year, and what of it was carried to other groups."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, cast
from uuid import UUID

import strawberry
from sqlalchemy import ColumnElement, Select, exists, select
from strawberry import Private
from typing_extensions import override

from api.graphql.change_parts import TYPE_CODES
from api.graphql.connection import Connection, NestedListing, connect_nested
from api.graphql.context import Info
from api.graphql.described import describe
from api.graphql.node import GlobalId, Node, find_node
from api.graphql.pages import OrderDirection, PageArguments, Sorting
from api.graphql.permissions import Permitted
from api.graphql.run_parts import Actor
from domain.roster.models import Membership
from domain.roster.records import RecordType
from domain.training import models
from domain.training.models import CarryMode

if TYPE_CHECKING:
    from api.graphql.roster import Group, User

describe(
    CarryMode,
    "What becomes of progress in the group that a student has left.",
    name="ProgressCarryMode",
    COPY="It stays there as well; sums over groups count it once.",
    MOVE="Nothing is left there.",
)


@strawberry.input(description="Which progress is wanted.")
class ProgressFilter:
    school_year: int | None = strawberry.field(
        default=None, description="Only of the school year that began in this year."
    )
    current: bool | None = strawberry.field(
        default=None,
        description="Only where the student is in the group now (true), or is not (false).",
    )


@strawberry.type(description="What a student has earned in a group in a school year.")
class Progress:
    school_year: int = strawberry.field(
        description="The calendar year in which the school year began: 2026 is 2026/27."
    )
    lessons: int = strawberry.field(description="Lessons that were done.")
    seconds: int = strawberry.field(description="Time that was spent.")
    copied_lessons: int = strawberry.field(
        description="How many of the lessons are a copy of what counts in another group."
    )
    copied_seconds: int = strawberry.field(description="The same of the time.")
    best_speed: float | None = strawberry.field(description="The best speed, in words per minute.")
    average_speed: float | None = strawberry.field(description="The average speed of all results.")
    best_accuracy: float | None = strawberry.field(description="The best accuracy, in percent.")
    average_accuracy: float | None = strawberry.field(
        description="The average accuracy of all results."
    )
    last_active_at: datetime | None = strawberry.field(description="When it was trained last.")
    is_current: bool = strawberry.field(description="Whether the student is in the group now.")
    tenant_id: Private[UUID]
    user_id: Private[UUID]
    group_id: Private[UUID]

    @classmethod
    def of(cls, row: Any) -> "Progress":
        return cls(
            school_year=row.school_year,
            lessons=row.lessons,
            seconds=row.seconds,
            copied_lessons=row.copied_lessons,
            copied_seconds=row.copied_seconds,
            best_speed=shown(row.best_speed),
            average_speed=_average(row.speed_total, row.speed_count),
            best_accuracy=shown(row.best_accuracy),
            average_accuracy=_average(row.accuracy_total, row.accuracy_count),
            last_active_at=row.last_active_at,
            is_current=row.is_current,
            tenant_id=row.tenant_id,
            user_id=row.user_id,
            group_id=row.group_id,
        )

    @strawberry.field(description="The student.")
    async def user(
        self, info: Info
    ) -> Annotated["User", strawberry.lazy("api.graphql.roster")] | None:
        return cast("User | None", await _find(info, RecordType.USER, self.tenant_id, self.user_id))

    @strawberry.field(description="The group.")
    async def group(
        self, info: Info
    ) -> Annotated["Group", strawberry.lazy("api.graphql.roster")] | None:
        return cast(
            "Group | None", await _find(info, RecordType.GROUP, self.tenant_id, self.group_id)
        )


def shown(value: Decimal | None) -> float | None:
    """Two places are enough for anybody."""
    return None if value is None else round(float(value), 2)


def _average(total: Decimal, count: int) -> float | None:
    return shown(total / count) if count else None


async def _find(info: Info, record_type: RecordType, tenant_id: UUID, key: UUID) -> Node | None:
    return await find_node(info, GlobalId(TYPE_CODES[record_type], tenant_id, key))


@dataclass(frozen=True, slots=True)
class ProgressOf(NestedListing):
    """The progress of users (`name` is user_id) or groups (group_id), the latest year first."""

    name: str
    school_year: int | None
    current: bool | None

    @override
    def statement(self, tenant_id: UUID, owner: Sequence[ColumnElement[UUID]]) -> Select[Any]:
        row, link = models.Progress, Membership
        is_current = (
            exists()
            .where(
                link.tenant_id == row.tenant_id,
                link.user_id == row.user_id,
                link.group_id == row.group_id,
                link.archived_at.is_(None),
            )
            .correlate(row)
        )
        statement = select(*row.__table__.columns, is_current.label("is_current")).where(
            row.tenant_id == tenant_id, getattr(row, self.name) == owner[0]
        )
        if self.school_year is not None:
            statement = statement.where(row.school_year == self.school_year)
        if self.current is not None:
            statement = statement.where(is_current if self.current else ~is_current)
        return statement

    @override
    def sorting(self) -> Sorting:
        row = models.Progress
        other = row.group_id if self.name == "user_id" else row.user_id
        return Sorting.by([row.school_year], other, OrderDirection.DESC)


@strawberry.type(description="Progress that was carried from one group of a student to another.")
class ProgressCarry(Node):
    type_code: ClassVar[str] = "K"
    row: ClassVar[type[Any]] = models.ProgressCarry
    derived: ClassVar[tuple[str, ...]] = ("created_by", "undone_by")
    sources: ClassVar[tuple[str, ...]] = ("created_by", "undone_by")

    mode: CarryMode = strawberry.field(description="Whether it was copied or moved.")
    created_at: datetime = strawberry.field(description="When.")
    created_by: Actor = strawberry.field(description="Who has done it.")
    undone_at: datetime | None = strawberry.field(
        description="When it was undone; null while it holds."
    )
    undone_by: Actor | None = strawberry.field(description="Who has undone it.")
    user_id: Private[UUID]
    from_group_id: Private[UUID]
    to_group_id: Private[UUID]

    @classmethod
    @override
    def derive(cls, row: Any) -> dict[str, Any]:
        return {
            "created_by": Actor.of(row.created_by),
            "undone_by": Actor.of(row.undone_by) if row.undone_by else None,
        }

    @strawberry.field(description="The student.", permission_classes=[Permitted])
    async def user(
        self, info: Info
    ) -> Annotated["User", strawberry.lazy("api.graphql.roster")] | None:
        return cast("User | None", await _find(info, RecordType.USER, self.tenant_id, self.user_id))

    @strawberry.field(description="The group that it came from.", permission_classes=[Permitted])
    async def from_group(
        self, info: Info
    ) -> Annotated["Group", strawberry.lazy("api.graphql.roster")] | None:
        return cast(
            "Group | None", await _find(info, RecordType.GROUP, self.tenant_id, self.from_group_id)
        )

    @strawberry.field(description="The group that has it.", permission_classes=[Permitted])
    async def to_group(
        self, info: Info
    ) -> Annotated["Group", strawberry.lazy("api.graphql.roster")] | None:
        return cast(
            "Group | None", await _find(info, RecordType.GROUP, self.tenant_id, self.to_group_id)
        )


@dataclass(frozen=True, slots=True)
class CarriesOf(NestedListing):
    """What was carried of users' progress, the latest first."""

    undone: bool | None

    @override
    def statement(self, tenant_id: UUID, owner: Sequence[ColumnElement[UUID]]) -> Select[Any]:
        row = models.ProgressCarry
        statement = ProgressCarry.statement(tenant_id).where(row.user_id == owner[0])
        if self.undone is None:
            return statement
        is_undone = row.undone_at.is_not(None) if self.undone else row.undone_at.is_(None)
        return statement.where(is_undone)

    @override
    def sorting(self) -> Sorting:
        return Sorting.by([], models.ProgressCarry.id, OrderDirection.DESC)


Filter = Annotated[
    ProgressFilter | None, strawberry.argument(description="Which progress is wanted.")
]
Undone = Annotated[
    bool | None,
    strawberry.argument(description="Those that hold (false), were undone (true), or all (null)."),
]


async def progress_of(
    parent: strawberry.Parent[Node], info: Info, page: PageArguments, filter: Filter = None
) -> Connection[Progress]:
    """For the types User and Group."""
    chosen = filter or ProgressFilter()
    name = "user_id" if parent.type_code == TYPE_CODES[RecordType.USER] else "group_id"
    listing = ProgressOf(name, chosen.school_year, chosen.current)
    owner = (parent.tenant_id, (parent.key,))
    return await connect_nested(info, listing, page, of=owner, make=Progress.of)


async def carries_of(
    parent: strawberry.Parent[Node], info: Info, page: PageArguments, undone: Undone = None
) -> Connection[ProgressCarry]:
    owner = (parent.tenant_id, (parent.key,))
    return await connect_nested(info, CarriesOf(undone), page, of=owner, make=ProgressCarry.of)
