"""Forms are taken from our own pages alone, and only as browsers send them."""

from dataclasses import replace
from uuid import UUID

import asyncpg
import pytest
from starlette.applications import Starlette

from api.signing_in.endpoints import LARGEST_FORM
from api.signing_in.routes import sign_in_routes
from api.signing_in.site import Site
from tests.api.signing_in.conftest import ORIGIN
from tests.api.signing_in.visiting import (
    ADDRESS,
    LOGIN,
    OWN,
    PASSWORD,
    SESSION,
    Browser,
    add_ada,
    browser_at,
    ended,
    enter,
)

pytestmark = pytest.mark.anyio

FOR_PROGRAMS = {"/session/token", "/launch/redeem"}
FOREIGN: list[dict[str, str]] = [
    {},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": ""},
    {"Sec-Fetch-Site": "cross-site", "Origin": ORIGIN},
    {"Sec-Fetch-Site": "same-site", "Origin": ORIGIN},
    {"Origin": "null"},
    {"Origin": "https://evil.example"},
    {"Origin": "http://homerow.example"},
    {"Origin": f"{ORIGIN}:8443"},
    {"Origin": f"{ORIGIN}.evil.example"},
    {"Origin": "https://evil-homerow.example"},
    {"Origin": "https://a.homerow.example"},
    {"Origin": "https://user@homerow.example"},
    {"Origin": f"{ORIGIN}/"},
    {"Referer": f"{ORIGIN}/sign-out"},
]
OURS: list[dict[str, str]] = [
    OWN,
    {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
    {"Origin": ORIGIN},
]


def forms(site: Site) -> list[str]:
    """The paths of all forms there are."""
    paths = [route.path for route in sign_in_routes(site) if "POST" in (route.methods or ())]
    return sorted(
        path.format(slug="springfield", token="x")  # noqa: S106 - no password
        for path in set(paths) - FOR_PROGRAMS
    )


async def test_no_form_of_another_site_is_taken(
    site: Site, browser: Browser, subtests: pytest.Subtests
) -> None:
    paths = forms(site)
    assert paths == [
        "/account-links/x",
        "/landing",
        "/second-factor",
        "/sign-out",
        "/t/springfield/code",
        "/t/springfield/forgotten",
        "/t/springfield/password",
    ]
    for path in paths:
        for headers in FOREIGN:
            with subtests.test(path=path, headers=headers):
                answer = await browser.post(path, data={"name": ADDRESS}, headers=headers)
                assert answer.status_code == 403
                assert "This form is not from here" in answer.text
                assert "set-cookie" not in answer.headers


async def test_another_site_signs_nobody_out(
    browser: Browser, superuser: asyncpg.Connection, springfield: UUID, mia: UUID
) -> None:
    session_id = await enter(browser, superuser, springfield, user_id=mia)
    for headers in FOREIGN:
        await browser.post("/sign-out", headers=headers)
    assert not await ended(superuser, session_id)


async def test_another_site_signs_nobody_in(
    browser: Browser, superuser: asyncpg.Connection, springfield: UUID
) -> None:
    await add_ada(superuser, springfield)
    fields = {"name": ADDRESS, "password": PASSWORD}
    for headers in FOREIGN:
        answer = await browser.post("/t/springfield/password", data=fields, headers=headers)
        assert answer.status_code == 403
    assert await superuser.fetchval("SELECT count(*) FROM sessions") == 0


@pytest.mark.parametrize("headers", OURS)
async def test_a_form_of_ours_is_taken(browser: Browser, headers: dict[str, str]) -> None:
    answer = await browser.post("/sign-out", headers=headers)
    assert (answer.status_code, "You are signed out" in answer.text) == (200, True)


async def test_a_developers_machine_is_its_own_origin(site: Site) -> None:
    web = replace(site.web, public_url=None)
    local = replace(site, settings=replace(site.settings, web=web))
    app = Starlette(routes=sign_in_routes(local))
    async with browser_at(app, url="http://127.0.0.1:8000") as browser:
        for origin, status in (
            ("http://127.0.0.1:8000", 200),
            ("http://127.0.0.1:8001", 403),
            ("http://localhost:8000", 403),
        ):
            answer = await browser.post("/sign-out", headers={"Origin": origin})
            assert answer.status_code == status


@pytest.mark.parametrize(
    "kind",
    [
        None,
        "text/plain",
        "application/json",
        "multipart/form-data; boundary=x",
        "text/plain, application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded-too",
    ],
)
async def test_a_form_of_another_kind_is_not_read(
    browser: Browser, springfield: UUID, kind: str | None
) -> None:
    headers = OWN | ({"Content-Type": kind} if kind else {})
    answer = await browser.post(
        "/t/springfield/password", content=b"name=a&password=b", headers=headers
    )
    assert answer.status_code == 400
    assert "This form cannot be read" in answer.text


@pytest.mark.parametrize(
    "body",
    [
        b"name=" + b"x" * LARGEST_FORM,
        b"name=a&name=b",
        b"&".join(b"field%d=x" % number for number in range(21)),
        b"name=%ff",
        b"name=%ED%A0%80",
        b"name=a%00b",
        "name=ü".encode(),
        b"name",
        b'{"name": "a"}',
        b"\x00",
    ],
)
async def test_a_form_that_no_page_of_ours_sends_is_not_read(
    browser: Browser, springfield: UUID, body: bytes
) -> None:
    for path in ("/t/springfield/password", "/t/springfield/forgotten"):
        answer = await browser.post(
            path, content=body, headers=OWN | {"Content-Type": "application/x-www-form-urlencoded"}
        )
        assert answer.status_code == 400
        assert "This form cannot be read" in answer.text


async def test_an_empty_form_is_no_fault_of_ours(
    browser: Browser, site: Site, springfield: UUID, subtests: pytest.Subtests
) -> None:
    for path in forms(site):
        with subtests.test(path=path):
            headers = OWN | {"Content-Type": "application/x-www-form-urlencoded"}
            answer = await browser.post(path, content=b"", headers=headers)
            assert answer.status_code < 500


async def test_of_two_cookies_of_one_name_none_is_believed(
    app: Starlette, superuser: asyncpg.Connection, springfield: UUID, mia: UUID
) -> None:
    async with browser_at(app) as browser:
        await enter(browser, superuser, springfield, user_id=mia)
        token = browser.cookies[SESSION]
    for cookies, place in (
        (f"{SESSION}={token}", None),
        (f"{SESSION}={token}; {SESSION}=hrs_other", "/"),
        (f"{SESSION}=hrs_other; x=y; {SESSION}={token}", "/"),
        (f"{SESSION}={token}; {SESSION}={token}", "/"),
    ):
        async with browser_at(app) as browser:
            answer = await browser.get("/landing", headers={"Cookie": cookies})
            assert answer.headers.get("location") == place


async def test_a_code_of_the_second_factor_needs_the_cookie_of_the_sign_in(
    browser: Browser, springfield: UUID
) -> None:
    browser.cookies.set(LOGIN, "of-somebody-else", domain="homerow.example")
    answer = await browser.post("/t/springfield/code", data={"code": "123456"}, headers=OWN)
    assert answer.status_code == 403
    assert "This took too long" in answer.text
