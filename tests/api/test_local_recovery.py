"""An embedded PostgreSQL that was killed comes back, whatever it was doing."""

import asyncio
import os
import signal
from pathlib import Path

import asyncpg

from api.local import start_postgres
from api.local.postgres import find_postgres
from api.local.processes import wait
from tests.conftest import FAST, dsn

# Nobody else writes what an undone transaction says of itself.
LAZY = FAST | {"wal_writer_delay": "10s"}


def test_postgres_comes_back_though_it_was_undoing_an_unlogged_table(tmp_path: Path) -> None:
    folder = tmp_path / "postgres"
    server = start_postgres(folder, settings=LAZY)

    async def undo() -> None:
        connection = await asyncpg.connect(dsn(server.url("postgres")))
        await connection.execute("CREATE TABLE kept AS SELECT 42 AS number")
        await connection.execute("CHECKPOINT")
        await connection.execute("BEGIN")
        await connection.execute("CREATE UNLOGGED TABLE undone (number int)")
        await connection.execute("SELECT pg_switch_wal()")
        await connection.execute("ROLLBACK")
        os.kill(server.pid, signal.SIGKILL)
        connection.terminate()

    async def read() -> int:
        connection = await asyncpg.connect(dsn(server.url("postgres")))
        try:
            return int(await connection.fetchval("SELECT number FROM kept"))
        finally:
            await connection.close()

    try:
        asyncio.run(undo())
        assert wait(lambda: find_postgres(folder) is None, 10)
        start_postgres(folder, settings=FAST)
        assert asyncio.run(read()) == 42
        assert "File exists" in (tmp_path / "postgres.log").read_text()
    finally:
        start_postgres(folder).stop()
