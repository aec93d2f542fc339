"""Signing in with a password: the form, forgotten passwords, invitations."""

import re
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg
import pytest
from starlette.applications import Starlette

from domain.clock import utc_now
from domain.people.tokens import hash_token
from domain.signing_in.password_sign_in import TRIES_BY_NAME
from tests.api.graphql.seed import add_tenant, add_user, insert
from tests.api.signing_in.conftest import ORIGIN
from tests.api.signing_in.reading import Outline
from tests.api.signing_in.visiting import (
    ADDRESS,
    LOGIN,
    OWN,
    PASSWORD,
    SESSION,
    Browser,
    add_account,
    add_ada,
    browser_at,
    cookies_set,
    ended,
    enter,
    links_mailed,
    send,
    type_password,
)

pytestmark = pytest.mark.anyio

ANOTHER: Final = "quite other words there"


@pytest.fixture
async def ada(superuser: asyncpg.Connection, springfield: UUID) -> UUID:
    return await add_ada(superuser, springfield)


async def sessions(superuser: asyncpg.Connection) -> list[asyncpg.Record]:
    found: list[asyncpg.Record] = await superuser.fetch(
        "SELECT id, user_id, account_id, ended_at FROM sessions ORDER BY created_at"
    )
    return found


async def attempts(superuser: asyncpg.Connection) -> list[tuple[str, str | None]]:
    rows = await superuser.fetch("SELECT outcome, reason FROM sign_in_attempts ORDER BY id")
    return [(row["outcome"], row["reason"]) for row in rows]


async def make_link(
    superuser: asyncpg.Connection, tenant_id: UUID, account_id: UUID, **values: Any
) -> str:
    row = {"kind": "INVITATION", "expires_at": utc_now() + timedelta(days=7)}
    await insert(
        superuser,
        "account_links",
        tenant_id=tenant_id,
        account_id=account_id,
        token_hash=hash_token("the-link"),
        **row | values,
    )
    return "/account-links/the-link"


async def test_a_super_admin_signs_in(
    browser: Browser, superuser: asyncpg.Connection, ada: UUID
) -> None:
    answer = await type_password(browser, " ADA@example.org")

    assert (answer.status_code, answer.headers["location"]) == (303, "/landing")
    assert answer.headers["cache-control"] == "no-store"
    set_here = cookies_set(answer)
    assert set_here[SESSION] == "HttpOnly; Path=/; SameSite=lax; Secure"
    assert "Max-Age=0" in set_here[LOGIN]
    [session] = await sessions(superuser)
    assert (session["account_id"], session["user_id"]) == (ada, None)
    assert await attempts(superuser) == [("SIGNED_IN", None)]
    assert (await browser.get("/landing")).status_code == 200


async def test_a_sign_in_goes_where_it_was_wanted(browser: Browser, ada: UUID) -> None:
    answer = await type_password(browser, return_to="/second-factor")
    assert answer.headers["location"] == "/second-factor"


async def test_a_sign_in_is_a_new_session_and_the_former_one_is_over(
    browser: Browser, superuser: asyncpg.Connection, springfield: UUID, mia: UUID, ada: UUID
) -> None:
    former = await enter(browser, superuser, springfield, user_id=mia)
    token = browser.cookies[SESSION]

    await type_password(browser)

    assert browser.cookies[SESSION] != token
    assert await ended(superuser, former)
    first = (await sessions(superuser))[-1]["id"]
    await type_password(browser)
    assert await ended(superuser, first)
    assert [one["ended_at"] is None for one in await sessions(superuser)] == [False, False, True]


async def test_a_planted_cookie_never_becomes_a_session(browser: Browser, ada: UUID) -> None:
    browser.cookies.set(SESSION, "hrs_planted", domain="homerow.example")
    await type_password(browser)
    assert browser.cookies[SESSION].startswith("hrs_")
    assert browser.cookies[SESSION] != "hrs_planted"


async def test_a_wrong_password_and_an_unknown_name_get_the_same_page(
    browser: Browser, superuser: asyncpg.Connection, ada: UUID
) -> None:
    pages = []
    for name in (ADDRESS, "bob@example.org", "x' OR 1=1 --", "ada@example.org\u200b", " "):
        answer = await type_password(browser, name, "canary <wrong> words")
        assert answer.status_code == 403
        page = Outline(answer.text)
        assert page.field("name")["value"] == name
        assert "value" not in page.field("password")
        assert "canary" not in answer.text
        assert SESSION not in browser.cookies
        pages.append(re.sub(r'value="[^"]*" autocomplete', "", answer.text))
    assert len(set(pages)) == 1
    assert await attempts(superuser) == [("REFUSED", "WRONG_PASSWORD")] * 5
    assert await sessions(superuser) == []


async def test_what_was_typed_stays_with_where_to_go(browser: Browser, ada: UUID) -> None:
    answer = await type_password(browser, '"><script>', "x", return_to="/second-factor")
    page = Outline(answer.text)
    assert page.field("name")["value"] == '"><script>'
    assert page.field("return_to")["value"] == "/second-factor"
    assert page.faults() == []


async def test_after_too_many_tries_a_right_password_waits_too(
    app: Starlette, superuser: asyncpg.Connection, ada: UUID
) -> None:
    async with browser_at(app, "192.0.2.10") as guesser:
        for _ in range(TRIES_BY_NAME):
            assert (await type_password(guesser, password="no")).status_code == 403  # noqa: S106 - a wrong one
    async with browser_at(app, "192.0.2.11") as browser:
        answer = await type_password(browser)
        assert answer.status_code == 429
        assert "too many tries" in Outline(answer.text).texts["p"][1]
        # Others are not locked out.
        assert (await type_password(browser, "bob@example.org")).status_code == 403
    assert await sessions(superuser) == []


async def test_a_password_is_good_at_its_own_tenant_alone(
    browser: Browser, superuser: asyncpg.Connection, ada: UUID
) -> None:
    await add_tenant(superuser, "shelby")
    answer = await send(browser, "/t/shelby/password", {"name": ADDRESS, "password": PASSWORD})
    assert answer.status_code == 403


async def test_who_may_not_come_in_is_told_why(
    browser: Browser, superuser: asyncpg.Connection, springfield: UUID, ada: UUID
) -> None:
    bob = await add_user(superuser, springfield, username="bob", roles=["TEACHER"], origin="IMPORT")
    account = await add_account(superuser, springfield, user_id=bob)
    await superuser.execute(
        "UPDATE accounts SET password_hash = (SELECT password_hash FROM accounts WHERE id = $1)"
        " WHERE id = $2",
        ada,
        account,
    )
    day = utc_now().date() + timedelta(days=30)
    await superuser.execute("UPDATE subscriptions SET go_live_on = $1", day)

    answer = await type_password(browser, "BOB")

    assert answer.status_code == 403
    assert f"opens this product on {day:%B} {day.day}, {day.year}" in answer.text
    assert Outline(answer.text).links()["Sign in to Springfield USD"] == "/t/springfield"
    assert SESSION not in browser.cookies
    assert (await type_password(browser)).status_code == 303


async def test_a_page_that_only_a_form_opens_leads_back(browser: Browser, ada: UUID) -> None:
    for path in ("/t/springfield/password", "/t/springfield/code"):
        answer = await browser.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/t/springfield")


async def test_nobody_learns_who_has_an_account(
    browser: Browser, superuser: asyncpg.Connection, springfield: UUID, mia: UUID, ada: UUID
) -> None:
    answers = [
        await send(browser, "/t/springfield/forgotten", {"name": name})
        for name in (ADDRESS, "bob@example.org", "mia@springfield.example", "", "x" * 900)
    ]
    assert {(answer.status_code, answer.text) for answer in answers} == {(200, answers[0].text)}
    [row] = await superuser.fetch("SELECT recipient FROM mail_outbox")
    assert row["recipient"] == ADDRESS


async def test_a_forgotten_password_is_set_anew_by_the_mailed_link(
    app: Starlette, browser: Browser, superuser: asyncpg.Connection, ada: UUID
) -> None:
    await type_password(browser)
    [former] = await sessions(superuser)
    await send(browser, "/t/springfield/forgotten", {"name": ADDRESS})
    [link] = await links_mailed(superuser)

    async with browser_at(app) as other:
        for _ in range(2):  # a mail scanner looks at it before she does
            page = Outline((await other.get(link)).text)
            assert page.field("password")["autocomplete"] == "new-password"
        for password, again, words in (
            (ANOTHER, "not the same at all", "not the same"),
            ("short", "short", "12 to 128"),
            ("x" * 129, "x" * 129, "12 to 128"),
            ("password1234", "password1234", "tried first"),
            ("i am ada@example.org", "i am ada@example.org", "no name"),
        ):
            answer = await send(other, link, {"password": password, "again": again})
            assert answer.status_code == 400
            assert words in Outline(answer.text).texts["p"][1]
            assert password not in answer.text
        answer = await send(other, link, {"password": ANOTHER, "again": ANOTHER})
        assert answer.status_code == 200
        assert Outline(answer.text).links() == {"Sign in to Springfield USD": "/t/springfield"}
        # It signs nobody in by itself, and ends what was there.
        assert SESSION not in other.cookies
        assert await ended(superuser, former["id"])
        for again_ in (
            await other.get(link),
            await send(other, link, {"password": PASSWORD, "again": PASSWORD}),
        ):
            assert again_.status_code == 410
        assert (await type_password(other)).status_code == 403
        assert (await type_password(other, password=ANOTHER)).status_code == 303
    assert (await browser.get("/landing")).headers["location"] == "/"


async def test_the_last_link_is_the_one_that_counts(
    browser: Browser, superuser: asyncpg.Connection, ada: UUID
) -> None:
    for _ in range(5):
        await send(browser, "/t/springfield/forgotten", {"name": ADDRESS})
    links = await links_mailed(superuser)
    assert len(links) == 3  # more are not sent in an hour
    assert [(await browser.get(link)).status_code for link in links] == [410, 410, 200]


async def test_who_was_imported_sets_a_password_and_signs_in_by_username(
    browser: Browser, superuser: asyncpg.Connection, springfield: UUID
) -> None:
    bob = await add_user(
        superuser, springfield, username="Bob.Ross", roles=["TEACHER"], origin="IMPORT"
    )
    link = await make_link(
        superuser, springfield, await add_account(superuser, springfield, user_id=bob)
    )
    assert (await type_password(browser, "bob.ross", ANOTHER)).status_code == 403
    await send(browser, link, {"password": ANOTHER, "again": ANOTHER})
    assert (await type_password(browser, "bob.ross", ANOTHER)).status_code == 303
    [session] = await sessions(superuser)
    assert (session["user_id"], session["account_id"]) == (bob, None)


@pytest.mark.parametrize(
    "values",
    [
        {"expires_at": utc_now() - timedelta(seconds=1)},
        {"used_at": utc_now() - timedelta(seconds=1)},
    ],
)
async def test_a_link_that_is_over_says_how_to_get_another(
    browser: Browser,
    superuser: asyncpg.Connection,
    springfield: UUID,
    ada: UUID,
    values: dict[str, Any],
) -> None:
    link = await make_link(superuser, springfield, ada, **values)
    for answer in (
        await browser.get(link),
        await send(browser, link, {"password": ANOTHER, "again": ANOTHER}),
    ):
        assert answer.status_code == 410
        assert "Ask for a new one on the sign-in page" in answer.text
    assert (await type_password(browser)).status_code == 303


@pytest.mark.parametrize("token", ["x", "%00", "%ff", "%ED%A0%80", "x" * 3000])
async def test_a_link_that_never_was_is_as_one_that_is_over(
    browser: Browser, springfield: UUID, token: str
) -> None:
    assert (await browser.get(f"/account-links/{token}")).status_code == 410


async def test_a_disabled_account_is_out_at_once(
    browser: Browser, superuser: asyncpg.Connection, springfield: UUID, ada: UUID
) -> None:
    link = await make_link(superuser, springfield, ada)
    await type_password(browser)
    await superuser.execute("UPDATE accounts SET disabled_at = now()")
    assert (await browser.get("/landing")).headers["location"] == "/"
    assert (await browser.get(link)).status_code == 410
    assert (await type_password(browser)).status_code == 403
    await send(browser, "/t/springfield/forgotten", {"name": ADDRESS})
    assert await links_mailed(superuser) == []


async def test_links_lead_to_our_public_address_whatever_the_host_is(
    browser: Browser, superuser: asyncpg.Connection, ada: UUID
) -> None:
    await browser.post(
        "/t/springfield/forgotten", data={"name": ADDRESS}, headers=OWN | {"Host": "evil.example"}
    )
    body = await superuser.fetchval("SELECT body_text FROM mail_outbox")
    assert ORIGIN in body
    assert "evil" not in body
