"""What tests of progress need: a tenant with classes, results, and what is stored of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg

from domain.clock import new_id, utc_now
from domain.database import Database
from domain.people.callers import COMMAND_LINE
from domain.training.carrying import Carrying, carry_over, undo_carries
from domain.training.models import CarryMode
from domain.training.recording import Event, Recorded, record_results
from tests.api.graphql.seed import add_group, add_membership, add_school, add_tenant, add_user

Totals = Mapping[tuple[UUID, UUID], tuple[Any, ...]]


@dataclass(frozen=True)
class Classes:
    """A tenant with a school. `see` is the superuser's connection."""

    api: Database
    see: asyncpg.Connection
    tenant_id: UUID
    school_id: UUID

    async def group(self, **values: Any) -> UUID:
        return await add_group(self.see, self.tenant_id, self.school_id, **values)

    async def student(self, *groups: UUID, **values: Any) -> UUID:
        user_id = await add_user(self.see, self.tenant_id, schools=[self.school_id], **values)
        for group_id in groups:
            await add_membership(self.see, self.tenant_id, user_id, group_id)
        return user_id

    async def leave(self, user_id: UUID, group_id: UUID) -> None:
        await self.see.execute(
            "UPDATE memberships SET archived_at = now() WHERE user_id = $1 AND group_id = $2",
            user_id,
            group_id,
        )

    async def record(self, *events: Event, now: datetime | None = None) -> Recorded:
        async with self.api.transaction(self.tenant_id) as session:
            return await record_results(session, self.tenant_id, events, now=now or utc_now())

    async def carry(
        self,
        source: UUID,
        target: UUID,
        user_ids: Sequence[UUID] | None,
        mode: CarryMode = CarryMode.MOVE,
    ) -> list[UUID]:
        asked = Carrying(source, target, user_ids, mode)
        async with self.api.transaction(self.tenant_id) as session:
            return await carry_over(session, self.tenant_id, asked, COMMAND_LINE)

    async def undo(self, *carry_ids: UUID) -> None:
        async with self.api.transaction(self.tenant_id) as session:
            await undo_carries(session, self.tenant_id, carry_ids, COMMAND_LINE)

    async def totals(self, *names: str) -> Totals:
        """Columns of all progress, by user and group, years joined by adding up."""
        columns = names or ("lessons", "seconds")
        rows = await self.see.fetch(
            f"SELECT user_id, group_id, {', '.join(f'sum({name})' for name in columns)}"  # noqa: S608
            " FROM progress GROUP BY 1, 2"
        )
        return {(row[0], row[1]): tuple(row)[2:] for row in rows}

    async def rows(self) -> list[str]:
        """All progress, to the last byte."""
        return [row[0] for row in await self.see.fetch("SELECT p::text FROM progress p ORDER BY 1")]


async def new_classes(api: Database, see: asyncpg.Connection, slug: str = "alpha") -> Classes:
    tenant_id = await add_tenant(see, slug)
    return Classes(api, see, tenant_id, await add_school(see, tenant_id))


def result(user_id: UUID, group_id: UUID | None, **values: Any) -> Event:
    """A lesson of five minutes, an hour ago."""
    given = {
        "event_id": str(new_id()),
        "occurred_at": utc_now() - timedelta(hours=1),
        "lessons": 1,
        "seconds": 300,
    }
    for name in ("speed", "accuracy"):
        if name in values:
            given[name] = Decimal(str(values.pop(name)))
    return Event(user_id=user_id, group_id=group_id, **given | values)
