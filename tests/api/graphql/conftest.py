"""The application over the real database, and callers with tokens.

These tests read much and write little: they share a database that is emptied after each.
"""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack

import asyncpg
import pytest
from sqlalchemy import make_url
from starlette.applications import Starlette

from api.app import create_app
from api.local import LocalServers
from api.signing_in.site import SignInSettings
from domain.models import metadata
from domain.resources import Resources
from tests.api.graphql.client import World, connected
from tests.api.graphql.seed import add_tenant, add_token

SHARED = "graphql"


async def _execute(local: LocalServers, database: str, statement: str) -> None:
    url = make_url(local.postgres.url("postgres")).set(database=database)
    text = url.render_as_string(hide_password=False)
    connection = await asyncpg.connect(text.replace("postgresql+asyncpg://", "postgresql://"))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def shared_database(local_servers: LocalServers, template: str) -> Generator[str]:
    create = f"CREATE DATABASE {SHARED} TEMPLATE {template}"
    asyncio.run(_execute(local_servers, "postgres", create))
    yield SHARED
    asyncio.run(_execute(local_servers, "postgres", f"DROP DATABASE {SHARED} WITH (FORCE)"))


@pytest.fixture
async def database_name(local_servers: LocalServers, shared_database: str) -> AsyncGenerator[str]:
    yield shared_database
    tables = ", ".join(table.name for table in metadata.sorted_tables)
    await _execute(local_servers, shared_database, f"TRUNCATE {tables}")


@pytest.fixture
def app(resources: Resources) -> Starlette:
    return create_app(resources, SignInSettings())


@pytest.fixture
async def world(app: Starlette, superuser: asyncpg.Connection) -> AsyncGenerator[World]:
    alpha_id = await add_tenant(superuser, "alpha")
    beta_id = await add_tenant(superuser, "beta")
    await add_token(superuser, "of-operator")
    await add_token(superuser, "of-alpha", alpha_id)
    await add_token(superuser, "of-beta", beta_id)
    async with AsyncExitStack() as stack:
        operator, alpha, beta = [
            await stack.enter_async_context(connected(app, secret))
            for secret in ("of-operator", "of-alpha", "of-beta")
        ]
        yield World(operator, alpha, beta, alpha_id, beta_id)
