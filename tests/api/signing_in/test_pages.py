"""What the pages look like to who uses them, and to whom they show nothing."""

import asyncio
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

import asyncpg
import pytest
from starlette.applications import Starlette

from api.signing_in import choosing
from api.signing_in.pages import FOLDER
from api.signing_in.routes import sign_in_routes
from api.signing_in.site import Site
from domain.clock import utc_now
from domain.one_time import OneTime
from domain.people.tokens import hash_token
from domain.throttle import Throttle, open_redis
from tests.api.graphql.seed import add_school, add_tenant, insert
from tests.api.signing_in.conftest import FRONTEND
from tests.api.signing_in.reading import Outline
from tests.api.signing_in.visiting import Browser, add_ada, browser_at, enter, send, type_password

pytestmark = pytest.mark.anyio

CHALLENGE: Final = "c" * 43
BAD_RETURNS: Final = (
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example",
    "\\\\evil.example",
    "/%0a\n/evil.example",
    "https:evil.example",
    "https:/evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    f"{FRONTEND}.evil.example/",
    f"{FRONTEND}@evil.example/",
    f"{FRONTEND}:8443/",
    "http://typing.example/",
    "https://user@typing.example/",
    f"{FRONTEND}/#code",
    f"{FRONTEND}/\u202e",
    f"{FRONTEND}/ x",
    "landing",
    "/" + "x" * 2000,
    f"{FRONTEND}/" + "x" * 2000,
)


@pytest.fixture
async def admin(browser: Browser, superuser: asyncpg.Connection, springfield: UUID) -> UUID:
    """Signed in."""
    account_id = await add_ada(superuser, springfield)
    await enter(browser, superuser, springfield, account_id=account_id)
    return account_id


def outline(answer: Any, status: int = 200) -> Outline:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return Outline(answer.text)


@pytest.mark.usefixtures("admin")
async def test_every_page_can_be_used_by_everybody(
    browser: Browser,
    superuser: asyncpg.Connection,
    springfield: UUID,
    admin: UUID,
    subtests: pytest.Subtests,
) -> None:
    await insert(
        superuser,
        "account_links",
        tenant_id=springfield,
        account_id=admin,
        kind="RESET",
        token_hash=hash_token("good"),
        expires_at=utc_now() + timedelta(hours=1),
    )
    link = "/account-links/good"
    answers = {
        path: await browser.get(path)
        for path in (
            "/",
            "/?search=nobody",
            "/t/springfield",
            "/t/nowhere",
            "/t/springfield?return_to=//evil.example",
            "/t/springfield/forgotten",
            "/landing",
            "/second-factor",
            "/sign-out",
            "/account-links/bad",
            link,
        )
    }
    answers["wrong code"] = await send(browser, "/second-factor", {"act": "on", "code": "1"})
    answers["passwords differ"] = await send(browser, link, {"password": "a", "again": "b"})
    answers["wrong password"] = await type_password(browser, password="x")  # noqa: S106 - a wrong one
    answers["wrong place"] = await send(browser, "/landing", {"place": "x"})
    answers["mail"] = await send(browser, "/t/springfield/forgotten", {"name": "x"})
    answers["foreign form"] = await browser.post("/sign-out")
    for page, answer in answers.items():
        with subtests.test(page=page):
            assert Outline(answer.text).faults() == []
            assert answer.headers["cache-control"] == "no-store"


async def test_an_error_is_said_where_it_is_heard(browser: Browser, springfield: UUID) -> None:
    page = outline(await type_password(browser, password="x"), 403)  # noqa: S106 - a wrong one
    [alert] = [one for one in page.all("p") if one.get("role") == "alert"]
    for name, purpose in (("name", "username"), ("password", "current-password")):
        field = page.field(name)
        assert field["aria-describedby"] == alert["id"]
        assert field["autocomplete"] == purpose
    assert page.texts["title"] == ["Error: Sign in to Springfield USD"]


async def test_a_page_may_bring_nothing_and_is_kept_nowhere(
    browser: Browser, springfield: UUID
) -> None:
    headers = (await browser.get("/t/springfield")).headers
    assert headers["content-security-policy"] == (
        "default-src 'none'; style-src 'self'; img-src 'self'; "
        "form-action 'self' https://training.example https://typing.example; "
        "frame-ancestors 'none'; base-uri 'none'"
    )
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["x-frame-options"] == "DENY"
    assert len(headers["x-request-id"]) == 36


async def test_the_stylesheet_is_our_own_and_may_be_kept(browser: Browser) -> None:
    answer = await browser.get("/assets/homerow.css")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/css; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=3600"
    assert "url(" not in answer.text
    assert "@import" not in answer.text
    assert ":focus-visible" in answer.text


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_everything_can_be_read_by_day_and_by_night() -> None:
    blocks = re.findall(r":root \{([^}]*)\}", (FOLDER / "homerow.css").read_text())
    assert len(blocks) == 2
    for block in blocks:
        light = {
            name: luminance(colour)
            for name, colour in re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block)
        }
        for ink, paper, least in (
            ("ink", "paper", 7),
            ("accent", "paper", 4.5),
            ("on-accent", "accent", 4.5),
            ("alarm", "paper", 4.5),
            ("line", "paper", 3),
        ):
            darker, lighter = sorted((light[ink], light[paper]))
            assert (lighter + 0.05) / (darker + 0.05) >= least, (ink, paper)


async def options(browser: Browser, search: str = "") -> dict[str, str]:
    """What is in the list, and where it leads."""
    page = outline(await browser.get("/", params={"search": search}))
    return dict(
        zip(page.texts.get("option", []), (o["value"] for o in page.all("option")), strict=True)
    )


async def test_districts_and_schools_are_chosen_by_the_names_they_show(
    browser: Browser, superuser: asyncpg.Connection, springfield: UUID
) -> None:
    await add_school(superuser, springfield, name="North HS 0042", display_name="North High")
    await add_school(superuser, springfield, name="South High")
    await add_school(superuser, springfield, name="Gone High", archived_at=utc_now())
    shelby = await add_tenant(superuser, "shelby", display_name="Shelby <b>Schools</b>")
    hidden = await add_tenant(superuser, "hidden", display_name="Hidden USD", is_listed=False)
    closed = await add_tenant(superuser, "closed", display_name="Closed USD", status="CLOSED")
    for tenant_id in (hidden, closed):
        await add_school(superuser, tenant_id, name="Hidden High")

    assert await options(browser) == {
        "Shelby <b>Schools</b>": "shelby",
        "Springfield USD": "springfield",
        "North High, Springfield USD": "springfield",
        "South High, Springfield USD": "springfield",
    }
    assert shelby != springfield
    assert await options(browser, "HIGH") == {
        "North High, Springfield USD": "springfield",
        "South High, Springfield USD": "springfield",
    }
    for search in ("hidden", "closed", "Gone", "0042", "%", "_", "'; --", "\x00\ud7ff\u202e<"):
        assert list(await options(browser, search)) == (
            ["Shelby <b>Schools</b>"] if search.endswith("<") else []
        )
    assert "<b>" not in (await browser.get("/")).text


async def test_a_list_that_is_too_long_says_so(
    browser: Browser, superuser: asyncpg.Connection
) -> None:
    for number in range(50):
        await add_tenant(superuser, f"tenant-{number}", display_name=f"District {number}")
    assert "There are more" not in (await browser.get("/")).text
    await add_tenant(superuser, "last", display_name="Zion")
    answer = await browser.get("/")
    assert len(outline(answer).all("option")) == 50
    assert "There are more" in answer.text
    assert await options(browser, "zion") == {"Zion": "last"}


async def test_searches_are_counted_by_address(
    app: Starlette, browser: Browser, site: Site
) -> None:
    address = "192.0.2.77"
    await asyncio.gather(
        *(site.resources.throttle.count(f"search {address}", 600, 60) for _ in range(600))
    )
    async with browser_at(app, address) as busy:
        answer = await busy.get("/")
    assert outline(answer, 429).faults() == []
    assert (await browser.get("/")).status_code == 200


async def test_the_list_leads_to_a_sign_in_page(browser: Browser) -> None:
    for slug, place in (
        ("springfield", "/t/springfield"),
        ("", "/"),
        ("//evil.example", "/t/%2F%2Fevil.example"),
        ("a\r\nSet-Cookie: x=y", "/t/a%0D%0ASet-Cookie%3A%20x%3Dy"),
    ):
        answer = await browser.get("/go", params={"slug": slug})
        assert (answer.status_code, answer.headers["location"]) == (303, place)
    assert (await browser.get("/go")).headers["location"] == "/"


async def test_a_sign_in_page_shows_the_ways_that_are_on(
    browser: Browser, site: Site, superuser: asyncpg.Connection, springfield: UUID
) -> None:
    links = outline(await browser.get("/t/springfield")).links()
    assert links == {
        "Sign in with Clever": "/sign-in/clever?tenant=springfield",
        "Sign in with ClassLink": "/sign-in/classlink?tenant=springfield",
        "Sign in with Google": "/sign-in/google?tenant=springfield",
        "Sign in with Microsoft": "/sign-in/microsoft?tenant=springfield",
        "Forgot your password?": "/t/springfield/forgotten",
        "Another district or school": "/",
    }
    await superuser.execute("UPDATE sign_in_methods SET is_enabled = method = 'GOOGLE'")
    links = outline(await browser.get("/t/springfield")).links()
    assert [label for label in links if label.startswith("Sign in")] == [
        "Sign in with Clever",
        "Sign in with Google",
    ]
    # What the product has no client for is not offered, whatever a tenant says.
    bare = replace(site, settings=replace(site.settings, clients={}))
    async with browser_at(Starlette(routes=sign_in_routes(bare))) as other:
        assert "Sign in with" not in "".join(outline(await other.get("/t/springfield")).texts["a"])


async def test_before_the_day_it_is_said_when_it_opens(
    browser: Browser, superuser: asyncpg.Connection, springfield: UUID
) -> None:
    day = utc_now().date() + timedelta(days=30)
    await superuser.execute("UPDATE subscriptions SET go_live_on = $1", day)
    words = f"This opens on {day:%B} {day.day}, {day.year}."
    assert words in (await browser.get("/t/springfield")).text
    await superuser.execute(
        "UPDATE subscriptions SET go_live_on = $1", utc_now().date() - timedelta(days=2)
    )
    assert "This opens" not in (await browser.get("/t/springfield")).text


async def test_what_is_no_tenant_or_not_any_more_is_not_there(
    browser: Browser, superuser: asyncpg.Connection, springfield: UUID
) -> None:
    await add_tenant(superuser, "closed", status="CLOSED")
    paths = ("closed", "nowhere", "Springfield", "%00", "%ff", "springfield%20", "x" * 3000)
    for slug in paths:
        for path in (f"/t/{slug}", f"/t/{slug}/forgotten"):
            page = outline(await browser.get(path), 404)
            assert page.texts["h1"] == ["There is no such district or school"]
            assert page.links() == {"Choose your district or school": "/"}


@pytest.mark.parametrize("url", ["/landing", "/second-factor?x=1&y=%2F", "/t/springfield#a"])
async def test_a_path_of_ours_is_carried_along(
    browser: Browser, springfield: UUID, url: str
) -> None:
    page = outline(await browser.get("/t/springfield", params={"return_to": url}))
    assert page.field("return_to")["value"] == url
    carried = page.links()["Sign in with Google"].partition("&")[2]
    assert carried == urlencode({"return_to": url})


async def test_a_frontend_is_carried_along_with_its_challenge(
    browser: Browser, springfield: UUID
) -> None:
    query = {"return_to": f"{FRONTEND}/back?state=1", "code_challenge": CHALLENGE}
    page = outline(await browser.get("/t/springfield", params=query))
    assert {name: page.field(name)["value"] for name in query} == query


async def test_nobody_is_sent_to_a_place_that_is_not_known(
    browser: Browser, springfield: UUID, subtests: pytest.Subtests
) -> None:
    for url in BAD_RETURNS:
        for challenge in (None, CHALLENGE):
            query = {"return_to": url} | ({"code_challenge": challenge} if challenge else {})
            with subtests.test(query=query):
                page = outline(await browser.get("/t/springfield", params=query), 400)
                assert page.texts["h1"] == ["This link cannot be used"]
                assert all("evil" not in url for url in page.links().values())
                typed = await type_password(browser, **query)
                assert typed.status_code == 400


@pytest.mark.parametrize(
    "query",
    [
        {"return_to": f"{FRONTEND}/"},
        {"return_to": f"{FRONTEND}/", "code_challenge": "short"},
        {"return_to": f"{FRONTEND}/", "code_challenge": "c" * 44},
        {"return_to": f"{FRONTEND}/", "code_challenge": "c" * 42 + "="},
        {"return_to": "/landing", "code_challenge": CHALLENGE},
        {"code_challenge": CHALLENGE},
    ],
)
async def test_a_frontend_and_its_challenge_belong_together(
    browser: Browser, springfield: UUID, query: dict[str, str]
) -> None:
    outline(await browser.get("/t/springfield", params=query), 400)


async def test_our_own_faults_are_told_by_a_reference_alone(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def break_down(*_: object) -> None:
        raise RuntimeError("canary-4711")

    monkeypatch.setattr(choosing, "find_place", break_down)
    answer = await browser.get("/t/springfield")
    page = outline(answer, 500)
    assert page.faults() == []
    assert "canary" not in answer.text
    assert answer.headers["x-request-id"] in page.texts["main"][0]
    assert answer.headers["cache-control"] == "no-store"


async def test_without_valkey_the_list_is_there_and_passwords_are_not(
    site: Site, superuser: asyncpg.Connection, springfield: UUID
) -> None:
    await add_ada(superuser, springfield)
    redis = open_redis("redis://127.0.0.1:9")
    resources: Any = replace(site.resources, one_time=OneTime(redis), throttle=Throttle(redis))
    app = Starlette(routes=sign_in_routes(replace(site, resources=resources)))
    async with browser_at(app) as browser:
        outline(await browser.get("/"))
        outline(await browser.get("/t/springfield"))
        outline(await type_password(browser), 503)
        outline(await send(browser, "/t/springfield/forgotten", {"name": "x"}), 503)
    await redis.aclose()
    assert await superuser.fetchval("SELECT count(*) FROM sessions") == 0


async def test_a_page_is_asked_for_as_it_is(browser: Browser, springfield: UUID) -> None:
    for path in ("/", "/t/springfield", "/assets/homerow.css"):
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            assert (await browser.request(method, path)).status_code == 405
        head = await browser.request("HEAD", path)
        assert (head.status_code, head.content) == (200, b"")
