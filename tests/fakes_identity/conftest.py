"""The four fakes, served for all tests of this process and as new for each."""

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import ExitStack
from typing import Any

import httpx2
import pytest

from tests.browser import Browser
from tests.fakes import identity_classlink, identity_clever, identity_google, identity_microsoft
from tests.fakes.identity import IdentityFake
from tests.fakes.serving import Served, serve
from tests.fakes_identity.standing import (
    CALLBACK,
    MIA_AT_CLASSLINK,
    MIA_AT_CLEVER,
    MIA_AT_GOOGLE,
    MIA_AT_MICROSOFT,
    NAMES,
    SECOND_CALLBACK,
    Standing,
)

Find = Callable[[str], Standing]


@pytest.fixture(scope="session")
def served() -> Generator[dict[str, Served]]:
    apps = {
        "clever": identity_clever.create_app(
            identity_clever.CleverIdentity([MIA_AT_CLEVER], is_oidc=True)
        ),
        "classlink": identity_classlink.create_app(
            identity_classlink.ClassLinkIdentity([MIA_AT_CLASSLINK])
        ),
        "google": identity_google.create_app(identity_google.GoogleIdentity([MIA_AT_GOOGLE])),
        "microsoft": identity_microsoft.create_app(
            identity_microsoft.MicrosoftIdentity([MIA_AT_MICROSOFT])
        ),
    }
    with ExitStack() as stack:
        yield {name: stack.enter_context(serve(app)) for name, app in apps.items()}


@pytest.fixture
async def find(served: dict[str, Served]) -> AsyncGenerator[Find]:
    async with Browser() as browser, httpx2.AsyncClient(verify=False) as client:

        def fresh(name: str) -> Standing:
            fake: IdentityFake[Any] = served[name].state.fake
            fake.reset()
            fake.register(CALLBACK, SECOND_CALLBACK)
            fake.signed_in_as(fake.people[0])
            return Standing(name, served[name].url, fake, browser, client)

        yield fresh


@pytest.fixture(params=NAMES)
def provider(find: Find, request: pytest.FixtureRequest) -> Standing:
    return find(request.param)


@pytest.fixture
def clever_at(find: Find) -> Standing:
    return find("clever")


@pytest.fixture
def classlink_at(find: Find) -> Standing:
    return find("classlink")


@pytest.fixture
def google_at(find: Find) -> Standing:
    return find("google")


@pytest.fixture
def microsoft_at(find: Find) -> Standing:
    return find("microsoft")
