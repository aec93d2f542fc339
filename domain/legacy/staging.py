"""The rows of the files in temporary tables, which are gone with the transaction.

`legacy_ids` says who is meant by each of the old product's ids: what is stored under it, or what
is about to be created. `legacy_errors` are the problems; a row with one is not in its table.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

import asyncpg

from domain.legacy.layouts import LAYOUTS, Layout
from domain.legacy.reader import RowError, Table

KIND: Final = "legacy_id"
"""Of the external keys that old ids are kept as."""

_RECORDS = {"SCHOOL": "schools", "GROUP": "groups", "USER": "users"}


async def create_tables(connection: asyncpg.Connection, tenant_id: UUID) -> None:
    # Whole sets are joined here, and statistics of tables that were filled just now are wrong.
    await connection.execute("SET LOCAL enable_nestloop = off")
    await connection.execute(
        "CREATE TEMPORARY TABLE legacy_errors"
        " (file text, line int, column_name text, message text) ON COMMIT DROP;"
        "CREATE TEMPORARY TABLE legacy_ids (record_type text, id text, record_id uuid,"
        " is_new boolean, is_live boolean, PRIMARY KEY (record_type, id)) ON COMMIT DROP"
    )
    for layout in LAYOUTS:
        columns = ", ".join(f"{column.name} {column.type}" for column in layout.columns)
        await connection.execute(
            f"CREATE TEMPORARY TABLE {layout.staged} (line int PRIMARY KEY, {columns})"
            " ON COMMIT DROP"
        )
    for record_type, table in _RECORDS.items():
        # Should an id ever stand for two, whoever is live is meant.
        await connection.execute(
            "INSERT INTO legacy_ids SELECT DISTINCT ON (x.value) x.record_type, x.value,"
            " x.record_id, false, r.archived_at IS NULL"
            f" FROM external_keys x JOIN {table} r"
            "  ON r.tenant_id = x.tenant_id AND r.id = x.record_id"
            " WHERE x.tenant_id = $1 AND x.record_type = $2 AND x.kind = $3"
            " ORDER BY x.value, r.archived_at IS NOT NULL, x.record_id",
            tenant_id,
            record_type,
            KIND,
        )


async def load(connection: asyncpg.Connection, table: Table) -> int:
    """Puts a file's rows in. How many there are, the wrong ones counted."""
    layout = table.layout
    names = ["line", *(column.name for column in layout.columns)]
    total = 0
    for batch in table.batches():
        await connection.copy_records_to_table(layout.staged, records=batch.rows, columns=names)
        await _note(connection, layout, batch.errors)
        total += batch.total
    await connection.execute(f"ANALYZE {layout.staged}")
    return total


async def _note(connection: asyncpg.Connection, layout: Layout, errors: Sequence[RowError]) -> None:
    if errors:
        await connection.copy_records_to_table(
            "legacy_errors", records=[(layout.file, *error) for error in errors]
        )
