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
from api.graphql.people_imports_report import PeopleImportReport
from domain.errands import models
from domain.errands.models import ErrandKind, ErrandState
from domain.errands.service import WAIT_SECONDS, request_errand, wait_for_errand

_MARGIN = 5


@strawberry.type(description="How far an errand is.")
class ErrandProgress:
    done: int = strawberry.field(description="How many people are done.")
    total: int = strawberry.field(description="How many there are to do.")


@strawberry.type(description="What came of setting the training settings of many people.")
class SettingsBulkReport:
    matched_count: int = strawberry.field(description="How many people fitted.")
    changed_count: int = strawberry.field(description="Of how many of them something was changed.")


@strawberry.type(
    description="Something that a worker does for a caller. It is kept for a day after its end."
)
class Errand(Node):
    type_code: ClassVar[str] = "J"
    row = models.Errand
    derived = ("legacy_import", "people_import", "settings_bulk", "progress")
    sources = ("kind", "result", "progress")

    kind: ErrandKind = strawberry.field(description="What is done.")
    state: ErrandState = strawberry.field(description="How far it is.")
    requested_at: datetime = strawberry.field(description="When it was asked for.")
    finished_at: datetime | None = strawberry.field(description="When it ended.")
    message: str | None = strawberry.field(description="Why it was refused, to be shown.")
    progress: ErrandProgress | None = strawberry.field(
        description="How far it is; null where it takes no time or has not begun."
    )
    legacy_import: LegacyImportReport | None = strawberry.field(
        description="What came of a legacy import that is done."
    )
    people_import: PeopleImportReport | None = strawberry.field(
        description="What came of an import of admins or staff that is done."
    )
    settings_bulk: SettingsBulkReport | None = strawberry.field(
        description="What came of setting the training settings of many people, once it is done."
    )

    @override
    @classmethod
    def derive(cls, row: Any) -> Mapping[str, Any]:
        kind, result = row.kind, row.result
        is_legacy = kind == ErrandKind.LEGACY_IMPORT.value and result is not None
        is_people = kind == ErrandKind.PEOPLE_IMPORT.value and result is not None
        is_settings = kind == ErrandKind.SETTINGS_BULK.value and result is not None
        return {
            "legacy_import": LegacyImportReport.of(result) if is_legacy else None,
            "people_import": PeopleImportReport.of(result) if is_people else None,
            "settings_bulk": _counted(result) if is_settings else None,
            "progress": ErrandProgress(**row.progress) if row.progress else None,
        }


def _counted(result: Mapping[str, Any]) -> SettingsBulkReport:
    return SettingsBulkReport(matched_count=result["matched"], changed_count=result["changed"])


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
