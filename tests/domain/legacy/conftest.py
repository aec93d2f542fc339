"""A tenant that is not rostered yet."""

import asyncpg
import pytest

from domain.clock import new_id
from domain.people.callers import COMMAND_LINE
from domain.resources import Resources
from domain.tenants.service import create_tenant
from tests.domain.legacy.files import Desk


@pytest.fixture
async def desk(
    resources: Resources, worker_resources: Resources, superuser: asyncpg.Connection
) -> Desk:
    made = Desk(resources.database, worker_resources.database, superuser, new_id())
    async with made.api.transaction(made.tenant_id) as session:
        await create_tenant(
            session, tenant_id=made.tenant_id, slug="alpha", name="Alpha", caller=COMMAND_LINE
        )
    return made
