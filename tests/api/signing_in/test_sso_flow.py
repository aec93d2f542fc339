"""Signing in with a provider: the good way, portals, and everything that a callback can be."""

from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import asyncpg
import httpx2
import pytest
from redis.asyncio import Redis
from starlette.applications import Starlette

from api.local import LocalServers
from tests.api.signing_in.conftest import FRONTEND, ORIGIN
from tests.api.signing_in.provider import CLIENTS, DISTRICT, DOMAIN, METHODS, Provider

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("mia", "mia_at_classlink")]

LOGIN = "__Host-homerow-login"
SESSION = "__Host-homerow"

Browser = httpx2.AsyncClient


async def leave(browser: Browser, path: str) -> str:
    """To the provider; the address there."""
    answer = await browser.get(path)
    assert answer.status_code == 302, answer.text
    return str(answer.headers["location"])


async def started(browser: Browser, provider: Provider, method: str, **query: str) -> str:
    """The address of the callback, with which the provider sends the browser back."""
    wanted = httpx2.QueryParams({"tenant": "springfield", **query})
    return provider.grant(await leave(browser, f"/sign-in/{method}?{wanted}"))


async def sessions(superuser: asyncpg.Connection) -> list[asyncpg.Record]:
    found: list[asyncpg.Record] = await superuser.fetch(
        "SELECT user_id, method, ended_at FROM sessions ORDER BY created_at"
    )
    return found


def query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


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


@pytest.mark.parametrize("name", ["code", "state", "error", "iss"])
async def test_a_parameter_that_is_there_twice_is_refused(
    browser: Browser, provider: Provider, name: str
) -> None:
    callback = await started(browser, provider, "google")

    answer = await browser.get(f"{callback}&{name}=a&{name}=b")

    assert answer.status_code == 400
    assert "This link cannot be used" in answer.text
    assert provider.exchanges() == 0


async def test_a_callback_that_says_it_is_another_providers_is_refused(
    browser: Browser, provider: Provider
) -> None:
    for method, issuer in (
        ("google", "https://evil.example"),
        ("google", f"{provider.url}/microsoft/x/v2.0"),
        ("microsoft", f"{provider.url}/google"),
    ):
        callback = await started(browser, provider, method)
        answer = await browser.get(f"{callback}&iss={issuer}")
        assert answer.status_code == 502
    assert provider.exchanges() == 0
    good = await started(browser, provider, "google")
    answer = await browser.get(f"{good}&iss={provider.url}/google")
    assert answer.status_code == 303


async def test_a_provider_that_says_whose_its_callbacks_are_has_to_say_so_always(
    browser: Browser, provider: Provider
) -> None:
    document = "/google/.well-known/openid-configuration"
    provider.says[document] = {"authorization_response_iss_parameter_supported": True}

    answer = await browser.get(await started(browser, provider, "google"))

    assert answer.status_code == 502
    assert provider.exchanges() == 0


async def test_who_says_no_is_told_so_and_can_go_back(browser: Browser, provider: Provider) -> None:
    state = query_of(await leave(browser, "/sign-in/classlink?tenant=springfield"))["state"]
    path = f"/sign-in/classlink/callback?error=access_denied&state={state}"

    answer = await browser.get(path)

    assert answer.status_code == 403
    assert "ClassLink has not signed you in" in answer.text
    assert 'href="/sign-in/classlink?tenant=springfield"' in answer.text
    assert 'href="/t/springfield"' in answer.text
    # From somebody else it says the same, and nothing of where this browser was.
    answer = await browser.get(path)
    assert "ClassLink has not signed you in" in answer.text
    assert "springfield" not in answer.text


async def test_an_error_of_the_providers_is_not_repeated(
    browser: Browser, provider: Provider
) -> None:
    answer = await browser.get(
        "/sign-in/google/callback?error=server_error&error_description=<b>evil</b>"
    )

    assert answer.status_code == 502
    assert "evil" not in answer.text
    assert "server_error" not in answer.text


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


async def test_somebody_goes_where_they_wanted(browser: Browser, provider: Provider) -> None:
    callback = await started(browser, provider, "google", return_to="/account?tab=2")

    assert (await browser.get(callback)).headers["location"] == "/account?tab=2"


async def test_a_frontend_gets_a_code_and_no_cookie(browser: Browser, provider: Provider) -> None:
    callback = await started(
        browser, provider, "google", return_to=f"{FRONTEND}/in?a=b", code_challenge="c" * 43
    )

    answer = await browser.get(callback)

    assert answer.headers["location"].startswith(f"{FRONTEND}/in?a=b&code=")
    assert SESSION not in browser.cookies


@pytest.mark.parametrize(
    ("return_to", "code_challenge"),
    [
        ("https://evil.example/", "c" * 43),
        (FRONTEND + ".evil.example/", "c" * 43),
        (f"{FRONTEND}@evil.example/", "c" * 43),
        (f"{FRONTEND}/", ""),
        (f"{FRONTEND}/", "short"),
        ("//evil.example", ""),
        ("/\\evil.example", ""),
        ("/%0d%0aSet-Cookie:a=b\r\n", ""),
        ("javascript:alert(1)", ""),
        ("landing", ""),
    ],
)
async def test_nobody_is_sent_to_a_place_that_we_do_not_know(
    browser: Browser, provider: Provider, return_to: str, code_challenge: str
) -> None:
    query = {"tenant": "springfield", "return_to": return_to, "code_challenge": code_challenge}

    answer = await browser.get("/sign-in/google", params=query)

    assert answer.status_code == 400
    assert "This link cannot be used" in answer.text


async def test_nothing_secret_is_logged(
    browser: Browser, provider: Provider, capsys: pytest.CaptureFixture[str]
) -> None:
    url = await leave(browser, "/sign-in/google?tenant=springfield")
    callback = provider.grant(url, "c0de-of-mia")
    await browser.get(callback)
    session = browser.cookies[SESSION]
    provider.claims["nonce"] = "wrong"
    broken = await started(browser, provider, "google")
    await browser.get(broken)
    written = "".join(capsys.readouterr())

    assert "ID_TOKEN_NONCE" in written
    for secret in (
        "c0de-of-mia",
        query_of(callback)["state"],
        "il-google",
        "secret-of-google",
        f"mia@{DOMAIN}",
        "mia-at-google",
        session,
    ):
        assert secret not in written
