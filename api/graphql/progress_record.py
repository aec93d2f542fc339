"""Recording results: the training application's own mutation."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import strawberry

from api.graphql.change_parts import TYPE_CODES
from api.graphql.context import Info
from api.graphql.described import describe
from api.graphql.errors import UserError, user_errors
from api.graphql.node import find_id
from api.graphql.permissions import Permitted
from api.graphql.targets import INPUT, tenant_of
from domain.clock import utc_now
from domain.errors import DomainError
from domain.roster.records import RecordType
from domain.tenants.service import get_tenant
from domain.training.recording import (
    MOST_ACCURACY,
    MOST_EVENTS,
    MOST_ID,
    MOST_LESSONS,
    MOST_SECONDS,
    MOST_SPEED,
    OLDEST,
    Event,
    Rejection,
    RejectionCode,
    record_results,
    require_batch,
)

describe(
    RejectionCode,
    "Why an event was not counted.",
    name="ProgressRejectionCode",
    INVALID="A value of it is wrong; see the message.",
    TOO_OLD=f"It occurred more than {OLDEST.days} days ago.",
    IN_FUTURE="It occurred more than a day ahead.",
    USER_NOT_FOUND="There is no such person in the tenant.",
    NO_DEFAULT_GROUP="It names no group, and nobody knows in which one the person lands.",
    NOT_A_MEMBER="The person is not in this group and never was.",
)
_NOBODY = UUID(int=0)
"""Stands for an id that names nothing of the tenant."""


@strawberry.input(description="What somebody did.")
class ProgressEventInput:
    event_id: str = strawberry.field(
        description="Your own id of the event, unique in the tenant: the same one again counts "
        f"nothing. 1 to {MOST_ID} characters."
    )
    user_id: strawberry.ID = strawberry.field(description="The person's id.")
    group_id: strawberry.ID | None = strawberry.field(
        default=None,
        description="The id of the group, which the person is or was in. Left out: the group that "
        "the person lands in.",
    )
    occurred_at: datetime = strawberry.field(
        description=f"When, with a time zone: at most {OLDEST.days} days ago, or a day ahead."
    )
    lessons: int = strawberry.field(
        default=0, description=f"Lessons that were done: 0 to {MOST_LESSONS}."
    )
    seconds: int = strawberry.field(
        default=0, description=f"Time that was spent: 0 to {MOST_SECONDS}."
    )
    speed: float | None = strawberry.field(
        default=None, description=f"The speed, in words per minute: 0 to {MOST_SPEED}."
    )
    accuracy: float | None = strawberry.field(
        default=None, description=f"The accuracy, in percent: 0 to {MOST_ACCURACY}."
    )

    def read(self, tenant_id: UUID) -> Event:
        group_id = None
        if self.group_id is not None:
            group_id = _key_of(self.group_id, TYPE_CODES[RecordType.GROUP], tenant_id)
        return Event(
            event_id=self.event_id,
            user_id=_key_of(self.user_id, TYPE_CODES[RecordType.USER], tenant_id),
            group_id=group_id,
            occurred_at=self.occurred_at,
            lessons=self.lessons,
            seconds=self.seconds,
            speed=_number(self.speed),
            accuracy=_number(self.accuracy),
        )


def _key_of(id: str, code: str, tenant_id: UUID) -> UUID:
    found = find_id(id)
    if found is None or (found.code, found.tenant_id) != (code, tenant_id):
        return _NOBODY
    return found.key


def _number(value: float | None) -> Decimal | None:
    """To two places, as it is stored."""
    return None if value is None else Decimal(f"{value:.2f}")


@strawberry.input(description="A batch of events.")
class ProgressRecordInput:
    tenant_id: strawberry.ID = strawberry.field(description="The tenant's id.")
    events: list[ProgressEventInput] = strawberry.field(
        description=f"The events: 1 to {MOST_EVENTS}."
    )


@strawberry.type(description="An event that was not counted, and why.")
class ProgressRejection:
    index: int = strawberry.field(description="Its place in the batch; the first is 0.")
    event_id: str = strawberry.field(description="Its own id.")
    code: RejectionCode = strawberry.field(description="The reason, for machines.")
    message: str = strawberry.field(description="The reason in a sentence.")

    @classmethod
    def listed(cls, rejected: Sequence[Rejection]) -> "list[ProgressRejection]":
        return [
            cls(index=one.position, event_id=one.event_id, code=one.code, message=one.message)
            for one in rejected
        ]


@strawberry.type(description="What became of a batch.")
class ProgressRecordPayload:
    counted: int = strawberry.field(default=0, description="How many events were counted.")
    repeated: int = strawberry.field(
        default=0, description="How many had been counted before, or stand in the batch twice."
    )
    rejected: list[ProgressRejection] = strawberry.field(
        default_factory=list, description="The others: they may be corrected and sent again."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why the batch was refused; empty where it was not."
    )


@strawberry.type
class ProgressRecordMutation:
    @strawberry.mutation(
        description="Records results. Each event counts once, however often it is sent, and one "
        "that is wrong keeps no other one from being counted.",
        permission_classes=[Permitted],
    )
    async def progress_record(
        self, info: Info, input: Annotated[ProgressRecordInput, INPUT]
    ) -> ProgressRecordPayload:
        context = info.context
        context.loaders.forget()
        try:
            tenant_id = tenant_of(input.tenant_id, context.caller)
            async with context.database.transaction(tenant_id) as session:
                await get_tenant(session, tenant_id=tenant_id)
                require_batch(input.events)
                events = [event.read(tenant_id) for event in input.events]
                found = await record_results(session, tenant_id, events, now=utc_now())
        except DomainError as error:
            return ProgressRecordPayload(user_errors=user_errors(error))
        return ProgressRecordPayload(
            counted=found.counted,
            repeated=found.repeated,
            rejected=ProgressRejection.listed(found.rejected),
        )
