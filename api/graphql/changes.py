"""What a run did: updates, archives and restores as they were planned, and what it created.

A create has no row among the changes: the record itself names the run that made it. Records have
ids that tell when they were made, so a run's are looked for between its beginning and its end.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import strawberry
from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    Uuid,
    cast,
    literal,
    literal_column,
    null,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import JSONB
from strawberry.scalars import JSON
from strawberry.utils.str_converters import to_camel_case
from typing_extensions import override

from api.graphql.connection import NestedListing
from api.graphql.node import Node, encode_id
from api.graphql.pages import Sorting, Window, windowed
from api.graphql.roster import Course, Group, Membership, School, Term, User
from domain.roster.records import RecordType
from domain.sync import models
from domain.sync.models import ChangeAction

_MARGIN = timedelta(minutes=1)
_LAST = UUID(int=(1 << 128) - 1)

_NODES: dict[RecordType, type[Node]] = {
    RecordType.SCHOOL: School,
    RecordType.TERM: Term,
    RecordType.COURSE: Course,
    RecordType.GROUP: Group,
    RecordType.USER: User,
    RecordType.MEMBERSHIP: Membership,
}


@strawberry.type(description="A field that a change gave another value.")
class FieldChange:
    name: str = strawberry.field(description="The field, as the API names it.")
    old_value: JSON | None = strawberry.field(description="Its value before.")
    new_value: JSON | None = strawberry.field(description="Its value after.")


@strawberry.type(description="One record that a run created, updated, archived or restored.")
class SyncChange:
    record_type: RecordType = strawberry.field(description="The kind of record.")
    record_id: strawberry.ID = strawberry.field(
        description="The id of the object that the record is stored as, for `node`."
    )
    source_id: str | None = strawberry.field(description="The provider's id of the record.")
    action: ChangeAction = strawberry.field(description="What was done to it.")
    fields: list[FieldChange] = strawberry.field(
        description="What was changed; empty for a create, where all of it is new."
    )


@strawberry.input(description="Which changes are wanted; all conditions hold together.")
class SyncChangeFilter:
    record_type: RecordType | None = strawberry.field(
        default=None, description="Only changes of records of this kind."
    )
    action: ChangeAction | None = strawberry.field(
        default=None, description="Only changes of this sort."
    )


class RunSpan(NamedTuple):
    """A run and the ids between which all that it made lies."""

    run_id: UUID
    first: UUID
    last: UUID

    @classmethod
    def of(
        cls, run_id: UUID, started_at: datetime | None, finished_at: datetime | None
    ) -> "RunSpan":
        if started_at is None:
            return cls(run_id, _LAST, _LAST)
        last = _id_at(finished_at + _MARGIN) if finished_at else _LAST
        return cls(run_id, _id_at(started_at - _MARGIN), last)


def _id_at(instant: datetime) -> UUID:
    """The least UUIDv7 of a millisecond."""
    return UUID(int=int(instant.timestamp() * 1000) << 80)


@dataclass(frozen=True, slots=True)
class ChangesOfRuns(NestedListing):
    """The changes of runs; an owner is a RunSpan."""

    record_type: RecordType | None = None
    action: ChangeAction | None = None
    name: str = "changes"

    @override
    def statement(self, tenant_id: UUID, owner: Sequence[ColumnElement[UUID]]) -> Select[Any]:
        return _united([branch for branch, _ in self._branches(tenant_id, owner)], owner)

    @override
    def page(
        self, tenant_id: UUID, owner: Sequence[ColumnElement[UUID]], window: Window
    ) -> Select[Any]:
        """No table is read further than the page goes: a first sync creates a million records."""
        pages = [
            windowed(branch, Sorting.by([], key), window)
            for branch, key in self._branches(tenant_id, owner)
        ]
        return windowed(_united(pages, owner), self.sorting(), window)

    def _branches(
        self, tenant_id: UUID, owner: Sequence[ColumnElement[UUID]]
    ) -> Iterator[tuple[Select[Any], ColumnElement[UUID]]]:
        if self.action is not ChangeAction.CREATE:
            yield self._stored(tenant_id, owner), models.SyncChange.__table__.c.id
        if self.action in {None, ChangeAction.CREATE}:
            for record_type in RecordType:
                if self.record_type in {None, record_type}:
                    key = _NODES[record_type].row.__table__.c.id
                    yield _created(record_type, tenant_id, owner), key

    def _stored(self, tenant_id: UUID, owner: Sequence[ColumnElement[UUID]]) -> Select[Any]:
        row = models.SyncChange
        statement = select(
            row.tenant_id,
            row.id,
            cast(row.record_type, String).label("record_type"),
            row.record_id,
            row.source_id,
            cast(row.action, String).label("action"),
            row.old_values,
            row.new_values,
        ).where(row.tenant_id == tenant_id, row.run_id == owner[0])
        if self.record_type:
            statement = statement.where(row.record_type == self.record_type)
        if self.action:
            statement = statement.where(row.action == self.action)
        return statement

    @override
    def sorting(self) -> Sorting:
        return Sorting.by([], literal_column("changes.id", Uuid()))


def _united(branches: Sequence[Select[Any]], owner: Sequence[ColumnElement[UUID]]) -> Select[Any]:
    # Within a union the owners' table has to be named as the enclosing statement's.
    of_owner = [branch.correlate(owner[0].table) for branch in branches]
    changes = union_all(*of_owner).subquery("changes")
    return select(*(column for column in changes.c if column.name != "place_0"))


def _created(
    record_type: RecordType, tenant_id: UUID, owner: Sequence[ColumnElement[UUID]]
) -> Select[Any]:
    row = _NODES[record_type].row
    run_id, first, last = owner
    return select(
        row.tenant_id,
        row.id,
        literal(record_type.value, String).label("record_type"),
        row.id.label("record_id"),
        getattr(row, "source_id", null().cast(String)).label("source_id"),
        literal(ChangeAction.CREATE.value, String).label("action"),
        null().cast(JSONB).label("old_values"),
        null().cast(JSONB).label("new_values"),
    ).where(
        row.tenant_id == tenant_id,
        row.id.between(first, last),
        row.created_by_run_id == run_id,
    )


def make_change(row: Any) -> SyncChange:
    record_type = RecordType(row.record_type)
    old, new = row.old_values or {}, row.new_values or {}
    return SyncChange(
        record_type=record_type,
        record_id=encode_id(_NODES[record_type].type_code, row.tenant_id, row.record_id),
        source_id=row.source_id,
        action=ChangeAction(row.action),
        fields=[
            FieldChange(
                name=to_camel_case(name),
                old_value=_as_api(old.get(name)),
                new_value=_as_api(new.get(name)),
            )
            for name in sorted(old.keys() | new.keys())
        ],
    )


def _as_api(value: Any) -> Any:
    """The API's names inside of values too: a membership's spans are objects."""
    if isinstance(value, Mapping):
        return {to_camel_case(name): _as_api(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_as_api(inner) for inner in value]
    return value
