"""The history of a record: every change that runs made to it, and its creation before all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Uuid, literal_column, select
from typing_extensions import override

from api.graphql.change_parts import (
    ROWS,
    TYPE_CODES,
    SyncChange,
    created_columns,
    make_change,
    stored_columns,
    united,
)
from api.graphql.connection import Connection, NestedListing, connect_nested
from api.graphql.context import Info
from api.graphql.node import Node
from api.graphql.pages import OrderDirection, PageArguments, Sorting
from domain.roster.records import RecordType
from domain.sync import models
from domain.sync.models import SUCCESSFUL, SyncMode, SyncRunState

_DONE = (*SUCCESSFUL, SyncRunState.SUMMARISING)
_RECORD_TYPES = {code: record_type for record_type, code in TYPE_CODES.items()}


@dataclass(frozen=True, slots=True)
class ChangesOfRecords(NestedListing):
    """What was done, without what runs only planned: preflights, what waits, what failed."""

    record_type: RecordType
    name: str = "changes"

    @override
    def statement(self, tenant_id: UUID, owner: Sequence[ColumnElement[UUID]]) -> Select[Any]:
        change, run, row = models.SyncChange, models.SyncRun, ROWS[self.record_type]
        stored = (
            select(*stored_columns())
            .join(run, (run.tenant_id == change.tenant_id) & (run.id == change.run_id))
            .where(
                change.tenant_id == tenant_id,
                change.record_id == owner[0],
                change.held_by.is_(None),
                run.mode != SyncMode.PREFLIGHT,
                run.state.in_(_DONE),
            )
        )
        created = select(*created_columns(self.record_type)).where(
            row.tenant_id == tenant_id, row.id == owner[0], row.created_by_run_id.is_not(None)
        )
        return united([stored, created], owner)

    @override
    def sorting(self) -> Sorting:
        """Ids tell when they were made."""
        return Sorting.by([], literal_column("changes.id", Uuid()), OrderDirection.DESC)


async def history_of(info: Info, node: Node, page: PageArguments) -> Connection[SyncChange]:
    listing = ChangesOfRecords(_RECORD_TYPES[node.type_code])
    owner = (node.tenant_id, (node.key,))
    return await connect_nested(info, listing, page, of=owner, make=make_change)
