"""What surrounds every route: headers, policies of pages, other sites' frontends, our own host."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from api.app import create_app
from api.cors import Cors
from api.hosts import OwnHost
from api.security_headers import SecurityHeaders
from api.signing_in.site import SignInSettings
from api.web_settings import WebSettings, origin_of
from domain.resources import Resources
from domain.settings import Environment, Settings

pytestmark = pytest.mark.anyio

FRONTEND = "https://app.example.org"
OTHERS = (
    "null",
    "https://app.example.org.evil.example",
    "https://evil-app.example.org",
    "http://app.example.org",
    "https://app.example.org:8443",
    "https://user@app.example.org",
    "https://APP.example.org",
    "*",
)
SHARED = ("/graphql", "/session/token", "/exports/abc", "/uploads/abc")


async def say_so(request: Request) -> Response:
    return PlainTextResponse("here", headers={"Vary": "Authorization"})


async def show(request: Request) -> Response:
    return HTMLResponse("<p>here</p>")


async def show_otherwise(request: Request) -> Response:
    headers = {"Content-Security-Policy": "default-src 'self'", "Cache-Control": "private"}
    return HTMLResponse("<p>here</p>", headers=headers)


def app_within(*middleware: Middleware) -> Starlette:
    pages: dict[str, Callable[[Request], Any]] = {"/page": show, "/own": show_otherwise}
    return Starlette(
        routes=[
            *(Route(path, page) for path, page in pages.items()),
            *(Route(path, say_so, methods=["GET", "POST"]) for path in SHARED),
            Route("/sign-out", say_so, methods=["GET", "POST"]),
            *(Route(path, say_so) for path in ("/healthz", "/readyz")),
        ],
        middleware=list(middleware),
    )


@asynccontextmanager
async def asking(app: Starlette, url: str = "http://homerow.test") -> AsyncGenerator[Any]:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=url) as http:
        yield http


def cors_headers(response: httpx2.Response) -> dict[str, str]:
    return {
        name: text for name, text in response.headers.items() if name.startswith("access-control-")
    }


def test_origins_are_written_as_browsers_write_them() -> None:
    assert origin_of("https://Homerow.example.org:443/t/x?y#z") == "https://homerow.example.org"
    assert origin_of("http://localhost:8000") == "http://localhost:8000"
    assert origin_of("https://[::1]:80/") == "https://[::1]:80"
    for text in ("*", "null", "homerow.example.org", "file:///x", "https://", "https://x:port"):
        assert origin_of(text) is None


def test_the_web_settings_are_read_from_the_settings() -> None:
    settings = Settings(
        environment=Environment.PRODUCTION,
        public_url="https://homerow.example.org/",
        cors_origins=f" {FRONTEND}/ ,http://localhost:3000,,*",
        landing_url="https://typing.example.org/start",
        secret_keys=SecretStr("x"),
    )
    web = WebSettings.of(settings)
    assert web == WebSettings(
        public_url="https://homerow.example.org/",
        cors_origins=frozenset({FRONTEND, "http://localhost:3000"}),
        landing_url="https://typing.example.org/start",
        is_local=False,
    )
    assert web.public_origin == "https://homerow.example.org"
    assert WebSettings.of(Settings()) == WebSettings(is_local=True)
    assert WebSettings().public_origin is None


async def test_a_page_of_ours_may_bring_no_scripts() -> None:
    web = WebSettings(
        cors_origins=frozenset({FRONTEND}), landing_url="https://typing.example.org/start?x=1"
    )
    async with asking(app_within(Middleware(SecurityHeaders, web=web))) as http:
        page, text = await http.get("/page"), await http.get("/graphql")
    assert page.headers["content-security-policy"] == (
        "default-src 'none'; style-src 'self'; img-src 'self'; "
        "form-action 'self' https://app.example.org https://typing.example.org; "
        "frame-ancestors 'none'; base-uri 'none'"
    )
    assert text.headers["content-security-policy"] == (
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )
    assert page.headers["referrer-policy"] == "same-origin"
    assert text.headers["referrer-policy"] == "no-referrer"
    for response in (page, text):
        assert response.headers["cross-origin-opener-policy"] == "same-origin"
        assert "camera=()" in response.headers["permissions-policy"]
        assert response.headers["cache-control"] == "no-store"


async def test_without_a_landing_page_forms_end_here() -> None:
    async with asking(app_within(Middleware(SecurityHeaders, web=WebSettings()))) as http:
        page = await http.get("/page")
    assert "form-action 'self';" in page.headers["content-security-policy"]


async def test_a_page_that_says_so_has_another_policy() -> None:
    async with asking(app_within(Middleware(SecurityHeaders, web=WebSettings()))) as http:
        page = await http.get("/own")
    assert page.headers["content-security-policy"] == "default-src 'self'"
    assert page.headers["cache-control"] == "private"
    assert page.headers["x-frame-options"] == "DENY"


async def test_only_graphiqls_page_may_bring_scripts(resources: Resources) -> None:
    headers = {"Accept": "text/html"}
    async with asking(create_app(resources, SignInSettings(WebSettings(is_local=True)))) as http:
        page = await http.get("/graphql", headers=headers)
        assert page.status_code == 200
        assert "script-src https:" in page.headers["content-security-policy"]
        health = await http.get("/healthz")
        assert "script-src" not in health.headers["content-security-policy"]
    async with asking(create_app(resources, SignInSettings())) as http:
        page = await http.get("/graphql", headers=headers)
        assert page.status_code == 405
        assert "script-src" not in page.headers["content-security-policy"]


@pytest.fixture(name="shared")
def fixture_shared() -> Starlette:
    return app_within(Middleware(Cors, origins=frozenset({FRONTEND})))


async def test_a_named_frontend_may_ask_the_api(shared: Starlette) -> None:
    async with asking(shared) as http:
        for path in SHARED:
            response = await http.post(path, headers={"Origin": FRONTEND})
            assert response.text == "here"
            assert cors_headers(response) == {
                "access-control-allow-origin": FRONTEND,
                "access-control-expose-headers": "Content-Disposition, Retry-After, X-Request-Id",
            }
            assert response.headers["vary"] == "Authorization, Origin"


async def test_a_named_frontend_is_told_beforehand_what_it_may_send(shared: Starlette) -> None:
    headers = {"Origin": FRONTEND, "Access-Control-Request-Method": "POST"}
    async with asking(shared) as http:
        response = await http.options("/graphql", headers=headers)
    assert (response.status_code, response.content) == (204, b"")
    assert cors_headers(response) == {
        "access-control-allow-origin": FRONTEND,
        "access-control-allow-methods": "GET, POST, OPTIONS",
        "access-control-allow-headers": "Authorization, Content-Type",
        "access-control-expose-headers": "Content-Disposition, Retry-After, X-Request-Id",
        "access-control-max-age": "600",
    }


async def test_other_origins_hear_nothing_of_it(
    shared: Starlette, subtests: pytest.Subtests
) -> None:
    async with asking(shared) as http:
        for origin in OTHERS:
            with subtests.test(origin=origin):
                headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
                assert cors_headers(await http.post("/graphql", headers=headers)) == {}
                preflight = await http.options("/graphql", headers=headers)
                assert (preflight.status_code, cors_headers(preflight)) == (405, {})
        assert cors_headers(await http.post("/graphql")) == {}


async def test_pages_are_nobody_elses_to_read(shared: Starlette) -> None:
    headers = {"Origin": FRONTEND, "Access-Control-Request-Method": "POST"}
    async with asking(shared) as http:
        for path in ("/page", "/sign-out", "/graphql/", "/exports"):
            assert cors_headers(await http.get(path, headers=headers)) == {}
            assert cors_headers(await http.options(path, headers=headers)) == {}


async def test_the_application_shares_what_the_settings_say(resources: Resources) -> None:
    web = WebSettings(cors_origins=frozenset({FRONTEND}))
    headers = {"Origin": FRONTEND, "Access-Control-Request-Method": "POST"}
    async with asking(create_app(resources, SignInSettings(web))) as http:
        response = await http.options("/graphql", headers=headers)
        assert cors_headers(response)["access-control-allow-origin"] == FRONTEND
        assert response.headers["x-content-type-options"] == "nosniff"
    async with asking(create_app(resources, SignInSettings())) as http:
        assert cors_headers(await http.options("/graphql", headers=headers)) == {}


@pytest.mark.parametrize(
    ("public_url", "host", "status"),
    [
        ("https://homerow.example.org", "homerow.example.org", 200),
        ("https://homerow.example.org", "HOMEROW.example.org:443", 200),
        ("https://homerow.example.org/base/", "homerow.example.org", 200),
        ("https://Homerow.Example.org:8443", "homerow.example.org:8443", 200),
        ("https://homerow.example.org:8443", "homerow.example.org", 421),
        ("https://homerow.example.org", "homerow.example.org:80", 421),
        ("https://homerow.example.org", "homerow.example.org:8443", 421),
        ("https://homerow.example.org", "homerow.example.org.", 421),
        ("https://homerow.example.org", "evil.example", 421),
        ("https://homerow.example.org", "homerow.example.org.evil.example", 421),
        ("https://homerow.example.org", "evil@homerow.example.org", 421),
        ("https://homerow.example.org", "homerow.example.org/x?", 421),
        ("https://homerow.example.org", "127.0.0.1:8000", 421),
        ("https://homerow.example.org", "", 421),
    ],
)
async def test_only_our_own_host_is_answered(public_url: str, host: str, status: int) -> None:
    app = app_within(Middleware(OwnHost, public_url=public_url))
    async with asking(app) as http:
        assert (await http.get("/page", headers={"Host": host})).status_code == status
        for path in ("/healthz", "/readyz"):
            assert (await http.get(path, headers={"Host": host})).status_code == 200


async def test_of_two_hosts_none_is_believed() -> None:
    app = app_within(Middleware(OwnHost, public_url="https://homerow.example.org"))
    hosts = [("Host", "homerow.example.org"), ("Host", "homerow.example.org")]
    async with asking(app) as http:
        assert (await http.get("/page", headers=hosts)).status_code == 421


async def test_production_asks_for_its_host_and_a_developers_machine_does_not(
    resources: Resources,
) -> None:
    for is_local, status in ((False, 421), (True, 405)):
        web = WebSettings(public_url="https://homerow.example.org", is_local=is_local)
        async with asking(create_app(resources, SignInSettings(web))) as http:
            response = await http.get("/graphql")
            assert response.status_code == status
            assert response.headers["x-content-type-options"] == "nosniff"
