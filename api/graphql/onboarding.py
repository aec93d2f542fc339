"""Onboarding requests: districts that share with the product, whether connected or not yet."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import strawberry
from sqlalchemy import Uuid, column, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from strawberry import Private

from api.graphql.connection import Connection, Listing, connect
from api.graphql.context import Info
from api.graphql.cursors import scope_of
from api.graphql.pages import OrderDirection, PageArguments, Paged, Sorting
from api.graphql.permissions import Permitted
from api.graphql.tenant_lists import columns_of
from api.graphql.tenants import Tenant
from domain.integrations import models
from domain.roster.source import Provider
from domain.tenants.models import Tenant as TenantRow


@strawberry.type(
    description="A district that shares its roster with this product at a provider, as the "
    "provider's own list says. The lists are read once an hour."
)
class OnboardingRequest:
    provider: Provider = strawberry.field(description="The provider.")
    external_id: str = strawberry.field(
        description="Clever's id of the district, or ClassLink's id of the tenant."
    )
    name: str = strawberry.field(
        description="The district's name at the provider; the id where the name is not known."
    )
    first_seen_at: datetime = strawberry.field(description="When it was listed first.")
    last_seen_at: datetime = strawberry.field(description="When it was listed last.")
    is_shared: bool = strawberry.field(
        description="Whether it is listed still: false once the district has ended its sharing."
    )
    tenant_id: Private[UUID | None]

    @strawberry.field(
        description="The tenant that is connected to it; null until one is, or where that tenant "
        "does not say which district is its own."
    )
    async def tenant(self, info: Info) -> Tenant | None:
        if self.tenant_id is None:
            return None
        return await info.context.loaders.across_tenants(tenants_by_id).load(self.tenant_id)

    @classmethod
    def of(cls, row: Any) -> "OnboardingRequest":
        return cls(
            provider=row.provider,
            external_id=row.external_id,
            name=row.name,
            first_seen_at=row.first_seen_at,
            last_seen_at=row.last_seen_at,
            is_shared=row.is_shared,
            tenant_id=row.tenant_id,
        )


async def tenants_by_id(session: AsyncSession, tenant_ids: Sequence[UUID]) -> Mapping[UUID, Tenant]:
    """Of many tenants in one statement, by the audited function for operators."""
    table = func.list_tenants().table_valued(
        *(column(known.name, known.type) for known in TenantRow.__table__.columns)
    )
    row: Any = table.alias("tenants").c
    rows = await session.execute(select(*columns_of(row)).where(row.id.in_(tenant_ids)))
    return {found.id: Tenant.of(found) for found in rows}


@strawberry.input(description="Which onboarding requests are wanted; all conditions hold together.")
class OnboardingRequestFilter:
    provider: Provider | None = strawberry.field(
        default=None, description="Only those at this provider."
    )
    is_shared: bool | None = strawberry.field(
        default=None, description="Only those that are shared still, or only those that are not."
    )
    is_connected: bool | None = strawberry.field(
        default=None, description="Only those with a tenant, or only those without."
    )


def onboarding_requests(filter: OnboardingRequestFilter | None) -> Listing:
    """By an audited function: which tenant is connected, no one tenant may see."""
    known = models.OnboardingRequest.__table__.columns
    table = func.list_onboarding_requests().table_valued(
        *(column(one.name, one.type) for one in known), column("tenant_id", Uuid)
    )
    row: Any = table.alias("onboarding_requests").c
    chosen = filter or OnboardingRequestFilter()
    statement = select(*row)
    if chosen.provider is not None:
        statement = statement.where(row.provider == chosen.provider)
    if chosen.is_shared is not None:
        statement = statement.where(row.is_shared.is_(chosen.is_shared))
    if chosen.is_connected is not None:
        statement = statement.where(row.tenant_id.is_not(None).is_(chosen.is_connected))
    return Listing(
        scope_of("onboardingRequests", chosen),
        None,
        statement,
        Sorting.by([row.first_seen_at], row.id, OrderDirection.DESC),
    )


@strawberry.type
class OnboardingQuery:
    @strawberry.field(
        description="The districts that share with this product, the latest first. For operators.",
        extensions=[Paged()],
        permission_classes=[Permitted],
    )
    async def onboarding_requests(
        self,
        info: Info,
        page: PageArguments,
        filter: Annotated[
            OnboardingRequestFilter | None,
            strawberry.argument(description="Which ones are wanted."),
        ] = None,
    ) -> Connection[OnboardingRequest]:
        listing = onboarding_requests(filter)
        return await connect(info, listing, page, OnboardingRequest.of)
