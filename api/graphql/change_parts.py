"""One change of one record, as a run planned it: in a run's list and in a record's history."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, cast
from uuid import UUID

import strawberry
from sqlalchemy import (
    ColumnElement,
    DateTime,
    Select,
    String,
    func,
    literal,
    null,
    select,
    union_all,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.dialects.postgresql import JSONB
from strawberry import Private
from strawberry.scalars import JSON
from strawberry.utils.str_converters import to_camel_case

from api.graphql.context import Info
from api.graphql.node import GlobalId, encode_id, find_node
from domain.global_ids import RUN_CODE
from domain.roster.models import Course, Group, Membership, School, Term, User
from domain.roster.records import RecordType
from domain.sync import models
from domain.sync.models import ChangeAction
from domain.validation.codes import Code

if TYPE_CHECKING:
    from api.graphql.syncs import SyncRun

TYPE_CODES = {
    RecordType.SCHOOL: "S",
    RecordType.TERM: "P",
    RecordType.COURSE: "C",
    RecordType.GROUP: "G",
    RecordType.USER: "U",
    RecordType.MEMBERSHIP: "M",
}
"""What stands in ids for the objects that records are stored as."""
ROWS: dict[RecordType, type[Any]] = {
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
    waits_for: Code | None = strawberry.field(
        description="Why it was not done: it waits for an administrator. Null where it was done, "
        "or by a preflight would be."
    )
    fields: list[FieldChange] = strawberry.field(
        description="What was changed. Empty for a create, where all of it is new; of one that "
        "waits or that a preflight shows, the names."
    )
    changed_at: datetime = strawberry.field(description="When it was planned.")
    tenant_id: Private[UUID]
    run_id: Private[UUID]

    @strawberry.field(description="The run that did it, or would.")
    async def sync_run(
        self, info: Info
    ) -> Annotated["SyncRun", strawberry.lazy("api.graphql.syncs")]:
        run = await find_node(info, GlobalId(RUN_CODE, self.tenant_id, self.run_id))
        return cast("SyncRun", run)


def make_change(row: Any) -> SyncChange:
    record_type = RecordType(row.record_type)
    old, new = row.old_values or {}, row.new_values or {}
    return SyncChange(
        record_type=record_type,
        record_id=encode_id(TYPE_CODES[record_type], row.tenant_id, row.record_id),
        source_id=row.source_id,
        action=ChangeAction(row.action),
        changed_at=row.changed_at,
        waits_for=Code(row.held_by) if row.held_by else None,
        fields=[
            FieldChange(
                name=to_camel_case(name),
                old_value=as_api(old.get(name)),
                new_value=as_api(new.get(name)),
            )
            for name in sorted(old.keys() | new.keys())
        ],
        tenant_id=row.tenant_id,
        run_id=row.run_id,
    )


def as_api(value: Any) -> Any:
    """The API's names inside of values too: a membership's spans are objects."""
    if isinstance(value, Mapping):
        return {to_camel_case(name): as_api(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [as_api(inner) for inner in value]
    return value


def stored_columns() -> list[ColumnElement[Any]]:
    """What `make_change` reads, of a change that has a row."""
    row = models.SyncChange
    return [
        row.tenant_id.label("tenant_id"),
        row.id.label("id"),
        row.run_id.label("run_id"),
        row.created_at.label("changed_at"),
        sql_cast(row.record_type, String).label("record_type"),
        row.record_id.label("record_id"),
        row.source_id.label("source_id"),
        sql_cast(row.action, String).label("action"),
        row.old_values.label("old_values"),
        row.new_values.label("new_values"),
        row.held_by.label("held_by"),
    ]


def created_columns(record_type: RecordType) -> list[ColumnElement[Any]]:
    """The same of a create, which the record itself tells; its id says when it was made."""
    row: Any = ROWS[record_type]
    return [
        row.tenant_id.label("tenant_id"),
        row.id.label("id"),
        row.created_by_run_id.label("run_id"),
        func.uuid_extract_timestamp(row.id, type_=DateTime(timezone=True)).label("changed_at"),
        literal(record_type.value, String).label("record_type"),
        row.id.label("record_id"),
        getattr(row, "source_id", null().cast(String)).label("source_id"),
        literal(ChangeAction.CREATE.value, String).label("action"),
        null().cast(JSONB).label("old_values"),
        null().cast(JSONB).label("new_values"),
        null().cast(String).label("held_by"),
    ]


def united(branches: Sequence[Select[Any]], owner: Sequence[ColumnElement[UUID]]) -> Select[Any]:
    # Within a union the owners' table has to be named as the enclosing statement's.
    of_owner = [branch.correlate(owner[0].table) for branch in branches]
    changes = union_all(*of_owner).subquery("changes")
    return select(*(column for column in changes.c if column.name != "place_0"))
