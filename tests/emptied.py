"""Fixtures for one database of many tests, which each of them finds empty.

Its connections stay open over the tests of a module: a new one has to learn the whole schema
before its first answer, which takes longer than most tests. A conftest that imports these
fixtures has such a database of its own.
"""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass
from typing import Final

import asyncpg
import pytest
from sqlalchemy import make_url

from api.local import LocalServers
from domain.database import DatabaseRole
from domain.models import metadata
from domain.resources import Resources, open_resources
from domain.secrets import KeyRing
from tests.conftest import dsn, run_as_superuser
from tests.sources import HOSTS

# Without looking at references or triggers. TRUNCATE makes new files for every table and index.
_EMPTY: Final = "; ".join(
    (
        "BEGIN",
        "SET LOCAL session_replication_role = replica",
        *(f"DELETE FROM {table.name}" for table in metadata.sorted_tables),  # noqa: S608 - our own
        "COMMIT",
    )
)
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Standing:
    """What stays open: the superuser's connection, and the API's resources."""

    superuser: asyncpg.Connection
    resources: Resources


@pytest.fixture(scope="session")
def shared_database(local_servers: LocalServers, template: str) -> Generator[str]:
    name = f"shared_{next(_numbers)}"
    create = f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY"
    asyncio.run(run_as_superuser(local_servers, create))
    yield name
    asyncio.run(run_as_superuser(local_servers, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(scope="module")
async def standing(
    local_servers: LocalServers, shared_database: str, keys: KeyRing
) -> AsyncGenerator[Standing]:
    def url(login: str) -> str:
        own = make_url(local_servers.postgres.url(login)).set(database=shared_database)
        return own.render_as_string(hide_password=False)

    superuser = await asyncpg.connect(dsn(url("postgres")))
    try:
        async with open_resources(
            database_url=url(DatabaseRole.API),
            redis_url=local_servers.redis_url,
            keys=keys,
            hosts=HOSTS,
            role=DatabaseRole.API,
        ) as resources:
            yield Standing(superuser, resources)
    finally:
        await superuser.close()


@pytest.fixture
async def emptied(standing: Standing) -> AsyncGenerator[Standing]:
    yield standing
    await standing.superuser.reset()
    await standing.superuser.execute(_EMPTY)


@pytest.fixture
def database_name(emptied: Standing, shared_database: str) -> str:
    return shared_database


@pytest.fixture
def superuser(emptied: Standing) -> asyncpg.Connection:
    return emptied.superuser


@pytest.fixture
def resources(emptied: Standing) -> Resources:
    return emptied.resources
