"""Trying a connection. A worker does it: the API neither reads secrets nor calls providers."""

from typing import Annotated, Final

import strawberry

from api.graphql.context import Info
from api.graphql.errors import UserError, user_errors
from api.graphql.permissions import Permitted
from api.graphql.targets import INPUT, tenant_of
from domain.clock import utc_now
from domain.errors import Conflict, DomainError
from domain.integrations.checks import MOST_SECONDS, request_check, wait_for_check
from domain.roster.source import CheckStep
from domain.tenants.service import get_tenant

WAIT_SECONDS: Final = MOST_SECONDS + 15
_NO_WORKER = Conflict(
    "No worker has tried the connection yet. Is one running? `homerow status` and the worker's log "
    "say so; `homerow integration test` tries it without one."
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
class IntegrationTestMutation:
    @strawberry.mutation(
        description="Tries the connection to the provider, step by step. A worker does it, and the "
        f"answer may take up to {WAIT_SECONDS:.0f} seconds. It is written to the audit log.",
        permission_classes=[Permitted],
    )
    async def integration_test(
        self, info: Info, input: Annotated[IntegrationTestInput, INPUT]
    ) -> IntegrationTestPayload:
        context = info.context
        context.loaders.forget()
        try:
            tenant_id = tenant_of(input.tenant_id, context.caller)
            async with context.database.transaction(tenant_id) as session:
                await get_tenant(session, tenant_id=tenant_id)
                check_id = await request_check(
                    session, tenant_id=tenant_id, caller=context.caller, now=utc_now()
                )
        except DomainError as error:
            return IntegrationTestPayload(user_errors=user_errors(error))
        context.allow(WAIT_SECONDS + 5)
        steps = await wait_for_check(
            context.database, tenant_id=tenant_id, check_id=check_id, seconds=WAIT_SECONDS
        )
        if steps is None:
            return IntegrationTestPayload(user_errors=user_errors(_NO_WORKER))
        return IntegrationTestPayload(steps=[IntegrationTestStep.of(step) for step in steps])
