"""What a run did: updates, archives and restores as they were planned, and what it created.

A create has no row among the changes: the record itself names the run that made it. Records have
ids that tell when they were made, so a run's are looked for between its beginning and its end.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import strawberry
from sqlalchemy import ColumnElement, Select, Uuid, literal_column, select
from typing_extensions import override

from api.graphql.change_parts import ROWS, created_columns, stored_columns, united
from api.graphql.connection import NestedListing
from api.graphql.pages import Sorting, Window, windowed
from domain.roster.records import RecordType
from domain.sync import models
from domain.sync.models import ChangeAction


@strawberry.input(description="Which changes are wanted; all conditions hold together.")
class SyncChangeFilter:
    record_type: RecordType | None = strawberry.field(
        default=None, description="Only changes of records of this kind."
    )
    action: ChangeAction | None = strawberry.field(
        default=None, description="Only changes of this sort."
    )
    is_waiting: bool | None = strawberry.field(
        default=None, description="Only changes that wait, or only those that do not."
    )


@dataclass(frozen=True, slots=True)
class ChangesOfRuns(NestedListing):
    """The changes of runs; an owner is a RunSpan of domain.sync.spans."""

    record_type: RecordType | None = None
    action: ChangeAction | None = None
    is_waiting: bool | None = None
    name: str = "changes"

    @override
    def statement(self, tenant_id: UUID, owner: Sequence[ColumnElement[UUID]]) -> Select[Any]:
        return united([branch for branch, _ in self._branches(tenant_id, owner)], owner)

    @override
    def page(
        self, tenant_id: UUID, owner: Sequence[ColumnElement[UUID]], window: Window
    ) -> Select[Any]:
        """No table is read further than the page goes: a first sync creates a million records."""
        pages = [
            windowed(branch, Sorting.by([], key), window)
            for branch, key in self._branches(tenant_id, owner)
        ]
        return windowed(united(pages, owner), self.sorting(), window)

    def _branches(
        self, tenant_id: UUID, owner: Sequence[ColumnElement[UUID]]
    ) -> Iterator[tuple[Select[Any], ColumnElement[UUID]]]:
        yield self._stored(tenant_id, owner), models.SyncChange.__table__.c.id
        if self.action in {None, ChangeAction.CREATE} and not self.is_waiting:
            for record_type in RecordType:
                if self.record_type in {None, record_type}:
                    key = ROWS[record_type].__table__.c.id
                    yield _created(record_type, tenant_id, owner), key

    def _stored(self, tenant_id: UUID, owner: Sequence[ColumnElement[UUID]]) -> Select[Any]:
        row = models.SyncChange
        statement = select(*stored_columns()).where(
            row.tenant_id == tenant_id, row.run_id == owner[0]
        )
        if self.record_type:
            statement = statement.where(row.record_type == self.record_type)
        if self.action:
            statement = statement.where(row.action == self.action)
        if self.is_waiting is not None:
            statement = statement.where(row.held_by.is_not(None).is_(self.is_waiting))
        return statement

    @override
    def sorting(self) -> Sorting:
        return Sorting.by([], literal_column("changes.id", Uuid()))


def _created(
    record_type: RecordType, tenant_id: UUID, owner: Sequence[ColumnElement[UUID]]
) -> Select[Any]:
    row = ROWS[record_type]
    run_id, first, last = owner
    return select(*created_columns(record_type)).where(
        row.tenant_id == tenant_id,
        row.id.between(first, last),
        row.created_by_run_id == run_id,
    )
