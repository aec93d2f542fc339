"""Errands: what only a worker may do. The caller waits for it here, or follows it as a node."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

import strawberry
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import override

from api.graphql.context import Context
from api.graphql.legacy_report import LegacyImportReport
from api.graphql.node import Node
from domain.errands import models
from domain.errands.models import ErrandKind, ErrandState
from domain.errands.service import WAIT_SECONDS, request_errand, wait_for_errand

_MARGIN = 5


@strawberry.type(
    description="Something that a worker does for a caller. It is kept for a day after its end."
)
class Errand(Node):
    type_code: ClassVar[str] = "J"
    row = models.Errand
    derived = ("legacy_import",)
    sources = ("kind", "result")

    kind: ErrandKind = strawberry.field(description="What is done.")
    state: ErrandState = strawberry.field(description="How far it is.")
    requested_at: datetime = strawberry.field(description="When it was asked for.")
    finished_at: datetime | None = strawberry.field(description="When it ended.")
    message: str | None = strawberry.field(description="Why it was refused, to be shown.")
    legacy_import: LegacyImportReport | None = strawberry.field(
        description="What came of a legacy import that is done."
    )

    @override
    @classmethod
    def derive(cls, row: Any) -> Mapping[str, Any]:
        is_import = row.kind == ErrandKind.LEGACY_IMPORT.value and row.result is not None
        return {"legacy_import": LegacyImportReport.of(row.result) if is_import else None}


class Outcome(NamedTuple):
    """`result` is None where the errand has not been run yet; then `errand` is to be followed."""

    errand: Errand
    result: Mapping[str, Any] | None


async def run_errand(
    context: Context,
    *,
    tenant_id: UUID,
    kind: ErrandKind,
    asked: Mapping[str, Any],
    seconds: float = WAIT_SECONDS,
) -> Outcome:
    """Ask for an errand and wait for it. Raises the DomainError that it is refused with."""
    async with context.database.transaction(tenant_id) as session:
        errand_id = await request_errand(
            session, tenant_id=tenant_id, kind=kind, asked=asked, caller=context.caller
        )
    context.allow(seconds + _MARGIN)
    result = await wait_for_errand(
        context.database, tenant_id=tenant_id, errand_id=errand_id, seconds=seconds
    )
    async with context.database.read(tenant_id) as session:
        return Outcome(await _read(session, tenant_id, errand_id), result)


async def _read(session: AsyncSession, tenant_id: UUID, errand_id: UUID) -> Errand:
    found = await session.execute(Errand.statement(tenant_id).where(models.Errand.id == errand_id))
    return Errand.of(found.one())
