"""The pages: finding one's district, its sign-in page, landing, and signing out."""

import re
from html.parser import HTMLParser
from uuid import UUID

import asyncpg
import httpx2
import pytest
from typing_extensions import override

from api.signing_in.site import Site
from domain.clock import utc_now
from tests.api.graphql.seed import (
    add_group,
    add_membership,
    add_school,
    add_tenant,
    add_token,
    add_user,
    insert,
)
from tests.api.graphql.signed_in import add_session

pytestmark = pytest.mark.anyio

PAGE = {"Sec-Fetch-Site": "same-origin"}
MIA = {"Cookie": "__Host-homerow=hrs_mia"}
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'"
    " https://training.example https://typing.example; frame-ancestors 'none'; base-uri 'none'"
)


@pytest.fixture(autouse=True)
async def fixture_fresh_counts(site: Site) -> None:
    await site.resources.throttle.forget("search 127.0.0.1")


@pytest.fixture
async def mia(superuser: asyncpg.Connection, springfield: UUID) -> UUID:
    user_id = await add_user(superuser, springfield, given_name="Mia", family_name="Ames")
    await add_session(superuser, springfield, "hrs_mia", user_id=user_id)
    return user_id


class Outline(HTMLParser):
    """What somebody who cannot see a page is told."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


PATHS = (
    "/",
    "/t/springfield",
    "/t/nowhere",
    "/t/springfield/forgotten",
    "/account-links/nothing",
    "/sign-out",
)


@pytest.mark.usefixtures("springfield")
@pytest.mark.parametrize("path", PATHS)
async def test_a_page_can_be_used_by_everybody_and_brings_nothing_along(
    browser: httpx2.AsyncClient, path: str
) -> None:
    answer = await browser.get(path)
    outline = Outline(answer.text)
    assert outline.all("html") == [{"lang": "en"}]
    assert len(outline.all("h1")) == len(outline.all("title")) == len(outline.all("main")) == 1
    labelled = {label.get("for") for label in outline.all("label")}
    for field in outline.all("input") + outline.all("select"):
        assert field.get("type") == "hidden" or field["id"] in labelled
    assert not outline.all("script")
    assert not outline.all("img")
    assert "style=" not in answer.text
    assert outline.all("link") == [{"rel": "stylesheet", "href": "/assets/homerow.css"}]
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "same-origin"


async def test_the_stylesheet_is_ours(browser: httpx2.AsyncClient) -> None:
    answer = await browser.get("/assets/homerow.css")
    assert answer.headers["content-type"].startswith("text/css")
    assert "url(" not in answer.text


async def test_districts_and_schools_are_found_by_name(
    browser: httpx2.AsyncClient, superuser: asyncpg.Connection, springfield: UUID
) -> None:
    await add_school(superuser, springfield, name="North School", display_name="North Star")
    await add_school(superuser, springfield, name="Gone School", archived_at=utc_now())
    await add_tenant(superuser, "hidden", display_name="Hidden North", is_listed=False)
    await add_tenant(superuser, "closed", display_name="Closed North", status="CLOSED")
    await add_tenant(superuser, "shelby", display_name="Shelby <North>")
    found = await browser.get("/", params={"search": "NORTH"})
    assert options(found) == [
        ("shelby", "Shelby &lt;North&gt;"),
        ("springfield", "North Star, Springfield USD"),
    ]
    everything = await browser.get("/")
    assert [slug for slug, _ in options(everything)] == ["shelby", "springfield", "springfield"]
    nothing = await browser.get("/", params={"search": "<b>%_"})
    assert options(nothing) == []
    assert "There is none with “&lt;b&gt;%_” in its name." in nothing.text


def options(answer: httpx2.Response) -> list[tuple[str, str]]:
    return re.findall(r'<option value="([^"]*)">([^<]*)</option>', answer.text)


async def test_a_long_list_says_that_there_is_more(
    browser: httpx2.AsyncClient, superuser: asyncpg.Connection
) -> None:
    for number in range(51):
        await add_tenant(superuser, f"t-{number}", display_name=f"District {number:02}")
    answer = await browser.get("/")
    assert len(options(answer)) == 50
    assert "There are more" in answer.text


@pytest.mark.parametrize(
    ("slug", "path"),
    [("springfield", "/t/springfield"), ("", "/"), ("//evil", "/t/%2F%2Fevil"), ("..", "/t/..")],
)
async def test_the_list_leads_to_pages_of_ours_alone(
    browser: httpx2.AsyncClient, slug: str, path: str
) -> None:
    answer = await browser.get("/go", params={"slug": slug})
    assert (answer.status_code, answer.headers["location"]) == (303, path)


@pytest.mark.usefixtures("springfield")
async def test_a_sign_in_page_has_what_is_on_and_carries_where_to_go(
    browser: httpx2.AsyncClient, superuser: asyncpg.Connection
) -> None:
    await superuser.execute("UPDATE sign_in_methods SET is_enabled = false WHERE method = 'GOOGLE'")
    answer = await browser.get("/t/springfield", params={"return_to": "/landing"})
    assert re.findall(r'href="(/sign-in[^"]*)">([^<]*)<', answer.text) == [
        (f"/sign-in/{name}?tenant=springfield&amp;return_to=%2Flanding", f"Sign in with {title}")
        for name, title in (
            ("clever", "Clever"),
            ("classlink", "ClassLink"),
            ("microsoft", "Microsoft"),
        )
    ]


@pytest.mark.usefixtures("springfield")
@pytest.mark.parametrize(
    "query",
    [
        {"return_to": "https://evil.example"},
        {"return_to": "//evil.example"},
        {"return_to": "/\\evil.example"},
        {"return_to": "https://typing.example/back"},
        {"return_to": "https://typing.example/back", "code_challenge": "short"},
        {"return_to": "https://typing.example.evil.example", "code_challenge": "a" * 43},
        {"return_to": "https://typing.example@evil.example", "code_challenge": "a" * 43},
        {"return_to": "javascript:alert(1)", "code_challenge": "a" * 43},
        {"code_challenge": "a" * 43},
    ],
)
async def test_nobody_is_sent_where_we_know_nobody(
    browser: httpx2.AsyncClient, query: dict[str, str]
) -> None:
    answer = await browser.get("/t/springfield", params=query)
    assert answer.status_code == 400
    assert "This link cannot be used" in answer.text


async def test_before_the_day_the_page_says_when_it_opens(
    browser: httpx2.AsyncClient, superuser: asyncpg.Connection, springfield: UUID
) -> None:
    await superuser.execute("UPDATE subscriptions SET go_live_on = '2099-09-01'")
    assert "This opens on September 1, 2099." in (await browser.get("/t/springfield")).text
    await superuser.execute("UPDATE subscriptions SET go_live_on = '2020-09-01'")
    assert "This opens on" not in (await browser.get("/t/springfield")).text


async def test_whoever_has_not_signed_in_lands_at_the_list(browser: httpx2.AsyncClient) -> None:
    for headers in ({}, {"Cookie": "__Host-homerow=hrs_nothing"}):
        answer = await browser.get("/landing", headers=headers)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")


async def test_an_api_token_is_no_visitor(
    browser: httpx2.AsyncClient, superuser: asyncpg.Connection, springfield: UUID
) -> None:
    await add_token(superuser, "hrw_machine", springfield)
    answer = await browser.get("/landing", headers={"Cookie": "__Host-homerow=hrw_machine"})
    assert answer.headers["location"] == "/"


async def test_of_several_groups_one_is_chosen_and_kept(
    browser: httpx2.AsyncClient, superuser: asyncpg.Connection, springfield: UUID, mia: UUID
) -> None:
    school_id = await add_school(superuser, springfield)
    groups = [await add_group(superuser, springfield, school_id, name=name) for name in "AB"]
    other = await add_group(superuser, springfield, school_id, name="C")
    for group_id in groups:
        await add_membership(superuser, springfield, mia, group_id)
    asked = await browser.get("/landing", headers=MIA)
    assert re.findall(r'value="([0-9a-f-]{36})" required> (\w)', asked.text) == [
        (str(groups[0]), "A"),
        (str(groups[1]), "B"),
    ]
    for wrong in (str(other), "nothing", ""):
        refused = await browser.post("/landing", data={"place": wrong}, headers=MIA | PAGE)
        assert refused.status_code == 400
        assert "Choose one of your own groups or schools." in refused.text
    chosen = await browser.post("/landing", data={"place": str(groups[1])}, headers=MIA | PAGE)
    assert (chosen.status_code, chosen.headers["location"]) == (303, "/landing")
    landed = await browser.get("/landing", headers=MIA)
    assert landed.status_code == 303
    assert landed.headers["location"].startswith("https://training.example/enter?launch=")


async def test_the_training_application_takes_somebody_over_once(
    browser: httpx2.AsyncClient, superuser: asyncpg.Connection, springfield: UUID, mia: UUID
) -> None:
    group_id = await add_group(superuser, springfield, await add_school(superuser, springfield))
    await add_membership(superuser, springfield, mia, group_id)
    await add_token(superuser, "of-springfield", springfield)
    await add_token(superuser, "of-other", await add_tenant(superuser, "other"))
    landed = await browser.get("/landing", headers=MIA)
    token = landed.headers["location"].partition("launch=")[2]

    async def redeem(secret: str) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {secret}"}
        return await browser.post("/launch/redeem", json={"token": token}, headers=headers)

    assert (await redeem("of-other")).status_code == 410
    taken = await redeem("of-springfield")
    claims = taken.json()
    assert (taken.status_code, claims["tenant"], claims["roles"]) == (
        200,
        "springfield",
        ["STUDENT"],
    )
    assert claims["aud"] == "https://training.example"
    assert {"sub", "group", "tenant_id", "iss", "iat", "exp", "jti"} < claims.keys()
    assert "Mia" not in taken.text
    assert (await redeem("of-springfield")).status_code == 410
    assert (await redeem("nothing")).status_code == 401
    keys = (await browser.get("/.well-known/jwks.json")).json()["keys"]
    assert [(key["kty"], key["crv"], key["alg"]) for key in keys] == [("EC", "P-256", "ES256")]


async def test_staff_of_one_school_land_there(
    browser: httpx2.AsyncClient, superuser: asyncpg.Connection, springfield: UUID
) -> None:
    school_id = await add_school(superuser, springfield)
    user_id = await add_user(superuser, springfield, schools=[school_id], roles=["STAFF"])
    await add_session(superuser, springfield, "hrs_mia", user_id=user_id)
    landed = await browser.get("/landing", headers=MIA)
    assert landed.headers["location"].startswith("https://training.example/enter?launch=")


@pytest.mark.usefixtures("mia")
async def test_who_is_in_no_class_is_told_whom_to_ask(browser: httpx2.AsyncClient) -> None:
    answer = await browser.get("/landing", headers=MIA)
    assert "Mia Ames, there is no class for you yet." in answer.text


@pytest.mark.usefixtures("mia")
async def test_signing_out_ends_the_session_and_needs_a_click(
    browser: httpx2.AsyncClient, superuser: asyncpg.Connection
) -> None:
    await browser.get("/sign-out", headers=MIA)
    await browser.post("/sign-out", headers=MIA | {"Sec-Fetch-Site": "cross-site"})
    assert await superuser.fetchval("SELECT ended_at FROM sessions") is None
    answer = await browser.post("/sign-out", headers=MIA | PAGE)
    assert answer.status_code == 200
    assert "__Host-homerow=" in answer.headers["set-cookie"]
    assert await superuser.fetchval("SELECT ended_at IS NOT NULL FROM sessions")
    assert (await browser.get("/landing", headers=MIA)).headers["location"] == "/"
    assert await superuser.fetchval("SELECT count(*) FROM audit_log WHERE action = 'signOut'") == 1


async def test_a_closed_tenant_has_no_page(
    browser: httpx2.AsyncClient, superuser: asyncpg.Connection, springfield: UUID
) -> None:
    await superuser.execute("UPDATE tenants SET status = 'CLOSED'")
    assert (await browser.get("/t/springfield")).status_code == 404
    await insert(
        superuser, "tenants", slug="b", name="B", display_name="B", time_zone="UTC", status="ACTIVE"
    )
    assert (await browser.get("/t/b")).status_code == 200


@pytest.mark.parametrize(
    ("path", "content", "kind", "status"),
    [
        ("/session/token", b"{}", "application/json", 400),
        ("/session/token", b'{"code": 1, "code_verifier": "x"}', "application/json", 400),
        ("/session/token", b'{"code": "x", "code_verifier": "x"}', "application/json", 400),
        ("/session/token", b"[]", "application/json", 400),
        ("/session/token", b"\xff", "application/json", 400),
        ("/session/token", b"code=x", "application/x-www-form-urlencoded", 415),
        ("/session/token", b" " * 20_000, "application/json", 413),
        ("/launch/redeem", b'{"token": "x"}', "application/json", 401),
    ],
)
async def test_what_is_no_request_of_a_program_is_refused(
    browser: httpx2.AsyncClient, path: str, content: bytes, kind: str, status: int
) -> None:
    answer = await browser.post(path, content=content, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert "requestId" in answer.json()
