"""Disconnecting a tenant from its provider, and connecting it again as it was."""

from typing import Annotated

import strawberry

from api.graphql.context import Info
from api.graphql.errors import UserError, user_errors
from api.graphql.integrations import Integration, find_integration_of
from api.graphql.permissions import Permitted
from api.graphql.targets import INPUT, tenant_of
from domain.clock import utc_now
from domain.errors import DomainError
from domain.integrations import models
from domain.integrations.disconnection import activate, disconnect


@strawberry.input(description="Which tenant leaves its provider.")
class IntegrationDisconnectInput:
    tenant_id: strawberry.ID = strawberry.field(description="The tenant's id.")


@strawberry.type(description="The integration as it was left.")
class IntegrationDisconnectPayload:
    integration: Integration | None = strawberry.field(
        default=None,
        description="The integration, which the tenant shows no more; null where it was refused.",
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty where it was not."
    )


@strawberry.input(description="Which tenant's integration is to be in use.")
class IntegrationActivateInput:
    tenant_id: strawberry.ID = strawberry.field(description="The tenant's id.")


@strawberry.type(description="The integration as it is now.")
class IntegrationActivatePayload:
    integration: Integration | None = strawberry.field(
        default=None, description="The integration; null where it was refused."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty where it was not."
    )


@strawberry.type
class DisconnectionMutation:
    @strawberry.mutation(
        description="Disconnects a tenant from its provider: nothing is read from there any more, "
        "and its credentials are forgotten. Signing in with it ends as well, unless "
        "signInMethodsSet has switched it on. All people and groups stay "
        "as they are, with what belongs to the product. integrationActivate or "
        "integrationConfigure connect it again, and everybody is recognised.",
        permission_classes=[Permitted],
    )
    async def integration_disconnect(
        self, info: Info, input: Annotated[IntegrationDisconnectInput, INPUT]
    ) -> IntegrationDisconnectPayload:
        context = info.context
        context.loaders.forget()
        try:
            tenant_id = tenant_of(input.tenant_id, context.caller)
            async with context.database.transaction(tenant_id) as session:
                left = await disconnect(
                    session, tenant_id=tenant_id, caller=context.caller, now=utc_now()
                )
                row = await session.execute(
                    Integration.statement(tenant_id).where(models.Integration.id == left.id)
                )
                integration = Integration.of(row.one())
        except DomainError as error:
            return IntegrationDisconnectPayload(user_errors=user_errors(error))
        return IntegrationDisconnectPayload(integration=integration)

    @strawberry.mutation(
        description="Connects a tenant again to the provider that it was disconnected from, as it "
        "was set up; where that needs credentials, integrationConfigure takes them. An "
        "integration that is in use stays as it is.",
        permission_classes=[Permitted],
    )
    async def integration_activate(
        self, info: Info, input: Annotated[IntegrationActivateInput, INPUT]
    ) -> IntegrationActivatePayload:
        context = info.context
        context.loaders.forget()
        try:
            tenant_id = tenant_of(input.tenant_id, context.caller)
            async with context.database.transaction(tenant_id) as session:
                await activate(
                    session,
                    tenant_id=tenant_id,
                    keys=context.keys,
                    caller=context.caller,
                    now=utc_now(),
                    platform=context.platform,
                )
        except DomainError as error:
            return IntegrationActivatePayload(user_errors=user_errors(error))
        return IntegrationActivatePayload(integration=await find_integration_of(info, tenant_id))
