"""CSV that is safe to open in a spreadsheet: no cell of it is ever run as a formula.

The rule. A spreadsheet takes a cell for a formula if it begins with one of `= + - @` (or their
full-width forms), or with a tab or a line's end; and one that reads commas where we wrote them but
expects semicolons, or the other way round, may begin a cell anywhere behind such a separator. So
where one of those characters begins a cell, or a part of it behind a separator, and whatever
spaces and quotes come before it, an apostrophe goes in front: a spreadsheet then shows text.
Numbers with their sign stay as they are. Every cell is quoted.
"""

import csv
import io
import re
from collections.abc import AsyncGenerator, AsyncIterable, Sequence

BOM = b"\xef\xbb\xbf"
"""Without it, spreadsheets read UTF-8 as something else and show names wrongly."""
_CHUNK = 64 * 1024

_QUOTES = "\"'\u00ab\u00bb\u2018\u2019\u201c\u201d"
_BEFORE = rf"(^|[,;|\t\r\n])([\s{_QUOTES}\ufeff]*)"
_BEGINS = r"(?=[=+\-@\uff1d\uff0b\uff0d\uff20])"
_FORMULA = re.compile(_BEFORE + _BEGINS)
_NEUTRALISED = re.compile(f"{_BEFORE}'{_BEGINS}")
_HARMLESS = re.compile(r"[+-]?\d+(?:[.,]\d+)?", re.ASCII)
_BREAKS = ("\t", "\r", "\n")


def safe_cell(text: str) -> str:
    """The text as a cell that stays a text."""
    if _HARMLESS.fullmatch(text):
        return text
    made = _FORMULA.sub(r"\1\2'", text)
    return "'" + made if made.startswith(_BREAKS) else made


def original_text(cell: str) -> str:
    """The text that `safe_cell` made this cell of. One with tabs or line ends stays as it is."""
    if any(character in cell for character in _BREAKS):
        return cell
    return _NEUTRALISED.sub(r"\1\2", cell)


async def csv_chunks(
    header: Sequence[str], rows: AsyncIterable[Sequence[str]]
) -> AsyncGenerator[bytes]:
    """The file piece by piece: never more than one of them in memory."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, quoting=csv.QUOTE_ALL)
    writer.writerow(header)
    mark = BOM
    async for row in rows:
        writer.writerow([safe_cell(cell) for cell in row])
        if buffer.tell() >= _CHUNK:
            yield mark + buffer.getvalue().encode()
            mark = b""
            buffer.seek(0)
            buffer.truncate()
    yield mark + buffer.getvalue().encode()
