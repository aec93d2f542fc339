"""What an administrator does about validation errors: accepting them, and opening them again."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated
from uuid import UUID

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from api.graphql.context import Info
from api.graphql.errors import UserError, user_errors
from api.graphql.node import ById, find_id
from api.graphql.permissions import Permitted
from api.graphql.targets import INPUT, tenant_of
from api.graphql.validation import ValidationError
from domain.clock import utc_now
from domain.errors import DomainError, InvalidInput, NotFound
from domain.people.callers import Caller
from domain.sync.acceptance import MOST_IDS, MOST_NOTE, Chosen, accept_errors, reopen_errors
from domain.validation.codes import Code

SHOWN = 100
"""How many of the errors that were changed a payload shows."""


@strawberry.input(description="All errors of a code, or of one cause of it.")
class ValidationErrorSelection:
    tenant_id: strawberry.ID = strawberry.field(description="The tenant's id.")
    code: Code = strawberry.field(description="The code.")
    cause: str | None = strawberry.field(
        default=None, description="Only those of this cause; see the groups."
    )


@strawberry.input(description="Which warnings and notes are meant so.")
class ValidationErrorAcceptInput:
    ids: list[strawberry.ID] | None = strawberry.field(
        default=None, description=f"The errors' ids, at most {MOST_IDS}; all of one tenant."
    )
    filter: ValidationErrorSelection | None = strawberry.field(
        default=None, description="Instead of ids: all that are open of a code."
    )
    note: str | None = strawberry.field(
        default=None, description=f"Why it is meant so, in at most {MOST_NOTE} characters."
    )


@strawberry.input(description="Which accepted errors shall be open again.")
class ValidationErrorReopenInput:
    ids: list[strawberry.ID] | None = strawberry.field(
        default=None, description=f"The errors' ids, at most {MOST_IDS}; all of one tenant."
    )
    filter: ValidationErrorSelection | None = strawberry.field(
        default=None, description="Instead of ids: all that are accepted of a code."
    )


@strawberry.type(description="The errors that were accepted.")
class ValidationErrorAcceptPayload:
    validation_errors: list[ValidationError] = strawberry.field(
        default_factory=list, description=f"The errors as they are now, at most {SHOWN} of them."
    )
    count: int = strawberry.field(default=0, description="How many they are.")
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why nothing was changed; empty where it was."
    )


@strawberry.type(description="The errors that are open again.")
class ValidationErrorReopenPayload:
    validation_errors: list[ValidationError] = strawberry.field(
        default_factory=list, description=f"The errors as they are now, at most {SHOWN} of them."
    )
    count: int = strawberry.field(default=0, description="How many they are.")
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why nothing was changed; empty where it was."
    )


def _chosen(
    ids: Sequence[str] | None, filter: ValidationErrorSelection | None, caller: Caller
) -> tuple[UUID, Chosen]:
    """Whose errors, and which. Another tenant's are answered like ones that are not there."""
    if filter is not None and ids is None:
        return tenant_of(filter.tenant_id, caller), Chosen(code=filter.code, cause=filter.cause)
    if not ids or filter is not None:
        raise InvalidInput("ids", "Give ids, or a filter.")
    tenants, keys = set(), []
    for text in ids:
        found = find_id(text)
        if found is None or found.code != ValidationError.type_code:
            raise InvalidInput("ids", "One of the ids is not that of a validation error.")
        if not caller.may_see(found.tenant_id):
            raise NotFound("validation error", found.key)
        tenants.add(found.tenant_id)
        keys.append(found.key)
    if len(tenants) > 1:
        raise InvalidInput("ids", "These errors are of several tenants.")
    return tenants.pop(), Chosen(ids=keys)


async def _act(
    info: Info,
    chosen: tuple[UUID, Chosen],
    act: Callable[[AsyncSession, UUID, Chosen], Awaitable[list[UUID]]],
) -> tuple[list[ValidationError], int]:
    """The errors as they are now, and how many were changed."""
    tenant_id, which = chosen
    async with info.context.database.transaction(tenant_id) as session:
        changed = await act(session, tenant_id, which)
    found = await info.context.loaders.of(ById(ValidationError)).load_many(
        [(tenant_id, key) for key in changed[:SHOWN]]
    )
    return [error for error in found if isinstance(error, ValidationError)], len(changed)


@strawberry.type
class ValidationMutation:
    @strawberry.mutation(
        description="Accepts warnings and notes that are meant so: each stays quiet until its "
        "value changes. Errors cannot be accepted. All are changed or none.",
        permission_classes=[Permitted],
    )
    async def validation_error_accept(
        self, info: Info, input: Annotated[ValidationErrorAcceptInput, INPUT]
    ) -> ValidationErrorAcceptPayload:
        caller = info.context.caller
        info.context.loaders.forget()

        async def accept(session: AsyncSession, tenant_id: UUID, chosen: Chosen) -> list[UUID]:
            return await accept_errors(
                session,
                tenant_id=tenant_id,
                chosen=chosen,
                note=input.note,
                caller=caller,
                now=utc_now(),
            )

        try:
            errors, count = await _act(info, _chosen(input.ids, input.filter, caller), accept)
        except DomainError as error:
            return ValidationErrorAcceptPayload(user_errors=user_errors(error))
        return ValidationErrorAcceptPayload(validation_errors=errors, count=count)

    @strawberry.mutation(
        description="Opens accepted errors again. All are changed or none.",
        permission_classes=[Permitted],
    )
    async def validation_error_reopen(
        self, info: Info, input: Annotated[ValidationErrorReopenInput, INPUT]
    ) -> ValidationErrorReopenPayload:
        caller = info.context.caller
        info.context.loaders.forget()

        async def reopen(session: AsyncSession, tenant_id: UUID, chosen: Chosen) -> list[UUID]:
            return await reopen_errors(session, tenant_id=tenant_id, chosen=chosen, caller=caller)

        try:
            errors, count = await _act(info, _chosen(input.ids, input.filter, caller), reopen)
        except DomainError as error:
            return ValidationErrorReopenPayload(user_errors=user_errors(error))
        return ValidationErrorReopenPayload(validation_errors=errors, count=count)
