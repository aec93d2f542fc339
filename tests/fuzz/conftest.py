"""Two tenants with somebody in each role, kept by an event loop of their own for a whole run.

Hypothesis calls a test many times, and each call has to end before the next begins: so the tests
are plain functions, which send what they have made up into that loop.
"""

from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import settings

from api.graphql import errands, integration_tests
from api.graphql.throttling import Throttling
from api.local import LocalServers
from tests.fuzz.target import Target, opened

settings.register_profile("fuzz", max_examples=1500)


@pytest.fixture(scope="session")
def target(local_servers: LocalServers, template: str) -> Generator[Target]:
    with opened(local_servers, template) as found:
        yield found


@pytest.fixture(scope="session", autouse=True)
def _nothing_is_waited_for() -> Generator[None]:
    """There is no worker, and more is asked than one caller may ask in so short a time."""

    async def spend(*_: Any) -> dict[str, Any]:
        return {}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Throttling, "spend", spend)
        patch.setattr(errands.run_errand, "__kwdefaults__", {"seconds": 0.01})
        patch.setattr(integration_tests, "WAIT_SECONDS", 0.01)
        yield
