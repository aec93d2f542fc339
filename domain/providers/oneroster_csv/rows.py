"""What the rows of all files have in common: their cells, their id, their status, what is wrong."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final, NoReturn, TypeVar

from domain.providers.oneroster_csv.table import Table
from domain.providers.vocabulary import ID_LENGTH, TEXT_LENGTH, is_usable_id, parse_date, split_list
from domain.roster.records import Record, Role
from domain.roster.source import Ignored, Problem
from domain.validation.codes import Code

_SHOWN_LENGTH: Final = 200
_MEMO_SIZE: Final = 10_000
_NOT_SHOWN: Final = frozenset({"status", "dateLastModified", "email"})

K = TypeVar("K")
V = TypeVar("V")


class OddError(Exception):
    """Not plain: this row goes the long way, where every cell is looked at."""


class Memo(dict[K, V]):
    """The answers of a pure function; all are forgotten rather than kept without end."""

    def __init__(self, answer: Callable[[K], V]) -> None:
        super().__init__()
        self._answer = answer

    def __missing__(self, key: K) -> V:
        if len(self) >= _MEMO_SIZE:
            self.clear()
        value = self[key] = self._answer(key)
        return value


@dataclass(frozen=True, slots=True)
class Rules:
    """What the tenant decided, and the types of the package's organisations once they are read."""

    role_map: Mapping[str, Role | None]
    with_student_email: bool
    today: date
    org_types: dict[str, str]


class Draft:
    """A page in the making."""

    __slots__ = ("blanks", "deleted", "ignored", "problems", "records", "rejected")

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.problems: list[Problem] = []
        self.ignored: list[Ignored] = []
        self.deleted: list[str] = []
        self.rejected = 0
        self.blanks = 0

    @property
    def read(self) -> int:
        return len(self.records) + len(self.ignored) + len(self.deleted) + self.rejected

    @property
    def rows(self) -> int:
        """Rows taken from the file, blank ones too."""
        return self.read + self.blanks


class Sheet:
    """A table as it is read: in which mode, and whether its deletions were remarked upon."""

    __slots__ = ("has_deletions", "is_delta", "table")

    def __init__(self, table: Table, *, is_delta: bool) -> None:
        self.table = table
        self.is_delta = is_delta
        self.has_deletions = False


class RowRejected(Exception):
    """The row is no record. Its problem says why, and nothing else of the row counts."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code)
        self.problem = problem


class Cells:
    """One row by the names of its columns. Collects the values that had to be left out."""

    __slots__ = ("_columns", "_hidden", "_line", "_row", "_table", "problems", "source_id")

    def __init__(self, table: Table, row: list[str], line: int) -> None:
        self._table = table
        self._columns = table.columns
        self._row = row
        self._line = line
        self._hidden = _NOT_SHOWN
        self.problems: list[Problem] = []
        self.source_id = self._read_id()

    def text(self, column: str) -> str:
        return self._row[self._columns[column]].strip()

    def reference(self, column: str) -> str | None:
        return self.text(column) or None

    def listed(self, column: str) -> tuple[str, ...]:
        return split_list(self.text(column))

    def required(self, column: str, code: Code = Code.FIELD_REQUIRED) -> str:
        text = self.short(column)
        if not text:
            self.reject(code, column, expected="a value", found="")
        return text

    def short(self, column: str) -> str:
        """A text that the record cannot be without: rejected rather than cut."""
        text = self.text(column)
        if len(text) > TEXT_LENGTH:
            self.reject(Code.FIELD_TOO_LONG, column, _LENGTH, _length_of(text))
        return text

    def optional(self, column: str) -> str | None:
        text = self.text(column)
        if len(text) > TEXT_LENGTH:
            self.warn(Code.FIELD_TOO_LONG, column, _LENGTH, _length_of(text))
            return None
        return text or None

    def span(self, begin: str, end: str) -> tuple[date | None, date | None]:
        begins_on, ends_on = self.day(begin), self.day(end)
        if begins_on and ends_on and ends_on <= begins_on:
            expected = f"a day after {begin} {begins_on}"
            self.warn(Code.DATES_REVERSED, end, expected, ends_on.isoformat())
            return None, None
        return begins_on, ends_on

    def day(self, column: str) -> date | None:
        text = self.text(column)
        day = parse_date(text)
        if text and day is None:
            self.warn(Code.FIELD_TYPE, column, "a date as YYYY-MM-DD", text)
        return day

    def show_email(self) -> None:
        """From here on problems may show the email, which is taken over for this person."""
        self._hidden = _NOT_SHOWN - {"email"}

    def warn(self, code: Code, column: str, expected: str | None, found: str) -> None:
        self.problems.append(self.problem(code, column, expected, found))

    def reject(self, code: Code, column: str | None, expected: str | None, found: str) -> NoReturn:
        raise RowRejected(self.problem(code, column, expected, found)._replace(rejects=True))

    def problem(self, code: Code, column: str | None, expected: str | None, found: str) -> Problem:
        return Problem(
            code,
            self._table.record_type,
            source_id=self.source_id[:ID_LENGTH] or None,
            field=column,
            expected=expected,
            found=_shown(found),
            place=self._table.place(self._line),
            record=self._shown_cells(),
        )

    def _shown_cells(self) -> dict[str, object]:
        return {
            column: _shown(self.text(column))
            for column in self._table.mapped
            if column not in self._hidden
        }

    def _read_id(self) -> str:
        """The id, once the row is known to have as many cells as its header."""
        position, width = self._columns["sourcedId"], self._table.width
        if not fits(self._row, width):
            first = self._row[position].strip() if position < len(self._row) else ""
            raise RowRejected(self._width_problem(first))
        self.source_id = source_id = self._row[position].strip()
        if not source_id:
            self.reject(Code.ID_MISSING, "sourcedId", "an id", "")
        if not is_usable_id(source_id):
            expected = f"at most {ID_LENGTH} characters, none of them control characters"
            self.reject(Code.ID_INVALID, "sourcedId", expected, source_id)
        return source_id

    def _width_problem(self, source_id: str) -> Problem:
        """Without the cells: in a shifted row anything may stand under the name of a column."""
        cells = len(self._row) - (self._table.width - self._table.header_width)
        return Problem(
            Code.FILE_ROW_WIDTH,
            self._table.record_type,
            source_id=source_id if source_id and is_usable_id(source_id) else None,
            expected=f"{self._table.header_width} cells",
            found=f"{cells} cells",
            place=self._table.place(self._line),
            rejects=True,
        )


def fits(row: Sequence[str], width: int) -> bool:
    """Whether a row has its header's cells. Blank ones behind them shift nothing."""
    return len(row) == width or (len(row) > width and not any(map(str.strip, row[width:])))


_LENGTH: Final = f"at most {TEXT_LENGTH} characters"


def _length_of(text: str) -> str:
    return f"{len(text)} characters"


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}…"


MapRow = Callable[[Cells], Record | Ignored]
ReadPage = Callable[[Draft, int], None]
"""Takes at most so many rows from a file and puts into the draft what they say."""


def take_row(sheet: Sheet, row: list[str], line: int, *, map_row: MapRow, draft: Draft) -> None:
    """Put what one row says into the draft."""
    if not any(map(str.strip, row)):
        draft.blanks += 1
        return
    try:
        cells = Cells(sheet.table, row, line)
        if _is_deletion(cells, is_delta=sheet.is_delta):
            draft.deleted.append(cells.source_id)
            _remark_deletion(sheet, line, draft)
            return
        outcome = map_row(cells)
    except RowRejected as rejection:
        draft.problems.append(rejection.problem)
        draft.rejected += 1
        return
    draft.problems.extend(cells.problems)
    if isinstance(outcome, Ignored):
        draft.ignored.append(outcome)
    else:
        draft.records.append(outcome)


def _is_deletion(cells: Cells, *, is_delta: bool) -> bool:
    status = cells.text("status").lower()
    if is_delta:
        for column in ("status", "dateLastModified"):
            if not cells.text(column):
                cells.reject(Code.DELTA_FIELD_REQUIRED, column, "a value", "")
    if status not in {"", "active", "tobedeleted", "inactive"}:
        cells.reject(Code.STATUS_INVALID, "status", "active or tobedeleted", cells.text("status"))
    return status in {"tobedeleted", "inactive"}


def _remark_deletion(sheet: Sheet, line: int, draft: Draft) -> None:
    """Once for a bulk file, not for every row."""
    if sheet.is_delta or sheet.has_deletions:
        return
    sheet.has_deletions = True
    draft.problems.append(
        Problem(
            Code.BULK_FIELD_FORBIDDEN,
            sheet.table.record_type,
            field="status",
            expected="no status",
            found="tobedeleted",
            place=sheet.table.place(line),
        )
    )


def row_reader(sheet: Sheet, map_row: MapRow) -> ReadPage:
    """Read pages row by row, with one function for every row."""

    def read_page(draft: Draft, size: int) -> None:
        for line, row in numbered(sheet.table, size):
            take_row(sheet, row, line, map_row=map_row, draft=draft)

    return read_page


def numbered(table: Table, size: int) -> Iterable[tuple[int, list[str]]]:
    for _, row in zip(range(size), table.rows, strict=False):
        yield table.line, row
