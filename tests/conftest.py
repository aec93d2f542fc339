"""Real servers for every test process, and a database of its own for every test."""

import base64
import itertools
import shutil
import tempfile
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import asyncpg
import pytest
from hypothesis import settings
from sqlalchemy import make_url

from api.local import LocalServers, servers
from api.migrate import migrate
from domain.database import DatabaseRole
from domain.resources import Resources, open_resources
from domain.secrets import KeyRing
from tests.sources import HOSTS

settings.register_profile("soak")

KEY_TEXT = "test:" + base64.b64encode(bytes(range(32))).decode()
# Nothing of a test has to outlive the power: what is tested is a killed process.
FAST = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "128MB",
    "max_wal_size": "512MB",
}
# A night makes and drops dozens of tables, and a test a whole database: files, thousands of them,
# which a file system in memory makes in a tenth of the time.
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it
ROOM = 4 * 2**30


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


def roomy_folder() -> Path | None:
    """In memory, where there is such a file system with room; None: wherever else."""
    has_room = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= ROOM
    return MEMORY if has_room else None


@pytest.fixture(scope="session")
def local_servers() -> Generator[LocalServers]:
    # Not below pytest's own temporary folder: each start of pytest closes that to others, and to
    # the account that PostgreSQL runs as where we are root.
    with (
        tempfile.TemporaryDirectory(prefix="tests-", dir=roomy_folder()) as folder,
        servers(Path(folder), settings=FAST) as running,
    ):
        yield running


def dsn(url: str) -> str:
    """The URL as asyncpg spells it."""
    return url.replace("postgresql+asyncpg://", "postgresql://")


async def run_as_superuser(local: LocalServers, statement: str) -> None:
    connection = await asyncpg.connect(
        dsn(str(make_url(local.postgres.url("postgres")).set(database="postgres")))
    )
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def template(local_servers: LocalServers) -> str:
    """The name of a database with the newest schema, to be copied for each test."""
    import asyncio  # noqa: PLC0415 - a session fixture has no event loop of its own

    asyncio.run(migrate(local_servers.postgres.url("postgres")))
    return "homerow"


_numbers = itertools.count(1)


@pytest.fixture
async def database_name(local_servers: LocalServers, template: str) -> AsyncGenerator[str]:
    name = f"test_{next(_numbers)}"
    # Of files, not through the write-ahead log.
    copy = f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY"
    await run_as_superuser(local_servers, copy)
    yield name
    await run_as_superuser(local_servers, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database_url(local_servers: LocalServers, database_name: str) -> "dict[str, str]":
    """The URL of the test's database for each login: postgres (superuser) and the three roles."""
    return {
        login: make_url(local_servers.postgres.url(login))
        .set(database=database_name)
        .render_as_string(hide_password=False)
        for login in ("postgres", *DatabaseRole)
    }


@pytest.fixture
def owner_dsn(database_url: dict[str, str]) -> str:
    """For asyncpg, as the superuser: sees every tenant's rows."""
    return dsn(database_url["postgres"])


@pytest.fixture
async def superuser(owner_dsn: str) -> AsyncGenerator[asyncpg.Connection]:
    connection = await asyncpg.connect(owner_dsn)
    yield connection
    await connection.close()


@pytest.fixture(scope="session")
def keys() -> KeyRing:
    return KeyRing.parse(KEY_TEXT)


@pytest.fixture
async def resources(
    local_servers: LocalServers, database_url: dict[str, str], keys: KeyRing
) -> AsyncGenerator[Resources]:
    async with open_resources(
        database_url=database_url[DatabaseRole.API],
        redis_url=local_servers.redis_url,
        keys=keys,
        hosts=HOSTS,
        role=DatabaseRole.API,
    ) as opened:
        yield opened


@pytest.fixture
async def worker_resources(
    local_servers: LocalServers, database_url: dict[str, str], keys: KeyRing
) -> AsyncGenerator[Resources]:
    async with open_resources(
        database_url=database_url[DatabaseRole.WORKER],
        redis_url=local_servers.redis_url,
        keys=keys,
        hosts=HOSTS,
        role=DatabaseRole.WORKER,
    ) as opened:
        yield opened


@pytest.fixture
async def owner_resources(
    local_servers: LocalServers, database_url: dict[str, str], keys: KeyRing
) -> AsyncGenerator[Resources]:
    async with open_resources(
        database_url=database_url[DatabaseRole.OWNER],
        redis_url=local_servers.redis_url,
        keys=keys,
        hosts=HOSTS,
        role=DatabaseRole.OWNER,
    ) as opened:
        yield opened


@pytest.fixture
def shared_data() -> Path:
    """Recorded answers and real packages, which are not part of the repository."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the recorded data beside the repository is not here")
    return folder
