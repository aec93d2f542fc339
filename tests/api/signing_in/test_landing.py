"""Where people land who have signed in, and how they leave."""

from dataclasses import replace
from datetime import timedelta
from typing import Final
from uuid import UUID

import asyncpg
import pytest
from starlette.applications import Starlette

from api.graphql.node import encode_id
from api.signing_in.routes import sign_in_routes
from api.signing_in.site import Site
from domain.clock import utc_now
from tests.api.graphql.seed import (
    add_group,
    add_membership,
    add_school,
    add_tenant,
    add_user,
)
from tests.api.signing_in.reading import Outline
from tests.api.signing_in.visiting import (
    LOGIN,
    SESSION,
    Browser,
    add_ada,
    browser_at,
    claims_of,
    cookies_set,
    ended,
    enter,
    send,
)

pytestmark = pytest.mark.anyio

TRAINING: Final = "https://training.example/enter"


@pytest.fixture
async def drama(superuser: asyncpg.Connection, springfield: UUID, north: UUID, mia: UUID) -> UUID:
    """Mia's group as well."""
    group = await add_group(superuser, springfield, north, name="Drama <1>")
    await add_membership(superuser, springfield, mia, group)
    return group


async def test_who_has_not_signed_in_is_asked_where(
    browser: Browser, superuser: asyncpg.Connection, springfield: UUID, mia: UUID
) -> None:
    for change in (
        None,
        "UPDATE sessions SET ended_at = now()",
        "UPDATE sessions SET ended_at = NULL, expires_at = now()",
        "UPDATE sessions SET expires_at = now() + interval '1 hour', last_seen_at = '2020-01-01'",
        "UPDATE sessions SET last_seen_at = now()",
    ):
        if change:
            await superuser.execute(change)
        for answer in (
            await browser.get("/landing"),
            await send(browser, "/landing", {"place": "x"}),
        ):
            is_in = change == "UPDATE sessions SET last_seen_at = now()"
            assert (answer.headers.get("location") != "/") == is_in
        if change is None:
            await enter(browser, superuser, springfield, user_id=mia)


async def test_who_has_several_groups_chooses_one_and_is_not_asked_again(
    browser: Browser,
    superuser: asyncpg.Connection,
    springfield: UUID,
    mia: UUID,
    algebra: UUID,
    drama: UUID,
) -> None:
    await enter(browser, superuser, springfield, user_id=mia)
    page = Outline((await browser.get("/landing")).text)
    assert page.faults() == []
    assert page.texts["h1"] == ["Where do you want to go?"]
    assert page.texts["legend"] == ["Your groups"]
    radios = page.all("input")
    assert {one["name"] for one in radios} == {"place"}
    assert [one["value"] for one in radios] == [str(algebra), str(drama)]
    assert [text.strip() for text in page.texts["label"]] == ["Algebra", "Drama <1>"]

    answer = await send(browser, "/landing", {"place": str(drama)})

    assert (answer.status_code, answer.headers["location"]) == (303, "/landing")
    chosen = await superuser.fetchrow("SELECT user_id, group_id, group_set_by FROM default_places")
    assert tuple(chosen) == (mia, drama, f"user {mia}")
    claims = await claims_of(browser)
    assert claims["group"] == encode_id("G", springfield, drama)


@pytest.mark.usefixtures("algebra", "drama")
async def test_only_a_place_of_ones_own_is_chosen(
    browser: Browser,
    superuser: asyncpg.Connection,
    springfield: UUID,
    north: UUID,
    mia: UUID,
) -> None:
    others = await add_group(superuser, springfield, north, name="Of others")
    shelby = await add_tenant(superuser, "shelby")
    foreign = await add_group(superuser, shelby, await add_school(superuser, shelby), name="There")
    await enter(browser, superuser, springfield, user_id=mia)
    for place in (str(others), str(foreign), str(north), str(mia), "x", "", "Algebra"):
        answer = await send(browser, "/landing", {"place": place})
        assert answer.status_code == 400
        page = Outline(answer.text)
        assert page.faults() == []
        assert "Choose one of your own groups or schools." in page.texts["p"][0]
    assert await superuser.fetchval("SELECT count(*) FROM default_places") == 0


async def test_who_has_no_group_lands_in_a_school(
    browser: Browser, superuser: asyncpg.Connection, springfield: UUID, north: UUID
) -> None:
    south = await add_school(superuser, springfield, name="South")
    bob = await add_user(superuser, springfield, roles=["STAFF"], schools=[north])
    eve = await add_user(superuser, springfield, roles=["SCHOOL_ADMIN"], schools=[north, south])
    await enter(browser, superuser, springfield, user_id=bob)
    assert (await claims_of(browser))["school"] == encode_id("S", springfield, north)
    await send(browser, "/sign-out", {})

    await superuser.execute("DELETE FROM sessions")
    await enter(browser, superuser, springfield, user_id=eve)
    page = Outline((await browser.get("/landing")).text)
    assert page.texts["legend"] == ["Your schools"]
    await send(browser, "/landing", {"place": str(south)})
    claims = await claims_of(browser)
    assert (claims["school"], claims["roles"]) == (
        encode_id("S", springfield, south),
        ["SCHOOL_ADMIN"],
    )
    assert "group" not in claims


async def test_without_a_training_application_the_place_is_said(
    site: Site,
    superuser: asyncpg.Connection,
    springfield: UUID,
    mia: UUID,
    algebra: UUID,
) -> None:
    web = replace(site.web, landing_url=None)
    bare = replace(site, settings=replace(site.settings, web=web))
    async with browser_at(Starlette(routes=sign_in_routes(bare))) as browser:
        await enter(browser, superuser, springfield, user_id=mia)
        page = Outline((await browser.get("/landing")).text)
        assert page.faults() == []
        assert page.texts["p"][0] == "You are in Algebra."
        assert [form["action"] for form in page.all("form")] == ["/sign-out"]


async def test_who_is_in_no_class_is_told_whom_to_ask(
    browser: Browser, superuser: asyncpg.Connection, springfield: UUID, mia: UUID
) -> None:
    await enter(browser, superuser, springfield, user_id=mia)
    page = Outline((await browser.get("/landing")).text)
    assert page.texts["h1"] == ["You are signed in"]
    assert "there is no class for you yet" in page.texts["p"][0]


async def test_an_administrator_without_a_school_is_just_signed_in(
    browser: Browser, superuser: asyncpg.Connection, springfield: UUID
) -> None:
    await enter(browser, superuser, springfield, account_id=await add_ada(superuser, springfield))
    page = Outline((await browser.get("/landing")).text)
    assert page.texts["p"][0] == "Ada Root, you are signed in as an administrator."
    assert page.links() == {"Second factor": "/second-factor"}
    answer = await send(browser, "/landing", {"place": str(springfield)})
    assert answer.status_code == 400

    await superuser.execute("DELETE FROM sessions")
    boss = await add_user(superuser, springfield, roles=["DISTRICT_ADMIN"])
    await enter(browser, superuser, springfield, user_id=boss)
    page = Outline((await browser.get("/landing")).text)
    assert page.texts["p"][0] == "Mia Lee, you are signed in as an administrator."
    assert page.links() == {}


async def test_somebody_signs_out(
    browser: Browser, superuser: asyncpg.Connection, springfield: UUID, mia: UUID
) -> None:
    session_id = await enter(browser, superuser, springfield, user_id=mia)
    other = await superuser.fetchval(
        "INSERT INTO sessions (tenant_id, id, user_id, token_hash, method, last_seen_at,"
        " expires_at) VALUES ($1, uuidv7(), $2, 'other', 'CLEVER', now(),"
        " now() + interval '1 hour') RETURNING id",
        springfield,
        mia,
    )
    token = browser.cookies[SESSION]
    asked = await browser.get("/sign-out")
    assert Outline(asked.text).texts["button"] == ["Sign out"]
    assert not await ended(superuser, session_id)

    answer = await send(browser, "/sign-out", {})

    assert answer.status_code == 200
    assert "You are signed out" in answer.text
    assert answer.headers["clear-site-data"] == '"cache", "storage"'
    for name in (SESSION, LOGIN):
        assert "Max-Age=0" in cookies_set(answer)[name]
    assert SESSION not in browser.cookies
    assert await ended(superuser, session_id)
    assert not await ended(superuser, other)
    acts = await superuser.fetch("SELECT actor, action FROM audit_log")
    assert [tuple(row) for row in acts] == [(f"user {mia}", "signOut")]
    # A cookie that somebody has kept is worth nothing.
    answer = await browser.get("/landing", headers={"Cookie": f"{SESSION}={token}"})
    assert answer.headers["location"] == "/"


async def test_signing_out_twice_harms_nothing(
    browser: Browser, superuser: asyncpg.Connection
) -> None:
    for _ in range(2):
        assert (await send(browser, "/sign-out", {})).status_code == 200
    assert await superuser.fetchval("SELECT count(*) FROM audit_log") == 0


async def test_the_time_a_session_lasts_without_use_is_that_of_the_strictest_role(
    browser: Browser, superuser: asyncpg.Connection, springfield: UUID
) -> None:
    both = await add_user(superuser, springfield, roles=["TEACHER", "SCHOOL_ADMIN"])
    await enter(browser, superuser, springfield, user_id=both)
    for minutes, is_in in ((29, True), (31, False)):
        await superuser.execute(
            "UPDATE sessions SET last_seen_at = $1", utc_now() - timedelta(minutes=minutes)
        )
        answer = await browser.get("/landing")
        assert (answer.headers.get("location") != "/") == is_in
