"""A story of syncs, for what no sync may take away."""

from pathlib import Path

import asyncpg
import pytest

from domain.resources import Resources
from domain.secrets import KeyRing
from tests.builders import small_district
from tests.domain.sync.stories import Story, new_story
from tests.domain.training.classes import Classes, new_classes


@pytest.fixture
async def story(
    resources: Resources,
    worker_resources: Resources,
    superuser: asyncpg.Connection,
    keys: KeyRing,
    tmp_path: Path,
) -> Story:
    """A tenant with the small district, which is not written yet."""
    told = new_story(
        resources.database,
        worker_resources.database,
        superuser,
        folder=tmp_path / "alpha",
        keys=keys,
    )
    told.district = small_district()
    await told.begin("alpha")
    return told


@pytest.fixture
async def classes(resources: Resources, superuser: asyncpg.Connection) -> Classes:
    return await new_classes(resources.database, superuser)
