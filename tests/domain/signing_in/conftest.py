"""Two tenants to sign in to."""

import asyncpg
import pytest

from domain.resources import Resources
from tests.domain.signing_in.district import District, new_district


@pytest.fixture
async def alpha(resources: Resources, superuser: asyncpg.Connection) -> District:
    return await new_district(resources.database, superuser, "alpha")


@pytest.fixture
async def beta(resources: Resources, superuser: asyncpg.Connection) -> District:
    return await new_district(resources.database, superuser, "beta")
