"""Which providers are there: set up by the settings, and switched on by the tenant."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import asyncpg
import httpx2
import pytest
from starlette.applications import Starlette

from api.signing_in.site import Site
from api.signing_in.sso import sso_routes
from domain.one_time import OneTime
from domain.throttle import open_redis
from tests.api.signing_in.conftest import ORIGIN
from tests.api.signing_in.provider import METHODS, Provider

pytestmark = pytest.mark.anyio


def browser_of(site: Site) -> httpx2.AsyncClient:
    app = Starlette(routes=list(sso_routes(site)))
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=ORIGIN)


@pytest.mark.usefixtures("mia")
@pytest.mark.parametrize("method", METHODS)
async def test_a_provider_that_is_off_for_the_tenant_is_not_asked(
    browser: httpx2.AsyncClient,
    provider: Provider,
    superuser: asyncpg.Connection,
    springfield: UUID,
    method: str,
) -> None:
    url = (await browser.get(f"/sign-in/{method}?tenant=springfield")).headers["location"]
    await superuser.execute(
        "INSERT INTO sign_in_methods (tenant_id, method, is_enabled) VALUES ($1, $2, false)"
        " ON CONFLICT (tenant_id, method) DO UPDATE SET is_enabled = false",
        springfield,
        method.upper(),
    )

    answer = await browser.get(f"/sign-in/{method}?tenant=springfield")
    assert answer.status_code == 403
    assert "does not use this way of signing in" in answer.text
    # Nor does a sign-in that was under way, or one from the portal, get in.
    assert (await browser.get(provider.grant(url))).status_code == 403
    portal = (await browser.get(f"/sign-in/{method}?code=portal")).headers["location"]
    assert (await browser.get(provider.grant(portal))).status_code == 403
    assert await superuser.fetchval("SELECT count(*) FROM sessions") == 0


async def test_a_tenant_that_does_not_exist_is_not_known(browser: httpx2.AsyncClient) -> None:
    for slug in ("nowhere", "..", "a%00b", "x" * 500):
        answer = await browser.get(f"/sign-in/google?tenant={slug}")
        assert answer.status_code == 403
        assert "is not known here" in answer.text


async def test_a_provider_that_is_not_set_up_or_does_not_exist_is_said_so(site: Site) -> None:
    bare = replace(site, settings=replace(site.settings, clients={}))
    async with browser_of(bare) as browser:
        for path in ("/sign-in/google", "/sign-in/google/callback?code=a&state=b"):
            answer = await browser.get(path)
            assert answer.status_code == 404
            assert "Google is not set up here" in answer.text
        for method in ("Google", "GOOGLE", "password", "<script>"):
            answer = await browser.get(f"/sign-in/{method}")
            assert answer.status_code == 404
            assert "There is no such way to sign in" in answer.text
            assert "<script>" not in answer.text


async def test_the_address_to_come_back_to_is_never_taken_from_the_host(site: Site) -> None:
    async with browser_of(site) as browser:
        answer = await browser.get("/sign-in/google", headers={"Host": "evil.example"})
        assert "evil" not in answer.headers["location"]
    for is_local in (True, False):
        web = replace(site.web, public_url=None, is_local=is_local)
        async with browser_of(replace(site, settings=replace(site.settings, web=web))) as browser:
            assert (await browser.get("/sign-in/google")).status_code == (302 if is_local else 404)


async def test_without_valkey_nobody_is_sent_away_or_let_in(site: Site) -> None:
    redis = open_redis("redis://127.0.0.1:9")
    resources: Any = replace(site.resources, one_time=OneTime(redis))
    async with browser_of(replace(site, resources=resources)) as browser:
        for path in ("/sign-in/google", "/sign-in/google/callback?code=a&state=b"):
            answer = await browser.get(path)
            assert answer.status_code == 503
            assert "Nobody can sign in at the moment" in answer.text
    await redis.aclose()
