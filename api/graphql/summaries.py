"""The subscription summary: how a tenant is doing, for many tenants in one statement."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession
from strawberry import Private

from api.graphql.context import Info
from api.graphql.node import encode_id, load
from api.graphql.roster import School
from api.graphql.syncs import SyncRun
from domain.tenants.models import LicenceOrder, SubscriptionKind
from domain.tenants.service import LicenceSettings, list_licence_settings, list_summaries


@strawberry.type(description="How many licences a subscription has.")
class Licences:
    used: int = strawberry.field(
        description="Live students who are eligible and whose accounts are enabled."
    )
    limit: int | None = strawberry.field(description="How many there may be; null for no limit.")
    tenant_id: Private[UUID]

    @strawberry.field(
        description="How many would be used after the next sync, as the last preflight has "
        "counted; null where a sync has been applied since, or there was none."
    )
    async def forecast(self, info: Info) -> int | None:
        return (await self._settings(info)).forecast

    @strawberry.field(description="Who gets one first where there are too few.")
    async def order(self, info: Info) -> LicenceOrder:
        return (await self._settings(info)).order

    @strawberry.field(
        description="The ids of the schools whose students come first, in their order."
    )
    async def school_ids(self, info: Info) -> list[strawberry.ID]:
        keys = (await self._settings(info)).school_ids
        return [encode_id(School.type_code, self.tenant_id, key) for key in keys]

    async def _settings(self, info: Info) -> LicenceSettings:
        loader = info.context.loaders.across_tenants(list_licence_settings)
        found = await loader.load(self.tenant_id)
        return found or LicenceSettings(LicenceOrder.CREATED, (), None)


@strawberry.type(description="How a subscription is doing.")
class SubscriptionSummary:
    kind: SubscriptionKind | None = strawberry.field(description="What kind of contract it is.")
    licences: Licences = strawberry.field(description="Its licences.")
    next_sync_at: datetime | None = strawberry.field(
        description="When the next sync is due; null while none is."
    )
    go_live_on: date | None = strawberry.field(
        description="From which day people may sign in, in the tenant's time zone."
    )
    open_errors: int = strawberry.field(description="How many validation errors are open.")
    tenant_id: Private[UUID]
    last_run_id: Private[UUID | None]
    last_successful_run_id: Private[UUID | None]

    @strawberry.field(description="The run that ended last, however it ended.")
    async def last_sync(self, info: Info) -> SyncRun | None:
        return await _find_run(info, self.tenant_id, self.last_run_id)

    @strawberry.field(description="The last full or delta run that was applied.")
    async def last_successful_sync(self, info: Info) -> SyncRun | None:
        return await _find_run(info, self.tenant_id, self.last_successful_run_id)


async def _find_run(info: Info, tenant_id: UUID, run_id: UUID | None) -> SyncRun | None:
    return None if run_id is None else await load(info, SyncRun, tenant_id, run_id)


async def summaries_of_tenants(
    session: AsyncSession, tenant_ids: Sequence[UUID]
) -> Mapping[UUID, SubscriptionSummary]:
    rows: Mapping[UUID, Any] = await list_summaries(session, tenant_ids=tenant_ids)
    return {
        tenant_id: SubscriptionSummary(
            kind=SubscriptionKind(row.kind) if row.kind else None,
            licences=Licences(used=row.licences_used, limit=row.licence_limit, tenant_id=tenant_id),
            next_sync_at=row.next_sync_at,
            go_live_on=row.go_live_on,
            open_errors=row.open_errors,
            tenant_id=tenant_id,
            last_run_id=row.last_run_id,
            last_successful_run_id=row.last_successful_run_id,
        )
        for tenant_id, row in rows.items()
    }
