"""A browser for which several sites are in this process."""

from collections.abc import AsyncGenerator

import httpx2
import pytest

from tests.browser import Browser
from tests.browsing.echo import APP

HOSTS = ("shop.example", "sister.shop.example", "other.test", "plain.test", "mia.localhost")


@pytest.fixture
async def browser() -> AsyncGenerator[Browser]:
    async with Browser(dict.fromkeys(HOSTS, httpx2.ASGITransport(APP))) as opened:
        yield opened
