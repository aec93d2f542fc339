"""Sheets: no cell of a file that goes out is ever a formula, in whatever spreadsheet."""

import csv
import io
import re
from collections.abc import AsyncIterator, Iterable, Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.files.sheets import BOM, csv_chunks, safe_cell

pytestmark = pytest.mark.anyio

FORMULAS = {
    "=1+1": "'=1+1",
    "+1+1": "'+1+1",
    "-1+1": "'-1+1",
    "@SUM(A1)": "'@SUM(A1)",
    "  =1+1": "  '=1+1",
    '"=1+1': "\"'=1+1",
    "'=1+1": "''=1+1",
    "\u00a0=1+1": "\u00a0'=1+1",
    "\t=1+1": "'\t'=1+1",
    "\ttext": "'\ttext",
    "\r=1+1": "'\r'=1+1",
    "\ntext": "'\ntext",
    "\uff1d1+1": "'\uff1d1+1",
    "a;=1+1;b": "a;'=1+1;b",
    'a,"=1+1"': 'a,"\'=1+1"',
    "a\n@cmd": "a\n'@cmd",
    "a\t=1": "a\t'=1",
    "-Ann": "'-Ann",
    "=": "'=",
}
PLAIN = (
    "", "Ann", "-5", "+5", "5", "-3.5", "2026-08-17", "a-b", "a = b", "x@example.org", "O'Neil",
    "Ann, Bob", '"Ann"', "a;b", " ", "1e5",
)  # fmt: skip


@pytest.mark.parametrize(("text", "cell"), FORMULAS.items())
def test_what_would_be_a_formula_is_shown_as_text(text: str, cell: str) -> None:
    assert safe_cell(text) == cell


@pytest.mark.parametrize("text", PLAIN)
def test_what_is_no_formula_stays_as_it_is(text: str) -> None:
    assert safe_cell(text) == text


TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.text("=+-@\t\r\n;,|\"' a1")


@given(TEXTS)
@example("1;=2")
def test_no_part_of_a_line_begins_a_formula_whatever_separates_cells(text: str) -> None:
    """However a spreadsheet cuts the line: quotes may not protect where it expects semicolons."""
    cell = safe_cell(text)
    if re.fullmatch(r"[+-][0-9]+([.,][0-9]+)?", text):
        assert cell == text
        return
    for part in re.split(r"[,;|\t\r\n]", cell):
        assert not re.match(r"[ \"]*[=+\-@]", part)


async def rows_of(rows: Iterable[Sequence[str]]) -> AsyncIterator[Sequence[str]]:
    for row in rows:
        yield row


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=20))
async def test_a_file_is_read_back_as_it_was_meant(rows: list[tuple[str, str]]) -> None:
    content = b"".join([chunk async for chunk in csv_chunks(["A", "B"], rows_of(rows))])
    assert content.startswith(BOM)
    read = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    assert read == [["A", "B"], *([safe_cell(cell) for cell in row] for row in rows)]


async def test_a_file_has_its_mark_once_and_every_cell_in_quotes() -> None:
    chunks = [chunk async for chunk in csv_chunks(["Name"], rows_of([["x" * 1000]] * 200))]
    assert [len(chunk) > 60_000 for chunk in chunks] == [True, True, True, False]
    content = b"".join(chunks)
    assert content.count(BOM) == 1
    assert content.startswith(BOM + b'"Name"\r\n"xxx')


async def test_no_more_is_read_than_goes_out() -> None:
    read = 0

    async def rows() -> AsyncIterator[Sequence[str]]:
        nonlocal read
        while True:
            read += 1
            yield ["x" * 1000]

    chunks = csv_chunks(["Name"], rows())
    assert len(await anext(chunks)) < 70_000
    assert read < 70
    await chunks.aclose()
