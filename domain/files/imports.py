"""What imports of files share: rows in temporary tables, and what is wrong with them.

The tables are gone with the transaction. `file_errors` are the problems; a row with one is dropped
from its table.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import asyncpg

from domain.errors import Conflict
from domain.files.layouts import Layout
from domain.files.tables import RowError, Table

FOLDED: Final = 'casefold({0} COLLATE "pg_unicode_fast")'
"""SQL for a text as two are compared whose case does not matter: see users.username_key."""
MOST_ERRORS: Final = 100
"""How many are listed; all are counted."""


async def create_errors(connection: asyncpg.Connection) -> None:
    await connection.execute(
        "CREATE TEMPORARY TABLE file_errors"
        " (file text, line int, column_name text, message text) ON COMMIT DROP"
    )


async def create_table(connection: asyncpg.Connection, layout: Layout) -> None:
    columns = ", ".join(f"{column.name} {column.type}" for column in layout.columns)
    await connection.execute(
        f"CREATE TEMPORARY TABLE {layout.staged} (line int PRIMARY KEY, {columns}) ON COMMIT DROP"
    )


async def load(connection: asyncpg.Connection, table: Table) -> int:
    """Puts a file's rows in. How many there are, the wrong ones counted."""
    layout = table.layout
    names = ["line", *(column.name for column in layout.columns)]
    total = 0
    for batch in table.batches():
        await connection.copy_records_to_table(layout.staged, records=batch.rows, columns=names)
        await note(connection, layout, batch.errors)
        total += batch.total
    await connection.execute(f"ANALYZE {layout.staged}")
    return total


async def note(connection: asyncpg.Connection, layout: Layout, errors: Sequence[RowError]) -> None:
    if errors:
        await connection.copy_records_to_table(
            "file_errors", records=[(layout.file, *error) for error in errors]
        )


async def refuse_repeated(connection: asyncpg.Connection, layout: Layout, column: str) -> None:
    """What is in the column is there once, whatever its case: the first row of several stays.

    A row that is wrong already has taken nothing.
    """
    await connection.execute(
        "INSERT INTO file_errors SELECT $1, d.line, $2, CASE"
        "  WHEN d.value = d.other THEN format('This is on line %s already.', d.first)"
        "  ELSE format('This is on line %s already, as %L: upper and lower case are the same.',"
        "   d.first, left(d.other, 60)) END"
        f" FROM (SELECT l.line, l.{column} AS value, first_value(l.line) OVER w AS first,"
        f"   first_value(l.{column}) OVER w AS other FROM {layout.staged} l"
        "   WHERE NOT EXISTS (SELECT FROM file_errors e"
        "    WHERE e.file = $1 AND e.line = l.line)"
        f"  WINDOW w AS (PARTITION BY {FOLDED.format(f'l.{column}')} ORDER BY l.line)) d"
        " WHERE d.line > d.first",
        layout.file,
        column,
    )


async def drop_wrong(connection: asyncpg.Connection, layout: Layout) -> None:
    await connection.execute(
        f"DELETE FROM {layout.staged} l USING file_errors e WHERE e.file = $1 AND e.line = l.line",
        layout.file,
    )


async def count_errors(connection: asyncpg.Connection) -> int:
    count: int = await connection.fetchval("SELECT count(*) FROM file_errors")
    return count


async def count_wrong(connection: asyncpg.Connection, layout: Layout) -> int:
    """How many rows of the file are wrong."""
    count: int = await connection.fetchval(
        "SELECT count(DISTINCT line) FROM file_errors WHERE file = $1", layout.file
    )
    return count


async def list_errors(
    connection: asyncpg.Connection, layouts: Sequence[Layout]
) -> list[dict[str, Any]]:
    """The first ones, in the order of the files and their lines."""
    rows = await connection.fetch(
        "SELECT e.file, e.line, e.column_name AS column, e.message FROM file_errors e"
        " ORDER BY array_position($1::text[], e.file), e.line, e.column_name, e.message LIMIT $2",
        [layout.file for layout in layouts],
        MOST_ERRORS,
    )
    return [dict(row) for row in rows]


def require_applied(report: Mapping[str, Any]) -> None:
    """Of an import that was to be applied. Raises Conflict."""
    if not report["is_applied"]:
        raise Conflict(
            f"Nothing was imported, for there are errors ({report['error_count']}): correct the"
            " files, or import without the rows that are wrong.",
            field="skipErrors",
        )
