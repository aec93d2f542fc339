"""What most commands do: find the servers, act as the API's role, look up a tenant."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import UUID

from api.cli.console import settings_for_a_person
from api.site import open_site, prepare
from domain.database import Database, DatabaseRole
from domain.resources import Resources
from domain.tenants.service import get_tenant_id


@asynccontextmanager
async def opened(role: DatabaseRole = DatabaseRole.API) -> AsyncGenerator[Resources]:
    """The resources of the running servers, or of our own, which end with us."""
    with open_site(settings_for_a_person()) as site:
        await prepare(site)
        async with site.resources(role) as resources:
            yield resources


async def tenant_of(database: Database, slug: str) -> UUID:
    """Raises NotFound."""
    async with database.read() as session:
        return await get_tenant_id(session, slug)
