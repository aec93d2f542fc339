"""Requirements: what a tenant demands of its students' records beyond the taxonomy."""

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated
from uuid import UUID

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from api.graphql.context import Info
from api.graphql.described import describe
from api.graphql.errors import UserError, user_errors
from api.graphql.permissions import Permitted
from api.graphql.targets import INPUT, tenant_of
from domain.clock import utc_now
from domain.errors import DomainError
from domain.integrations.requirements import (
    MOST_DOMAINS,
    RequirementName,
    check_domains,
    check_requirements,
    enabled_requirements,
    set_requirements,
)
from domain.tenants.service import get_tenant

describe(
    RequirementName,
    "What a tenant may require of every student. A student who falls short is not applied; what is "
    "stored of them stays.",
    GRADE_REQUIRED="A grade.",
    UNIQUE_EMAIL_REQUIRED="An email address that nobody else has.",
    UNIQUE_NUMBER_REQUIRED="A student number that no other student has.",
)


@strawberry.type(description="Something that a tenant may require of every student.")
class Requirement:
    name: RequirementName = strawberry.field(description="What it is.")
    is_enabled: bool = strawberry.field(description="Whether the tenant requires it.")


def requirements_from(enabled: Collection[RequirementName]) -> list[Requirement]:
    return [Requirement(name=name, is_enabled=name in enabled) for name in RequirementName]


async def requirements_of_tenants(
    session: AsyncSession, tenant_id: UUID, tenant_ids: Sequence[UUID]
) -> Mapping[UUID, list[Requirement]]:
    del tenant_id  # it is the only one of tenant_ids
    found = await enabled_requirements(session, tenant_ids)
    return {key: requirements_from(found.get(key, ())) for key in tenant_ids}


@strawberry.input(description="Whether something is required.")
class RequirementInput:
    name: RequirementName = strawberry.field(description="What it is.")
    is_enabled: bool = strawberry.field(description="Whether it is required.")


@strawberry.input(description="What a tenant requires.")
class RequirementsSetInput:
    tenant_id: strawberry.ID = strawberry.field(description="The tenant's id.")
    requirements: list[RequirementInput] = strawberry.field(
        default_factory=list, description="What changes; the others stay as they are."
    )
    email_domains: list[str] | None = strawberry.field(
        default=None,
        description=f"The domains of email addresses, at most {MOST_DOMAINS}, and those below "
        "them: other addresses are warned of. An empty list: any will do; left out: as before.",
    )


@strawberry.type(description="What is required now.")
class RequirementsSetPayload:
    requirements: list[Requirement] = strawberry.field(
        default_factory=list, description="All requirements; empty where it was refused."
    )
    email_domains: list[str] = strawberry.field(
        default_factory=list, description="The domains of email addresses; empty: any will do."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty where it was not."
    )


@strawberry.type
class RequirementMutation:
    @strawberry.mutation(
        description="Sets what a tenant requires of its students. It holds from the next sync on.",
        permission_classes=[Permitted],
    )
    async def requirements_set(
        self, info: Info, input: Annotated[RequirementsSetInput, INPUT]
    ) -> RequirementsSetPayload:
        context = info.context
        context.loaders.forget()
        try:
            tenant_id = tenant_of(input.tenant_id, context.caller)
            wanted = check_requirements(
                [(each.name, each.is_enabled) for each in input.requirements]
            )
            domains = None if input.email_domains is None else check_domains(input.email_domains)
            async with context.database.transaction(tenant_id) as session:
                await get_tenant(session, tenant_id=tenant_id)
                integration = await set_requirements(
                    session,
                    tenant_id=tenant_id,
                    requirements=wanted,
                    email_domains=domains,
                    caller=context.caller,
                    now=utc_now(),
                )
                enabled = await enabled_requirements(session, [tenant_id])
        except DomainError as error:
            return RequirementsSetPayload(user_errors=user_errors(error))
        return RequirementsSetPayload(
            requirements=requirements_from(enabled.get(tenant_id, ())),
            email_domains=integration.email_domains,
        )
