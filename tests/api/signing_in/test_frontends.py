"""Frontends on other sites: sent back with a code, which is worth a session once, to its maker."""

import base64
import hashlib
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import asyncpg
import httpx2
import pytest
from redis.asyncio import Redis

from api.app import create_app
from api.local import LocalServers
from api.signing_in.site import Site
from domain.clock import utc_now
from domain.people.credentials import find_caller
from tests.api.graphql.seed import add_tenant
from tests.api.signing_in.conftest import FRONTEND
from tests.api.signing_in.provider import Provider
from tests.api.signing_in.visiting import (
    SESSION,
    Browser,
    add_ada,
    browser_at,
    cookies_set,
    ended,
    enter,
    type_password,
)

pytestmark = pytest.mark.anyio

VERIFIER: Final = "a-verifier.of~43_characters-that-nobody-gues"
CHALLENGE: Final = (
    base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
)
BACK: Final = f"{FRONTEND}/back?state=a+b&x=%C3%BC"


@pytest.fixture(autouse=True)
async def ada(superuser: asyncpg.Connection, springfield: UUID) -> UUID:
    return await add_ada(superuser, springfield)


async def code_of(browser: Browser, back: str = BACK) -> str:
    answer = await type_password(browser, return_to=back, code_challenge=CHALLENGE)
    assert answer.status_code == 303, answer.text
    [code] = parse_qs(urlsplit(answer.headers["location"]).query)["code"]
    return str(code)


async def fetch(
    browser: Browser, code: Any, verifier: Any = VERIFIER, **headers: str
) -> httpx2.Response:
    asked = {"code": code, "code_verifier": verifier}
    return await browser.post("/session/token", json=asked, headers=headers)


async def test_a_frontend_gets_a_session_of_its_own(
    browser: Browser, site: Site, superuser: asyncpg.Connection, springfield: UUID, ada: UUID
) -> None:
    answer = await type_password(browser, return_to=BACK, code_challenge=CHALLENGE)

    url = answer.headers["location"]
    assert url.startswith(f"{FRONTEND}/back?state=a+b&x=%C3%BC&code=")
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert SESSION not in browser.cookies
    [code] = parse_qs(urlsplit(url).query)["code"]
    assert len(code) == 43
    before = await superuser.fetchrow("SELECT id, token_hash, expires_at FROM sessions")

    fetched = await fetch(browser, code)

    assert fetched.status_code == 200
    assert fetched.headers["cache-control"] == "no-store"
    assert "set-cookie" not in fetched.headers
    content = fetched.json()
    assert content == {
        "token": content["token"],
        "tokenType": "Bearer",
        "expiresAt": before["expires_at"].isoformat(),
    }
    caller = await find_caller(site.resources.database, content["token"], now=utc_now())
    assert caller is not None
    assert (caller.tenant_id, caller.account_id, caller.session_id) == (
        springfield,
        ada,
        before["id"],
    )
    # Only now was a token made that is known: none lay anywhere on the way.
    assert await superuser.fetchval("SELECT token_hash FROM sessions") != before["token_hash"]


async def test_a_frontends_session_ends_the_browsers_own(
    browser: Browser, superuser: asyncpg.Connection, springfield: UUID, mia: UUID
) -> None:
    former = await enter(browser, superuser, springfield, user_id=mia)
    answer = await type_password(browser, return_to=BACK, code_challenge=CHALLENGE)
    assert await ended(superuser, former)
    assert "Max-Age=0" in cookies_set(answer)[SESSION]


async def test_a_frontend_gets_one_after_signing_in_with_a_provider(
    browser: Browser, provider: Provider, mia: UUID
) -> None:
    query = httpx2.QueryParams(
        {"tenant": "springfield", "return_to": BACK, "code_challenge": CHALLENGE}
    )
    away = await browser.get(f"/sign-in/google?{query}")
    back = await browser.get(provider.grant(away.headers["location"]))
    url = back.headers["location"]
    assert url.startswith(f"{FRONTEND}/back?state=a+b&x=%C3%BC&code=")
    assert SESSION not in browser.cookies
    fetched = await fetch(browser, parse_qs(urlsplit(url).query)["code"][0])
    assert fetched.json()["token"].startswith("hrs_")


async def test_a_code_is_good_once(browser: Browser) -> None:
    code = await code_of(browser)
    assert (await fetch(browser, code)).status_code == 200
    again = await fetch(browser, code)
    assert again.status_code == 400
    assert again.json()["code"] == "BAD_USER_INPUT"
    assert "The code was used" in again.json()["detail"]


@pytest.mark.parametrize(
    "verifier",
    ["x" * 43, VERIFIER[:-1], VERIFIER + "x", CHALLENGE, "x" * 129, VERIFIER.upper(), "ü" * 43],
)
async def test_a_wrong_verifier_burns_the_code(browser: Browser, verifier: str) -> None:
    code = await code_of(browser)
    assert (await fetch(browser, code, verifier)).status_code == 400
    assert (await fetch(browser, code)).status_code == 400


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"code": "x"},
        {"code_verifier": VERIFIER},
        {"code": None, "code_verifier": VERIFIER},
        {"code": ["x"], "code_verifier": VERIFIER},
        {"code": {"x": 1}, "code_verifier": VERIFIER},
        {"code": 1, "code_verifier": VERIFIER},
        {"code": "", "code_verifier": VERIFIER},
        {"code": "x", "code_verifier": VERIFIER},
        {"code": "\x00", "code_verifier": VERIFIER},
    ],
)
async def test_what_is_no_code_gets_nothing(browser: Browser, asked: dict[str, Any]) -> None:
    answer = await browser.post("/session/token", json=asked)
    assert answer.status_code == 400
    assert "token" not in answer.json()


async def test_a_code_of_a_session_that_is_over_gets_nothing(
    browser: Browser, superuser: asyncpg.Connection
) -> None:
    for change in ("ended_at = now()", "expires_at = now()"):
        code = await code_of(browser)
        await superuser.execute(f"UPDATE sessions SET {change}")  # noqa: S608 - our own SQL
        assert (await fetch(browser, code)).status_code == 400


async def test_a_code_is_kept_for_a_minute(browser: Browser, local_servers: LocalServers) -> None:
    code = await code_of(browser)
    hashed = hashlib.sha256(code.encode()).hexdigest()
    async with Redis.from_url(local_servers.redis_url) as redis:
        left = await redis.ttl(f"homerow:one-time:frontend:{hashed}")
    assert 50 <= left <= 60


async def test_a_code_that_was_put_into_the_address_is_thrown_out(browser: Browser) -> None:
    code = await code_of(browser, f"{FRONTEND}/back?code=of-mallory&a=1&code=again")
    assert code not in {"of-mallory", "again"}


async def test_a_frontend_that_is_not_known_gets_no_code(
    browser: Browser, superuser: asyncpg.Connection
) -> None:
    for back in (f"{FRONTEND}.evil.example/", "https://evil.example/", f"{FRONTEND}:444/"):
        answer = await type_password(browser, return_to=back, code_challenge=CHALLENGE)
        assert answer.status_code == 400
    assert await superuser.fetchval("SELECT count(*) FROM sessions") == 0


async def test_a_token_is_for_its_tenant_alone(
    browser: Browser, site: Site, superuser: asyncpg.Connection
) -> None:
    shelby = await add_tenant(superuser, "shelby")
    token = (await fetch(browser, await code_of(browser))).json()["token"]
    caller = await find_caller(site.resources.database, token, now=utc_now())
    assert caller is not None
    assert not caller.may_see(shelby)


async def test_only_a_known_frontend_may_read_the_answer(site: Site) -> None:
    app = create_app(site.resources, site.settings)
    async with browser_at(app) as browser:
        asked = {"Access-Control-Request-Method": "POST"}
        for origin in (FRONTEND, f"{FRONTEND}.evil.example", "null"):
            is_known = origin == FRONTEND
            preflight = await browser.options("/session/token", headers={"Origin": origin, **asked})
            assert (preflight.status_code == 204) == is_known
            answer = await fetch(browser, "x", Origin=origin)
            allowed = answer.headers.get("access-control-allow-origin")
            assert allowed == (FRONTEND if is_known else None)
            assert "access-control-allow-credentials" not in answer.headers


async def test_a_form_gets_no_token(browser: Browser) -> None:
    code = await code_of(browser)
    asked = {"code": code, "code_verifier": VERIFIER}
    assert (await browser.post("/session/token", data=asked)).status_code == 415
    assert (await browser.get("/session/token", params=asked)).status_code == 405
    assert (await fetch(browser, code)).status_code == 200
