"""A tenant with two schools, and a story that can be synced."""

import asyncpg
import pytest

from domain.clock import new_id
from domain.people.callers import COMMAND_LINE
from domain.resources import Resources
from domain.tenants.service import create_tenant
from tests.api.graphql.seed import add_school
from tests.domain.staffing.files import Office


@pytest.fixture
async def office(
    resources: Resources, worker_resources: Resources, superuser: asyncpg.Connection
) -> Office:
    made = Office(resources.database, worker_resources.database, superuser, new_id())
    async with made.api.transaction(made.tenant_id) as session:
        await create_tenant(
            session, tenant_id=made.tenant_id, slug="alpha", name="Alpha", caller=COMMAND_LINE
        )
    for name, number, source_id in (("North", "0410", "s1"), ("South", "0420", "s2")):
        await add_school(superuser, made.tenant_id, name=name, number=number, source_id=source_id)
    return made
