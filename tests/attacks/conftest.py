"""The application and two tenants, on a database of its own that is emptied after each test."""

import asyncio
from collections.abc import AsyncGenerator, Generator

import asyncpg
import pytest
from sqlalchemy import make_url

from api.local import LocalServers
from domain.models import metadata
from tests.api.graphql.conftest import app, world
from tests.conftest import dsn, run_as_superuser

__all__ = ["app", "world"]

SHARED = "attacks"


@pytest.fixture(scope="session")
def shared_database(local_servers: LocalServers, template: str) -> Generator[str]:
    create = f"CREATE DATABASE {SHARED} TEMPLATE {template} STRATEGY FILE_COPY"
    asyncio.run(run_as_superuser(local_servers, create))
    yield SHARED
    asyncio.run(run_as_superuser(local_servers, f"DROP DATABASE {SHARED} WITH (FORCE)"))


@pytest.fixture
async def database_name(local_servers: LocalServers, shared_database: str) -> AsyncGenerator[str]:
    yield shared_database
    url = make_url(local_servers.postgres.url("postgres")).set(database=shared_database)
    connection = await asyncpg.connect(dsn(url.render_as_string(hide_password=False)))
    try:
        tables = ", ".join(table.name for table in metadata.sorted_tables)
        await connection.execute(f"TRUNCATE {tables}")
    finally:
        await connection.close()
