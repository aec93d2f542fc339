"""Signing in with a provider: the good way, portals, and everything that a callback can be."""

from typing import Any
from uuid import UUID

import asyncpg
import httpx2
import pytest
from redis.asyncio import Redis
from starlette.applications import Starlette

from api.local import LocalServers
from tests.api.signing_in.conftest import ORIGIN
from tests.api.signing_in.provider import (
    CLIENTS,
    DISTRICT,
    DOMAIN,
    METHODS,
    Browser,
    Provider,
    leave,
    query_of,
    started,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("mia", "mia_at_classlink")]

LOGIN = "__Host-homerow-login"
SESSION = "__Host-homerow"


async def sessions(superuser: asyncpg.Connection) -> list[asyncpg.Record]:
    found: list[asyncpg.Record] = await superuser.fetch(
        "SELECT user_id, method, ended_at FROM sessions ORDER BY created_at"
    )
    return found


@pytest.mark.parametrize("method", METHODS)
async def test_somebody_signs_in(
    browser: Browser, provider: Provider, superuser: asyncpg.Connection, method: str
) -> None:
    answer = await browser.get(await started(browser, provider, method))

    assert (answer.status_code, answer.headers["location"]) == (303, "/landing")
    assert answer.headers["cache-control"] == "no-store"
    assert browser.cookies[SESSION].startswith("hrs_")
    assert LOGIN not in browser.cookies
    [session] = await sessions(superuser)
    assert (session["method"], session["ended_at"]) == (method.upper(), None)
    assert provider.exchanges() == 1


@pytest.mark.parametrize(
    ("method", "path", "scope", "hint"),
    [
        ("clever", "/clever/oauth/authorize", None, ("district_id", DISTRICT)),
        ("classlink", "/classlink/oauth2/v2/auth", "openid profile oneroster", None),
        ("google", "/google/authorize", "openid email", ("hd", DOMAIN)),
        ("microsoft", "/microsoft/authorize", "openid profile", None),
    ],
)
async def test_a_provider_is_told_what_it_has_to_know(
    browser: Browser,
    provider: Provider,
    method: str,
    path: str,
    scope: str | None,
    hint: tuple[str, str] | None,
) -> None:
    url = await leave(browser, f"/sign-in/{method}?tenant=springfield")
    query = query_of(url)

    assert url.startswith(provider.url + path)
    assert len(query.pop("state")) == len(query.pop("nonce")) == 43
    challenge = query.pop("code_challenge", None)
    assert query.pop("code_challenge_method", None) == (challenge and "S256")
    assert (challenge is None) == (method == "clever")
    expected: dict[str, Any] = {
        "response_type": "code",
        "client_id": CLIENTS[method],
        "redirect_uri": f"{ORIGIN}/sign-in/{method}/callback",
    }
    assert query == expected | ({"scope": scope} if scope else {}) | dict([hint] if hint else [])


async def test_the_cookie_of_a_sign_in_is_for_this_host_and_ten_minutes(
    browser: Browser, provider: Provider
) -> None:
    answer = await browser.get("/sign-in/google?tenant=springfield")
    cookie = answer.headers["set-cookie"]

    assert cookie.startswith(LOGIN + "=")
    assert set(cookie.lower().split("; ")[1:]) == {
        "httponly",
        "max-age=600",
        "path=/",
        "samesite=lax",
        "secure",
    }


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", ["/sign-in/{}/callback?code=portal", "/sign-in/{}?code=portal"])
async def test_the_code_of_a_portal_is_never_exchanged(
    browser: Browser, provider: Provider, superuser: asyncpg.Connection, method: str, path: str
) -> None:
    url = await leave(browser, path.format(method))

    assert provider.exchanges() == 0
    query = query_of(url)
    assert len(query["state"]) == 43
    assert "district_id" not in query
    assert "hd" not in query
    # The provider knows the browser: it comes back at once, and the tenant is found.
    answer = await browser.get(provider.grant(url))
    assert answer.headers["location"] == "/landing"
    assert [row["method"] for row in await sessions(superuser)] == [method.upper()]


async def test_a_portal_twice_in_a_row_is_a_circle_and_is_left(
    browser: Browser, provider: Provider
) -> None:
    await leave(browser, "/sign-in/clever/callback?code=one")

    again = await browser.get("/sign-in/clever/callback?code=two")

    assert again.status_code == 400
    assert "Signing in went round in circles" in again.text
    assert 'href="/sign-in/clever"' in again.text
    assert provider.exchanges() == 0
    # What is shown there can be followed at once; and so can the portal.
    await leave(browser, "/sign-in/clever")
    await leave(browser, "/sign-in/clever/callback?code=three")


async def test_a_portal_may_be_used_again_after_it_has_worked_or_was_refused(
    browser: Browser, provider: Provider, superuser: asyncpg.Connection
) -> None:
    for outcome in (303, 303, 403, 403):
        if outcome == 403:
            await superuser.execute("UPDATE users SET is_enabled = false")
        url = await leave(browser, "/sign-in/clever/callback?code=portal")
        answer = await browser.get(provider.grant(url))
        assert answer.status_code == outcome


async def test_a_browser_without_cookies_goes_in_no_circle(
    browser: Browser, provider: Provider, superuser: asyncpg.Connection
) -> None:
    url = await leave(browser, "/sign-in/clever/callback?code=portal")
    browser.cookies.clear()

    answer = await browser.get(provider.grant(url))

    assert answer.status_code == 400
    assert "Your browser keeps no cookies for this site" in answer.text
    assert provider.exchanges() == 0
    assert await sessions(superuser) == []


@pytest.mark.parametrize("method", METHODS)
async def test_a_state_of_another_browser_is_not_accepted(
    app: Starlette,
    browser: Browser,
    provider: Provider,
    superuser: asyncpg.Connection,
    method: str,
) -> None:
    async with Browser(transport=httpx2.ASGITransport(app), base_url=ORIGIN) as mallory:
        callback = await started(mallory, provider, method)
        await browser.get("/sign-in/google?tenant=springfield")

        url = await leave(browser, callback)

        assert query_of(url)["state"] != query_of(callback)["state"]
        assert provider.exchanges() == 0
        # It is used up: nobody has a second try with it.
        await leave(mallory, callback)
    assert provider.exchanges() == 0
    assert await sessions(superuser) == []


@pytest.mark.parametrize("state", ["", "state=", "state=unheard-of", "state=%00%ff", "state=a+b"])
async def test_a_state_that_nobody_knows_is_not_accepted(
    browser: Browser, provider: Provider, state: str
) -> None:
    await started(browser, provider, "google")

    url = await leave(browser, f"/sign-in/google/callback?code=code-1&{state}")

    assert query_of(url)["redirect_uri"] == f"{ORIGIN}/sign-in/google/callback"
    assert provider.exchanges() == 0


@pytest.mark.parametrize(
    ("began", "came"), [("clever", "google"), ("google", "microsoft"), ("microsoft", "google")]
)
async def test_a_state_of_another_provider_is_not_accepted(
    browser: Browser, provider: Provider, began: str, came: str
) -> None:
    callback = await started(browser, provider, began)

    await leave(browser, callback.replace(f"/{began}/", f"/{came}/"))

    assert provider.exchanges() == 0


async def test_a_state_is_good_for_ten_minutes(
    browser: Browser, provider: Provider, local_servers: LocalServers
) -> None:
    callback = await started(browser, provider, "google")
    redis: Redis = Redis.from_url(local_servers.redis_url)
    keys = [key async for key in redis.scan_iter("homerow:one-time:sso:*")]
    assert {600 - await redis.ttl(key) for key in keys} <= set(range(120))
    await redis.delete(*keys)
    await redis.aclose()

    await leave(browser, callback)

    assert provider.exchanges() == 0


async def test_what_valkey_keeps_does_not_show_the_state_or_the_cookie(
    browser: Browser, provider: Provider, local_servers: LocalServers
) -> None:
    callback = await started(browser, provider, "google")
    state = query_of(callback)["state"]
    redis: Redis = Redis.from_url(local_servers.redis_url)
    kept = [
        (key + (await redis.get(key) or b"")).decode()
        async for key in redis.scan_iter("homerow:one-time:*")
    ]
    await redis.aclose()

    assert kept
    assert not any(state in text or browser.cookies[LOGIN] in text for text in kept)


async def test_a_callback_that_comes_twice_ends_in_the_same_session(
    browser: Browser, provider: Provider, superuser: asyncpg.Connection
) -> None:
    callback = await started(browser, provider, "clever")

    answers = [await browser.get(callback) for _ in range(3)]

    assert {answer.headers["location"] for answer in answers} == {"/landing"}
    assert provider.exchanges() == 1
    assert len(await sessions(superuser)) == 1


async def test_a_callback_that_somebody_else_sends_again_signs_nobody_in(
    app: Starlette, browser: Browser, provider: Provider, superuser: asyncpg.Connection
) -> None:
    callback = await started(browser, provider, "clever")
    await browser.get(callback)

    async with Browser(transport=httpx2.ASGITransport(app), base_url=ORIGIN) as mallory:
        mallory.cookies.set(SESSION, "hrs_" + "x" * 43, domain="homerow.example")
        url = await leave(mallory, callback)
    assert url.startswith(provider.url)
    assert provider.exchanges() == 1
    assert len(await sessions(superuser)) == 1


async def test_a_code_that_was_used_already_begins_again_once(
    browser: Browser, provider: Provider
) -> None:
    callback = await started(browser, provider, "clever")
    provider.codes.clear()

    url = await leave(browser, callback)

    assert provider.exchanges() == 1
    provider.grant(url, "spent")
    provider.codes.clear()
    state = query_of(url)["state"]
    answer = await browser.get(f"/sign-in/clever/callback?code=spent&state={state}")
    assert answer.status_code == 400
    assert "Signing in went round in circles" in answer.text


async def test_a_code_that_was_put_into_ones_own_callback_is_worth_nothing(
    app: Starlette, browser: Browser, provider: Provider, superuser: asyncpg.Connection
) -> None:
    """Somebody else's code with a good state: the verifier is another one, or the nonce."""
    async with Browser(transport=httpx2.ASGITransport(app), base_url=ORIGIN) as victim:
        for method in ("google", "microsoft", "classlink"):
            code = query_of(await started(victim, provider, method))["code"]
            state = query_of(await leave(browser, f"/sign-in/{method}?tenant=springfield"))["state"]
            answer = await browser.get(f"/sign-in/{method}/callback?code={code}&state={state}")
            assert answer.status_code != 303
            browser.cookies.clear()
    assert await sessions(superuser) == []


async def test_looking_uses_nothing_up(browser: Browser, provider: Provider) -> None:
    callback = await started(browser, provider, "google")

    assert (await browser.head(callback)).status_code == 405
    assert (await browser.post(callback)).status_code == 405
    assert (await browser.get(callback)).status_code == 303


async def test_a_new_sign_in_replaces_the_session(
    browser: Browser, provider: Provider, superuser: asyncpg.Connection, mia_at_classlink: UUID
) -> None:
    await browser.get(await started(browser, provider, "clever"))
    first = browser.cookies[SESSION]
    await browser.get(await started(browser, provider, "classlink"))

    assert browser.cookies[SESSION] != first
    former, now = await sessions(superuser)
    assert former["ended_at"] is not None
    assert (now["ended_at"], now["user_id"]) == (None, mia_at_classlink)
    assert former["user_id"] != mia_at_classlink


async def test_two_tabs_sign_in_at_the_same_time(browser: Browser, provider: Provider) -> None:
    one = await started(browser, provider, "google")
    two = await started(browser, provider, "clever")

    assert (await browser.get(two)).status_code == 303
    # The other one begins anew, for the cookie is gone, and gets in as well.
    url = await leave(browser, one)
    assert (await browser.get(provider.grant(url))).status_code == 303
