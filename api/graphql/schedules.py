"""Schedules: when a tenant syncs by itself, pausing it, and who may ask for syncs beside it."""

from collections.abc import Sequence
from datetime import date, time
from typing import Annotated

import strawberry

from api.graphql.context import Info
from api.graphql.described import describe
from api.graphql.errors import UserError, user_errors
from api.graphql.integrations import Integration, find_integration_of
from api.graphql.permissions import Permitted
from api.graphql.schedule_parts import SyncSchedule
from api.graphql.targets import INPUT, tenant_of
from domain.clock import utc_now
from domain.errors import DomainError
from domain.integrations.models import OnDemand
from domain.integrations.rhythms import GivenBlackout
from domain.integrations.schedules import (
    LONGEST_BLACKOUT,
    MOST_BLACKOUTS,
    MOST_DAYS,
    MOST_SPREAD,
    SchedulePreset,
    ScheduleSetting,
    pause,
    resume,
    set_schedule,
)
from domain.sync.on_demand import LONGEST_COOLDOWN, set_on_demand

describe(
    SchedulePreset,
    "Schedules that products are used to.",
    NIGHT_UTC_MINUS_5="At 02:00, five hours behind UTC the whole year.",
    LOS_ANGELES_21="At 21:00 in Los Angeles.",
)
_SAME = "If left out, it stays as it is."


@strawberry.input(description="Days on which nothing starts by schedule.")
class BlackoutInput:
    starts_on: date = strawberry.field(description="The first day.")
    ends_on: date = strawberry.field(
        description=f"The last day; {LONGEST_BLACKOUT} days are the most."
    )
    reason: str = strawberry.field(default="", description="Why, for those who look at it later.")


@strawberry.input(description="When a tenant is to sync by itself.")
class SyncScheduleSetInput:
    tenant_id: strawberry.ID = strawberry.field(description="The tenant's id.")
    preset: SchedulePreset | None = strawberry.field(
        default=None, description="A time and a zone; what is said beside it goes before it."
    )
    local_time: time | None = strawberry.field(
        default=None, description=f"The time of day, to the minute. {_SAME}"
    )
    time_zone: str | None = strawberry.field(
        default=None, description=f"An IANA time zone; empty: the tenant's. {_SAME}"
    )
    every_days: int | None = strawberry.field(
        default=None, description=f"Every so many days, 1 to {MOST_DAYS}. {_SAME}"
    )
    first_on: date | None = strawberry.field(
        default=None, description=f"The day from which the days are counted. {_SAME}"
    )
    spread_minutes: int | None = strawberry.field(
        default=None,
        description="Over how many minutes after that time the nights of tenants are spread, 0 to"
        f" {MOST_SPREAD}; each tenant keeps its place. {_SAME}",
    )
    blackouts: list[BlackoutInput] | None = strawberry.field(
        default=None,
        description=f"All of them, at most {MOST_BLACKOUTS}: they take the place of the former "
        f"ones. {_SAME}",
    )
    preview: bool = strawberry.field(
        default=False, description="Only say what would come of it, and change nothing."
    )

    def setting(self) -> ScheduleSetting:
        blackouts: Sequence[GivenBlackout] | None = None
        if self.blackouts is not None:
            blackouts = [
                GivenBlackout(one.starts_on, one.ends_on, one.reason) for one in self.blackouts
            ]
        return ScheduleSetting(
            preset=self.preset,
            local_time=self.local_time,
            time_zone=self.time_zone,
            every_days=self.every_days,
            first_on=self.first_on,
            spread_minutes=self.spread_minutes,
            blackouts=blackouts,
        )


@strawberry.type(description="The schedule as it is now, or would be.")
class SyncScheduleSetPayload:
    schedule: SyncSchedule | None = strawberry.field(
        default=None, description="The schedule; null where it was refused."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty where it was not."
    )


@strawberry.input(description="Whose syncs are to pause.")
class IntegrationPauseInput:
    tenant_id: strawberry.ID = strawberry.field(description="The tenant's id.")


@strawberry.type(description="The integration as it is now.")
class IntegrationPausePayload:
    integration: Integration | None = strawberry.field(
        default=None, description="The integration; null where it was refused."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty where it was not."
    )


@strawberry.input(description="Whose syncs are to go on.")
class IntegrationResumeInput:
    tenant_id: strawberry.ID = strawberry.field(description="The tenant's id.")


@strawberry.type(description="The integration as it is now.")
class IntegrationResumePayload:
    integration: Integration | None = strawberry.field(
        default=None, description="The integration; null where it was refused."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty where it was not."
    )


@strawberry.input(description="Who may ask for syncs beside the schedule, and how often.")
class OnDemandSetInput:
    tenant_id: strawberry.ID = strawberry.field(description="The tenant's id.")
    policy: OnDemand | None = strawberry.field(default=None, description=f"Who. {_SAME}")
    cooldown_minutes: int | None = strawberry.field(
        default=None,
        description=f"So long after such a sync none of its mode, 0 to {LONGEST_COOLDOWN}. {_SAME}",
    )


@strawberry.type(description="The integration as it is now.")
class OnDemandSetPayload:
    integration: Integration | None = strawberry.field(
        default=None, description="The integration; null where it was refused."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty where it was not."
    )


@strawberry.type
class ScheduleMutation:
    @strawberry.mutation(
        description="Sets when a tenant syncs by itself, or shows the next runs before it is saved "
        "(`preview`). Runs that are under way go on.",
        permission_classes=[Permitted],
    )
    async def sync_schedule_set(
        self, info: Info, input: Annotated[SyncScheduleSetInput, INPUT]
    ) -> SyncScheduleSetPayload:
        context = info.context
        context.loaders.forget()
        try:
            tenant_id = tenant_of(input.tenant_id, context.caller)
            async with context.database.transaction(tenant_id) as session:
                planned = await set_schedule(
                    session,
                    tenant_id=tenant_id,
                    setting=input.setting(),
                    caller=context.caller,
                    now=utc_now(),
                    is_preview=input.preview,
                )
        except DomainError as error:
            return SyncScheduleSetPayload(user_errors=user_errors(error))
        return SyncScheduleSetPayload(schedule=SyncSchedule.planned(planned))

    @strawberry.mutation(
        description="Pauses a tenant's syncs: none starts until they are resumed. One that is "
        "under way goes on, and everything stays as it is.",
        permission_classes=[Permitted],
    )
    async def integration_pause(
        self, info: Info, input: Annotated[IntegrationPauseInput, INPUT]
    ) -> IntegrationPausePayload:
        context = info.context
        context.loaders.forget()
        try:
            tenant_id = tenant_of(input.tenant_id, context.caller)
            async with context.database.transaction(tenant_id) as session:
                await pause(session, tenant_id=tenant_id, caller=context.caller)
        except DomainError as error:
            return IntegrationPausePayload(user_errors=user_errors(error))
        return IntegrationPausePayload(integration=await find_integration_of(info, tenant_id))

    @strawberry.mutation(
        description="Goes on with a tenant's syncs, from the next night of the schedule on: after "
        "a pause, or where syncs were given up since they had failed for weeks.",
        permission_classes=[Permitted],
    )
    async def integration_resume(
        self, info: Info, input: Annotated[IntegrationResumeInput, INPUT]
    ) -> IntegrationResumePayload:
        context = info.context
        context.loaders.forget()
        try:
            tenant_id = tenant_of(input.tenant_id, context.caller)
            async with context.database.transaction(tenant_id) as session:
                await resume(session, tenant_id=tenant_id, caller=context.caller, now=utc_now())
        except DomainError as error:
            return IntegrationResumePayload(user_errors=user_errors(error))
        return IntegrationResumePayload(integration=await find_integration_of(info, tenant_id))

    @strawberry.mutation(
        description="Sets who may ask for syncs beside the schedule, and how soon again. For "
        "operators, whom it does not bind.",
        permission_classes=[Permitted],
    )
    async def on_demand_set(
        self, info: Info, input: Annotated[OnDemandSetInput, INPUT]
    ) -> OnDemandSetPayload:
        context = info.context
        context.loaders.forget()
        try:
            tenant_id = tenant_of(input.tenant_id, context.caller)
            async with context.database.transaction(tenant_id) as session:
                await set_on_demand(
                    session,
                    tenant_id=tenant_id,
                    policy=input.policy,
                    cooldown_minutes=input.cooldown_minutes,
                    caller=context.caller,
                )
        except DomainError as error:
            return OnDemandSetPayload(user_errors=user_errors(error))
        return OnDemandSetPayload(integration=await find_integration_of(info, tenant_id))
