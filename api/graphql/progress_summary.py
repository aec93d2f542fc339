"""How a tenant, a school, a group or a person is doing: numbers to draw charts of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from api.graphql.change_parts import TYPE_CODES
from api.graphql.context import Info
from api.graphql.node import TENANT_CODE, Node
from api.graphql.progress import shown
from domain.clock import utc_now
from domain.roster.records import RecordType
from domain.training.summaries import (
    ACCURACY_STEP,
    SPEED_STEP,
    Bucket,
    Reached,
    Summarised,
    Summary,
    summaries_of,
    this_school_year,
)

_LEVELS = {
    TENANT_CODE: Summarised.TENANT,
    TYPE_CODES[RecordType.SCHOOL]: Summarised.SCHOOL,
    TYPE_CODES[RecordType.GROUP]: Summarised.GROUP,
    TYPE_CODES[RecordType.USER]: Summarised.USER,
}


@strawberry.type(description="How many students reach a target.")
class TargetReach:
    students: int = strawberry.field(description="Those who reach it, in one of their groups.")
    of: int = strawberry.field(description="Those who have such a target and results to compare.")
    percent: float | None = strawberry.field(
        description="The first of the second; null where there is nobody to compare."
    )

    @classmethod
    def made(cls, found: Reached) -> "TargetReach":
        percent = round(100 * found.students / found.of, 2) if found.of else None
        return cls(students=found.students, of=found.of, percent=percent)


@strawberry.type(description="How many students have an average in a range: a bar of a chart.")
class ProgressBucket:
    low: int = strawberry.field(description="The lowest average in it.")
    high: int | None = strawberry.field(
        description="The end of it, which is the next one's begin; null where it has none."
    )
    students: int = strawberry.field(description="How many they are.")

    @classmethod
    def made(cls, found: Bucket) -> "ProgressBucket":
        return cls(low=found.low, high=found.high, students=found.students)


@strawberry.type(
    description="What was earned in a school year, each student counted once, and what was copied "
    "counted where it was earned."
)
class ProgressSummary:
    school_year: int = strawberry.field(
        description="The calendar year in which the school year began: 2026 is 2026/27."
    )
    students: int = strawberry.field(
        description="Live students; of an archived school or group, those who were in it."
    )
    students_with_progress: int = strawberry.field(description="Those who have earned anything.")
    without_target: int = strawberry.field(
        description="Those who have earned something where no target counts for them."
    )
    lessons: int = strawberry.field(description="Lessons that were done.")
    seconds: float = strawberry.field(
        description="Time that was spent: a whole number, which may be larger than an Int."
    )
    average_speed: float | None = strawberry.field(
        description="The average of the students' average speeds, in words per minute."
    )
    average_accuracy: float | None = strawberry.field(
        description="The average of the students' average accuracies, in percent."
    )
    last_active_at: datetime | None = strawberry.field(description="When somebody trained last.")
    at_speed_target: TargetReach = strawberry.field(
        description="Whose average speed in a group reaches the target that counts there."
    )
    at_accuracy_target: TargetReach = strawberry.field(
        description="Whose average accuracy in a group reaches the target that counts there."
    )
    at_both_targets: TargetReach = strawberry.field(description="Who reaches both in one group.")
    speed_distribution: list[ProgressBucket] = strawberry.field(
        description=f"Students by their average speed, in steps of {SPEED_STEP} words per minute."
    )
    accuracy_distribution: list[ProgressBucket] = strawberry.field(
        description=f"Students by their average accuracy, in steps of {ACCURACY_STEP} percent."
    )

    @classmethod
    def of(cls, found: Summary) -> "ProgressSummary":
        return cls(
            school_year=found.school_year,
            students=found.students,
            students_with_progress=found.with_progress,
            without_target=found.without_target,
            lessons=found.lessons,
            seconds=found.seconds,
            average_speed=shown(found.average_speed),
            average_accuracy=shown(found.average_accuracy),
            last_active_at=found.last_active_at,
            at_speed_target=TargetReach.made(found.speed),
            at_accuracy_target=TargetReach.made(found.accuracy),
            at_both_targets=TargetReach.made(found.both),
            speed_distribution=[ProgressBucket.made(bucket) for bucket in found.speeds],
            accuracy_distribution=[ProgressBucket.made(bucket) for bucket in found.accuracies],
        )


@dataclass(frozen=True, slots=True)
class SummariesOf:
    """The batch of a level's summaries; without a year, of the one that is under way."""

    level: Summarised
    school_year: int | None

    async def __call__(
        self, session: AsyncSession, tenant_id: UUID, ids: Sequence[UUID]
    ) -> Mapping[UUID, Summary]:
        year = self.school_year
        if year is None:
            year = await this_school_year(session, tenant_id, now=utc_now())
        return await summaries_of(session, tenant_id, self.level, ids, school_year=year)


SchoolYear = Annotated[
    int | None,
    strawberry.argument(
        description="The year in which the school year began; the one under way if left out."
    ),
]


async def progress_summary_of(
    parent: strawberry.Parent[Node], info: Info, school_year: SchoolYear = None
) -> ProgressSummary:
    """For the types Tenant, School, Group and User."""
    batch = SummariesOf(_LEVELS[parent.type_code], school_year)
    found = await info.context.loaders.of(batch).load((parent.tenant_id, parent.key))
    assert found is not None
    return ProgressSummary.of(found)
