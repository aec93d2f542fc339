"""Providers that answer as they should not: nobody gets in, and everybody is told the same."""

import asyncio
import base64
import hmac
import json
import re
from collections.abc import Callable
from typing import Any

import asyncpg
import httpx2
import pytest
from joserfc import jwt
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from typing_extensions import override

from api.signing_in.sso import conversation
from domain.clock import utc_now
from tests.api.signing_in.conftest import FRONTEND
from tests.api.signing_in.provider import (
    CLEVER_ID,
    METHODS,
    TID,
    TOKEN_PATHS,
    WITH_DISCOVERY,
    Provider,
    signing_key,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("mia", "mia_at_classlink")]

TITLES = {
    "clever": "Clever",
    "classlink": "ClassLink",
    "google": "Google",
    "microsoft": "Microsoft",
}
DISCOVERY = {
    method: f"/{method}{'/organizations/v2.0' if method == 'microsoft' else ''}"
    "/.well-known/openid-configuration"
    for method in METHODS
}
MOMENT = int(utc_now().timestamp())

Signs = Callable[[dict[str, Any]], str]


async def come_back(browser: httpx2.AsyncClient, provider: Provider, method: str) -> Any:
    leaving = await browser.get(f"/sign-in/{method}?tenant=springfield")
    if leaving.status_code != 302:
        return leaving
    return await browser.get(provider.grant(leaving.headers["location"]))


async def fault_of(
    browser: httpx2.AsyncClient,
    provider: Provider,
    method: str,
    capsys: pytest.CaptureFixture[str],
) -> str:
    """The fault in the log, of a sign-in that ended with the page of all faults."""
    answer = await come_back(browser, provider, method)
    assert answer.status_code == 502, answer.text
    assert f"{TITLES[method]} did not answer as expected" in answer.text
    assert f"/sign-in/{method}" in answer.text
    assert "__Host-homerow" not in browser.cookies
    found = re.search(r"fault=(\w+)", "".join(capsys.readouterr()))
    assert found
    return found[1]


def with_key(kid: str) -> Signs:
    return lambda claims: jwt.encode({"alg": "RS256", "kid": "k1"}, claims, signing_key(kid))


def with_header(**header: Any) -> Signs:
    return lambda claims: jwt.encode({"alg": "RS256", **header}, claims, signing_key())


def by_hand(algorithm: str, secret: bytes | None) -> Signs:
    def signs(claims: dict[str, Any]) -> str:
        parts = [json.dumps(part).encode() for part in ({"alg": algorithm, "kid": "k1"}, claims)]
        body = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
        mac = hmac.digest(secret, body.encode(), "sha256") if secret else b""
        return f"{body}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"

    return signs


TOKENS: list[tuple[str, dict[str, Any], Signs | None, str]] = [
    ("nonce of another sign-in", {"nonce": "another"}, None, "ID_TOKEN_NONCE"),
    ("no nonce", {"nonce": None}, None, "ID_TOKEN_NONCE"),
    ("token of another app", {"aud": "another-app"}, None, "ID_TOKEN_AUDIENCE"),
    ("party is another app", {"azp": "another-app"}, None, "ID_TOKEN_AUDIENCE"),
    ("issuer", {"iss": "https://evil.example"}, None, "ID_TOKEN_ISSUER"),
    ("over since a minute", {"exp": MOMENT - 61}, None, "ID_TOKEN_TIME"),
    ("from the future", {"iat": MOMENT + 600}, None, "ID_TOKEN_TIME"),
    ("signature", {}, with_key("k2"), "ID_TOKEN_SIGNATURE"),
    ("unknown key", {}, with_header(kid="k7"), "ID_TOKEN_KEY"),
    ("key brought along", {}, with_header(kid="k7", jku=f"{FRONTEND}/keys"), "ID_TOKEN_KEY"),
    ("algorithm none", {}, by_hand("none", None), "ID_TOKEN_ALGORITHM"),
    (
        "public key as secret",
        {},
        by_hand("HS256", signing_key().as_pem(private=False)),
        "ID_TOKEN_ALGORITHM",
    ),
    ("secret of ours", {}, by_hand("HS256", b"secret-of-google"), "ID_TOKEN_ALGORITHM"),
    ("no token at all", {}, lambda _: "no.token", "ID_TOKEN_MALFORMED"),
    ("subject", {"sub": None}, None, "ID_TOKEN_SUBJECT"),
]


@pytest.mark.parametrize("method", METHODS)
async def test_an_id_token_that_is_wrong_lets_nobody_in(
    browser: httpx2.AsyncClient,
    provider: Provider,
    superuser: asyncpg.Connection,
    capsys: pytest.CaptureFixture[str],
    method: str,
) -> None:
    found, expected = {}, {}
    for what, claims, signs, fault in TOKENS:
        provider.reset()
        provider.claims.update(claims)
        provider.signs = signs
        expected[what] = fault
        found[what] = await fault_of(browser, provider, method, capsys)

    assert found == expected
    assert await superuser.fetchval("SELECT count(*) FROM sessions") == 0


@pytest.mark.parametrize("method", METHODS)
async def test_a_clock_that_is_a_little_off_does_no_harm(
    browser: httpx2.AsyncClient, provider: Provider, method: str
) -> None:
    now = int(utc_now().timestamp())
    for claims in ({"iat": now + 50, "nbf": now + 50}, {"exp": now - 30}):
        provider.claims.update({"nbf": None, "exp": now + 60} | claims)
        assert (await come_back(browser, provider, method)).status_code == 303


@pytest.mark.parametrize("method", METHODS)
async def test_a_token_endpoint_that_gives_no_token_lets_nobody_in(
    browser: httpx2.AsyncClient,
    provider: Provider,
    capsys: pytest.CaptureFixture[str],
    method: str,
) -> None:
    for answer, fault in (
        (Response("{}", 500, media_type="application/json"), "STATUS"),
        (HTMLResponse("<html>Busy</html>", 503), "STATUS"),
        (HTMLResponse("<html>Sign in</html>"), "NOT_JSON"),
        (RedirectResponse("http://127.0.0.1:9/", 302), "REDIRECT"),
        (Response(b" " * 300_000, media_type="application/json"), "TOO_LARGE"),
        (Response(b"\xff\xfe", media_type="application/json"), "TOKEN_MISSING"),
        (JSONResponse([]), "TOKEN_MISSING"),
        (JSONResponse({"access_token": None}), "TOKEN_MISSING"),
        (JSONResponse({"error": "invalid_client"}, 401), "TOKEN_REFUSED"),
    ):
        provider.says[TOKEN_PATHS[method]] = answer
        assert await fault_of(browser, provider, method, capsys) == fault


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("clever", "/clever/oauth/tokeninfo"),
        ("clever", "/clever/v3.0/me"),
        ("classlink", "/classlink/v2/my/info"),
    ],
)
async def test_a_profile_that_cannot_be_read_lets_nobody_in(
    browser: httpx2.AsyncClient,
    provider: Provider,
    capsys: pytest.CaptureFixture[str],
    method: str,
    path: str,
) -> None:
    for answer, fault in (
        (HTMLResponse("<html>"), "NOT_JSON"),
        (JSONResponse({"message": "no"}, 401), "PROFILE"),
        (JSONResponse([]), "PROFILE"),
        (RedirectResponse("/elsewhere"), "REDIRECT"),
    ):
        provider.says[path] = answer
        assert await fault_of(browser, provider, method, capsys) == fault


@pytest.mark.parametrize(
    ("method", "path", "case"),
    [
        ("clever", "/clever/oauth/tokeninfo", ({"client_id": "evil"}, "TOKEN_OF_ANOTHER_APP")),
        ("clever", "/clever/oauth/tokeninfo", ({"client_id": None}, "TOKEN_OF_ANOTHER_APP")),
        ("clever", "/clever/v3.0/me", ({"data": None}, "PROFILE")),
        ("clever", "/clever/v3.0/me", ({"data": {"id": 17}}, "PROFILE")),
        ("clever", "/clever/v3.0/me", ({"data": {"id": "a\x00b"}}, "PROFILE")),
        ("classlink", "/classlink/v2/my/info", ({"TenantId": None}, "PROFILE")),
        ("classlink", "/classlink/v2/my/info", ({"TenantId": True}, "PROFILE")),
        ("classlink", "/classlink/v2/my/info", ({"UserId": ""}, "PROFILE")),
        ("classlink", "/classlink/v2/my/info", ({"UserId": 100}, "PROFILE")),
    ],
)
async def test_a_profile_that_is_not_whole_lets_nobody_in(
    browser: httpx2.AsyncClient,
    provider: Provider,
    capsys: pytest.CaptureFixture[str],
    method: str,
    path: str,
    case: tuple[dict[str, Any], str],
) -> None:
    provider.says[path], fault = case

    assert await fault_of(browser, provider, method, capsys) == fault


async def test_clevers_id_token_has_to_be_of_the_one_who_is_signed_in(
    browser: httpx2.AsyncClient, provider: Provider, capsys: pytest.CaptureFixture[str]
) -> None:
    provider.claims["sub"] = CLEVER_ID
    assert (await come_back(browser, provider, "clever")).status_code == 303
    browser.cookies.clear()
    provider.claims["sub"] = "of-former-times"
    assert await fault_of(browser, provider, "clever", capsys) == "PROFILE"


@pytest.mark.parametrize("method", WITH_DISCOVERY)
async def test_who_is_known_by_the_id_token_alone_needs_one(
    browser: httpx2.AsyncClient,
    provider: Provider,
    capsys: pytest.CaptureFixture[str],
    method: str,
) -> None:
    provider.says[TOKEN_PATHS[method]] = JSONResponse({"access_token": "t"})

    assert await fault_of(browser, provider, method, capsys) == "ID_TOKEN_MISSING"


@pytest.mark.parametrize("method", WITH_DISCOVERY)
async def test_discovery_that_is_not_the_providers_sends_nobody_anywhere(
    browser: httpx2.AsyncClient,
    provider: Provider,
    capsys: pytest.CaptureFixture[str],
    method: str,
) -> None:
    for said, fault in (
        (JSONResponse({}, 404), "DISCOVERY"),
        (HTMLResponse("<html>"), "NOT_JSON"),
        ({"issuer": "https://evil.example"}, "DISCOVERY"),
        ({"issuer": f"{provider.url}/{method}/{TID}"}, "DISCOVERY"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "DISCOVERY"),
        ({"id_token_signing_alg_values_supported": ["none", "HS256"]}, "DISCOVERY"),
    ):
        provider.says[DISCOVERY[method]] = said
        assert await fault_of(browser, provider, method, capsys) == fault
    # A bad answer is not kept.
    del provider.says[DISCOVERY[method]]
    assert (await come_back(browser, provider, method)).status_code == 303


@pytest.mark.parametrize("method", METHODS)
async def test_keys_are_asked_for_once_and_not_for_everybody_with_an_unknown_one(
    browser: httpx2.AsyncClient,
    provider: Provider,
    capsys: pytest.CaptureFixture[str],
    method: str,
) -> None:
    provider.signs = with_header(kid="k1")
    for _ in range(2):
        assert (await come_back(browser, provider, method)).status_code == 303
    browser.cookies.clear()
    for kid in ("k7", "k8", "k9"):
        provider.signs = with_header(kid=kid)
        assert await fault_of(browser, provider, method, capsys) == "ID_TOKEN_KEY"

    assert provider.asked.count(f"/{method}/keys") == 1
    assert provider.asked.count(DISCOVERY[method]) == 1


@pytest.mark.parametrize("method", METHODS)
async def test_a_provider_that_does_not_answer_is_not_waited_for(
    browser: httpx2.AsyncClient,
    provider: Provider,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    method: str,
) -> None:
    class Slow(Response):
        @override
        async def __call__(self, *_: Any) -> None:
            await asyncio.sleep(0.6)

    assert (await come_back(browser, provider, method)).status_code == 303
    browser.cookies.clear()
    monkeypatch.setattr(conversation, "CONVERSATION_SECONDS", 0.2)
    provider.says[TOKEN_PATHS[method]] = Slow()
    assert await fault_of(browser, provider, method, capsys) == "TIMEOUT"
