"""What is asked of providers: bounded, never redirected, and nothing taken on trust."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from authlib.integrations.httpx_client import AsyncOAuth2Client  # type: ignore[import-untyped]

from api.signing_in.site import Client
from api.signing_in.sso.discovery import Directory
from api.signing_in.sso.failures import CodeSpent, Fault, ProviderFailed
from api.signing_in.sso.google import google
from api.signing_in.sso.outbound import (
    LARGEST_BODY,
    BoundedTransport,
    exchange,
    get_json,
    network_faults,
)

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
URL = "https://idp.example"
PROVIDER = google(Client("our-client", "our-secret"), url=URL)
DOCUMENT: dict[str, Any] = {
    "issuer": URL,
    "authorization_endpoint": URL + "/authorize",
    "token_endpoint": "https://token.example/token",
    "jwks_uri": URL + "/keys",
    "id_token_signing_alg_values_supported": ["none", "HS256", "RS256", "ES256"],
}
JSON = {"Content-Type": "application/json; charset=utf-8"}

Answer = Callable[[httpx2.Request], httpx2.Response]


def client_of(answer: Answer, *, allows_http: bool = False) -> AsyncOAuth2Client:
    return AsyncOAuth2Client(
        client_id="our-client",
        client_secret="our-secret",  # noqa: S106
        transport=BoundedTransport(httpx2.MockTransport(answer), allows_http=allows_http),
    )


def always(status: int = 200, content: bytes = b"{}", **headers: str) -> Answer:
    named = {name.replace("_", "-").title(): value for name, value in headers.items()}
    return lambda _: httpx2.Response(status, headers={**JSON, **named}, content=content)


async def fault_of(answer: Answer, url: str = URL) -> str:
    async with client_of(answer) as client:
        with pytest.raises(ProviderFailed) as caught, network_faults():
            await get_json(client, url, fault=Fault.PROFILE)
    return caught.value.fault.value


def unreachable(_: httpx2.Request) -> httpx2.Response:
    raise httpx2.ConnectError("no")


def slow(_: httpx2.Request) -> httpx2.Response:
    raise httpx2.ReadTimeout("too long")


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (unreachable, "UNREACHABLE"),
        (slow, "TIMEOUT"),
        (always(500), "STATUS"),
        (always(503, b"<html>", content_type="text/html"), "STATUS"),
        (always(429), "STATUS"),
        (always(302, Location="https://evil.example"), "REDIRECT"),
        (always(307, Location="http://169.254.169.254/"), "REDIRECT"),
        (always(304), "REDIRECT"),
        (always(200, b"<html>", content_type="text/html"), "NOT_JSON"),
        (always(200, b"{}", content_type="text/plain"), "NOT_JSON"),
        (always(200, b"x", content_encoding="br"), "NOT_JSON"),
        (always(200, b" " * (LARGEST_BODY + 1)), "TOO_LARGE"),
        (always(200, b"{"), "PROFILE"),
        (always(200, b"[]"), "PROFILE"),
        (always(200, b"\xff"), "PROFILE"),
        (always(200, b"[" * 100_000), "PROFILE"),
        (always(200, b'{"a":' + b"1" * 5000 + b"}"), "PROFILE"),
        (always(401), "PROFILE"),
    ],
)
async def test_an_answer_that_is_no_answer_is_a_fault(answer: Answer, fault: str) -> None:
    assert await fault_of(answer) == fault


async def test_nothing_is_asked_without_encryption_unless_the_settings_do() -> None:
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(str(request.url))
        return always()(request)

    assert await fault_of(answer, "http://idp.example/me") == "ADDRESS_REFUSED"
    assert asked == []
    async with client_of(answer, allows_http=True) as client:
        assert await get_json(client, "http://idp.example/me", fault=Fault.PROFILE) == {}


async def exchanged(answer: Answer) -> dict[str, str]:
    async with client_of(answer) as client:
        return await exchange(client, URL + "/token", code="c0de", code_verifier="v" * 43)


async def test_a_code_is_exchanged_with_the_verifier_and_our_secret() -> None:
    asked: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return always(content=b'{"access_token": "t0ken", "token_type": "Bearer"}')(request)

    tokens = await exchanged(answer)

    assert tokens == {"access_token": "t0ken", "token_type": "Bearer"}
    assert asked[0].headers["authorization"].startswith("Basic ")
    assert asked[0].content == (
        b"grant_type=authorization_code&code=c0de&code_verifier=" + b"v" * 43
    )


@pytest.mark.parametrize(
    ("status", "said", "fault"),
    [
        (200, {}, "TOKEN_MISSING"),
        (200, {"access_token": 17}, "TOKEN_MISSING"),
        (200, {"access_token": ""}, "TOKEN_MISSING"),
        (200, {"access_token": "a\r\nX-Evil: 1"}, "TOKEN_MISSING"),
        (200, {"access_token": "\ud800"}, "TOKEN_MISSING"),
        (200, {"access_token": "t", "token_type": "mac"}, "TOKEN_REFUSED"),
        (200, {"access_token": "t", "error": "invalid_client"}, "TOKEN_REFUSED"),
        (200, {"access_token": "t", "error": {"code": 1}}, "TOKEN_REFUSED"),
        (400, {"access_token": "t"}, "TOKEN_REFUSED"),
        (401, {"error": "invalid_client"}, "TOKEN_REFUSED"),
    ],
)
async def test_what_is_no_token_is_a_fault(status: int, said: dict[str, Any], fault: str) -> None:
    with pytest.raises(ProviderFailed) as caught:
        await exchanged(always(status, json.dumps(said).encode()))

    assert caught.value.fault == fault


async def test_odd_words_beside_a_token_do_no_harm() -> None:
    said = {"access_token": "t", "token_type": 7, "expires_in": "soon", "id_token": None}

    assert await exchanged(always(content=json.dumps(said).encode())) == {"access_token": "t"}


async def test_a_spent_code_is_told_apart() -> None:
    with pytest.raises(CodeSpent):
        await exchanged(always(400, b'{"error": "invalid_grant"}'))


class Published:
    """A provider's documents, and how often each was asked for."""

    def __init__(self, document: Any = None) -> None:
        self.document = DOCUMENT if document is None else document
        self.keys: Any = {"keys": [{"kid": "k1"}]}
        self.asked: list[str] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request.url.path)
        said = self.keys if request.url.path == "/keys" else self.document
        return httpx2.Response(200, json=said)


async def test_discovery_is_kept_for_an_hour() -> None:
    published, directory = Published(), Directory()
    async with client_of(published) as client:
        for minutes in (0, 1, 59, 60, 61):
            now = NOW + timedelta(minutes=minutes)
            await directory.metadata(client, PROVIDER, now=now)
        found = await directory.metadata(client, PROVIDER, now=NOW + timedelta(minutes=61))

    assert published.asked == ["/.well-known/openid-configuration"] * 2
    assert found.token_url == "https://token.example/token"  # noqa: S105
    assert found.algorithms == ("RS256", "ES256")
    assert found.sends_issuer is False


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://evil.example"},
        {"issuer": URL + "/"},
        {"issuer": None},
        {"token_endpoint": None},
        {"token_endpoint": "http://token.example/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"jwks_uri": "https://[broken"},
        {"id_token_signing_alg_values_supported": ["none", "HS256"]},
        {"id_token_signing_alg_values_supported": "RS256"},
    ],
    ids=str,
)
async def test_a_document_that_is_not_the_providers_is_refused(changes: dict[str, Any]) -> None:
    directory = Directory()
    async with client_of(Published({**DOCUMENT, **changes})) as client:
        with pytest.raises(ProviderFailed) as caught:
            await directory.metadata(client, PROVIDER, now=NOW)

    assert caught.value.fault is Fault.DISCOVERY


async def test_unknown_keys_are_asked_for_once_a_minute() -> None:
    published, directory = Published(), Directory()
    async with client_of(published) as client:
        for kid, seconds in (
            ("k1", 0),
            ("k1", 90),
            ("k9", 91),
            ("k8", 92),
            ("k7", 150),
            ("k2", 151),
        ):
            now = NOW + timedelta(seconds=seconds)
            await directory.keys(client, PROVIDER, kid=kid, now=now)
        assert published.asked.count("/keys") == 3
        published.keys = {"keys": [{"kid": "k2"}, "no key"]}
        later = NOW + timedelta(seconds=300)
        assert await directory.keys(client, PROVIDER, kid="k2", now=later) == ({"kid": "k2"},)


async def test_keys_that_are_no_list_are_a_fault() -> None:
    published, directory = Published(), Directory()
    published.keys = {"keys": "none"}
    async with client_of(published) as client:
        with pytest.raises(ProviderFailed) as caught:
            await directory.keys(client, PROVIDER, kid="k1", now=NOW)

    assert caught.value.fault is Fault.DISCOVERY
