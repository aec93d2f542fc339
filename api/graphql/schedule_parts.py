"""What is told of a schedule: its rhythm, its blackouts, its next runs."""

from collections.abc import Sequence
from datetime import date, datetime, time
from typing import Any, Self
from uuid import UUID

import strawberry

from api.graphql.context import Info
from domain.integrations import models
from domain.integrations.rhythms import GivenBlackout, list_blackouts, rhythm_of
from domain.integrations.schedule import next_runs
from domain.integrations.schedules import Planned

_RUNS = 3


@strawberry.type(description="Days on which nothing starts by schedule, in its time zone.")
class Blackout:
    starts_on: date = strawberry.field(description="The first day.")
    ends_on: date = strawberry.field(description="The last day.")
    reason: str = strawberry.field(description="Why, as whoever set it says.")


@strawberry.type(description="When an integration syncs by itself.")
class SyncSchedule:
    local_time: time = strawberry.field(description="The time of day, in the time zone.")
    every_days: int = strawberry.field(description="Every so many days; 1 is every night.")
    first_on: date = strawberry.field(description="The day from which the days are counted.")
    spread_minutes: int = strawberry.field(
        description="Over how many minutes after the local time the nights of tenants are spread."
    )
    next_due_at: datetime | None = strawberry.field(
        description="The next instant at which a run is asked for; null while nothing is due."
    )
    time_zone: str = strawberry.field(
        description="The IANA time zone: the schedule's own, or else the tenant's."
    )
    row: strawberry.Private[models.SyncSchedule]
    tenant_zone: strawberry.Private[str]
    known: strawberry.Private[Sequence[GivenBlackout] | None] = None

    @classmethod
    def of(
        cls,
        row: models.SyncSchedule,
        tenant_zone: str,
        known: Sequence[GivenBlackout] | None = None,
    ) -> Self:
        return cls(
            local_time=row.local_time,
            every_days=row.every_days,
            first_on=row.first_on,
            spread_minutes=row.spread_minutes,
            next_due_at=row.next_due_at,
            time_zone=row.time_zone or tenant_zone,
            row=row,
            tenant_zone=tenant_zone,
            known=known,
        )

    @classmethod
    def planned(cls, planned: Planned) -> Self:
        return cls.of(planned.row, planned.rhythm.zone.key, planned.blackouts)

    @strawberry.field(description="When nothing starts, in the order of their days.")
    async def blackouts(self, info: Info) -> list[Blackout]:
        return [Blackout(**one._asdict()) for one in await self._blackouts(info)]

    @strawberry.field(
        description=f"The next {_RUNS} instants at which a run is asked for, as things stand now; "
        "empty while nothing is due."
    )
    async def next_runs(self, info: Info) -> list[datetime]:
        if self.next_due_at is None:
            return []
        days = [one[:2] for one in await self._blackouts(info)]
        rhythm = rhythm_of(self.row, time_zone=self.tenant_zone, blackouts=days)
        later = next_runs(rhythm, after=self.next_due_at, count=_RUNS - 1)
        return [self.next_due_at, *later]

    async def _blackouts(self, info: Info) -> Sequence[GivenBlackout]:
        if self.known is not None:
            return self.known
        key = (self.row.tenant_id, self.row.integration_id)
        return await info.context.loaders.of(list_blackouts).load(key) or []


def schedule_of(tenant_id: UUID, integration_id: UUID, row: Any) -> SyncSchedule | None:
    """Of a selection of both the schedule's columns and the tenant's zone."""
    if row.local_time is None:
        return None
    return SyncSchedule.of(
        models.SyncSchedule(
            tenant_id=tenant_id,
            integration_id=integration_id,
            local_time=row.local_time,
            every_days=row.every_days,
            first_on=row.first_on,
            spread_minutes=row.spread_minutes,
            next_due_at=row.next_due_at,
            time_zone=row.schedule_zone,
        ),
        row.time_zone,
    )
