"""A mail server, and a tenant whose nights are told of."""

from collections.abc import AsyncGenerator
from pathlib import Path

import asyncpg
import pytest

from domain.resources import Resources
from domain.secrets import KeyRing
from tests.builders import small_district
from tests.domain.sync.stories import Story, new_story
from tests.domain.watch.mailing import MailServer, mail_server


@pytest.fixture
async def server() -> AsyncGenerator[MailServer]:
    async with mail_server() as opened:
        yield opened


@pytest.fixture
async def story(
    resources: Resources,
    worker_resources: Resources,
    superuser: asyncpg.Connection,
    keys: KeyRing,
    tmp_path: Path,
) -> Story:
    story = new_story(
        resources.database,
        worker_resources.database,
        superuser,
        folder=tmp_path / "alpha",
        keys=keys,
    )
    story.district = small_district()
    await story.begin("alpha")
    # The tests' nights need not lie in the future.
    await superuser.execute("UPDATE sync_schedules SET first_on = '2026-01-01'")
    return story
