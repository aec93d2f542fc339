"""Sign-in pages over a real database: one for all tests, emptied after each."""

from collections.abc import AsyncGenerator, Generator
from uuid import UUID

import asyncpg
import httpx2
import pytest
from starlette.applications import Starlette

from api.security_headers import SecurityHeaders
from api.signing_in.routes import sign_in_routes
from api.signing_in.site import Client, SignInSettings, Site
from api.web_settings import WebSettings
from domain.clock import new_id
from domain.people.models import SignInMethodName
from domain.resources import Resources
from tests.api.graphql.seed import (
    add_group,
    add_integration,
    add_membership,
    add_school,
    add_tenant,
    add_user,
    insert,
)
from tests.api.signing_in.provider import (
    CLEVER_ID,
    CLIENTS,
    DISTRICT,
    DOMAIN,
    METHODS,
    SECRETS,
    SOURCED_ID,
    TENANT,
    TID,
    Provider,
    app_of,
)
from tests.emptied import database_name, emptied, resources, shared_database, standing, superuser
from tests.fakes.serving import serve

__all__ = ["database_name", "emptied", "resources", "shared_database", "standing", "superuser"]

ORIGIN = "https://homerow.example"
FRONTEND = "https://typing.example"


@pytest.fixture(scope="session")
def standing_provider() -> Generator[Provider]:
    provider = Provider()
    with serve(app_of(provider)) as served:
        provider.url = served.url
        yield provider


@pytest.fixture
def provider(standing_provider: Provider) -> Provider:
    standing_provider.reset()
    return standing_provider


@pytest.fixture
def site(resources: Resources, provider: Provider) -> Site:
    """Reached by its public address, with all four providers."""
    return Site(
        resources,
        SignInSettings(
            web=WebSettings(
                public_url=ORIGIN,
                cors_origins=frozenset({FRONTEND}),
                landing_url="https://training.example/enter",
                is_local=True,
            ),
            clients={
                SignInMethodName(method.upper()): Client(CLIENTS[method], SECRETS[method])
                for method in METHODS
            },
            clever_url=f"{provider.url}/clever",
            clever_api_url=f"{provider.url}/clever",
            classlink_url=f"{provider.url}/classlink",
            classlink_info_url=f"{provider.url}/classlink",
            google_url=f"{provider.url}/google",
            microsoft_url=f"{provider.url}/microsoft",
        ),
    )


@pytest.fixture
def app(site: Site) -> Starlette:
    app = Starlette(routes=sign_in_routes(site))
    app.add_middleware(SecurityHeaders, web=site.web)
    return app


@pytest.fixture
async def browser(app: Starlette) -> AsyncGenerator[httpx2.AsyncClient]:
    """Keeps cookies and follows no redirect. It has an address of its own, which is counted."""
    transport = httpx2.ASGITransport(app, client=(f"browser {new_id()}", 50000))
    async with httpx2.AsyncClient(transport=transport, base_url=ORIGIN) as client:
        yield client


@pytest.fixture
async def springfield(superuser: asyncpg.Connection) -> UUID:
    """Rostered from Clever; ClassLink, Google and Microsoft are on as well. Mia is a student."""
    tenant_id = await add_tenant(superuser, "springfield", display_name="Springfield USD")
    await add_integration(
        superuser, tenant_id, provider="CLEVER", settings={"district_id": DISTRICT}
    )
    for method, keys in (
        ("CLASSLINK", [str(TENANT)]),
        ("GOOGLE", [DOMAIN]),
        ("MICROSOFT", [TID]),
    ):
        await insert(
            superuser,
            "sign_in_methods",
            tenant_id=tenant_id,
            method=method,
            is_enabled=True,
            keys=keys,
            compares=None if method == "CLASSLINK" else "ADDRESS",
        )
    return tenant_id


@pytest.fixture
async def mia(superuser: asyncpg.Connection, springfield: UUID) -> UUID:
    """At Clever, Google and Microsoft; her ClassLink record is `mia_at_classlink`."""
    return await add_user(
        superuser,
        springfield,
        source_id=CLEVER_ID,
        username=f"mia@{DOMAIN}",
        email="m@else.example",
    )


@pytest.fixture
async def mia_at_classlink(superuser: asyncpg.Connection, springfield: UUID) -> UUID:
    return await add_user(superuser, springfield, source_id=SOURCED_ID)


@pytest.fixture
async def north(superuser: asyncpg.Connection, springfield: UUID) -> UUID:
    return await add_school(superuser, springfield, name="North")


@pytest.fixture
async def algebra(superuser: asyncpg.Connection, springfield: UUID, north: UUID, mia: UUID) -> UUID:
    """Mia's group."""
    group = await add_group(superuser, springfield, north, name="Algebra")
    await add_membership(superuser, springfield, mia, group)
    return group
