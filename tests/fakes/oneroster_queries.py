"""The parameters of a OneRoster collection: paging, sorting, and the grammar of filters."""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

DEFAULT_LIMIT: Final = 100

_CLAUSE = re.compile(r"([A-Za-z][A-Za-z0-9.]*)(!=|>=|<=|=|>|<|~)'([^']*)'")
_LOGICAL = re.compile(r" (AND|OR) ")
_BASE_FIELDS: Final = frozenset({"sourcedId", "status", "dateLastModified"})
_USER_FIELDS: Final = frozenset(
    {
        "username",
        "enabledUser",
        "givenName",
        "familyName",
        "middleName",
        "identifier",
        "email",
        "sms",
        "phone",
        "grades",
    }
)
FIELDS: Final[Mapping[str, frozenset[str]]] = {
    "orgs": _BASE_FIELDS | {"name", "type", "identifier"},
    "academicSessions": _BASE_FIELDS | {"title", "type", "startDate", "endDate", "schoolYear"},
    "courses": _BASE_FIELDS | {"title", "courseCode", "grades", "subjects", "subjectCodes"},
    "classes": _BASE_FIELDS
    | {"title", "classCode", "classType", "location", "grades", "subjects", "subjectCodes"},
    "users": _BASE_FIELDS | _USER_FIELDS | {"role"},
    "enrollments": _BASE_FIELDS | {"role", "primary", "beginDate", "endDate"},
}
"""What may be filtered and sorted by. Fields of what is referred to are not among it."""
REFERENCES: Final[Mapping[str, frozenset[str]]] = {
    "enrollments": frozenset({"user.sourcedId", "class.sourcedId", "school.sourcedId"}),
}
"""What some servers filter by besides."""

_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


class BadQuery(Exception):
    """A 400. `code` is OneRoster's imsx_codeMinorFieldValue."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Clause(NamedTuple):
    field: str
    predicate: str
    value: str

    def matches(self, item: Mapping[str, Any]) -> bool:
        found = _value(item, self.field)
        if isinstance(found, list):
            return self._matches_list([str(one) for one in found])
        text = str(found).lower() if isinstance(found, bool) else str(found)
        if self.predicate == "~":
            return self.value.casefold() in text.casefold()
        compare = _COMPARISONS[self.predicate]
        if self.field == "dateLastModified":
            moment = moment_of(text)
            return moment is not None and compare(moment, moment_of(self.value))
        return compare(text, self.value)

    def _matches_list(self, found: Sequence[str]) -> bool:
        wanted = self.value.split(",")
        if self.predicate == "~":
            return any(one in found for one in wanted)
        if self.predicate in {"=", "!="}:
            return (sorted(wanted) == sorted(found)) is (self.predicate == "=")
        raise BadQuery("invalid_filter_field", "a list has no order")


def _value(item: Mapping[str, Any], field: str) -> Any:
    """Of a field, or of one of what it refers to: "user.sourcedId"."""
    name, _, inner = field.partition(".")
    found = item.get(name, "")
    return found.get(inner, "") if inner and isinstance(found, dict) else found


class Clauses(NamedTuple):
    clauses: tuple[Clause, ...]
    is_any: bool = False

    def matches(self, item: Mapping[str, Any]) -> bool:
        combine = any if self.is_any else all
        return combine(clause.matches(item) for clause in self.clauses)


class Order(NamedTuple):
    field: str
    is_descending: bool = False


class Query(NamedTuple):
    limit: int = DEFAULT_LIMIT
    offset: int = 0
    clauses: Clauses | None = None
    order: Order | None = None
    fields: tuple[str, ...] = ()


def moment_of(text: str) -> datetime | None:
    """`2026-11-01T00:00:00.000Z`, without the milliseconds, without the Z, or only the day."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def parameters_of(raw: str) -> dict[str, str]:
    """`+` is a plus, as the providers have it that sign the bytes of a query."""
    pairs = (part.partition("=") for part in raw.split("&") if part)
    return {unquote(name): unquote(value) for name, _, value in pairs}


def parse_query(raw: str, *, file: str, with_references: bool = False) -> Query:
    given = parameters_of(raw)
    fields = FIELDS[file]
    filtered = fields | REFERENCES.get(file, frozenset()) if with_references else fields
    return Query(
        limit=_number(given, "limit", DEFAULT_LIMIT, smallest=1),
        offset=_number(given, "offset", 0, smallest=0),
        clauses=parse_filter(given["filter"], filtered) if "filter" in given else None,
        order=_order(given, fields),
        fields=_selection(given),
    )


def _number(given: Mapping[str, str], name: str, default: int, *, smallest: int) -> int:
    text = given.get(name, str(default))
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < smallest:
        raise BadQuery("invaliddata", f"{name} must be a number from {smallest}")
    return int(text)


def _order(given: Mapping[str, str], fields: frozenset[str]) -> Order | None:
    """Of a field that is not known the answer is simply not sorted."""
    field = given.get("sort")
    if field is None or field not in fields:
        return None
    return Order(field, given.get("orderBy") == "desc")


def _selection(given: Mapping[str, str]) -> tuple[str, ...]:
    if "fields" not in given:
        return ()
    fields = tuple(filter(None, given["fields"].split(",")))
    if not fields:
        raise BadQuery("invalid_blank_selection_field", "fields is blank")
    return fields


def parse_filter(text: str, fields: frozenset[str]) -> Clauses:
    """One clause, or two with AND or OR between them."""
    parts = _LOGICAL.split(text)
    clauses = tuple(_clause(part, fields) for part in parts[::2])
    if len(clauses) > 2:
        raise BadQuery("invaliddata", "a filter has two clauses at most")
    return Clauses(clauses, is_any="OR" in parts[1::2])


def _clause(text: str, fields: frozenset[str]) -> Clause:
    match = _CLAUSE.fullmatch(text)
    if match is None:
        raise BadQuery("invaliddata", "a clause is a field, a predicate and a quoted value")
    clause = Clause(match[1], match[2], match[3])
    if clause.field not in fields:
        raise BadQuery("invalid_filter_field", f"there is no field {clause.field}")
    if clause.field == "dateLastModified" and moment_of(clause.value) is None:
        raise BadQuery("invaliddata", "dateLastModified is compared with a time")
    return clause
