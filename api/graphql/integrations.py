"""Integrations: a tenant's link to its provider, and setting it up. Secrets go in, never out."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar
from uuid import UUID

import strawberry
from sqlalchemy import Select, exists, select
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import override

from api.graphql.context import Info
from api.graphql.errors import UserError, user_errors
from api.graphql.hold_limits import HoldLimit, limits_of
from api.graphql.node import Node
from api.graphql.permissions import Permitted
from api.graphql.provider_settings import (
    ClassLinkInput,
    CleverInput,
    IntegrationSettings,
    OneRosterInput,
    settings_given,
)
from api.graphql.requirements import Requirement, requirements_of_tenants
from api.graphql.role_map import RoleMapEntry, changes_of_integrations, entries_of
from api.graphql.schedule_parts import SyncSchedule, schedule_of
from api.graphql.sharing import SharingRule, rules_of_integrations
from api.graphql.targets import INPUT, tenant_of
from domain.clock import utc_now
from domain.errors import DomainError
from domain.integrations import models
from domain.integrations.connections import Platform
from domain.integrations.existing_accounts import MatchKey
from domain.integrations.hold_limits import list_hold_limits
from domain.integrations.models import ExistingAccounts, IntegrationStatus, OnDemand
from domain.integrations.service import (
    MOST_ELIGIBLE_VALUES,
    MOST_LEAD_DAYS,
    Configuration,
    EligibilityRule,
    configure_integration,
)
from domain.integrations.standings import list_quarantines
from domain.roster.source import Provider
from domain.tenants.models import Tenant
from domain.tenants.service import get_tenant
from domain.validation.codes import Code


@strawberry.type(description="That an integration's scheduled syncs keep failing.")
class Quarantine:
    since: datetime = strawberry.field(description="When the first of them failed.")
    reason: Code = strawberry.field(description="Why the last of them failed.")
    failures: int = strawberry.field(description="How many have failed in a row.")
    next_try_at: datetime | None = strawberry.field(
        description="When it is tried next; null: not any more."
    )
    is_off: bool = strawberry.field(
        description="Whether it was given up, after four weeks: no sync starts by itself."
    )
    message: str = strawberry.field(description="What to do, and how it ends.")


@strawberry.type(description="Which students may use the product, as the provider's data say.")
class Eligibility:
    field: str = strawberry.field(description="The metadata or extension field.")
    values: list[str] = strawberry.field(
        description="The values of it that mean yes, whatever their case."
    )


@strawberry.type(description="A tenant's link to its provider.")
class Integration(Node):
    type_code: ClassVar[str] = "I"
    row: ClassVar[type[Any]] = models.Integration
    guard: ClassVar[str | None] = "Tenant.integration"
    derived: ClassVar[tuple[str, ...]] = (
        "settings",
        "has_credentials",
        "schedule",
        "student_emails",
        "eligibility",
        "match_keys",
    )
    sources: ClassVar[tuple[str, ...]] = (
        "settings",
        "with_student_email",
        "eligibility",
        "match_keys",
    )

    provider: Provider = strawberry.field(description="Where the roster comes from.")
    status: IntegrationStatus = strawberry.field(description="Whether it is in use.")
    created_at: datetime = strawberry.field(description="When it was configured first.")
    updated_at: datetime = strawberry.field(description="When its settings were changed last.")
    group_lead_days: int = strawberry.field(
        description="How many days before their first term starts groups become visible."
    )
    settings: IntegrationSettings = strawberry.field(description="What it is set to.")
    has_credentials: bool = strawberry.field(
        description="Whether credentials are stored. They can be replaced and never read."
    )
    schedule: SyncSchedule | None = strawberry.field(description="When it syncs by itself.")
    student_emails: bool = strawberry.field(
        description="Whether students' email addresses are taken over."
    )
    eligibility: Eligibility | None = strawberry.field(
        description="Which students may use the product; null: all that are rostered."
    )
    existing_accounts: ExistingAccounts | None = strawberry.field(
        description="What becomes of people who were there before rostering; null: not chosen yet."
    )
    match_keys: list[MatchKey] = strawberry.field(
        description="What the policy MATCH_KEYS compares, in its order."
    )
    holds_everything: bool = strawberry.field(
        description="Whether a plan of which something would wait waits as a whole."
    )
    email_domains: list[str] = strawberry.field(
        description="The domains that people's email addresses are of, and those below them; "
        "empty: any will do."
    )
    on_demand: OnDemand = strawberry.field(description="Who may ask for syncs beside the schedule.")
    cooldown_minutes: int = strawberry.field(
        description="How long after a sync that was asked for none of its mode can be asked for."
    )
    former_provider: Provider | None = strawberry.field(
        description="The provider before the last switch; null where there was none."
    )

    @classmethod
    @override
    def derive(cls, row: Any) -> Mapping[str, Any]:
        return {
            "settings": IntegrationSettings.of(row.provider, row.settings),
            "has_credentials": row.has_credentials,
            "schedule": schedule_of(row.tenant_id, row.id, row),
            "student_emails": row.with_student_email,
            "eligibility": Eligibility(**row.eligibility) if row.eligibility else None,
            "match_keys": [MatchKey(key) for key in row.match_keys],
        }

    @strawberry.field(
        description="Which part of what the provider shares is taken over; empty: all of it."
    )
    async def sharing_rules(self, info: Info) -> list[SharingRule]:
        key = (self.tenant_id, self.key)
        return await info.context.loaders.of(rules_of_integrations).load(key) or []

    @strawberry.field(
        description="That its scheduled syncs keep failing, so that they are tried less often; "
        "null: they do not."
    )
    async def quarantine(self, info: Info) -> Quarantine | None:
        key = (self.tenant_id, self.key)
        found = await info.context.loaders.of(list_quarantines).load(key)
        if found is None:
            return None
        return Quarantine(**found._asdict(), message=found.message)

    @strawberry.field(description="What the tenant requires of every student.")
    async def requirements(self, info: Info) -> list[Requirement]:
        key = (self.tenant_id, self.tenant_id)
        return await info.context.loaders.of(requirements_of_tenants).load(key) or []

    @strawberry.field(description="How much a run may change unasked.")
    async def hold_limits(self, info: Info) -> list[HoldLimit]:
        key = (self.tenant_id, self.key)
        return limits_of(await info.context.loaders.of(list_hold_limits).load(key) or [])

    @strawberry.field(
        description="What people are whom the provider calls so and so: its usual map with the "
        "tenant's changes in it."
    )
    async def role_map(self, info: Info) -> list[RoleMapEntry]:
        key = (self.tenant_id, self.key)
        changes = await info.context.loaders.of(changes_of_integrations).load(key)
        return entries_of(self.provider, changes or {})

    @classmethod
    @override
    def statement(cls, tenant_id: UUID) -> Select[Any]:
        row, schedule, sealed = (
            models.Integration,
            models.SyncSchedule,
            models.IntegrationCredentials,
        )
        has_credentials = exists(sealed.integration_id).where(
            sealed.tenant_id == row.tenant_id, sealed.integration_id == row.id
        )
        return (
            select(
                *cls.columns(),
                has_credentials.label("has_credentials"),
                schedule.local_time,
                schedule.every_days,
                schedule.first_on,
                schedule.spread_minutes,
                schedule.next_due_at,
                schedule.time_zone.label("schedule_zone"),
                Tenant.time_zone,
            )
            .join(Tenant, Tenant.id == row.tenant_id)
            .outerjoin(
                schedule,
                (schedule.tenant_id == row.tenant_id) & (schedule.integration_id == row.id),
            )
            .where(row.tenant_id == tenant_id)
        )


async def integrations_of_tenants(
    session: AsyncSession, tenant_id: UUID, _: Sequence[UUID]
) -> Mapping[UUID, Integration]:
    """One transaction for each tenant, even for an operator's list of tenants.

    Row-level security shows an integration to its own tenant only, and its settings are no
    metadata that a function beside the policies should tell.
    """
    row = models.Integration
    rows = await session.execute(
        Integration.statement(tenant_id).where(row.status != IntegrationStatus.DISCONNECTED)
    )
    return {found.tenant_id: Integration.of(found) for found in rows}


async def find_integration_of(info: Info, tenant_id: UUID) -> Integration | None:
    return await info.context.loaders.of(integrations_of_tenants).load((tenant_id, tenant_id))


@strawberry.input(description="What opens the provider. It is sealed at once and never shown.")
class CredentialsInput:
    key: str | None = strawberry.field(default=None, description="The key, or client id.")
    secret: str | None = strawberry.field(default=None, description="The secret of the key.")
    token: str | None = strawberry.field(default=None, description="A token, where it has one.")

    def given(self) -> dict[str, str]:
        named = {"key": self.key, "secret": self.secret, "token": self.token}
        return {name: value for name, value in named.items() if value}


@strawberry.input(description="Which students may use the product.")
class EligibilityInput:
    field: str = strawberry.field(
        description="The metadata or extension field of the provider's students."
    )
    values: list[str] = strawberry.field(
        description=f"The values of it that mean yes, at most {MOST_ELIGIBLE_VALUES}, whatever "
        "their case."
    )


@strawberry.input(
    description="How a tenant is connected to its provider. The provider's own settings are given "
    "as a whole or not at all; what is left out stays as it is."
)
class IntegrationConfigureInput:
    tenant_id: strawberry.ID = strawberry.field(description="The tenant's id.")
    provider: Provider = strawberry.field(description="Where the roster comes from.")
    path: str | None = strawberry.field(
        default=None,
        description="For ONEROSTER_CSV: the absolute path of a folder or zip file on the server. "
        "Only operators may choose one.",
    )
    clever: CleverInput | None = strawberry.field(default=None, description="For CLEVER.")
    class_link: ClassLinkInput | None = strawberry.field(default=None, description="For CLASSLINK.")
    one_roster: OneRosterInput | None = strawberry.field(default=None, description="For ONEROSTER.")
    credentials: CredentialsInput | None = strawberry.field(
        default=None,
        description="New credentials, which take the place of all stored ones; without them those "
        "stay. They are needed again where an address or the district changes.",
    )
    group_lead_days: int | None = strawberry.field(
        default=None,
        description=f"How many days before their first term starts groups become visible, up to "
        f"{MOST_LEAD_DAYS}; unchanged if left out.",
    )
    student_emails: bool | None = strawberry.field(
        default=None,
        description="Whether students' email addresses are taken over; at first they are not.",
    )
    eligibility: EligibilityInput | None = strawberry.field(
        default=None,
        description="Only these students may use the product; the others are rostered, take no "
        "licence and cannot sign in.",
    )
    remove_eligibility: bool = strawberry.field(
        default=False, description="Whether all rostered students may use the product again."
    )

    def configuration(self, platform: Platform) -> Configuration:
        """Raises InvalidInput."""
        rule = self.eligibility
        return Configuration(
            provider=self.provider,
            settings=settings_given(
                self.provider,
                path=self.path,
                clever=self.clever,
                class_link=self.class_link,
                one_roster=self.one_roster,
            ),
            credentials=self.credentials.given() if self.credentials else {},
            group_lead_days=self.group_lead_days,
            with_student_email=self.student_emails,
            eligibility=EligibilityRule(rule.field, rule.values) if rule else None,
            removes_eligibility=self.remove_eligibility,
            platform=platform,
        )


@strawberry.type(description="The integration as it is now.")
class IntegrationConfigurePayload:
    integration: Integration | None = strawberry.field(
        default=None, description="The integration; null where it was not configured."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty where it was not."
    )


@strawberry.type
class IntegrationMutation:
    @strawberry.mutation(
        description="Connects a tenant to its provider, or changes how it is connected. With "
        "another provider than before it is switched: settings and credentials of the new one are "
        "needed, everybody is recognised by what both providers know of them, and nothing is "
        "taken over before a preflight is approved.",
        permission_classes=[Permitted],
    )
    async def integration_configure(
        self, info: Info, input: Annotated[IntegrationConfigureInput, INPUT]
    ) -> IntegrationConfigurePayload:
        context = info.context
        context.loaders.forget()
        try:
            tenant_id = tenant_of(input.tenant_id, context.caller)
            configuration = input.configuration(context.platform)
            async with context.database.transaction(tenant_id) as session:
                await get_tenant(session, tenant_id=tenant_id)
                await configure_integration(
                    session,
                    tenant_id=tenant_id,
                    configuration=configuration,
                    keys=context.keys,
                    caller=context.caller,
                    now=utc_now(),
                )
        except DomainError as error:
            return IntegrationConfigurePayload(user_errors=user_errors(error))
        return IntegrationConfigurePayload(integration=await find_integration_of(info, tenant_id))
