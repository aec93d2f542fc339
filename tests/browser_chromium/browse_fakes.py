"""Chromium at a fake's own pages, and what Chromium and the browser-like client say alike."""

import asyncio
from collections.abc import Generator
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.browser import Blocked, Browser
from tests.browser_chromium.webdriver import Window
from tests.fakes.identity_google import GoogleIdentity, GooglePerson, create_app
from tests.fakes.serving import Served, serve

pytestmark = pytest.mark.anyio

MIA: Final = GooglePerson(name="Mia Moss", subject="1067", key="school.example")
COOKIES: Final = (
    "__Host-lax=1; Secure; HttpOnly; Path=/; SameSite=Lax",
    "strict=1; Path=/; SameSite=Strict",
    "none=1; Path=/; SameSite=None; Secure",
    "__Host-wide=1; Secure; Path=/; Domain=own.localhost",
    "__Host-open=1; Path=/",
    "below=1; Path=/there",
)
TOLD: Final = ("sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest", "sec-fetch-user")
TOLD_TOO: Final = (
    *("origin", "referer", "cookie"),
    *("access-control-request-method", "access-control-request-headers"),
)


class Told(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]


async def page(request: Request) -> Response:
    """Its HTML, and a policy for it, are in the query; what it was told is kept."""
    told: list[Told] = request.app.state.told
    headers = {name: request.headers.get(name, "") for name in (*TOLD, *TOLD_TOO)}
    headers["cookie"] = "; ".join(sorted(headers["cookie"].split("; ")))
    if request.url.path != "/favicon.ico":
        told.append(Told(request.method, request.url.path, headers))
    query = request.query_params
    response: Response = HTMLResponse(f"<title>Site</title><p>here</p>{query.get('html', '')}")
    if "to" in query:
        response = RedirectResponse(query["to"], int(query.get("status", "302")))
    for name in ("Content-Security-Policy", "Referrer-Policy"):
        if name in query:
            response.headers[name] = query[name]
    for text in query.getlist("cookie"):
        response.headers.append("Set-Cookie", text)
    return response


class Sites(NamedTuple):
    """Two sites at one port, and what they were told."""

    own: str
    other: str
    told: list[Told]

    def page(self, url: str, html: str, **headers: str) -> str:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return f"{url}/page?{urlencode({'html': html, **named})}"

    def sent_on(self, url: str, to: str, status: int = 302) -> str:
        return f"{url}/away?{urlencode({'to': to, 'status': status})}"

    def with_cookies(self) -> str:
        return f"{self.own}/set?{urlencode([('cookie', text) for text in COOKIES])}"


@pytest.fixture
def sites() -> Generator[Sites]:
    app = Starlette(routes=[Route("/{path:path}", page, methods=["GET", "POST", "OPTIONS"])])
    app.state.told = []
    with serve(app) as served:
        port = served.url.rpartition(":")[2]
        yield Sites(
            f"http://own.localhost:{port}", f"http://other.localhost:{port}", app.state.told
        )


@pytest.fixture
def google() -> Generator[Served]:
    with serve(create_app(GoogleIdentity([MIA]))) as served:
        yield served


async def test_somebody_signs_in_at_a_fake(window: Window, google: Served, sites: Sites) -> None:
    callback = f"{sites.own}/callback"
    google.state.fake.register(callback)
    query = {
        "response_type": "code",
        "client_id": google.state.fake.application.client_id,
        "redirect_uri": callback,
        "scope": "openid",
        "state": "s-1",
    }
    await window.goto(f"{google.url}/o/oauth2/v2/auth?{urlencode(query)}")
    assert await window.title() == "Sign in to google"
    await window.press("Sign in as Mia Moss")

    [code] = google.state.fake.codes
    url = f"{callback}?code={code}&scope=openid&authuser=0&prompt=none&state=s-1"
    assert await window.current_url() == url
    assert await window.page_text() == "here"
    [told] = sites.told
    assert (told.path, told.headers["sec-fetch-site"]) == ("/callback", "cross-site")


async def test_cookies_are_kept_by_the_same_rules(window: Window, sites: Sites) -> None:
    await window.goto(sites.with_cookies())
    async with Browser() as browser:
        await browser.get(sites.with_cookies())

    kept = await window.cookies()
    assert set(kept) == {"__Host-lax", "strict", "none"}
    everywhere = {cookie.name for cookie in browser.jar.all()} - {"below"}
    assert everywhere == set(kept)
    assert kept["__Host-lax"]["httpOnly"] is True
    seen = await window.run("return document.cookie")
    assert sorted(seen.split("; ")) == sorted(browser.jar.for_script(f"{sites.own}/").split("; "))


def ways(sites: Sites) -> dict[str, str]:
    """Pages with one link or form, by what is special of them."""
    own, other, form = sites.own, sites.other, '<form method="post" action="{}">{}</form>'
    button = "<button>go</button>"

    def link(url: str) -> str:
        return f'<a href="{url}">go</a>'

    def post(url: str) -> str:
        return form.format(url, button)

    return {
        "own link": sites.page(own, link(f"{own}/there")),
        "foreign link": sites.page(other, link(f"{own}/there")),
        "own link and back": sites.page(own, link(sites.sent_on(other, f"{own}/there"))),
        "own form": sites.page(own, post(f"{own}/there")),
        "foreign form": sites.page(other, post(f"{own}/there")),
        "foreign form sent on": sites.page(other, post(sites.sent_on(other, f"{own}/there", 303))),
        "own form and back": sites.page(own, post(sites.sent_on(other, f"{own}/there", 307))),
        "form by same-origin": sites.page(
            other, post(f"{own}/there"), Referrer_Policy="same-origin"
        ),
        "own form by same-origin": sites.page(
            own, post(f"{own}/there"), Referrer_Policy="same-origin"
        ),
        "form without referrer": sites.page(
            own, post(f"{own}/there"), Referrer_Policy="no-referrer"
        ),
        "link by origin": sites.page(other, link(f"{own}/there"), Referrer_Policy="origin"),
        "form let out": sites.page(
            other, post(f"{own}/there"), Content_Security_Policy=f"form-action {own}"
        ),
    }


WAYS: Final = tuple(ways(Sites("http://a", "http://b", [])))


async def through_chromium(window: Window, sites: Sites, url: str) -> list[Told]:
    await window.goto(sites.with_cookies())
    await window.goto(url)
    sites.told.clear()
    await window.press("go")
    return list(sites.told)


async def through_client(browser: Browser, sites: Sites, url: str) -> list[Told]:
    await browser.get(sites.with_cookies())
    await browser.get(url)
    sites.told.clear()
    await browser.click("go")
    return list(sites.told)


@pytest.mark.parametrize("way", WAYS)
async def test_both_browsers_tell_the_same(window: Window, sites: Sites, way: str) -> None:
    url = ways(sites)[way]
    expected = await through_chromium(window, sites, url)
    async with Browser() as browser:
        assert await through_client(browser, sites, url) == expected
    assert expected[-1].path == "/there"


@pytest.mark.parametrize("is_redirect", [False, True])
async def test_both_browsers_keep_a_form_where_the_policy_has_it(
    window: Window, sites: Sites, is_redirect: bool
) -> None:
    target = f"{sites.other}/there"
    action = sites.sent_on(sites.own, target) if is_redirect else target
    html = f'<form method="post" action="{action}"><button>go</button></form>'
    url = sites.page(sites.own, html, Content_Security_Policy="form-action 'self'")

    await window.goto(url)
    await (await window.find_button("go")).click()
    # What is forbidden does not come later either.
    await asyncio.sleep(0.5)
    assert "/there" not in {one.path for one in sites.told}
    async with Browser() as browser:
        with pytest.raises(Blocked, match="form-action"):
            await through_client(browser, sites, url)
    assert "/there" not in {one.path for one in sites.told}


FETCH: Final = """
const [url, options] = arguments;
return fetch(url, options).then(() => "read", () => "refused");
"""


async def outcome_of(browser: Browser, url: str, options: dict[str, Any]) -> str:
    try:
        await browser.fetch(url, **options)
    except Blocked:
        return "refused"
    return "read"


@pytest.mark.parametrize(
    "options",
    [
        {"mode": "no-cors", "credentials": "include"},
        {"mode": "cors", "credentials": "include"},
        {"method": "POST", "mode": "no-cors", "credentials": "include"},
        {"method": "POST", "headers": {"X-Homerow-Csrf": "1"}, "credentials": "include"},
    ],
)
async def test_both_browsers_fetch_alike(
    window: Window, sites: Sites, options: dict[str, Any]
) -> None:
    """But for cookies for all sites, which some browsers keep from foreign sites nevertheless."""
    url, start = f"{sites.own}/there", sites.page(sites.other, "")
    await window.goto(sites.with_cookies())
    await window.goto(start)
    sites.told.clear()
    outcome = await window.run(FETCH, url, options)
    expected = list(sites.told)
    async with Browser() as browser:
        await browser.get(sites.with_cookies())
        browser.jar.forget("none")
        await browser.get(start)
        sites.told.clear()
        assert await outcome_of(browser, url, options) == outcome
    assert sites.told == expected
