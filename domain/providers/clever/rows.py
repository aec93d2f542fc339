"""What the rows of all lists have in common: their id, what is wrong with them, where they go."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NoReturn, TypeVar

import msgspec

from domain.providers.clever.api import VERSION
from domain.providers.clever.decoding import Odd
from domain.providers.clever.objects import Object
from domain.providers.vocabulary import ID_LENGTH, TEXT_LENGTH, is_usable_id
from domain.roster.records import Record, RecordType
from domain.roster.source import Ignored, Problem
from domain.validation.codes import Code

_SHOWN_LENGTH: Final = 200
_LENGTH: Final = f"at most {TEXT_LENGTH} characters"
_USABLE: Final = f"at most {ID_LENGTH} characters, none of them control characters"

COLLECTIONS: Final[Mapping[RecordType, str]] = {
    RecordType.SCHOOL: "schools",
    RecordType.TERM: "terms",
    RecordType.COURSE: "courses",
    RecordType.USER: "users",
    RecordType.GROUP: "sections",
    RecordType.MEMBERSHIP: "sections",
}

R = TypeVar("R", bound=Object)


class RowRejected(Exception):
    """The row is no record. Its problem says why, and nothing else of the row counts."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code)
        self.problem = problem


class OddError(Exception):
    """Not plain: this row goes the long way, where every value is looked at."""


class Remarks:
    """Looks at the values of one row, and collects those that had to be left out.

    Fields are named by their paths in Clever's object ("name.last").
    """

    __slots__ = ("_hidden", "_record_type", "_row", "problems")

    def __init__(
        self, record_type: RecordType, row: Object, *, hidden: frozenset[str] = frozenset()
    ) -> None:
        self._record_type = record_type
        self._row = row
        self._hidden = hidden
        self.problems: list[Problem] = []

    def hide(self, *fields: str) -> None:
        """From here on problems do not show them."""
        self._hidden = self._hidden.union(fields)

    def require_usable_id(self) -> str:
        source_id = self._row.id.strip()
        if not source_id:
            self.reject(Code.ID_MISSING, "id", "an id", "")
        if not is_usable_id(source_id):
            self.reject(Code.ID_INVALID, "id", _USABLE, source_id)
        return source_id

    def required(self, field: str, value: str | None) -> str:
        text = self.short(field, value)
        if not text:
            self.reject(Code.FIELD_REQUIRED, field, "a value", "")
        return text

    def short(self, field: str, value: str | None) -> str:
        """A text that the record cannot be without: rejected rather than cut."""
        text = trimmed(value)
        if len(text) > TEXT_LENGTH:
            self.reject(Code.FIELD_TOO_LONG, field, _LENGTH, f"{len(text)} characters")
        return text

    def optional(self, field: str, value: str | None) -> str | None:
        text = trimmed(value)
        if len(text) > TEXT_LENGTH:
            self.warn(Code.FIELD_TOO_LONG, field, _LENGTH, f"{len(text)} characters")
            return None
        return text or None

    def warn(self, code: Code, field: str, expected: str | None, found: str) -> None:
        self.problems.append(self.problem(code, field, expected, found))

    def reject(self, code: Code, field: str, expected: str | None, found: str) -> NoReturn:
        raise RowRejected(self.problem(code, field, expected, found)._replace(rejects=True))

    def problem(self, code: Code, field: str, expected: str | None, found: str) -> Problem:
        source_id = self._row.id.strip()
        return Problem(
            code,
            self._record_type,
            source_id=source_id[:ID_LENGTH] or None,
            field=field,
            expected=expected,
            found=_shown(found),
            place=place_of(self._record_type, source_id),
            record={
                path: value
                for path, value in _flat(msgspec.to_builtins(self._row))
                if path not in self._hidden
            },
        )


class Draft:
    """A page in the making. Clever names nothing as deleted."""

    deleted: Sequence[str] = ()

    __slots__ = ("ignored", "problems", "records", "rejected")

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.problems: list[Problem] = []
        self.ignored: list[Ignored] = []
        self.rejected = 0

    @property
    def read(self) -> int:
        return len(self.records) + len(self.ignored) + self.rejected

    def take(self, outcome: Record | Ignored) -> None:
        if isinstance(outcome, Ignored):
            self.ignored.append(outcome)
        else:
            self.records.append(outcome)

    def reject(self, problem: Problem) -> None:
        self.problems.append(problem)
        self.rejected += 1


MapRow = Callable[[R, Remarks], Record | Ignored]
ReadRows = Callable[[Sequence[Any]], Draft]
"""From the rows of a page to what they say."""


def take_row(draft: Draft, row: R, record_type: RecordType, map_row: MapRow[R]) -> None:
    remarks = Remarks(record_type, row)
    try:
        draft.take(map_row(row, remarks))
    except RowRejected as rejection:
        draft.reject(rejection.problem)
    else:
        draft.problems.extend(remarks.problems)


def take_odd(draft: Draft, odd: Odd, record_type: RecordType) -> None:
    """It is there, so what is stored of it stays; what is in it cannot be told."""
    source_id = odd.id.strip()
    draft.reject(
        Problem(
            Code.RECORD_UNREADABLE,
            record_type,
            source_id=source_id[:ID_LENGTH] or None,
            field=odd.field,
            expected=odd.expected,
            found=odd.found,
            place=place_of(record_type, source_id),
            record={"id": _shown(source_id)} if source_id else None,
            rejects=True,
        )
    )


def row_reader(record_type: RecordType, map_row: MapRow[R]) -> ReadRows:
    """Read pages with one function for every row."""

    def read_rows(rows: Sequence[R | Odd]) -> Draft:
        draft = Draft()
        for row in rows:
            if isinstance(row, Odd):
                take_odd(draft, row, record_type)
            else:
                take_row(draft, row, record_type, map_row)
        return draft

    return read_rows


def trimmed(value: str | None) -> str:
    return value.strip() if value else ""


def listed(values: Iterable[str] | None) -> tuple[str, ...]:
    """Each once, trimmed, in the order given."""
    return tuple(dict.fromkeys(filter(None, map(str.strip, values or ()))))


def keys_of(*pairs: tuple[str, str | None]) -> tuple[str, ...]:
    """Ids that a record has besides its own, as "kind:value"."""
    texts = ((kind, trimmed(value)) for kind, value in pairs)
    return tuple(sorted({f"{kind}:{text}" for kind, text in texts if 0 < len(text) <= ID_LENGTH}))


def place_of(record_type: RecordType, source_id: str) -> str:
    path = f"/{VERSION}/{COLLECTIONS[record_type]}"
    return f"{path}/{source_id[:ID_LENGTH]}" if source_id else path


def _flat(value: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, object]]:
    for name, item in value.items():
        path = f"{above}{name}"
        if isinstance(item, dict):
            yield from _flat(item, f"{path}.")
        elif isinstance(item, (list, tuple)):
            yield path, _shown(", ".join(map(str, item)))
        elif item not in {None, ""}:
            yield path, _shown(str(item))


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}…"
