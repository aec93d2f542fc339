"""A tenant for each way of reading."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest

from domain.resources import Resources
from domain.secrets import KeyRing
from tests.contract.providers import Opening
from tests.contract.tenants import begin
from tests.domain.sync.stories import Story, new_story

Connect = Callable[[str, Opening], Awaitable[Story]]


@pytest.fixture
def tenant_of(
    resources: Resources,
    worker_resources: Resources,
    superuser: asyncpg.Connection,
    keys: KeyRing,
    tmp_path: Path,
) -> Connect:
    """Makes a tenant that reads from an opening."""

    async def make(slug: str, opening: Opening) -> Story:
        story = new_story(
            resources.database, worker_resources.database, superuser, folder=tmp_path, keys=keys
        )
        await begin(story, slug, opening)
        return story

    return make
