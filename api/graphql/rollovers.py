"""School years: the one that is under way, and the declared days on which one begins."""

from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

import strawberry

from api.graphql.context import Info
from api.graphql.described import describe
from api.graphql.errors import UserError, user_errors
from api.graphql.permissions import Permitted
from api.graphql.run_parts import Actor
from api.graphql.syncs import SyncRun
from api.graphql.targets import INPUT, tenant_of
from domain.clock import utc_now
from domain.errors import DomainError
from domain.sync.year_limits import request_year_preflight
from domain.tenants.service import check_time_zone, get_tenant
from domain.training import models
from domain.training.rollover import (
    APART,
    FURTHEST,
    LATEST,
    MOST_DAYS,
    MOST_LISTED,
    USUAL,
    RolloverState,
    Window,
    cancel_rollover,
    closes_on,
    declared_days,
    list_rollovers,
    opens_on,
    school_year_on,
    set_rollover,
    state_of,
    today_of,
)

describe(
    RolloverState,
    "Where the window around a declared day lies.",
    UPCOMING="It has not begun.",
    OPEN="A run may do more unasked today.",
    OVER="It is past.",
    CANCELLED="The day was taken back.",
)
LISTED = (
    "The days on which a school year was declared to begin, the latest first, at most"
    f" {MOST_LISTED}."
)
_ARCHIVES = "This percentage of the people may be archived unasked, and all groups and memberships"
_UPDATES = "This percentage of them may be updated unasked"
_REFUSED = "Why it was refused; empty where it was not."


@strawberry.type(description="A school year.")
class SchoolYear:
    year: int = strawberry.field(
        description="The calendar year in which it began: 2026 is 2026/27. Progress is counted by "
        "it."
    )
    starts_on: date = strawberry.field(description="Its first day, in the tenant's time zone.")
    ends_on: date = strawberry.field(description="Its last day.")


@strawberry.type(
    description="A day on which a school year begins, and how much a run may do unasked around it."
)
class YearRollover:
    rolls_on: date = strawberry.field(
        description="The first day of the school year, in the tenant's time zone."
    )
    state: RolloverState = strawberry.field(description="Where its window lies.")
    opens_on: date = strawberry.field(description="The first day of the window.")
    closes_on: date = strawberry.field(description="The last day of the window.")
    archive_percent: int = strawberry.field(
        description=f"{_ARCHIVES}, where the tenant's own limit is not wider."
    )
    update_percent: int = strawberry.field(
        description=f"{_UPDATES}, where the tenant's own limit is not wider."
    )
    declared_at: datetime = strawberry.field(description="When it was last set.")
    declared_by: Actor = strawberry.field(description="Who set it.")
    cancelled_at: datetime | None = strawberry.field(
        description="When it was taken back; null where it holds."
    )
    cancelled_by: Actor | None = strawberry.field(
        description="Who took it back; null where it holds."
    )

    @classmethod
    def of(cls, row: models.YearRollover, *, today: date) -> "YearRollover":
        return cls(
            rolls_on=row.rolls_on,
            state=state_of(row, today),
            opens_on=opens_on(row),
            closes_on=closes_on(row),
            archive_percent=row.archive_percent,
            update_percent=row.update_percent,
            declared_at=row.declared_at,
            declared_by=Actor.of(row.declared_by),
            cancelled_at=row.cancelled_at,
            cancelled_by=Actor.of(row.cancelled_by) if row.cancelled_by else None,
        )


async def rollovers_of(info: Info, tenant_id: UUID, time_zone: str) -> list[YearRollover]:
    today = utc_now().astimezone(check_time_zone(time_zone)).date()
    rows = await info.context.loaders.of(list_rollovers).load((tenant_id, tenant_id))
    return [YearRollover.of(row, today=today) for row in rows or ()]


async def school_year_of(info: Info, tenant_id: UUID, time_zone: str) -> SchoolYear:
    today = utc_now().astimezone(check_time_zone(time_zone)).date()
    declared = await info.context.loaders.of(declared_days).load((tenant_id, tenant_id))
    return SchoolYear(**school_year_on(today, declared or ())._asdict())


@strawberry.input(description="The day on which a school year begins.")
class YearRolloverSetInput:
    tenant_id: strawberry.ID = strawberry.field(description="The tenant's id.")
    rolls_on: date = strawberry.field(
        description="The first day of the school year, in the tenant's time zone: at most "
        f"{FURTHEST.days} days ahead or {LATEST.days} days past, one in a calendar year, and more "
        f"than {APART.days} days from another one. Of a day that is declared already the window "
        "is set anew."
    )
    days_before: int = strawberry.field(
        default=USUAL.days_before,
        description=f"How many days before it the window begins, at most {MOST_DAYS}.",
    )
    days_after: int = strawberry.field(
        default=USUAL.days_after,
        description=f"How many days after it the window ends, at most {MOST_DAYS}.",
    )
    archive_percent: int = strawberry.field(
        default=USUAL.archive_percent, description=f"{_ARCHIVES} in the window."
    )
    update_percent: int = strawberry.field(
        default=USUAL.update_percent, description=f"{_UPDATES} in the window."
    )


@strawberry.type(description="The day as it is now.")
class YearRolloverSetPayload:
    year_rollover: YearRollover | None = strawberry.field(
        default=None, description="The day and its window; null where it was refused."
    )
    user_errors: list[UserError] = strawberry.field(default_factory=list, description=_REFUSED)


@strawberry.input(description="The day that is taken back.")
class YearRolloverCancelInput:
    tenant_id: strawberry.ID = strawberry.field(description="The tenant's id.")
    rolls_on: date = strawberry.field(description="The day as it was declared.")


@strawberry.type(description="The day that was taken back.")
class YearRolloverCancelPayload:
    year_rollover: YearRollover | None = strawberry.field(
        default=None, description="The day, cancelled; null where it was refused."
    )
    user_errors: list[UserError] = strawberry.field(default_factory=list, description=_REFUSED)


@strawberry.input(description="For which tenant the new year is tried out.")
class YearRolloverPreflightInput:
    tenant_id: strawberry.ID = strawberry.field(description="The tenant's id.")


@strawberry.type(description="The preflight that was asked for.")
class YearRolloverPreflightPayload:
    sync_run: SyncRun | None = strawberry.field(
        default=None, description="The run, waiting or under way; null where none was started."
    )
    joined: bool = strawberry.field(
        default=False, description="Whether the run was there already and has been joined."
    )
    user_errors: list[UserError] = strawberry.field(default_factory=list, description=_REFUSED)


@strawberry.type
class RolloverMutation:
    @strawberry.mutation(
        description="Declares the day on which a school year begins. Around it a run may do more "
        "unasked; from it on, default groups that were chosen before do not count, and progress "
        "counts for the new year.",
        permission_classes=[Permitted],
    )
    async def year_rollover_set(
        self, info: Info, input: Annotated[YearRolloverSetInput, INPUT]
    ) -> YearRolloverSetPayload:
        window = Window(
            input.days_before, input.days_after, input.archive_percent, input.update_percent
        )
        try:
            declared = await _change(
                info, input.tenant_id, set_rollover, rolls_on=input.rolls_on, window=window
            )
        except DomainError as error:
            return YearRolloverSetPayload(user_errors=user_errors(error))
        return YearRolloverSetPayload(year_rollover=declared)

    @strawberry.mutation(
        description="Takes back a declared day: as if the school year did not begin on it.",
        permission_classes=[Permitted],
    )
    async def year_rollover_cancel(
        self, info: Info, input: Annotated[YearRolloverCancelInput, INPUT]
    ) -> YearRolloverCancelPayload:
        try:
            cancelled = await _change(
                info, input.tenant_id, cancel_rollover, rolls_on=input.rolls_on
            )
        except DomainError as error:
            return YearRolloverCancelPayload(user_errors=user_errors(error))
        return YearRolloverCancelPayload(year_rollover=cancelled)

    @strawberry.mutation(
        description="Starts a preflight that is judged by the limits around the day on which the "
        "next school year begins, today already: it shows what would change and what would wait.",
        permission_classes=[Permitted],
    )
    async def year_rollover_preflight(
        self, info: Info, input: Annotated[YearRolloverPreflightInput, INPUT]
    ) -> YearRolloverPreflightPayload:
        context = info.context
        context.loaders.forget()
        try:
            tenant_id = tenant_of(input.tenant_id, context.caller)
            async with context.database.transaction(tenant_id) as session:
                requested = await request_year_preflight(
                    session, tenant_id=tenant_id, caller=context.caller, now=utc_now()
                )
        except DomainError as error:
            return YearRolloverPreflightPayload(user_errors=user_errors(error))
        return YearRolloverPreflightPayload(
            sync_run=SyncRun.of(requested.run), joined=requested.joined
        )


async def _change(info: Info, id: strawberry.ID, change: Any, **values: Any) -> YearRollover:
    context, now = info.context, utc_now()
    context.loaders.forget()
    tenant_id = tenant_of(id, context.caller)
    async with context.database.transaction(tenant_id) as session:
        tenant = await get_tenant(session, tenant_id=tenant_id)
        row = await change(session, tenant_id=tenant_id, caller=context.caller, now=now, **values)
        return YearRollover.of(row, today=today_of(tenant, now))
