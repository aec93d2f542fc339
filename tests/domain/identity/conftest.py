"""A story for every test, and what is stored of its people, to the last byte."""

from pathlib import Path

import asyncpg
import pytest

from domain.resources import Resources
from domain.secrets import KeyRing
from tests.builders import small_district
from tests.domain.sync.stories import Story, new_story


@pytest.fixture
async def story(
    resources: Resources,
    worker_resources: Resources,
    superuser: asyncpg.Connection,
    keys: KeyRing,
    tmp_path: Path,
) -> Story:
    """A tenant with the small district, synced once."""
    made = new_story(
        resources.database,
        worker_resources.database,
        superuser,
        folder=tmp_path / "alpha",
        keys=keys,
    )
    made.district = small_district()
    await made.begin("alpha")
    await made.night()
    return made
