"""Tenants: finding them, what they are about, and creating one."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar
from uuid import UUID

import strawberry
from sqlalchemy import Select, column, func, select
from strawberry import Private
from typing_extensions import override

from api.graphql import roster_lists
from api.graphql.connection import Connection, Listing, connect
from api.graphql.context import Info
from api.graphql.cursors import scope_of
from api.graphql.described import describe
from api.graphql.errors import UserError, bad_input, user_errors
from api.graphql.integrations import Integration, find_integration_of
from api.graphql.matches import MatchCandidate, MatchCandidateFilter, match_candidates
from api.graphql.node import TENANT_CODE, Node, find_id, find_node, load, read_id
from api.graphql.pages import OrderDirection, PageArguments, Paged, Sorting
from api.graphql.permissions import IsOperator, IsSignedIn, MayAdminister, MayReadRosters
from api.graphql.roster import Group, School, User
from api.graphql.roster_lists import (
    GroupFilter,
    GroupOrder,
    SchoolFilter,
    SchoolOrder,
    UserFilter,
    UserOrder,
    contains,
)
from api.graphql.summaries import SubscriptionSummary, summaries_of_tenants
from api.graphql.syncs import SyncRun, SyncRunFilter, SyncRunOrder, sync_runs
from api.graphql.targets import INPUT
from api.graphql.validation import (
    GROUP_CAP,
    ValidationError,
    ValidationErrorFilter,
    ValidationErrorGroup,
    ValidationErrorOrder,
    list_groups,
    validation_errors,
)
from domain.clock import new_id
from domain.errors import DomainError
from domain.people.callers import Scope
from domain.tenants import models
from domain.tenants.models import TenantStatus
from domain.tenants.service import (
    DEFAULT_TIME_ZONE,
    create_tenant,
    find_tenant_id,
)

TenantId = Annotated[strawberry.ID | None, strawberry.argument(description="The tenant's id.")]
Slug = Annotated[str | None, strawberry.argument(description="The tenant's slug.")]
NodeId = Annotated[strawberry.ID, strawberry.argument(description="The id of any object.")]
_WANTED = strawberry.argument(description="Which ones are wanted.")
_ORDERED = strawberry.argument(description="How they are ordered.")


@strawberry.type(description="One subscription: a district, or a school on its own.")
class Tenant(Node):
    type_code: ClassVar[str] = TENANT_CODE
    row: ClassVar[type[Any]] = models.Tenant

    slug: str = strawberry.field(description="Its short name in addresses; unique.")
    name: str = strawberry.field(description="Its name.")
    display_name: str = strawberry.field(description="Its name as people see it at sign-in.")
    time_zone: str = strawberry.field(description="Its IANA time zone.")
    status: TenantStatus = strawberry.field(description="Whether it is in use.")
    created_at: datetime = strawberry.field(description="When it was created.")

    @classmethod
    @override
    def columns(cls) -> list[Any]:
        return columns_of(models.Tenant)

    @classmethod
    @override
    def statement(cls, tenant_id: UUID) -> Select[Any]:
        return select(*cls.columns()).where(models.Tenant.id == tenant_id)

    @strawberry.field(
        description="How the subscription is doing.", permission_classes=[MayReadRosters]
    )
    async def subscription_summary(self, info: Info) -> SubscriptionSummary:
        loader = info.context.loaders.across_tenants(summaries_of_tenants)
        summary = await loader.load(self.key)
        assert summary is not None
        return summary

    @strawberry.field(
        description="Its link to its provider; null where it is not connected.",
        permission_classes=[MayReadRosters],
    )
    async def integration(self, info: Info) -> Integration | None:
        return await find_integration_of(info, self.key)

    @strawberry.field(
        description="Its sync runs, the latest first unless ordered otherwise.",
        extensions=[Paged()],
        permission_classes=[MayReadRosters],
    )
    async def sync_runs(
        self,
        info: Info,
        page: PageArguments,
        filter: Annotated[SyncRunFilter | None, _WANTED] = None,
        order_by: Annotated[SyncRunOrder | None, _ORDERED] = None,
    ) -> Connection[SyncRun]:
        listing = sync_runs(self.key, filter, order_by)
        return await connect(info, listing, page, SyncRun.of)

    @strawberry.field(
        description="What is and was wrong with the provider's records.",
        extensions=[Paged()],
        permission_classes=[MayReadRosters],
    )
    async def validation_errors(
        self,
        info: Info,
        page: PageArguments,
        filter: Annotated[ValidationErrorFilter | None, _WANTED] = None,
        order_by: Annotated[ValidationErrorOrder | None, _ORDERED] = None,
    ) -> Connection[ValidationError]:
        listing = validation_errors(self.key, filter, order_by)
        return await connect(info, listing, page, ValidationError.of)

    @strawberry.field(
        description="The open validation errors, grouped by what one correction would mend: the "
        f"worst first, then the most frequent, at most {GROUP_CAP}.",
        permission_classes=[MayReadRosters],
    )
    async def validation_error_groups(self, info: Info) -> list[ValidationErrorGroup]:
        return await list_groups(info, self.key)

    @strawberry.field(
        description="Records that may be stored ones again under another id: somebody decides.",
        extensions=[Paged()],
        permission_classes=[MayReadRosters],
    )
    async def match_candidates(
        self,
        info: Info,
        page: PageArguments,
        filter: Annotated[MatchCandidateFilter | None, _WANTED] = None,
    ) -> Connection[MatchCandidate]:
        listing = match_candidates(self.key, filter)
        return await connect(info, listing, page, MatchCandidate.of)

    @strawberry.field(
        description="Its schools, by name unless ordered otherwise.",
        extensions=[Paged()],
        permission_classes=[MayReadRosters],
    )
    async def schools(
        self,
        info: Info,
        page: PageArguments,
        filter: Annotated[SchoolFilter | None, _WANTED] = None,
        order_by: Annotated[SchoolOrder | None, _ORDERED] = None,
    ) -> Connection[School]:
        listing = roster_lists.schools(self.key, filter, order_by)
        return await connect(info, listing, page, School.of)

    @strawberry.field(
        description="Its groups, by name unless ordered otherwise.",
        extensions=[Paged()],
        permission_classes=[MayReadRosters],
    )
    async def groups(
        self,
        info: Info,
        page: PageArguments,
        filter: Annotated[GroupFilter | None, _WANTED] = None,
        order_by: Annotated[GroupOrder | None, _ORDERED] = None,
    ) -> Connection[Group]:
        listing = roster_lists.groups(self.key, filter, order_by)
        return await connect(info, listing, page, Group.of)

    @strawberry.field(
        description="Its people, by family and given name unless ordered otherwise.",
        extensions=[Paged()],
        permission_classes=[MayReadRosters],
    )
    async def users(
        self,
        info: Info,
        page: PageArguments,
        filter: Annotated[UserFilter | None, _WANTED] = None,
        order_by: Annotated[UserOrder | None, _ORDERED] = None,
    ) -> Connection[User]:
        listing = roster_lists.users(self.key, filter, order_by)
        return await connect(info, listing, page, User.of)


def columns_of(row: Any) -> list[Any]:
    """A tenant is its own tenant. `row` is the table, or what looks like it."""
    names = ("id", "slug", "name", "display_name", "time_zone", "status", "created_at")
    return [row.id.label("tenant_id"), *(getattr(row, name) for name in names)]


class TenantOrderField(StrEnum):
    NAME = "NAME"
    SLUG = "SLUG"
    CREATED = "CREATED"


describe(
    TenantOrderField,
    "What tenants are ordered by.",
    NAME="The name.",
    SLUG="The slug.",
    CREATED="When they were created.",
)


@strawberry.input(description="How tenants are ordered.")
class TenantOrder:
    field: TenantOrderField = strawberry.field(description="By what.")
    direction: OrderDirection = strawberry.field(
        default=OrderDirection.ASC, description="Which way."
    )


@strawberry.input(description="Which tenants are wanted; all conditions hold together.")
class TenantFilter:
    status: TenantStatus | None = strawberry.field(
        default=None, description="Only tenants with this status."
    )
    search: str | None = strawberry.field(
        default=None, description="A part of the name, the display name or the slug."
    )


def tenants(info: Info, filter: TenantFilter | None, order_by: TenantOrder | None) -> Listing:
    """All of them for an operator, by an audited function; a tenant's token sees its own row."""
    caller = info.context.caller
    table = func.list_tenants().table_valued(
        *(column(known.name, known.type) for known in models.Tenant.__table__.columns)
    )
    row: Any = table.alias("tenants").c if caller.is_operator else models.Tenant
    chosen = filter or TenantFilter()
    order = order_by or TenantOrder(field=TenantOrderField.NAME)
    statement = select(*columns_of(row)).where(
        *contains(chosen.search, row.name, row.display_name, row.slug)
    )
    if not caller.is_operator:
        statement = statement.where(row.id == caller.tenant_id)
    if chosen.status is not None:
        statement = statement.where(row.status == chosen.status)
    keys: dict[TenantOrderField, list[Any]] = {
        TenantOrderField.NAME: [func.lower(row.name)],
        TenantOrderField.SLUG: [row.slug],
        TenantOrderField.CREATED: [],
    }
    return Listing(
        scope_of("tenants", caller.tenant_id, chosen, order),
        caller.tenant_id,
        statement,
        Sorting.by(keys[order.field], row.id, order.direction),
    )


@strawberry.type(description="Who is asking.")
class Viewer:
    name: str = strawberry.field(description="The name of the token.")
    is_operator: bool = strawberry.field(
        description="Whether it is on the product's own side, for all tenants."
    )
    scopes: list[Scope] = strawberry.field(description="What it may be used for.")
    tenant_id: Private[UUID | None]

    @strawberry.field(
        description="The tenant that it belongs to; null for an operator.",
        permission_classes=[MayReadRosters],
    )
    async def tenant(self, info: Info) -> Tenant | None:
        if self.tenant_id is None:
            return None
        return await load(info, Tenant, self.tenant_id, self.tenant_id)


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


@strawberry.type
class TenantQuery:
    @strawberry.field(description="Who is asking.", permission_classes=[IsSignedIn])
    def viewer(self, info: Info) -> Viewer:
        caller = info.context.caller
        return Viewer(
            name=caller.name,
            is_operator=caller.is_operator,
            scopes=sorted(caller.scopes),
            tenant_id=caller.tenant_id,
        )

    @strawberry.field(
        description="The object with this id, of whatever type; null where there is none.",
        permission_classes=[MayReadRosters],
    )
    async def node(self, info: Info, id: NodeId) -> Node | None:
        found = find_id(id)
        if found is None:
            raise bad_input("This is not the id of an object.", reason="INVALID_ID")
        return await find_node(info, found)

    @strawberry.field(
        description="The tenants that the caller may see, by name unless ordered otherwise.",
        extensions=[Paged()],
        permission_classes=[MayReadRosters],
    )
    async def tenants(
        self,
        info: Info,
        page: PageArguments,
        filter: Annotated[TenantFilter | None, _WANTED] = None,
        order_by: Annotated[TenantOrder | None, _ORDERED] = None,
    ) -> Connection[Tenant]:
        return await connect(info, tenants(info, filter, order_by), page, Tenant.of)

    @strawberry.field(
        description="The tenant with this id or this slug (give one of them); null where there is "
        "none.",
        permission_classes=[MayReadRosters],
    )
    async def tenant(self, info: Info, id: TenantId = None, slug: Slug = None) -> Tenant | None:
        if (id is None) == (slug is None):
            raise bad_input("Give either `id` or `slug`.")
        if id is not None:
            tenant_id: UUID | None = read_id(id, TENANT_CODE).tenant_id
        else:
            async with info.context.database.read() as session:
                tenant_id = await find_tenant_id(session, slug or "")
        if tenant_id is None or not info.context.caller.may_see(tenant_id):
            return None
        return await load(info, Tenant, tenant_id, tenant_id)


@strawberry.type
class TenantMutation:
    @strawberry.mutation(
        description="Creates a tenant, on trial.", permission_classes=[IsOperator, MayAdminister]
    )
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
