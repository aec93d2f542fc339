"""Who manages which field of a record, and where it is changed."""

from collections.abc import Mapping, Sequence
from typing import Final, cast
from uuid import UUID

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession

from api.graphql.change_parts import TYPE_CODES
from api.graphql.context import Info
from api.graphql.described import describe
from api.graphql.node import Node
from domain.integrations.rosterers import find_rosterer
from domain.roster.managed import Rosterer, managed_by
from domain.roster.models import Origin
from domain.roster.ownership import FieldOwner
from domain.roster.records import RecordType
from domain.roster.source import Provider
from domain.training.eligibility_setting import EligibilitySource, eligibility_of_users

describe(
    FieldOwner,
    "Who owns a field.",
    PROVIDER="The provider: it is read-only here, and every sync sets it.",
    LOCAL="The product: it is changed here, and no sync touches it.",
    SYSTEM="Homerow itself.",
)
MANAGED: Final = (
    "Who manages its fields, and where each is changed. Every stored field is there once."
)
_RECORD_TYPES: Final = {code: record_type for record_type, code in TYPE_CODES.items()}


@strawberry.type(description="Some fields of a record, and where they are changed.")
class ManagedFields:
    owner: FieldOwner = strawberry.field(description="Whose they are.")
    provider: Provider | None = strawberry.field(
        description="The provider, where they are a provider's."
    )
    fields: list[str] = strawberry.field(description="The fields, as the API names them.")
    where: str = strawberry.field(description="Where they are changed, in a sentence to be shown.")


async def managed_by_of(parent: strawberry.Parent[Node], info: Info) -> list[ManagedFields]:
    loaders, tenant_id = info.context.loaders, parent.tenant_id
    record_type = _RECORD_TYPES[parent.type_code]
    origin = cast("Origin", vars(parent)["origin"])
    rosterer, is_local = Rosterer(), False
    if origin is Origin.PROVIDER:
        rosterer = await loaders.of(rosterers).load((tenant_id, tenant_id)) or rosterer
        if record_type is RecordType.USER:
            said = await loaders.of(eligibility_of_users).load((tenant_id, parent.key))
            is_local = said is not None and said.source is EligibilitySource.LOCAL
    managed = managed_by(record_type, origin, rosterer, is_eligibility_local=is_local)
    return [
        ManagedFields(
            owner=part.owner,
            provider=part.provider,
            fields=list(part.fields),
            where=part.where,
        )
        for part in managed
    ]


async def rosterers(
    session: AsyncSession, tenant_id: UUID, _: Sequence[UUID]
) -> Mapping[UUID, Rosterer]:
    """One for each tenant, whose id is the key."""
    return {tenant_id: await find_rosterer(session, tenant_id=tenant_id)}
