"""Existing accounts: choosing what becomes of people who were there before rostering."""

from typing import Annotated

import strawberry

from api.graphql.context import Info
from api.graphql.errors import UserError, user_errors
from api.graphql.integrations import Integration, find_integration_of
from api.graphql.permissions import Permitted
from api.graphql.targets import INPUT, tenant_of
from domain.errors import DomainError
from domain.integrations.existing_accounts import MatchKey, set_existing_accounts
from domain.integrations.models import ExistingAccounts
from domain.tenants.service import get_tenant


@strawberry.input(description="What becomes of people who were there before rostering.")
class ExistingAccountsSetInput:
    tenant_id: strawberry.ID = strawberry.field(description="The tenant's id.")
    policy: ExistingAccounts = strawberry.field(description="What becomes of them.")
    match_keys: list[MatchKey] | None = strawberry.field(
        default=None,
        description="For MATCH_KEYS: what is compared, in this order; the first key that finds "
        "anybody decides. Left out: the number, then the email address.",
    )


@strawberry.type(description="The integration as it is now.")
class ExistingAccountsSetPayload:
    integration: Integration | None = strawberry.field(
        default=None, description="The integration; null where the policy was refused."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty where it was not."
    )


@strawberry.type
class ExistingAccountsMutation:
    @strawberry.mutation(
        description="Chooses what the next syncs do with people who were there before rostering. "
        "A preflight shows it in numbers. An approval of a preflight lapses.",
        permission_classes=[Permitted],
    )
    async def existing_accounts_set(
        self, info: Info, input: Annotated[ExistingAccountsSetInput, INPUT]
    ) -> ExistingAccountsSetPayload:
        context = info.context
        context.loaders.forget()
        try:
            tenant_id = tenant_of(input.tenant_id, context.caller)
            async with context.database.transaction(tenant_id) as session:
                await get_tenant(session, tenant_id=tenant_id)
                await set_existing_accounts(
                    session,
                    tenant_id=tenant_id,
                    policy=input.policy,
                    match_keys=input.match_keys,
                    caller=context.caller,
                )
        except DomainError as error:
            return ExistingAccountsSetPayload(user_errors=user_errors(error))
        return ExistingAccountsSetPayload(integration=await find_integration_of(info, tenant_id))
