"""Rows of a collection into a page. Plain ones take a short way: both lead to the same record."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple, NoReturn

from domain.providers.oneroster.cells import Cells, RowRejected
from domain.providers.oneroster.drafts import Draft, OddError, Rules
from domain.providers.oneroster.mapping import (
    map_class,
    map_course,
    map_enrollment,
    map_org,
    map_session,
)
from domain.providers.oneroster.people import eligibility_column, map_user, map_user_with_roles
from domain.providers.oneroster_rest.cells import ObjectCells, Place
from domain.providers.oneroster_rest.objects import Collection, Row
from domain.providers.oneroster_rest.plain import (
    TakeAllPlain,
    TakePlain,
    plain_class,
    plain_enrollments,
)
from domain.providers.oneroster_rest.plain_users import plain_user
from domain.roster.records import Record, RecordType
from domain.roster.source import Ignored
from domain.validation.codes import Code

NOT_ACTIVE_YET: Final = "not active yet"
_ODD: Final = (AttributeError, TypeError, OddError)
_AT_ONCE: Final = 250
"""Rows taken together: one that is odd among them costs the others the fastest way."""


class Reader(NamedTuple):
    """How the rows of one collection are read.

    `judged` is the column that says who is eligible. `has_unborn`: OneRoster 1.2 shows records
    that are not active yet, without a status and a date.
    """

    collection: Collection
    map_cells: Callable[[ObjectCells], Record | Ignored]
    take_plain: TakePlain
    take_all_plain: TakeAllPlain
    judged: str | None
    has_unborn: bool


def reader_of(collection: Collection, rules: Rules, *, has_unborn: bool) -> Reader:
    judged = None
    if collection.record_type is RecordType.USER and rules.eligibility:
        judged = eligibility_column(rules.eligibility)
    return Reader(
        collection,
        _map_of(collection.record_type, rules),
        _plain_of(collection.record_type, rules),
        plain_enrollments() if collection.record_type is RecordType.MEMBERSHIP else _take_none,
        judged,
        has_unborn,
    )


def _map_of(record_type: RecordType, rules: Rules) -> Callable[[ObjectCells], Record | Ignored]:
    match record_type:
        case RecordType.SCHOOL:
            return partial(map_org, rules=rules)
        case RecordType.TERM:
            return map_session
        case RecordType.COURSE:
            return map_course
        case RecordType.GROUP:
            return partial(map_class, rules=rules)
        case RecordType.USER:
            return partial(_map_person, rules=rules)
        case RecordType.MEMBERSHIP:
            return map_enrollment


def _map_person(cells: ObjectCells, rules: Rules) -> Record | Ignored:
    """By the model of roles that the row has, whatever the version says."""
    if cells.roles:
        return map_user_with_roles(cells, rules, cells.roles)
    return map_user(cells, rules)


def _plain_of(record_type: RecordType, rules: Rules) -> TakePlain:
    match record_type:
        case RecordType.GROUP:
            return plain_class(rules)
        case RecordType.USER:
            return plain_user(rules)
        case RecordType.MEMBERSHIP:
            take_all = plain_enrollments()
            return lambda row: take_all((row,))[0]
        case _:
            return _take_none


def _take_none(_: object) -> NoReturn:
    """Of what there is little of, every row goes the long way."""
    raise OddError


def read_rows(reader: Reader, rows: Sequence[Row], *, offset: int, has_nul: bool) -> Draft:
    """What a page says. `offset` is where its first row stands in the collection."""
    draft = Draft()
    take_plain = _take_none if has_nul else reader.take_plain
    for begin in range(0, len(rows), _AT_ONCE):
        some = rows[begin : begin + _AT_ONCE]
        try:
            if has_nul:
                raise OddError
            draft.records.extend(reader.take_all_plain(some))
        except _ODD:
            for number, row in enumerate(some, start=begin + 1):
                try:
                    draft.keep(take_plain(row))
                except _ODD:
                    _take_odd(reader, row, Place(offset, number), draft)
    return draft


def _take_odd(reader: Reader, row: Row, place: Place, draft: Draft) -> None:
    try:
        cells = ObjectCells(reader.collection, row, place, judged=reader.judged)
        if _is_deleted(cells):
            draft.deleted.append(cells.source_id)
            return
        if reader.has_unborn and not cells.text("status") and not cells.text("dateLastModified"):
            draft.ignored.append(Ignored(cells.source_id, NOT_ACTIVE_YET))
            return
        outcome = reader.map_cells(cells)
    except RowRejected as rejection:
        draft.reject(rejection.problem)
        return
    draft.problems.extend(cells.problems)
    draft.keep(outcome)


def _is_deleted(cells: Cells) -> bool:
    status = cells.text("status").lower()
    if status not in {"", "active", "tobedeleted", "inactive"}:
        cells.reject(Code.STATUS_INVALID, "status", "active or tobedeleted", cells.text("status"))
    return status in {"tobedeleted", "inactive"}
