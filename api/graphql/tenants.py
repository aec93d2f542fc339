"""Tenants: finding them, and what they are about."""

from datetime import datetime
from typing import Annotated, Any, ClassVar
from uuid import UUID

import strawberry
from sqlalchemy import Select, select
from typing_extensions import override

from api.graphql import roster_lists
from api.graphql.api_tokens import ApiToken, api_tokens_of
from api.graphql.audit import AuditEntry, audit_log_of
from api.graphql.connection import Connection, connect
from api.graphql.contacts import Contact, contacts_of
from api.graphql.context import Info
from api.graphql.errors import bad_input
from api.graphql.integrations import Integration, find_integration_of
from api.graphql.matches import MatchCandidate, MatchCandidateFilter, match_candidates
from api.graphql.node import TENANT_CODE, Node, find_id, find_node, load, read_id
from api.graphql.onboarding_steps import Onboarding, find_onboarding
from api.graphql.pages import PageArguments, Paged
from api.graphql.people import PeopleMerge, people_merges
from api.graphql.permissions import Permitted
from api.graphql.progress_summary import ProgressSummary, progress_summary_of
from api.graphql.rollovers import LISTED, SchoolYear, YearRollover, rollovers_of, school_year_of
from api.graphql.roster import Group, School, User
from api.graphql.roster_lists import (
    GroupFilter,
    GroupOrder,
    SchoolFilter,
    SchoolOrder,
    UserFilter,
    UserOrder,
)
from api.graphql.settings_parts import EffectiveTrainingSettings, settings_of
from api.graphql.sign_in_methods import SignInMethod, sign_in_methods_of
from api.graphql.summaries import SubscriptionSummary, summaries_of_tenants
from api.graphql.syncs import SyncRun, SyncRunFilter, SyncRunOrder, sync_runs
from api.graphql.tenant_lists import TenantFilter, TenantOrder, columns_of, tenants
from api.graphql.validation import (
    GROUP_CAP,
    ValidationError,
    ValidationErrorFilter,
    ValidationErrorGroup,
    ValidationErrorOrder,
    list_groups,
    validation_errors,
)
from domain.tenants import models
from domain.tenants.models import TenantStatus
from domain.tenants.service import (
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
    is_listed: bool = strawberry.field(
        description="Whether people who look for the place to sign in find it and its schools."
    )
    created_at: datetime = strawberry.field(description="When it was created.")

    @classmethod
    @override
    def columns(cls) -> list[Any]:
        return columns_of(models.Tenant)

    @classmethod
    @override
    def statement(cls, tenant_id: UUID) -> Select[Any]:
        return select(*cls.columns()).where(models.Tenant.id == tenant_id)

    @strawberry.field(description="How the subscription is doing.", permission_classes=[Permitted])
    async def subscription_summary(self, info: Info) -> SubscriptionSummary:
        loader = info.context.loaders.across_tenants(summaries_of_tenants)
        summary = await loader.load(self.key)
        assert summary is not None
        return summary

    @strawberry.field(
        description="Its link to its provider; null where it is not connected.",
        permission_classes=[Permitted],
    )
    async def integration(self, info: Info) -> Integration | None:
        return await find_integration_of(info, self.key)

    @strawberry.field(
        description="How far it is on its way from the request to the tile.",
        permission_classes=[Permitted],
    )
    async def onboarding(self, info: Info) -> Onboarding:
        return await find_onboarding(info, self.key)

    @strawberry.field(
        description="The school year that is under way.", permission_classes=[Permitted]
    )
    async def school_year(self, info: Info) -> SchoolYear:
        return await school_year_of(info, self.key, self.time_zone)

    @strawberry.field(description=LISTED, permission_classes=[Permitted])
    async def year_rollovers(self, info: Info) -> list[YearRollover]:
        return await rollovers_of(info, self.key, self.time_zone)

    training_settings: EffectiveTrainingSettings = strawberry.field(
        resolver=settings_of,
        graphql_type=EffectiveTrainingSettings,
        description="The training settings that count where nothing nearer is set.",
        permission_classes=[Permitted],
    )
    progress_summary: ProgressSummary = strawberry.field(
        resolver=progress_summary_of,
        description="How its students are doing in a school year.",
        permission_classes=[Permitted],
    )

    contacts: list[Contact] = strawberry.field(
        resolver=contacts_of,
        description="Who receives mails about its syncs, by their addresses.",
        permission_classes=[Permitted],
    )
    sign_in_methods: list[SignInMethod] = strawberry.field(
        resolver=sign_in_methods_of,
        description="All ways of signing in, the ones that are off as well.",
        permission_classes=[Permitted],
    )
    api_tokens: Connection[ApiToken] = strawberry.field(
        resolver=api_tokens_of,
        description="What machines use the API with, the latest first, ended ones as well.",
        extensions=[Paged()],
        permission_classes=[Permitted],
    )
    audit_log: Connection[AuditEntry] = strawberry.field(
        resolver=audit_log_of,
        description="What was done, and who has signed in, the latest first.",
        extensions=[Paged()],
        permission_classes=[Permitted],
    )

    @strawberry.field(
        description="Its sync runs, the latest first unless ordered otherwise.",
        extensions=[Paged()],
        permission_classes=[Permitted],
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
        permission_classes=[Permitted],
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
        permission_classes=[Permitted],
    )
    async def validation_error_groups(self, info: Info) -> list[ValidationErrorGroup]:
        return await list_groups(info, self.key)

    @strawberry.field(
        description="Records that may be stored ones again under another id: somebody decides.",
        extensions=[Paged()],
        permission_classes=[Permitted],
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
        description="People who were made one, the latest first; an undo needs the merge's id.",
        extensions=[Paged()],
        permission_classes=[Permitted],
    )
    async def people_merges(self, info: Info, page: PageArguments) -> Connection[PeopleMerge]:
        return await connect(info, people_merges(self.key), page, PeopleMerge.of)

    @strawberry.field(
        description="Its schools, by name unless ordered otherwise.",
        extensions=[Paged()],
        permission_classes=[Permitted],
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
        permission_classes=[Permitted],
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
        permission_classes=[Permitted],
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


@strawberry.type
class TenantQuery:
    @strawberry.field(
        description="The object with this id, of whatever type; null where there is none.",
        permission_classes=[Permitted],
    )
    async def node(self, info: Info, id: NodeId) -> Node | None:
        found = find_id(id)
        if found is None:
            raise bad_input("This is not the id of an object.", reason="INVALID_ID")
        return await find_node(info, found)

    @strawberry.field(
        description="The tenants that the caller may see, by name unless ordered otherwise.",
        extensions=[Paged()],
        permission_classes=[Permitted],
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
        permission_classes=[Permitted],
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
