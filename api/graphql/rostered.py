"""What every record of the roster has, and the records that groups refer to: terms and courses."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, ClassVar
from uuid import UUID

import strawberry
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from api.graphql.change_parts import TYPE_CODES, SyncChange
from api.graphql.connection import Connection
from api.graphql.context import Info
from api.graphql.history import history_of
from api.graphql.managed import MANAGED, ManagedFields, managed_by_of
from api.graphql.node import Node
from api.graphql.pages import PageArguments, Paged
from api.graphql.permissions import Permitted
from domain.roster import models
from domain.roster.models import Origin
from domain.roster.records import RecordType


@strawberry.interface(description="What a sync may create, change, archive and restore.")
class Rostered(Node):
    origin: Origin = strawberry.field(
        description="Where it comes from; a sync touches only what the provider shares."
    )
    source_id: str | None = strawberry.field(description="The provider's own id of it.")
    archived_at: datetime | None = strawberry.field(
        description="When it was archived; null while it is live. Nothing is ever erased."
    )
    managed_by: list[ManagedFields] = strawberry.field(resolver=managed_by_of, description=MANAGED)

    @strawberry.field(
        description="What syncs did to it, the latest first; its creation is the last.",
        extensions=[Paged()],
        permission_classes=[Permitted],
    )
    async def changes(self, info: Info, page: PageArguments) -> Connection[SyncChange]:
        return await history_of(info, self, page)


@strawberry.type(description="A term, a semester or a school year.")
class Term(Rostered):
    type_code: ClassVar[str] = TYPE_CODES[RecordType.TERM]
    row: ClassVar[type[Any]] = models.Term

    name: str = strawberry.field(description="The name that the provider gives.")
    kind: str = strawberry.field(description="The provider's word for its kind.")
    starts_on: date | None = strawberry.field(description="Its first day.")
    ends_on: date | None = strawberry.field(description="The first day after it.")


@strawberry.type(description="A subject that is taught; groups are its classes.")
class Course(Rostered):
    type_code: ClassVar[str] = TYPE_CODES[RecordType.COURSE]
    row: ClassVar[type[Any]] = models.Course

    name: str = strawberry.field(description="The name that the provider gives.")
    code: str | None = strawberry.field(description="The district's code for it.")
    subjects: list[str] = strawberry.field(description="Its subjects, in the provider's words.")


async def terms_by_source_id(
    session: AsyncSession, tenant_id: UUID, source_ids: Sequence[str]
) -> Mapping[str, Term]:
    row = models.Term
    rows = await session.execute(
        select(*Term.columns()).where(row.tenant_id == tenant_id, row.source_id.in_(source_ids))
    )
    return {found.source_id: Term.of(found) for found in rows}
