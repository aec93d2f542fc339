"""Integrations: the link to a provider, setting it up and trying it. Secrets go in, never out."""

from collections.abc import Mapping, Sequence
from datetime import datetime, time
from typing import Annotated, Any, ClassVar
from uuid import UUID

import strawberry
from sqlalchemy import Select, exists, select
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import override

from api.graphql.context import Info
from api.graphql.errors import UserError, user_errors
from api.graphql.node import Node
from api.graphql.permissions import MayAdminister
from api.graphql.targets import INPUT, tenant_of
from domain.clock import utc_now
from domain.errors import DomainError, InvalidInput
from domain.integrations import models
from domain.integrations.models import IntegrationStatus
from domain.integrations.service import (
    MOST_LEAD_DAYS,
    Configuration,
    configure_integration,
    get_integration,
)
from domain.people.audit import record_act
from domain.providers import open_source
from domain.roster.source import CheckStep, Provider, RosterSource
from domain.tenants.models import Tenant
from domain.tenants.service import check_time_zone, get_tenant

SECRET_LENGTH = 4000


@strawberry.type(description="When an integration syncs by itself.")
class SyncSchedule:
    local_time: time = strawberry.field(description="The time of day, in the time zone.")
    every_days: int = strawberry.field(description="Every so many days; 1 is every night.")
    next_due_at: datetime | None = strawberry.field(
        description="The next instant at which a run is asked for; null while nothing is due."
    )
    time_zone: str = strawberry.field(description="The tenant's IANA time zone.")


@strawberry.type(description="What an integration is set to. Secrets are not among it.")
class IntegrationSettings:
    path: str | None = strawberry.field(
        description="Where the OneRoster CSV package lies on the server."
    )


@strawberry.type(description="A tenant's link to its provider.")
class Integration(Node):
    type_code: ClassVar[str] = "I"
    row: ClassVar[type[Any]] = models.Integration
    derived: ClassVar[tuple[str, ...]] = ("settings", "has_credentials", "schedule")
    sources: ClassVar[tuple[str, ...]] = ("settings",)

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

    @classmethod
    @override
    def derive(cls, row: Any) -> Mapping[str, Any]:
        return {
            "settings": IntegrationSettings(path=row.settings.get("path")),
            "has_credentials": row.has_credentials,
            "schedule": SyncSchedule(
                local_time=row.local_time,
                every_days=row.every_days,
                next_due_at=row.next_due_at,
                time_zone=row.time_zone,
            )
            if row.local_time is not None
            else None,
        }

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
                schedule.next_due_at,
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
        """Raises InvalidInput."""
        named = {"key": self.key, "secret": self.secret, "token": self.token}
        given = {name: value for name, value in named.items() if value}
        for name, value in given.items():
            if len(value) > SECRET_LENGTH:
                raise InvalidInput(name, f"A credential has at most {SECRET_LENGTH} characters.")
        return given


@strawberry.input(description="How a tenant is connected to its provider.")
class IntegrationConfigureInput:
    tenant_id: strawberry.ID = strawberry.field(description="The tenant's id.")
    provider: Provider = strawberry.field(description="Where the roster comes from.")
    path: str | None = strawberry.field(
        default=None,
        description="For ONEROSTER_CSV: the absolute path of a folder or zip file on the server. "
        "Only operators may choose one.",
    )
    credentials: CredentialsInput | None = strawberry.field(
        default=None, description="New credentials; without them the stored ones stay."
    )
    group_lead_days: int | None = strawberry.field(
        default=None,
        description=f"How many days before their first term starts groups become visible, up to "
        f"{MOST_LEAD_DAYS}; unchanged if left out.",
    )


@strawberry.type(description="The integration as it is now.")
class IntegrationConfigurePayload:
    integration: Integration | None = strawberry.field(
        default=None, description="The integration; null where it was not configured."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty where it was not."
    )


@strawberry.input(description="Which integration to try.")
class IntegrationTestInput:
    tenant_id: strawberry.ID = strawberry.field(description="The tenant's id.")


@strawberry.type(description="One step of trying a connection.")
class IntegrationTestStep:
    name: str = strawberry.field(description="What was tried.")
    ok: bool = strawberry.field(description="Whether it works.")
    message: str = strawberry.field(description="What was found, in a sentence.")
    advice: str | None = strawberry.field(description="What to do if it does not work.")

    @classmethod
    def of(cls, step: CheckStep) -> "IntegrationTestStep":
        return cls(name=step.name, ok=step.is_ok, message=step.message, advice=step.advice)


@strawberry.type(description="What came of trying a connection.")
class IntegrationTestPayload:
    steps: list[IntegrationTestStep] = strawberry.field(
        default_factory=list,
        description="The steps in their order; the first that fails is the last.",
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why nothing was tried; empty where it was."
    )


@strawberry.type
class IntegrationMutation:
    @strawberry.mutation(
        description="Connects a tenant to its provider, or changes how it is connected.",
        permission_classes=[MayAdminister],
    )
    async def integration_configure(
        self, info: Info, input: Annotated[IntegrationConfigureInput, INPUT]
    ) -> IntegrationConfigurePayload:
        context = info.context
        context.loaders.forget()
        try:
            tenant_id = tenant_of(input.tenant_id, context.caller)
            configuration = Configuration(
                provider=input.provider,
                settings={"path": input.path} if input.path is not None else {},
                credentials=input.credentials.given() if input.credentials else {},
                group_lead_days=input.group_lead_days,
            )
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

    @strawberry.mutation(
        description="Tries the connection to the provider, step by step. It is a mutation because "
        "it calls out, and it is written to the audit log.",
        permission_classes=[MayAdminister],
    )
    async def integration_test(
        self, info: Info, input: Annotated[IntegrationTestInput, INPUT]
    ) -> IntegrationTestPayload:
        context = info.context
        context.loaders.forget()
        try:
            tenant_id = tenant_of(input.tenant_id, context.caller)
            integration_id, source = await _open(info, tenant_id)
        except DomainError as error:
            return IntegrationTestPayload(user_errors=user_errors(error))
        steps = await source.check()
        async with context.database.transaction(tenant_id) as session:
            record_act(
                session,
                tenant_id=tenant_id,
                caller=context.caller,
                action="integrationTest",
                target=str(integration_id),
                details={"failed": [step.name for step in steps if not step.is_ok]},
            )
        return IntegrationTestPayload(steps=[IntegrationTestStep.of(step) for step in steps])


async def _open(info: Info, tenant_id: UUID) -> tuple[UUID, RosterSource]:
    """No session is held while the provider is being talked to."""
    async with info.context.database.read(tenant_id) as session:
        tenant = await get_tenant(session, tenant_id=tenant_id)
        integration = await get_integration(session, tenant_id=tenant_id)
    today = utc_now().astimezone(check_time_zone(tenant.time_zone)).date()
    return integration.id, open_source(integration.provider, integration.settings, today=today)
