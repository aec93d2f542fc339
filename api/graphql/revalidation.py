"""Looking again at the records of validation errors, without a full sync."""

from typing import Annotated
from uuid import UUID

import strawberry

from api.graphql.context import Info
from api.graphql.errors import UserError, user_errors
from api.graphql.node import find_id
from api.graphql.permissions import Permitted
from api.graphql.syncs import SyncRun
from api.graphql.targets import INPUT, tenant_of
from api.graphql.validation import ValidationError
from domain.clock import utc_now
from domain.errors import DomainError, InvalidInput, NotFound
from domain.sync.picking import MOST_PICKS
from domain.sync.targets import Chosen, request_revalidation
from domain.tenants.service import get_tenant
from domain.validation.codes import Code


@strawberry.input(
    description="Which open or accepted errors are looked at again: one of ids, code and all."
)
class ValidationErrorsRevalidateInput:
    tenant_id: strawberry.ID = strawberry.field(description="The tenant's id.")
    ids: list[strawberry.ID] | None = strawberry.field(
        default=None, description=f"These errors, at most {MOST_PICKS}."
    )
    code: Code | None = strawberry.field(default=None, description="All errors of this code.")
    all: bool = strawberry.field(default=False, description="All errors.")

    def chosen(self, tenant_id: UUID) -> Chosen:
        """Raises InvalidInput and NotFound."""
        given = self.ids or []
        if len(given) > MOST_PICKS:
            raise InvalidInput("ids", f"At most {MOST_PICKS} errors are looked at by their ids.")
        return Chosen([_error_id(one, tenant_id) for one in given], self.code, self.all)


def _error_id(id: str, tenant_id: UUID) -> UUID:
    found = find_id(id)
    if found is None or found.code != ValidationError.type_code:
        raise InvalidInput("ids", "This is not the id of a validation error.")
    if found.tenant_id != tenant_id:
        raise NotFound("validation error", id)
    return found.key


@strawberry.type(description="The run that looks at the errors again.")
class ValidationErrorsRevalidatePayload:
    sync_run: SyncRun | None = strawberry.field(
        default=None,
        description="The run, waiting or under way; null where nothing can be asked for by name.",
    )
    joined: bool = strawberry.field(
        default=False, description="Whether the run was there already and has been joined."
    )
    full_fetch_needed: bool = strawberry.field(
        default=False,
        description="Whether some of the errors can be looked at only by a run of mode FULL.",
    )
    full_fetch_reason: str | None = strawberry.field(
        default=None, description="Why, in a sentence; null where it is not needed."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty where it was not."
    )


@strawberry.type
class RevalidationMutation:
    @strawberry.mutation(
        description="Reads the records of validation errors again, each by its id, and judges and "
        "stores them like a sync. What is mended is resolved. It happens later, in a worker: "
        "follow `syncRun`.",
        permission_classes=[Permitted],
    )
    async def validation_errors_revalidate(
        self, info: Info, input: Annotated[ValidationErrorsRevalidateInput, INPUT]
    ) -> ValidationErrorsRevalidatePayload:
        context = info.context
        context.loaders.forget()
        try:
            tenant_id = tenant_of(input.tenant_id, context.caller)
            async with context.database.transaction(tenant_id) as session:
                await get_tenant(session, tenant_id=tenant_id)
                done = await request_revalidation(
                    session,
                    tenant_id=tenant_id,
                    chosen=input.chosen(tenant_id),
                    caller=context.caller,
                    now=utc_now(),
                )
        except DomainError as error:
            return ValidationErrorsRevalidatePayload(user_errors=user_errors(error))
        requested = done.requested
        return ValidationErrorsRevalidatePayload(
            sync_run=SyncRun.of(requested.run) if requested else None,
            joined=requested.joined if requested else False,
            full_fetch_needed=done.reason is not None,
            full_fetch_reason=done.reason,
        )
