"""One CSV file of a package: its bytes guarded, its header understood, its rows as they come."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from typing_extensions import Buffer, override

from domain.providers.oneroster_csv.layouts import MISSPELT, Layout
from domain.providers.oneroster_csv.package import ByteSource, Package
from domain.roster.records import RecordType
from domain.roster.source import Problem, RosterUnreadable, SourceUnavailable
from domain.validation.codes import Code

_BLOCK: Final = 256 * 1024
_FIELD_LENGTH: Final = 64 * 1024
_BOM: Final = b"\xef\xbb\xbf"


class Rows(Protocol):
    """What csv.reader returns."""

    @property
    def line_num(self) -> int: ...

    def __iter__(self) -> Iterator[list[str]]: ...

    def __next__(self) -> list[str]: ...


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


class _Guard(io.RawIOBase):
    """Passes bytes on and stops at what no CSV file has: NUL, or a line without end."""

    def __init__(self, source: ByteSource, *, file: str, line_length: int) -> None:
        super().__init__()
        self._source = source
        self._file = file
        self._line_length = line_length
        self._lines = 1
        self._open_line = 0

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer)
        try:
            chunk = self._source.read(len(view))
        except OSError as error:
            raise SourceUnavailable(
                Code.FILE_MISSING,
                f"{self._file} cannot be read: {error.strerror}.",
                place=self._file,
            ) from error
        self._look_at(chunk)
        view[: len(chunk)] = chunk
        return len(chunk)

    @override
    def close(self) -> None:
        self._source.close()
        super().close()

    def _look_at(self, chunk: bytes) -> None:
        nul = chunk.find(b"\0")
        if nul >= 0:
            line = self._lines + chunk.count(b"\n", 0, nul)
            raise _unreadable(Code.FILE_MALFORMED_CSV, self._file, line, "there is a NUL character")
        newline = chunk.find(b"\n")
        self._open_line += len(chunk) if newline < 0 else newline
        if self._open_line > self._line_length:
            why = f"the line is longer than {self._line_length} bytes"
            raise _unreadable(Code.FILE_TOO_LARGE, self._file, self._lines, why)
        if newline >= 0:
            self._lines += chunk.count(b"\n")
            self._open_line = len(chunk) - 1 - chunk.rfind(b"\n")


@contextmanager
def open_table(package: Package, layout: Layout, *, is_delta: bool = False) -> Iterator[Table]:
    """A file of the package. Inside the block, broken bytes or CSV end in a RosterUnreadable."""
    try:
        with _open_text(package, layout.file) as text:
            reader = _read_csv(text)
            yield _table(reader, layout, is_delta=is_delta, most_columns=package.limits.columns)
    except UnicodeDecodeError as error:
        raise _not_utf8(package, layout.file) from error
    except csv.Error as error:
        raise _malformed(package, layout.file, error) from error


def _open_bytes(package: Package, file: str) -> io.BufferedReader:
    guard = _Guard(package.open(file), file=file, line_length=package.limits.line)
    return io.BufferedReader(guard, _BLOCK)


def _open_text(package: Package, file: str) -> io.TextIOWrapper:
    stream = _open_bytes(package, file)
    try:
        if stream.peek(len(_BOM)).startswith(_BOM):
            stream.read(len(_BOM))
    except RosterUnreadable:
        stream.close()
        raise
    return io.TextIOWrapper(stream, encoding="utf-8", errors="strict", newline="\n")


def _read_csv(text: io.TextIOWrapper) -> Rows:
    # The module knows one limit for the whole process; nothing else here needs a larger one.
    csv.field_size_limit(_FIELD_LENGTH)
    return csv.reader(text, strict=True, skipinitialspace=True)


def _table(reader: Rows, layout: Layout, *, is_delta: bool, most_columns: int) -> Table:
    names = next((row for row in reader if row), [])
    if len(names) > most_columns:
        why = f"there are {len(names)} columns; {most_columns} are the most that is read"
        raise _unreadable(Code.FILE_TOO_LARGE, layout.file, reader.line_num, why)
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
            raise _unreadable(Code.FILE_HEADER_DUPLICATE, layout.file, line, why)
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
        raise _unreadable(Code.FILE_HEADER_MISSING, layout.file, line, f"{named} missing")


def _unreadable(code: Code, file: str, line: int, why: str) -> RosterUnreadable:
    place = f"{file} line {line}"
    return RosterUnreadable(code, f"{place}: {why}.", place=place)


def _not_utf8(package: Package, file: str) -> RosterUnreadable:
    """The error with the place, which is looked for only now: reading it again is rare."""
    offset = 0
    with _open_bytes(package, file) as stream:
        for line, content in enumerate(stream, start=1):
            try:
                content.decode("utf-8")
            except UnicodeDecodeError as error:
                why = f"the byte at offset {offset + error.start} is not UTF-8"
                return _unreadable(Code.FILE_NOT_UTF8, file, line, why)
            offset += len(content)
    return RosterUnreadable(Code.FILE_CHANGED, f"{file} changed while it was being read.")


def _malformed(package: Package, file: str, error: csv.Error) -> RosterUnreadable:
    """The error with the line where the broken row begins, not the one where it was noticed."""
    begins_after = 0
    reader = None
    try:
        with _open_text(package, file) as text:
            reader = _read_csv(text)
            for _ in reader:
                begins_after = reader.line_num
    except csv.Error as again:
        noticed = reader.line_num if reader else 1
        is_long = "field limit" in str(again)
        if is_long and noticed == begins_after + 1:
            why = f"a cell is longer than {_FIELD_LENGTH} characters"
            return _unreadable(Code.FILE_TOO_LARGE, file, noticed, why)
        why = "a quotation mark is not closed" if is_long else _plain_reason(again)
        return _unreadable(Code.FILE_MALFORMED_CSV, file, begins_after + 1, why)
    return _unreadable(Code.FILE_MALFORMED_CSV, file, begins_after + 1, _plain_reason(error))


def _plain_reason(error: csv.Error) -> str:
    message = str(error)
    known = (reason for words, reason in _PLAIN_REASONS.items() if words in message)
    return next(known, f"this is not CSV ({message})")


_PLAIN_REASONS: Final = {
    "unexpected end of data": "a quotation mark is not closed",
    "expected after": "there is text behind a closing quotation mark",
    "new-line character": "there is a carriage return without a line feed",
}
