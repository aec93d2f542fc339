"""Creating a tenant and changing what it is about."""

from datetime import date
from typing import Annotated
from uuid import UUID

import strawberry

from api.graphql.context import Info
from api.graphql.errors import UserError, user_errors
from api.graphql.node import find_id, load
from api.graphql.permissions import Permitted
from api.graphql.roster import School
from api.graphql.targets import INPUT, tenant_of
from api.graphql.tenants import Tenant
from domain.clock import new_id, utc_now
from domain.errors import DomainError, InvalidInput
from domain.integrations.tenant_changes import (
    MOST_SCHOOLS,
    LicenceChanges,
    TenantChanges,
    set_licences,
    update_tenant,
)
from domain.tenants.models import LicenceOrder, SubscriptionKind, TenantStatus
from domain.tenants.service import DEFAULT_TIME_ZONE, create_tenant


@strawberry.input(description="A new tenant.")
class TenantCreateInput:
    slug: str = strawberry.field(
        description="Its short name in addresses: up to 63 lower-case letters, digits and inner "
        "hyphens."
    )
    name: str = strawberry.field(description="Its name: 1 to 200 characters.")
    display_name: str | None = strawberry.field(
        default=None, description="Its name as people see it at sign-in; the name if left out."
    )
    time_zone: str | None = strawberry.field(
        default=None,
        description=f"Its IANA time zone; {DEFAULT_TIME_ZONE} if left out.",
    )


@strawberry.type(description="The tenant that was created.")
class TenantCreatePayload:
    tenant: Tenant | None = strawberry.field(
        default=None, description="The tenant; null where none was created."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty where it was not."
    )


@strawberry.input(description="What of a tenant is another from now on; the rest stays as it is.")
class TenantUpdateInput:
    tenant_id: strawberry.ID = strawberry.field(description="The tenant's id.")
    name: str | None = strawberry.field(default=None, description="Its name: 1 to 200 characters.")
    display_name: str | None = strawberry.field(
        default=None, description="Its name as people see it at sign-in."
    )
    time_zone: str | None = strawberry.field(
        default=None, description="Its IANA time zone; its syncs move with it."
    )
    go_live_on: date | None = strawberry.field(
        default=None,
        description="From which day people may sign in, in the tenant's time zone. Until then "
        "rosters sync, and nobody but administrators signs in.",
    )
    remove_go_live_on: bool = strawberry.field(
        default=False, description="Whether that day is open again."
    )
    starts_on: date | None = strawberry.field(
        default=None, description="When the subscription begins; not after going live."
    )
    remove_starts_on: bool = strawberry.field(
        default=False, description="Whether that day is open again."
    )
    status: TenantStatus | None = strawberry.field(
        default=None, description="Whether it is in use. For operators."
    )
    kind: SubscriptionKind | None = strawberry.field(
        default=None, description="What kind of contract it is. For operators."
    )
    is_listed: bool | None = strawberry.field(
        default=None,
        description="Whether people who look for the place to sign in find it and its schools; "
        "who is not listed gives its people the address.",
    )


@strawberry.type(description="The tenant as it is now.")
class TenantUpdatePayload:
    tenant: Tenant | None = strawberry.field(
        default=None, description="The tenant; null where it was not changed."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty where it was not."
    )


@strawberry.input(
    description="How many licences there are and who gets one first; what is left out stays."
)
class LicencesSetInput:
    tenant_id: strawberry.ID = strawberry.field(description="The tenant's id.")
    limit: int | None = strawberry.field(
        default=None, description="How many students there may be. For operators."
    )
    remove_limit: bool = strawberry.field(
        default=False, description="Whether there may be any number. For operators."
    )
    order: LicenceOrder | None = strawberry.field(
        default=None, description="Who gets a licence first where there are too few."
    )
    school_ids: list[strawberry.ID] | None = strawberry.field(
        default=None,
        description="For SCHOOL_PRIORITY: the schools whose students come first, in their order, "
        f"at most {MOST_SCHOOLS}.",
    )


@strawberry.type(description="The tenant with its licences.")
class LicencesSetPayload(TenantUpdatePayload):
    pass


def _schools_of(ids: list[strawberry.ID] | None, tenant_id: UUID) -> list[UUID] | None:
    """Another tenant's school is answered like one that is not there."""
    if ids is None:
        return None
    keys = []
    for school_id in ids[: MOST_SCHOOLS + 1]:
        found = find_id(school_id)
        if found is None or found.code != School.type_code or found.tenant_id != tenant_id:
            raise InvalidInput("schoolIds", "There is no such school of this tenant.")
        keys.append(found.key)
    return keys


def _changes_of(input: TenantUpdateInput) -> TenantChanges:
    removed = {"go_live_on": input.remove_go_live_on, "starts_on": input.remove_starts_on}
    return TenantChanges(
        name=input.name,
        display_name=input.display_name,
        time_zone=input.time_zone,
        go_live_on=input.go_live_on,
        starts_on=input.starts_on,
        status=input.status,
        kind=input.kind,
        is_listed=input.is_listed,
        removes=frozenset(name for name, is_removed in removed.items() if is_removed),
    )


@strawberry.type
class TenantMutation:
    @strawberry.mutation(description="Creates a tenant, on trial.", permission_classes=[Permitted])
    async def tenant_create(
        self, info: Info, input: Annotated[TenantCreateInput, INPUT]
    ) -> TenantCreatePayload:
        context, tenant_id = info.context, new_id()
        context.loaders.forget()
        try:
            async with context.database.transaction(tenant_id) as session:
                await create_tenant(
                    session,
                    tenant_id=tenant_id,
                    slug=input.slug,
                    name=input.name,
                    display_name=input.display_name,
                    time_zone=input.time_zone or DEFAULT_TIME_ZONE,
                    caller=context.caller,
                )
        except DomainError as error:
            return TenantCreatePayload(user_errors=user_errors(error))
        return TenantCreatePayload(tenant=await load(info, Tenant, tenant_id, tenant_id))

    @strawberry.mutation(
        description="Changes what a tenant is about: its names, its time zone, its dates.",
        permission_classes=[Permitted],
    )
    async def tenant_update(
        self, info: Info, input: Annotated[TenantUpdateInput, INPUT]
    ) -> TenantUpdatePayload:
        context = info.context
        context.loaders.forget()
        try:
            tenant_id = tenant_of(input.tenant_id, context.caller)
            async with context.database.transaction(tenant_id) as session:
                await update_tenant(
                    session,
                    tenant_id=tenant_id,
                    changes=_changes_of(input),
                    caller=context.caller,
                    now=utc_now(),
                )
        except DomainError as error:
            return TenantUpdatePayload(user_errors=user_errors(error))
        return TenantUpdatePayload(tenant=await load(info, Tenant, tenant_id, tenant_id))

    @strawberry.mutation(
        description="Sets how many licences there are, and who gets one first. Nobody who has one "
        "loses it: who is too many waits.",
        permission_classes=[Permitted],
    )
    async def licences_set(
        self, info: Info, input: Annotated[LicencesSetInput, INPUT]
    ) -> LicencesSetPayload:
        context = info.context
        context.loaders.forget()
        try:
            tenant_id = tenant_of(input.tenant_id, context.caller)
            changes = LicenceChanges(
                limit=input.limit,
                removes_limit=input.remove_limit,
                order=input.order,
                school_ids=_schools_of(input.school_ids, tenant_id),
            )
            async with context.database.transaction(tenant_id) as session:
                await set_licences(
                    session, tenant_id=tenant_id, changes=changes, caller=context.caller
                )
        except DomainError as error:
            return LicencesSetPayload(user_errors=user_errors(error))
        return LicencesSetPayload(tenant=await load(info, Tenant, tenant_id, tenant_id))
