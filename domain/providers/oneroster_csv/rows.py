"""What the rows of all files have in common: their cells, their id, their status."""

from collections.abc import Callable, Iterable, Sequence

from typing_extensions import override

from domain.providers.oneroster.cells import Cells, RowRejected
from domain.providers.oneroster.drafts import Draft
from domain.providers.oneroster_csv.layouts import ROLES
from domain.providers.oneroster_csv.table import Table
from domain.providers.vocabulary import is_usable_id, split_list, typed_ids
from domain.roster.records import Record
from domain.roster.source import Ignored, Problem
from domain.validation.codes import Code


class Sheet:
    """A table as it is read: in which mode, and whether its deletions were remarked upon."""

    __slots__ = ("has_deletions", "is_delta", "table")

    def __init__(self, table: Table, *, is_delta: bool) -> None:
        self.table = table
        self.is_delta = is_delta
        self.has_deletions = False


class RowCells(Cells):
    """A row of a file."""

    __slots__ = ("_columns", "_line", "_row", "_table")

    def __init__(self, table: Table, row: list[str], line: int) -> None:
        super().__init__(table.record_type)
        self._table = table
        self._columns = table.columns
        self._row = row
        self._line = line
        self._read_id()

    @override
    def text(self, column: str) -> str:
        return self._row[self._columns[column]].strip()

    @override
    def listed(self, column: str) -> tuple[str, ...]:
        return split_list(self.text(column))

    @override
    def pairs(self, column: str) -> Iterable[tuple[str, str]]:
        return typed_ids(self.text(column))

    @property
    @override
    def mapped(self) -> Sequence[str]:
        return self._table.mapped

    @property
    @override
    def place(self) -> str:
        return self._table.place(self._line)

    @override
    def place_of_role(self, line: int) -> str:
        return f"{ROLES} line {line}"

    def _read_id(self) -> None:
        """The id, once the row is known to have as many cells as its header."""
        position, width = self._columns["sourcedId"], self._table.width
        if not fits(self._row, width):
            first = self._row[position].strip() if position < len(self._row) else ""
            raise RowRejected(self._width_problem(first))
        self.source_id = self._row[position].strip()
        self._require_usable_id()

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


MapRow = Callable[[Cells], Record | Ignored]
ReadPage = Callable[[Draft, int], None]
"""Takes at most so many rows from a file and puts into the draft what they say."""


def take_row(sheet: Sheet, row: list[str], line: int, *, map_row: MapRow, draft: Draft) -> None:
    """Put what one row says into the draft."""
    if not any(map(str.strip, row)):
        draft.blanks += 1
        return
    try:
        cells = RowCells(sheet.table, row, line)
        if _is_deletion(cells, is_delta=sheet.is_delta):
            draft.deleted.append(cells.source_id)
            _remark_deletion(sheet, line, draft)
            return
        outcome = map_row(cells)
    except RowRejected as rejection:
        draft.reject(rejection.problem)
        return
    draft.problems.extend(cells.problems)
    draft.keep(outcome)


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
