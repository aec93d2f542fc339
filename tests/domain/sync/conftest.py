"""A story for every test: a tenant with a folder to sync from."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest

from domain.resources import Resources
from domain.secrets import KeyRing
from tests.builders import small_district
from tests.domain.sync.stories import Story, new_story

TellStory = Callable[[str], Awaitable[Story]]


@pytest.fixture
def tell(
    resources: Resources,
    worker_resources: Resources,
    superuser: asyncpg.Connection,
    keys: KeyRing,
    tmp_path: Path,
) -> TellStory:
    """Makes a tenant with the small district, which is not written yet."""

    async def tell_story(slug: str) -> Story:
        story = new_story(
            resources.database,
            worker_resources.database,
            superuser,
            folder=tmp_path / slug,
            keys=keys,
        )
        story.district = small_district()
        await story.begin(slug)
        return story

    return tell_story


@pytest.fixture
async def story(tell: TellStory) -> Story:
    return await tell("alpha")
