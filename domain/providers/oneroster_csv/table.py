"""One CSV file of a package: its bytes guarded, its header understood, its rows as they come."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from domain.files.csv_text import CsvFile, Rows, open_csv, unreadable
from domain.providers.oneroster_csv.layouts import MISSPELT, Layout
from domain.providers.oneroster_csv.package import Package
from domain.roster.records import RecordType
from domain.roster.source import Problem
from domain.validation.codes import Code


class Header(NamedTuple):
    """Where each mapped column stands. One that the file lacks stands behind the last cell."""

    columns: Mapping[str, int]
    problems: Sequence[Problem]
    width: int


@dataclass(frozen=True, slots=True)
class Table:
    """A file with its header read. Plain rows have `width` cells.

    `width` is that of the header, and one more where the file lacks a mapped column.
    """

    file: str
    record_type: RecordType
    mapped: Sequence[str]
    columns: Mapping[str, int]
    width: int
    header_width: int
    problems: Sequence[Problem]
    rows: Iterator[list[str]]
    reader: Rows

    @property
    def line(self) -> int:
        """The last line of the row that was read last."""
        return self.reader.line_num

    def place(self, line: int | None = None) -> str:
        return f"{self.file} line {line or self.line}"


@contextmanager
def open_table(package: Package, layout: Layout, *, is_delta: bool = False) -> Iterator[Table]:
    """A file of the package. Inside the block, broken bytes or CSV end in a RosterUnreadable."""
    file = CsvFile(layout.file, lambda: package.open(layout.file), package.limits.line)
    with open_csv(file) as reader:
        yield _table(reader, layout, is_delta=is_delta, most_columns=package.limits.columns)


def _table(reader: Rows, layout: Layout, *, is_delta: bool, most_columns: int) -> Table:
    names = next((row for row in reader if row), [])
    if len(names) > most_columns:
        why = f"there are {len(names)} columns; {most_columns} are the most that is read"
        raise unreadable(Code.FILE_TOO_LARGE, layout.file, reader.line_num, why)
    header = read_header(names, layout, line=max(reader.line_num, 1), is_delta=is_delta)
    is_complete = header.width == len(names)
    return Table(
        file=layout.file,
        record_type=layout.record_type,
        mapped=layout.mapped,
        columns=header.columns,
        width=header.width,
        header_width=len(names),
        problems=header.problems,
        rows=iter(reader) if is_complete else _with_blank(reader),
        reader=reader,
    )


def _with_blank(reader: Rows) -> Iterator[list[str]]:
    """A blank cell behind the last one: what stands in a column that the file does not have."""
    for row in reader:
        row.append("")
        yield row


def read_header(names: Sequence[str], layout: Layout, *, line: int, is_delta: bool) -> Header:
    """Find the mapped columns by their names, exact ones before those that differ by case."""
    trimmed = [name.strip() for name in names]
    by_folded = {name.lower(): name for name in (*layout.mapped, *layout.unread)}
    columns: dict[str, int] = {}
    problems: dict[str, Problem] = {}
    place = f"{layout.file} line {line}"
    for position, name in enumerate(trimmed):
        right = _right_name(name, by_folded)
        if right in columns:
            why = f"the column {right} is there twice"
            raise unreadable(Code.FILE_HEADER_DUPLICATE, layout.file, line, why)
        if right is not None:
            columns[right] = position
        if name != right and not _is_private_name(name):
            problems[name] = Problem(
                Code.FILE_HEADER_UNKNOWN,
                layout.record_type,
                field=name,
                expected=right,
                found=name,
                place=place,
            )
    _require_columns(columns, layout, line=line, is_delta=is_delta)
    absent = [name for name in layout.mapped if name not in columns]
    columns |= dict.fromkeys(absent, len(names))
    return Header(columns, tuple(problems.values()), len(names) + bool(absent))


def _right_name(name: str, by_folded: Mapping[str, str]) -> str | None:
    """The column that is meant, however it is spelt; None for one that OneRoster does not have."""
    folded = name.lower()
    return by_folded.get(MISSPELT.get(folded, folded).lower())


def _is_private_name(name: str) -> bool:
    """Columns that exporters add, and may: the blank ones at the end of a line too."""
    return not name or name.lower().startswith(("metadata.", "ext_"))


def _require_columns(
    columns: Mapping[str, int], layout: Layout, *, line: int, is_delta: bool
) -> None:
    required = [
        name
        for name in layout.mapped
        if name in layout.required or (is_delta and name in {"status", "dateLastModified"})
    ]
    missing = [name for name in required if name not in columns]
    if missing:
        named = (
            f"the column {missing[0]} is"
            if len(missing) == 1
            else (f"the columns {', '.join(missing)} are")
        )
        raise unreadable(Code.FILE_HEADER_MISSING, layout.file, line, f"{named} missing")
