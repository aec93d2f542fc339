"""Two tenants with the same district: one is synced in peace, the other by real workers."""

from collections.abc import Generator
from pathlib import Path

import asyncpg
import pytest

from api.generator.package import generate
from api.local import LocalServers
from domain.resources import Resources
from domain.secrets import KeyRing
from tests.domain.sync.stories import Story, new_story
from tests.worker.processes import Workers, open_workers

STUDENTS = 300


@pytest.fixture
def workers(
    database_url: dict[str, str], local_servers: LocalServers, tmp_path: Path
) -> Generator[Workers]:
    with open_workers(database_url, local_servers.redis_url, tmp_path) as opened:
        yield opened


@pytest.fixture(scope="session")
def nights(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two nights of a generated district, made once."""
    folder = tmp_path_factory.mktemp("nights")
    generate(folder / "first", students=STUDENTS, seed=11)
    generate(folder / "second", students=STUDENTS, seed=11, change=0.05)
    return folder / "first", folder / "second"


@pytest.fixture
async def calm(
    resources: Resources,
    worker_resources: Resources,
    superuser: asyncpg.Connection,
    keys: KeyRing,
    nights: tuple[Path, Path],
) -> Story:
    """Both nights are over, without any trouble."""
    story = new_story(
        resources.database, worker_resources.database, superuser, folder=nights[0], keys=keys
    )
    await story.begin("calm")
    for night in nights:
        await story.configure(night)
        await story.run()
    return story


@pytest.fixture
async def story(
    resources: Resources,
    worker_resources: Resources,
    superuser: asyncpg.Connection,
    keys: KeyRing,
    nights: tuple[Path, Path],
) -> Story:
    """The first night is over, and the second lies ready."""
    story = new_story(
        resources.database, worker_resources.database, superuser, folder=nights[0], keys=keys
    )
    await story.begin("story")
    await story.run()
    await story.configure(nights[1])
    return story
