"""What an administrator takes along as a sheet: validation errors, and what a run changed.

Rows come from a cursor of the database's, a few at a time: a first sync has a million of them.
"""

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, Self
from uuid import UUID

from sqlalchemy import ColumnElement, Select, String, cast, literal, null, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from domain.roster.models import Course, Group, Membership, School, Term, User
from domain.roster.records import RecordType
from domain.sync.models import ChangeAction, SyncChange
from domain.sync.service import get_run
from domain.sync.spans import RunSpan
from domain.validation.codes import RULES, Code, Severity, effect_of
from domain.validation.models import ErrorState, ValidationError

BATCH = 500
"""Rows that are fetched at once: what is between two looks at other requests."""

ERROR_HEADER = (
    "Code", "What is wrong", "Severity", "State", "Who can mend it", "Record type",
    "Id at the provider", "Field", "Expected", "Found", "Place", "What Homerow did", "What to do",
    "First seen (UTC)", "Last seen (UTC)", "Runs", "Cause",
)  # fmt: skip
CHANGE_HEADER = (
    "Record type", "Id", "Id at the provider", "Name", "Action", "Waits for", "Field",
    "Old value", "New value",
)  # fmt: skip

_TABLES: dict[RecordType, Any] = {
    RecordType.SCHOOL: School,
    RecordType.TERM: Term,
    RecordType.COURSE: Course,
    RecordType.GROUP: Group,
    RecordType.USER: User,
    RecordType.MEMBERSHIP: Membership,
}


class ErrorChoice(NamedTuple):
    """Which errors; all conditions hold together, and None is no condition."""

    states: tuple[ErrorState, ...] | None = None
    severities: tuple[Severity, ...] | None = None
    codes: tuple[Code, ...] | None = None
    cause: str | None = None
    record_type: RecordType | None = None
    source_id: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {name: value for name, value in self._asdict().items() if value is not None}

    @classmethod
    def of(cls, choice: Mapping[str, Any]) -> Self:
        """From what `as_json` made."""
        several = {"states": ErrorState, "severities": Severity, "codes": Code}
        given: dict[str, Any] = dict(choice)
        for name, enumeration in several.items():
            if name in given:
                given[name] = tuple(enumeration(value) for value in given[name])
        if "record_type" in given:
            given["record_type"] = RecordType(given["record_type"])
        return cls(**given)

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        row = ValidationError
        several = {"state": self.states, "severity": self.severities, "code": self.codes}
        for name, chosen in several.items():
            if chosen is not None:
                yield getattr(row, name).in_(chosen)
        for name in ("cause", "record_type", "source_id"):
            value = getattr(self, name)
            if value is not None:
                yield getattr(row, name) == value


class ChangeChoice(NamedTuple):
    """Which changes of a run. `is_waiting`: those that wait, those that do not, or both (None)."""

    run_id: UUID
    record_type: RecordType | None = None
    action: ChangeAction | None = None
    is_waiting: bool | None = None

    def as_json(self) -> dict[str, Any]:
        chosen = {name: value for name, value in self._asdict().items() if value is not None}
        return chosen | {"run_id": str(self.run_id)}

    @classmethod
    def of(cls, choice: Mapping[str, Any]) -> Self:
        """From what `as_json` made."""
        record_type, action = choice.get("record_type"), choice.get("action")
        return cls(
            run_id=UUID(choice["run_id"]),
            record_type=RecordType(record_type) if record_type else None,
            action=ChangeAction(action) if action else None,
            is_waiting=choice.get("is_waiting"),
        )


async def error_rows(
    session: AsyncSession, *, tenant_id: UUID, choice: ErrorChoice
) -> AsyncGenerator[Sequence[str]]:
    """In the order in which they were seen first, below ERROR_HEADER."""
    row = ValidationError
    statement = (
        select(
            row.code, row.severity, row.state, row.record_type, row.source_id, row.field,
            row.expected, row.found, row.place, row.first_seen_at, row.last_seen_at, row.runs,
            row.cause,
        )
        .where(row.tenant_id == tenant_id, *choice.conditions())
        .order_by(row.id)
    )  # fmt: skip
    async for found in await _stream(session, statement):
        yield _error_row(found)


def _error_row(found: Any) -> Sequence[str]:
    rule = RULES[Code(found.code)]
    return (
        found.code, rule.title, found.severity.value, found.state.value, rule.owner.value,
        found.record_type, found.source_id or "", found.field or "", found.expected or "",
        found.found or "", found.place or "", effect_of(found.code, found.severity), rule.remedy,
        _moment(found.first_seen_at), _moment(found.last_seen_at), str(found.runs), found.cause,
    )  # fmt: skip


async def change_rows(
    session: AsyncSession, *, tenant_id: UUID, choice: ChangeChoice
) -> AsyncGenerator[Sequence[str]]:
    """Kind of record by kind of record, one row for each field that changed.

    A create that was applied is none of the stored changes: the record itself names its run.
    """
    run = await get_run(session, tenant_id=tenant_id, run_id=choice.run_id)
    span = RunSpan.of(run.id, run.started_at, run.finished_at)
    for record_type in RecordType:
        if choice.record_type not in {None, record_type}:
            continue
        for statement in _statements(record_type, tenant_id, choice, span):
            async for found in await _stream(session, statement):
                for row in _change_rows(found):
                    yield row


async def _stream(session: AsyncSession, statement: Any) -> Any:
    return await session.stream(statement.execution_options(yield_per=BATCH))


def _statements(
    record_type: RecordType, tenant_id: UUID, choice: ChangeChoice, span: RunSpan
) -> Iterator[Select[Any]]:
    yield _stored(record_type, tenant_id, choice)
    if choice.action in {None, ChangeAction.CREATE} and not choice.is_waiting:
        yield _created(record_type, tenant_id, span)


def _stored(record_type: RecordType, tenant_id: UUID, choice: ChangeChoice) -> Select[Any]:
    row, record = SyncChange, aliased(_TABLES[record_type])
    statement = (
        select(
            literal(record_type.value, String).label("record_type"),
            row.record_id,
            row.source_id,
            _name_of(record_type, record, tenant_id).label("name"),
            cast(row.action, String).label("action"),
            row.held_by,
            row.old_values,
            row.new_values,
        )
        .outerjoin(record, (record.tenant_id == tenant_id) & (record.id == row.record_id))
        .where(
            row.tenant_id == tenant_id,
            row.run_id == choice.run_id,
            row.record_type == record_type,
        )
        .order_by(row.id)
    )
    if choice.action is not None:
        statement = statement.where(row.action == choice.action)
    if choice.is_waiting is not None:
        waits = row.held_by.is_not(None)
        statement = statement.where(waits if choice.is_waiting else ~waits)
    return statement


def _created(record_type: RecordType, tenant_id: UUID, span: RunSpan) -> Select[Any]:
    record = _TABLES[record_type]
    return (
        select(
            literal(record_type.value, String).label("record_type"),
            record.id.label("record_id"),
            getattr(record, "source_id", null().cast(String)).label("source_id"),
            _name_of(record_type, record, tenant_id).label("name"),
            literal(ChangeAction.CREATE.value, String).label("action"),
            null().cast(String).label("held_by"),
            null().cast(JSONB).label("old_values"),
            null().cast(JSONB).label("new_values"),
        )
        .where(
            record.tenant_id == tenant_id,
            record.id.between(span.first, span.last),
            record.created_by_run_id == span.run_id,
        )
        .order_by(record.id)
    )


def _name_of(record_type: RecordType, record: Any, tenant_id: UUID) -> ColumnElement[Any]:
    if record_type is RecordType.USER:
        return _person(record)
    if record_type is not RecordType.MEMBERSHIP:
        named: ColumnElement[Any] = record.name
        return named
    person, group = aliased(User), aliased(Group)
    return (
        select(_person(person) + " in " + group.name)
        .where(
            person.tenant_id == tenant_id,
            person.id == record.user_id,
            group.tenant_id == tenant_id,
            group.id == record.group_id,
        )
        .scalar_subquery()
    )


def _person(person: Any) -> ColumnElement[Any]:
    joined: ColumnElement[Any] = person.given_name + " " + person.family_name
    return joined


_NAMES = ("name", "given_name", "family_name")


def _change_rows(found: Any) -> Iterator[Sequence[str]]:
    old, new = found.old_values or {}, found.new_values or {}
    is_create = found.action == ChangeAction.CREATE.value
    name = found.name or " ".join(str(new[part]) for part in _NAMES if new.get(part))
    record = (
        found.record_type, str(found.record_id), found.source_id or "", name, found.action,
        found.held_by or "",
    )  # fmt: skip
    fields = [] if is_create else sorted(old.keys() | new.keys())
    if not fields:
        yield (*record, "", "", "")
    for field in fields:
        yield (*record, _words(field), _shown(old.get(field)), _shown(new.get(field)))


def _words(field: str) -> str:
    return field.replace("_", " ")


def _shown(value: Any) -> str:
    """As a person reads it: a membership's enrollments are a list of objects."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case list():
            return "; ".join(_shown(item) for item in value)
        case dict():
            parts = ((_words(name), _shown(inner)) for name, inner in value.items())
            return ", ".join(f"{name} {shown}" for name, shown in parts if shown)
        case _:
            return str(value)


def _moment(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
