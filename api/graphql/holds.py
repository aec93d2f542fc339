"""Holds: why something of a plan waits, what the tenant's limits are, and deciding."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import strawberry
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from api.graphql.node import encode_id
from api.graphql.roster import School
from api.graphql.run_parts import Actor
from domain.roster.records import RecordType
from domain.sync import models
from domain.sync.hold_words import describe_hold, describe_reason


@strawberry.type(description="Why something waits.")
class HoldReason:
    code: str = strawberry.field(description="What is unusual about the plan.")
    record_type: RecordType | None = strawberry.field(description="The kind of record.")
    count: int | None = strawberry.field(description="How many records it concerns.")
    of: int | None = strawberry.field(description="Out of how many.")
    value: str | None = strawberry.field(
        description="What of a sharing rule is not in the feed, or the role of those who would go."
    )
    school_id: strawberry.ID | None = strawberry.field(
        description="The school that it is about; null where it is about all of them."
    )
    message: str = strawberry.field(description="The reason in a sentence, and what to do.")


@strawberry.type(description="What of a plan waits for an administrator.")
class Hold:
    reasons: list[HoldReason] = strawberry.field(description="Why it waits.")
    applied: int = strawberry.field(description="How many changes of the plan were applied.")
    waiting: int = strawberry.field(
        description="How many changes wait; `changes(filter: {isWaiting: true})` lists them."
    )
    told: list[str] = strawberry.field(description="To which contacts a notice went.")
    message: str = strawberry.field(
        description="What was applied, what waits, who was told, and what the next run will do."
    )
    created_at: datetime = strawberry.field(description="Since when.")
    ended_at: datetime | None = strawberry.field(description="Until when; null while it waits.")
    ended_by: Actor | None = strawberry.field(description="Who or what ended it.")


async def holds_of_runs(
    session: AsyncSession, tenant_id: UUID, run_ids: Sequence[UUID]
) -> Mapping[UUID, Hold]:
    row, run = models.Hold, models.SyncRun
    rows = await session.execute(
        select(
            row.run_id,
            row.reasons,
            row.told,
            row.created_at,
            row.ended_at,
            row.ended_by,
            run.counts,
        )
        .join(run, (run.tenant_id == row.tenant_id) & (run.id == row.run_id))
        .where(row.tenant_id == tenant_id, row.run_id.in_(run_ids))
    )
    return {found.run_id: _hold(tenant_id, found) for found in rows}


def _hold(tenant_id: UUID, found: Any) -> Hold:
    words = describe_hold(found.counts, told=found.told, is_open=found.ended_at is None)
    return Hold(
        reasons=[reason_of(tenant_id, reason) for reason in found.reasons],
        applied=words.applied,
        waiting=words.waiting,
        told=found.told,
        message=words.message,
        created_at=found.created_at,
        ended_at=found.ended_at,
        ended_by=Actor.of(found.ended_by) if found.ended_by else None,
    )


def reason_of(tenant_id: UUID, reason: Mapping[str, Any]) -> HoldReason:
    kind, school_id = reason.get("record_type"), reason.get("school_id")
    return HoldReason(
        code=reason["code"],
        record_type=RecordType(kind) if kind else None,
        count=reason.get("count"),
        of=reason.get("of"),
        value=reason.get("value"),
        school_id=encode_id(School.type_code, tenant_id, UUID(school_id)) if school_id else None,
        message=describe_reason(reason),
    )
