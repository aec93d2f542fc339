"""Reads a file row by row: what is right with its line, what is wrong with the reason."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Final, NamedTuple

from domain.files.archives import MIB, ByteSource
from domain.files.csv_text import CsvFile, Rows, open_csv, unreadable
from domain.files.layouts import Column, Layout
from domain.validation.codes import Code

MOST_ROWS: Final = 1_000_000
BATCH: Final = 10_000
_LINE_LENGTH: Final = MIB
_MOST_COLUMNS: Final = 200
_COMMENT: Final = "#"


class RowError(NamedTuple):
    """`column` is None where no single one is to blame."""

    line: int
    column: str | None
    message: str


class Batch(NamedTuple):
    """`rows`: the line, and then the columns of the layout. `total` counts the wrong ones too."""

    rows: Sequence[tuple[object, ...]]
    errors: Sequence[RowError]
    total: int


class Table(NamedTuple):
    """`columns` are the positions of those that the file has; `unread` are its other ones."""

    layout: Layout
    columns: dict[str, int]
    unread: Sequence[str]
    width: int
    reader: Rows

    def batches(self) -> Iterator[Batch]:
        """Raises RosterUnreadable where there are more rows than are read."""
        lines = self._lines()
        count = 0
        while batch := list(islice(lines, BATCH)):
            count += len(batch)
            if count > MOST_ROWS:
                why = f"there are more than {MOST_ROWS} rows"
                raise unreadable(Code.FILE_TOO_LARGE, self.layout.file, batch[-1][0], why)
            yield self._read(batch)

    def _lines(self) -> Iterator[tuple[int, list[str]]]:
        """Each row with the line where it begins; without empty lines and comments."""
        line = self.reader.line_num + 1
        for row in self.reader:
            if any(row) and not row[0].lstrip().startswith(_COMMENT):
                yield line, row
            line = self.reader.line_num + 1

    def _read(self, batch: Sequence[tuple[int, list[str]]]) -> Batch:
        rows: list[tuple[object, ...]] = []
        errors: list[RowError] = []
        for line, cells in batch:
            found = self._read_row(line, cells)
            if isinstance(found, tuple):
                rows.append(found)
            else:
                errors += found
        return Batch(rows, errors, len(batch))

    def _read_row(self, line: int, cells: list[str]) -> tuple[object, ...] | list[RowError]:
        if len(cells) != self.width:
            message = f"The row has {len(cells)} cells, and the first line {self.width}."
            return [RowError(line, None, message)]
        values: dict[str, object] = {}
        errors = []
        for column in self.layout.columns:
            position = self.columns.get(column.name)
            try:
                cell = "" if position is None else self.layout.clean(cells[position].strip())
                values[column.name] = _value(column, cell)
            except ValueError as error:
                errors.append(RowError(line, column.name, str(error)))
        if not errors and (wrong := self.layout.check(values)):
            errors.append(RowError(line, *wrong))
        return errors or (line, *values.values())


def _value(column: Column, text: str) -> object:
    """Raises ValueError."""
    value = column.read(text) if text else column.blank
    if column.is_required and (value is None or value in ([], ())):
        raise ValueError("There is nothing here, and there has to be.")
    return value


@contextmanager
def open_table(
    layout: Layout, open_bytes: Callable[[], ByteSource], *, delimiter: str = ","
) -> Iterator[Table]:
    """Inside the block, whatever cannot be read at all ends in a RosterUnreadable."""
    with open_csv(CsvFile(layout.file, open_bytes, _LINE_LENGTH, delimiter)) as reader:
        header = [name.strip().lower() for name in next((row for row in reader if any(row)), [])]
        line = max(reader.line_num, 1)
        if len(header) > _MOST_COLUMNS:
            why = f"there are {len(header)} columns; {_MOST_COLUMNS} are the most that is read"
            raise unreadable(Code.FILE_TOO_LARGE, layout.file, line, why)
        known = {column.name for column in layout.columns}
        columns: dict[str, int] = {}
        for position, name in enumerate(header):
            if name in columns:
                why = f"the column {name} is there twice"
                raise unreadable(Code.FILE_HEADER_DUPLICATE, layout.file, line, why)
            if name in known:
                columns[name] = position
        if missing := [name for name in layout.required if name not in columns]:
            why = f"the columns {', '.join(missing)} are missing"
            raise unreadable(Code.FILE_HEADER_MISSING, layout.file, line, why)
        unread = [name for name in dict.fromkeys(header) if name and name not in known]
        yield Table(layout, columns, unread, len(header), reader)
