"""The whole application with the four fakes, and a browser that goes between them."""

from collections.abc import AsyncGenerator, Generator
from contextlib import ExitStack
from uuid import UUID

import asyncpg
import pytest
from starlette.applications import Starlette

from api.app import create_app
from api.signing_in.site import Client, SignInSettings
from api.web_settings import WebSettings
from domain.people.models import SignInMethodName
from domain.resources import Resources
from tests.api.graphql.seed import add_user
from tests.api.signing_in.conftest import FRONTEND, ORIGIN
from tests.api.signing_in.flows.people import PORTALS, Provider, browser_of, callback, new_fakes
from tests.api.signing_in.provider import DOMAIN, METHODS
from tests.browser import Browser
from tests.fakes import identity_classlink, identity_clever, identity_google, identity_microsoft
from tests.fakes.serving import Served, serve


@pytest.fixture(scope="session")
def served_fakes() -> Generator[dict[str, Served]]:
    clever, classlink, google, microsoft = new_fakes()
    assert isinstance(clever, identity_clever.CleverIdentity)
    assert isinstance(classlink, identity_classlink.ClassLinkIdentity)
    assert isinstance(google, identity_google.GoogleIdentity)
    assert isinstance(microsoft, identity_microsoft.MicrosoftIdentity)
    apps = {
        "clever": identity_clever.create_app(clever),
        "classlink": identity_classlink.create_app(classlink),
        "google": identity_google.create_app(google),
        "microsoft": identity_microsoft.create_app(microsoft),
    }
    with ExitStack() as stack:
        yield {name: stack.enter_context(serve(app)) for name, app in apps.items()}


@pytest.fixture
def providers(served_fakes: dict[str, Served]) -> dict[str, Provider]:
    """As if they were new. Every browser there is Mia's."""
    found = {method: Provider(method, served) for method, served in served_fakes.items()}
    for method, provider in found.items():
        provider.fake.reset()
        provider.fake.register(callback(method))
        provider.knows()
    found["clever"].enable_oidc(is_on=False)
    found["classlink"].open_by(None)
    return found


@pytest.fixture
def clever(providers: dict[str, Provider]) -> Provider:
    """Without OpenID Connect, as it usually is."""
    return providers["clever"]


@pytest.fixture
def classlink(providers: dict[str, Provider]) -> Provider:
    return providers["classlink"]


@pytest.fixture(params=METHODS)
def each(providers: dict[str, Provider], request: pytest.FixtureRequest) -> Provider:
    """Each of the four."""
    return providers[request.param]


@pytest.fixture(params=PORTALS)
def portal(providers: dict[str, Provider], request: pytest.FixtureRequest) -> Provider:
    """Those that have one."""
    return providers[request.param]


@pytest.fixture
def settings(providers: dict[str, Provider]) -> SignInSettings:
    """As in production, but that the fakes are not encrypted."""
    urls = {method: provider.served.url for method, provider in providers.items()}
    applications = {method: provider.fake.application for method, provider in providers.items()}
    return SignInSettings(
        web=WebSettings(
            public_url=ORIGIN,
            cors_origins=frozenset({FRONTEND}),
            landing_url="https://training.example/enter",
        ),
        clients={
            SignInMethodName(method.upper()): Client(known.client_id, known.client_secret)
            for method, known in applications.items()
        },
        clever_url=urls["clever"],
        clever_api_url=urls["clever"],
        classlink_url=urls["classlink"],
        classlink_info_url=urls["classlink"],
        google_url=urls["google"],
        microsoft_url=urls["microsoft"],
    )


@pytest.fixture
def app(resources: Resources, settings: SignInSettings) -> Starlette:
    return create_app(resources, settings)


@pytest.fixture
async def browser(app: Starlette) -> AsyncGenerator[Browser]:
    async with browser_of(app) as opened:
        yield opened


@pytest.fixture
async def other_browser(app: Starlette) -> AsyncGenerator[Browser]:
    async with browser_of(app) as opened:
        yield opened


@pytest.fixture
async def bob(superuser: asyncpg.Connection, springfield: UUID) -> UUID:
    """Known at all four."""
    return await add_user(
        superuser, springfield, given_name="Bob", source_id="8" * 24, username=f"bob@{DOMAIN}"
    )


@pytest.fixture
def mia_at(mia: UUID, mia_at_classlink: UUID) -> dict[str, UUID]:
    """Who she is, by the method."""
    return dict.fromkeys(METHODS, mia) | {"classlink": mia_at_classlink}
