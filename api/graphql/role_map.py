"""Role maps: what people are whom the provider calls so and so."""

from collections.abc import Mapping, Sequence
from typing import Annotated
from uuid import UUID

import strawberry
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from api.graphql.context import Info
from api.graphql.errors import UserError, user_errors
from api.graphql.permissions import Permitted
from api.graphql.targets import INPUT, tenant_of
from domain.clock import utc_now
from domain.errors import DomainError
from domain.integrations import models
from domain.integrations.roles import (
    MOST_ENTRIES,
    check_role_map,
    merge_role_maps,
    set_role_map,
)
from domain.integrations.service import get_integration
from domain.providers import default_role_map
from domain.roster.records import Role
from domain.roster.source import Provider
from domain.tenants.service import get_tenant


@strawberry.type(description="The provider's word for a role, and what such people are here.")
class RoleMapEntry:
    provider_role: str = strawberry.field(description="The provider's word.")
    role: Role | None = strawberry.field(
        description="What they are here; null: they are left out and counted as ignored."
    )
    is_changed: bool = strawberry.field(
        description="Whether the tenant has set it: it is not the provider's usual one."
    )


def entries_of(provider: Provider, changes: Mapping[str, Role | None]) -> list[RoleMapEntry]:
    return [
        RoleMapEntry(**entry._asdict())
        for entry in merge_role_maps(default_role_map(provider), changes)
    ]


async def changes_of_integrations(
    session: AsyncSession, tenant_id: UUID, integration_ids: Sequence[UUID]
) -> Mapping[UUID, Mapping[str, Role | None]]:
    row = models.RoleMap
    rows = await session.execute(
        select(row.integration_id, row.provider_role, row.role).where(
            row.tenant_id == tenant_id, row.integration_id.in_(integration_ids)
        )
    )
    changes: dict[UUID, dict[str, Role | None]] = {}
    for integration_id, word, role in rows:
        changes.setdefault(integration_id, {})[word] = Role(role) if role else None
    return changes


@strawberry.input(description="What people are to be whom the provider calls so.")
class RoleMapEntryInput:
    provider_role: str = strawberry.field(description="The provider's word; its case is ignored.")
    role: Role | None = strawberry.field(
        default=None, description="What they are here; null leaves them out."
    )


@strawberry.input(description="What a tenant changes of its provider's usual roles.")
class RoleMapSetInput:
    tenant_id: strawberry.ID = strawberry.field(description="The tenant's id.")
    entries: list[RoleMapEntryInput] = strawberry.field(
        description=f"All changes, at most {MOST_ENTRIES}: they take the place of the former ones. "
        "Words that are not among them have their usual roles."
    )


@strawberry.type(description="The role map as it is now.")
class RoleMapSetPayload:
    entries: list[RoleMapEntry] = strawberry.field(
        default_factory=list, description="The whole map; empty where it was refused."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty where it was not."
    )


@strawberry.type
class RoleMapMutation:
    @strawberry.mutation(
        description="Sets what a tenant changes of its provider's usual roles. It holds from the "
        "next sync on.",
        permission_classes=[Permitted],
    )
    async def role_map_set(
        self, info: Info, input: Annotated[RoleMapSetInput, INPUT]
    ) -> RoleMapSetPayload:
        context = info.context
        context.loaders.forget()
        try:
            tenant_id = tenant_of(input.tenant_id, context.caller)
            changes = check_role_map([(entry.provider_role, entry.role) for entry in input.entries])
            async with context.database.transaction(tenant_id) as session:
                await get_tenant(session, tenant_id=tenant_id)
                integration = await get_integration(session, tenant_id=tenant_id)
                await set_role_map(
                    session,
                    tenant_id=tenant_id,
                    entries=changes,
                    caller=context.caller,
                    now=utc_now(),
                )
        except DomainError as error:
            return RoleMapSetPayload(user_errors=user_errors(error))
        return RoleMapSetPayload(entries=entries_of(integration.provider, changes))
