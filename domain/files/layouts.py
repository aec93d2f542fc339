"""What a file that is imported looks like: its columns, and what may stand in them."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from domain.files.cells import Read
from domain.roster.records import RecordType


class Column(NamedTuple):
    """`type` is PostgreSQL's. `blank` stands for a cell without anything in it.

    `field` is the column of the stored record that it fills, where it is as simple as that.
    """

    name: str
    read: Read
    type: str = "text"
    is_required: bool = False
    blank: object = None
    field: str | None = None


Row = Mapping[str, object]


class Layout(NamedTuple):
    """`staged` is the temporary table that its rows are put into. `check` looks at a whole row.

    `check` returns the column to blame and a sentence, or None. `clean` gives what is meant by what
    stands in a cell.
    """

    file: str
    staged: str
    columns: tuple[Column, ...]
    example: tuple[str, ...]
    record_type: RecordType | None = None
    stored: str | None = None
    check: Callable[[Row], tuple[str, str] | None] = lambda _: None
    clean: Callable[[str], str] = str

    @property
    def required(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if column.is_required)
