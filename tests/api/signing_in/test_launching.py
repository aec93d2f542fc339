"""How the training application takes somebody over who has signed in here: once."""

from dataclasses import replace
from uuid import UUID

import asyncpg
import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from starlette.applications import Starlette

from api.graphql.node import encode_id
from api.signing_in.routes import sign_in_routes
from api.signing_in.site import Site
from domain.clock import utc_now
from domain.people.callers import Scope
from tests.api.graphql.seed import (
    add_tenant,
    add_token,
)
from tests.api.signing_in.conftest import ORIGIN
from tests.api.signing_in.visiting import (
    OWN,
    SESSION,
    Browser,
    browser_at,
    enter,
    launched,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
async def token(superuser: asyncpg.Connection, springfield: UUID) -> str:
    """The training application's, for this tenant."""
    return await add_token(superuser, "training-token", springfield, scopes=[Scope.TRAINING_READ])


async def redeem(browser: Browser, launch: str, token: str | None) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return await browser.post("/launch/redeem", json={"token": launch}, headers=headers)


async def test_an_api_token_in_the_cookie_is_nobody(browser: Browser, token: str) -> None:
    browser.cookies.set(SESSION, token, domain="homerow.example")
    assert (await browser.get("/landing")).headers["location"] == "/"


async def test_the_only_group_is_where_somebody_lands(
    browser: Browser,
    superuser: asyncpg.Connection,
    springfield: UUID,
    mia: UUID,
    algebra: UUID,
    token: str,
) -> None:
    await enter(browser, superuser, springfield, user_id=mia)
    launch = await launched(browser)
    published = await browser.get("/.well-known/jwks.json")

    [key] = published.json()["keys"]
    assert published.headers["cache-control"] == "public, max-age=300"
    assert {name: key[name] for name in ("kty", "crv", "alg", "use")} == {
        "kty": "EC",
        "crv": "P-256",
        "alg": "ES256",
        "use": "sig",
    }
    assert set(key) == {"kty", "crv", "alg", "use", "kid", "x", "y"}
    found = jwt.decode(launch, KeySet.import_key_set(published.json()), ["ES256"])
    claims = dict(found.claims)
    assert found.header == {"typ": "JWT", "alg": "ES256", "kid": key["kid"]}
    assert claims["exp"] - claims["iat"] == 60
    assert abs(claims["iat"] - utc_now().timestamp()) < 60
    assert len(claims.pop("jti")) == 22
    del claims["exp"], claims["iat"]
    assert claims == {
        "iss": ORIGIN,
        "aud": "https://training.example",
        "sub": encode_id("U", springfield, mia),
        "roles": ["STUDENT"],
        "tenant": "springfield",
        "tenant_id": encode_id("T", springfield, springfield),
        "tenant_uuid": str(springfield),
        "group": encode_id("G", springfield, algebra),
    }
    redeemed = await redeem(browser, launch, token)
    assert redeemed.status_code == 200
    assert redeemed.json() == dict(found.claims)


async def test_a_launch_token_is_redeemed_once_and_by_its_own_application(
    browser: Browser,
    superuser: asyncpg.Connection,
    springfield: UUID,
    mia: UUID,
    algebra: UUID,
    token: str,
) -> None:
    await enter(browser, superuser, springfield, user_id=mia)
    shelby = await add_tenant(superuser, "shelby")
    foreign = await add_token(superuser, "of-shelby", shelby, scopes=[Scope.TRAINING_READ])
    weak = await add_token(superuser, "weak", springfield, scopes=[Scope.ROSTER_READ])
    everywhere = await add_token(superuser, "product", scopes=[Scope.TRAINING_READ])
    launch = await launched(browser)

    assert (await redeem(browser, launch, None)).status_code == 401
    assert (await redeem(browser, launch, "unknown")).status_code == 401
    assert (await redeem(browser, launch, weak)).status_code == 403
    # A cookie and a session's own token open nothing here.
    assert (await redeem(browser, launch, browser.cookies[SESSION])).status_code == 403
    assert (await redeem(browser, launch, foreign)).status_code == 410
    assert (await redeem(browser, launch, token)).status_code == 200
    again = await redeem(browser, launch, token)
    assert again.status_code == 410
    assert again.headers["content-type"] == "application/problem+json"
    assert "was redeemed, is older than a minute" in again.json()["detail"]
    assert (await redeem(browser, await launched(browser), everywhere)).status_code == 200


@pytest.mark.usefixtures("algebra")
async def test_a_changed_launch_token_is_none(
    browser: Browser,
    site: Site,
    superuser: asyncpg.Connection,
    springfield: UUID,
    mia: UUID,
    token: str,
) -> None:
    assert (await redeem(browser, "x", token)).status_code == 410  # before there is any key
    await enter(browser, superuser, springfield, user_id=mia)
    launch = await launched(browser)
    head, body, signature = launch.split(".")
    nothing = "eyJhbGciOiJub25lIn0"  # {"alg":"none"}
    for changed in (
        "x",
        "..",
        f"{head}.{body}.",
        f"{nothing}.{body}.",
        f"{nothing}.{body}.{signature}",
        f"{head}.{body}.{signature[:-4]}AAAA",
        f"{head}.e30.{signature}",
        "ü" * 40,
    ):
        assert (await redeem(browser, changed, token)).status_code == 410
    elsewhere = replace(site.web, landing_url="https://other.example/")
    other = replace(site, settings=replace(site.settings, web=elsewhere))
    async with browser_at(Starlette(routes=sign_in_routes(other))) as there:
        assert (await redeem(there, launch, token)).status_code == 410
    assert (await redeem(browser, launch, token)).status_code == 200


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b'{"token": "x"}', "text/plain", 415),
        (b"token=x", "application/x-www-form-urlencoded", 415),
        (b"{", "application/json", 400),
        (b"", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"null", "application/json", 400),
        (b"{}", "application/json", 400),
        (b'{"token": 1}', "application/json", 400),
        (b'{"token": ""}', "application/json", 400),
        (b'{"token": "\\ud800"}', "application/json", 400),
        (b"[" * 10000, "application/json", 400),
        (b'{"token": "' + b"x" * (16 << 10) + b'"}', "application/json", 413),
        (b'{"token": "x"}', "application/json; charset=utf-8", 410),
    ],
)
async def test_what_is_no_launch_is_refused(
    browser: Browser, token: str, content: bytes, kind: str, status: int
) -> None:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": kind}
    answer = await browser.post("/launch/redeem", content=content, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.json()["status"] == status
    assert answer.json()["requestId"] == answer.headers["x-request-id"]


async def test_the_training_application_needs_no_origin(browser: Browser, token: str) -> None:
    for more in ({}, OWN, {"Sec-Fetch-Site": "cross-site"}):
        headers = {"Authorization": f"Bearer {token}", **more}
        answer = await browser.post("/launch/redeem", json={"token": "x"}, headers=headers)
        assert answer.status_code == 410
