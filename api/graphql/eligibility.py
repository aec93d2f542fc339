"""Saying here who may use the product."""

from typing import Annotated
from uuid import UUID

import strawberry
from strawberry import Private

from api.graphql.context import Info
from api.graphql.errors import UserError, user_errors
from api.graphql.node import load
from api.graphql.permissions import Permitted
from api.graphql.roster import User
from api.graphql.selections import selection_of
from api.graphql.targets import INPUT, key_of, tenant_of
from domain.errors import DomainError, InvalidInput
from domain.tenants.service import get_tenant
from domain.training.eligibility_setting import MOST_PEOPLE, Whose, set_eligibility


@strawberry.input(description="Live students; all conditions hold together, and one is needed.")
class EligibilityFilter:
    school_id: strawberry.ID | None = strawberry.field(
        default=None, description="Students of this school."
    )
    group_id: strawberry.ID | None = strawberry.field(
        default=None, description="Students who are in this group now."
    )
    grade: str | None = strawberry.field(
        default=None, description="Students in this grade, as a CEDS code."
    )


@strawberry.input(
    description="Who may use the product, and who may not. Give one of `userId`, `userIds` and "
    "`filter`."
)
class EligibilitySetInput:
    tenant_id: strawberry.ID = strawberry.field(description="The tenant's id.")
    is_eligible: bool | None = strawberry.field(
        default=strawberry.UNSET,
        description="Whether they may; null takes back what was said here, and it is as the "
        "provider says again. It has to be said, even null.",
    )
    user_id: strawberry.ID | None = strawberry.field(default=None, description="One person.")
    user_ids: list[strawberry.ID] | None = strawberry.field(
        default=None, description=f"Several people, at most {MOST_PEOPLE}."
    )
    filter: EligibilityFilter | None = strawberry.field(
        default=None, description="The students that fit."
    )


async def _user(parent: strawberry.Parent["EligibilitySetPayload"], info: Info) -> User | None:
    return await load(info, User, *parent.found) if parent.found else None


@strawberry.type(description="Of whom something is said otherwise now.")
class EligibilitySetPayload:
    found: Private[tuple[UUID, UUID] | None] = None
    changed_count: int = strawberry.field(
        default=0, description="Of how many people something is said otherwise than before."
    )

    user: User | None = strawberry.field(
        resolver=_user,
        description="The person, where `userId` was given; null where it was refused.",
        permission_classes=[Permitted],
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty where it was not."
    )


def _whose(input: EligibilitySetInput, tenant_id: UUID) -> Whose:
    given = [input.user_id, input.user_ids, input.filter]
    if sum(value is not None for value in given) != 1:
        raise InvalidInput("userId", "Give one of userId, userIds and filter.")
    if input.user_id is not None:
        return Whose(user_ids=[key_of(input.user_id, User, "userId", tenant_id)])
    if input.user_ids is not None:
        ids = input.user_ids[: MOST_PEOPLE + 1]
        keys = [key_of(text, User, "userIds", tenant_id) for text in ids]
        return Whose(user_ids=list(dict.fromkeys(keys)))
    chosen = input.filter or EligibilityFilter()
    return Whose(
        selection=selection_of(chosen.school_id, chosen.group_id, chosen.grade, tenant_id=tenant_id)
    )


@strawberry.type
class EligibilityMutation:
    @strawberry.mutation(
        description="Says here who may use the product, one by one or many at once. It wins over "
        "what the provider says and survives every sync. Sessions of those who may not any more "
        "end; more students than there are licences are let in by operators only.",
        permission_classes=[Permitted],
    )
    async def eligibility_set(
        self, info: Info, input: Annotated[EligibilitySetInput, INPUT]
    ) -> EligibilitySetPayload:
        context = info.context
        context.loaders.forget()
        try:
            tenant_id = tenant_of(input.tenant_id, context.caller)
            if input.is_eligible is strawberry.UNSET:
                raise InvalidInput("isEligible", "Say true, false or null.")
            whose = _whose(input, tenant_id)
            async with context.database.transaction(tenant_id) as session:
                await get_tenant(session, tenant_id=tenant_id)
                changed = await set_eligibility(
                    session,
                    tenant_id=tenant_id,
                    whose=whose,
                    value=input.is_eligible,
                    caller=context.caller,
                )
        except DomainError as error:
            return EligibilitySetPayload(user_errors=user_errors(error))
        only = whose.user_ids[0] if input.user_id is not None and whose.user_ids else None
        return EligibilitySetPayload(
            changed_count=changed, found=(tenant_id, only) if only else None
        )
