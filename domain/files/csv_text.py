"""CSV files of others as rows: their bytes guarded, and whatever is broken said with its line."""

import csv
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple, Protocol

from typing_extensions import Buffer, override

from domain.files.archives import ByteSource
from domain.roster.source import RosterUnreadable, SourceUnavailable
from domain.validation.codes import Code

_BLOCK: Final = 256 * 1024
_FIELD_LENGTH: Final = 64 * 1024
_BOM: Final = b"\xef\xbb\xbf"
_DELIMITERS: Final = (",", ";", "\t")


class Rows(Protocol):
    """What csv.reader returns."""

    @property
    def line_num(self) -> int: ...

    def __iter__(self) -> Iterator[list[str]]: ...

    def __next__(self) -> list[str]: ...


class CsvFile(NamedTuple):
    """`open` begins at the file's first byte each time."""

    name: str
    open: Callable[[], ByteSource]
    line_length: int
    delimiter: str = ","


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
            raise unreadable(Code.FILE_MALFORMED_CSV, self._file, line, "there is a NUL character")
        newline = chunk.find(b"\n")
        self._open_line += len(chunk) if newline < 0 else newline
        if self._open_line > self._line_length:
            why = f"the line is longer than {self._line_length} bytes"
            raise unreadable(Code.FILE_TOO_LARGE, self._file, self._lines, why)
        if newline >= 0:
            self._lines += chunk.count(b"\n")
            self._open_line = len(chunk) - 1 - chunk.rfind(b"\n")


def find_delimiter(content: bytes) -> str:
    """What separates the cells: spreadsheets of some countries write semicolons or tabs."""
    header = content.removeprefix(_BOM).lstrip(b"\r\n").partition(b"\n")[0]
    return max(_DELIMITERS, key=lambda delimiter: header.count(delimiter.encode()))


@contextmanager
def open_csv(file: CsvFile) -> Iterator[Rows]:
    """Inside the block, broken bytes or CSV end in a RosterUnreadable."""
    try:
        with _open_text(file) as text:
            yield _read_csv(text, file.delimiter)
    except UnicodeDecodeError as error:
        raise _not_utf8(file) from error
    except csv.Error as error:
        raise _malformed(file, error) from error


def _open_bytes(file: CsvFile) -> io.BufferedReader:
    guard = _Guard(file.open(), file=file.name, line_length=file.line_length)
    return io.BufferedReader(guard, _BLOCK)


def _open_text(file: CsvFile) -> io.TextIOWrapper:
    stream = _open_bytes(file)
    try:
        if stream.peek(len(_BOM)).startswith(_BOM):
            stream.read(len(_BOM))
    except RosterUnreadable:
        stream.close()
        raise
    return io.TextIOWrapper(stream, encoding="utf-8", errors="strict", newline="\n")


def _read_csv(text: io.TextIOWrapper, delimiter: str) -> Rows:
    # The module knows one limit for the whole process; nothing else here needs a larger one.
    csv.field_size_limit(_FIELD_LENGTH)
    return csv.reader(text, strict=True, skipinitialspace=True, delimiter=delimiter)


def unreadable(code: Code, file: str, line: int, why: str) -> RosterUnreadable:
    place = f"{file} line {line}"
    return RosterUnreadable(code, f"{place}: {why}.", place=place)


def _not_utf8(file: CsvFile) -> RosterUnreadable:
    """The error with the place, which is looked for only now: reading it again is rare."""
    offset = 0
    with _open_bytes(file) as stream:
        for line, content in enumerate(stream, start=1):
            try:
                content.decode("utf-8")
            except UnicodeDecodeError as error:
                why = f"the byte at offset {offset + error.start} is not UTF-8"
                return unreadable(Code.FILE_NOT_UTF8, file.name, line, why)
            offset += len(content)
    return RosterUnreadable(Code.FILE_CHANGED, f"{file.name} changed while it was being read.")


def _malformed(file: CsvFile, error: csv.Error) -> RosterUnreadable:
    """The error with the line where the broken row begins, not the one where it was noticed."""
    begins_after = 0
    reader = None
    try:
        with _open_text(file) as text:
            reader = _read_csv(text, file.delimiter)
            for _ in reader:
                begins_after = reader.line_num
    except csv.Error as again:
        noticed = reader.line_num if reader else 1
        is_long = "field limit" in str(again)
        if is_long and noticed == begins_after + 1:
            why = f"a cell is longer than {_FIELD_LENGTH} characters"
            return unreadable(Code.FILE_TOO_LARGE, file.name, noticed, why)
        why = "a quotation mark is not closed" if is_long else _plain_reason(again)
        return unreadable(Code.FILE_MALFORMED_CSV, file.name, begins_after + 1, why)
    return unreadable(Code.FILE_MALFORMED_CSV, file.name, begins_after + 1, _plain_reason(error))


def _plain_reason(error: csv.Error) -> str:
    message = str(error)
    known = (reason for words, reason in _PLAIN_REASONS.items() if words in message)
    return next(known, f"this is not CSV ({message})")


_PLAIN_REASONS: Final = {
    "unexpected end of data": "a quotation mark is not closed",
    "expected after": "there is text behind a closing quotation mark",
    "new-line character": "there is a carriage return without a line feed",
}
