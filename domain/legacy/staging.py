"""The rows of the files in temporary tables, which are gone with the transaction.

`legacy_ids` says who is meant by each of the old product's ids: what is stored under it, or what
is about to be created.
"""

from typing import Final
from uuid import UUID

import asyncpg

from domain.files.imports import create_errors, create_table
from domain.legacy.layouts import LAYOUTS

KIND: Final = "legacy_id"
"""Of the external keys that old ids are kept as."""

_RECORDS = {"SCHOOL": "schools", "GROUP": "groups", "USER": "users"}


async def create_tables(connection: asyncpg.Connection, tenant_id: UUID) -> None:
    # Whole sets are joined here, and statistics of tables that were filled just now are wrong.
    await connection.execute("SET LOCAL enable_nestloop = off")
    await create_errors(connection)
    await connection.execute(
        "CREATE TEMPORARY TABLE legacy_ids (record_type text, id text, record_id uuid,"
        " is_new boolean, is_live boolean, PRIMARY KEY (record_type, id)) ON COMMIT DROP"
    )
    for layout in LAYOUTS:
        await create_table(connection, layout)
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
