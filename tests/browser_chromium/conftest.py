"""A driver for all tests, and for each a browser with a profile of its own and the application."""

from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest

from domain.resources import Resources
from tests.api.signing_in.conftest import mia, mia_at_classlink, springfield
from tests.api.signing_in.flows.conftest import bob, providers, served_fakes
from tests.api.signing_in.flows.people import Provider
from tests.browser_chromium.homerow import homerow_with
from tests.browser_chromium.webdriver import (
    MISSING,
    Programs,
    Window,
    driver_at,
    find_programs,
    window_of,
)
from tests.emptied import database_name, emptied, resources, shared_database, standing, superuser

__all__ = [
    "bob",
    "database_name",
    "emptied",
    "mia",
    "mia_at_classlink",
    "providers",
    "resources",
    "served_fakes",
    "shared_database",
    "springfield",
    "standing",
    "superuser",
]


@pytest.fixture(scope="session")
def programs() -> Programs:
    found = find_programs()
    if found is None:
        pytest.exit(MISSING, returncode=3)
    return found


@pytest.fixture(scope="session")
def driver_url(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    with driver_at(programs, tmp_path_factory.mktemp("chromedriver")) as url:
        yield url


@pytest.fixture
async def window(programs: Programs, driver_url: str, tmp_path: Path) -> AsyncGenerator[Window]:
    async with window_of(driver_url, programs.browser, tmp_path / "profile") as opened:
        yield opened


@pytest.fixture
async def homerow(resources: Resources, providers: dict[str, Provider]) -> AsyncGenerator[str]:
    """The application's address."""
    async with homerow_with(resources, providers) as url:
        yield url
