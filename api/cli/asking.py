"""What most commands do: find the servers, act as the API's role, look up a tenant."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import UUID

from api.cli.console import CommandError, settings_for_a_person
from api.site import open_site, prepare
from domain.database import Database, DatabaseRole
from domain.resources import Resources
from domain.roster.source import Provider
from domain.tenants.service import get_tenant_id


@asynccontextmanager
async def opened(role: DatabaseRole = DatabaseRole.API) -> AsyncGenerator[Resources]:
    """The resources of the running servers, or of our own, which end with us."""
    with open_site(settings_for_a_person()) as site:
        await prepare(site)
        async with site.resources(role) as resources:
            yield resources


def provider_named(text: str) -> Provider:
    """Raises CommandError."""
    name = text.upper().replace("-", "_")
    if name not in set(Provider):
        known = ", ".join(provider.value.lower().replace("_", "-") for provider in Provider)
        raise CommandError(f"There is no provider {text!r}. Choose one of: {known}.")
    return Provider(name)


async def tenant_of(database: Database, slug: str) -> UUID:
    """Raises NotFound."""
    async with database.read() as session:
        return await get_tenant_id(session, slug)
