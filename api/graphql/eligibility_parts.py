"""Whether somebody may use the product, and who says so."""

from datetime import datetime
from typing import Final

import strawberry

from api.graphql.context import Info
from api.graphql.described import describe
from api.graphql.node import Node
from api.graphql.run_parts import Actor
from domain.training.eligibility_setting import (
    Eligibility,
    EligibilitySource,
    eligibility_of_users,
)

describe(
    EligibilitySource,
    "Who says whether somebody is eligible.",
    PROVIDER="The provider, by the field that the tenant has chosen: nothing was said here.",
    LOCAL="It was said here, which wins over the provider and survives every sync.",
)
ELIGIBLE: Final = "Whether the person may use the product, and who says so."


@strawberry.type(description="Whether somebody may use the product, and who says so.")
class UserEligibility:
    is_eligible: bool = strawberry.field(description="What counts.")
    source: EligibilitySource = strawberry.field(description="Who says it.")
    provider_says: bool = strawberry.field(
        description="What counts as soon as nothing is said here."
    )
    set_at: datetime | None = strawberry.field(description="When it was said here.")
    set_by: Actor | None = strawberry.field(description="Who said it here.")


async def is_eligible_of(parent: strawberry.Parent[Node], info: Info) -> bool:
    said = await _said(parent, info)
    return said is not None and said.is_eligible


async def eligibility_of(parent: strawberry.Parent[Node], info: Info) -> UserEligibility | None:
    said = await _said(parent, info)
    if said is None:
        return None
    return UserEligibility(
        is_eligible=said.is_eligible,
        source=said.source,
        provider_says=said.provider_says,
        set_at=said.set_at,
        set_by=Actor.of(said.set_by) if said.set_by else None,
    )


async def _said(person: Node, info: Info) -> Eligibility | None:
    key = (person.tenant_id, person.key)
    return await info.context.loaders.of(eligibility_of_users).load(key)
