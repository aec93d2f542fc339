"""The second factor of super admins: setting it up, being asked for it, switching it off."""

from datetime import timedelta
from uuid import UUID

import asyncpg
import pyotp
import pytest
from starlette.applications import Starlette

from domain.clock import utc_now
from domain.signing_in.password_sign_in import TRIES_BY_NAME
from tests.api.graphql.seed import add_tenant
from tests.api.signing_in.reading import Outline
from tests.api.signing_in.visiting import (
    ADDRESS,
    LOGIN,
    PASSWORD,
    SESSION,
    Browser,
    add_ada,
    browser_at,
    cookies_set,
    enter,
    send,
    type_password,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
async def ada(superuser: asyncpg.Connection, springfield: UUID) -> UUID:
    return await add_ada(superuser, springfield)


async def sessions(superuser: asyncpg.Connection) -> list[asyncpg.Record]:
    found: list[asyncpg.Record] = await superuser.fetch(
        "SELECT id, user_id, account_id, ended_at FROM sessions ORDER BY created_at"
    )
    return found


def next_code(totp: pyotp.TOTP) -> str:
    """The one after that with which it was switched on: clocks may be so far apart."""
    return totp.at(utc_now() + timedelta(seconds=30))


async def switch_on(browser: Browser) -> pyotp.TOTP:
    """The second factor of who is signed in."""
    page = Outline((await browser.get("/second-factor")).text)
    totp = pyotp.TOTP(page.texts["code"][0])
    assert page.links()["Open it in an authenticator on this device"] == totp.provisioning_uri(
        name=ADDRESS, issuer_name="Homerow"
    )
    answer = await send(browser, "/second-factor", {"act": "on", "code": totp.at(utc_now())})
    assert "It is on" in answer.text
    return totp


async def test_a_second_factor_is_asked_for_after_the_password(
    browser: Browser, superuser: asyncpg.Connection, ada: UUID
) -> None:
    await type_password(browser)
    totp = await switch_on(browser)
    await send(browser, "/sign-out", {})

    asked = await type_password(browser, return_to="/second-factor")

    assert asked.status_code == 200
    page = Outline(asked.text)
    assert page.faults() == []
    assert page.field("code")["autocomplete"] == "one-time-code"
    assert PASSWORD not in asked.text
    assert ADDRESS not in asked.text
    assert SESSION not in browser.cookies
    assert "Max-Age=600" in cookies_set(asked)[LOGIN]
    assert (await browser.get("/landing")).headers["location"] == "/"

    wrong = await send(browser, "/t/springfield/code", {"code": "000000"})
    assert wrong.status_code == 403
    assert Outline(wrong.text).field("code")["aria-describedby"] == "problem"

    code = next_code(totp)
    answer = await send(browser, "/t/springfield/code", {"code": f"{code[:3]} {code[3:]}"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/second-factor")
    assert LOGIN not in browser.cookies
    [_, session] = await sessions(superuser)
    assert (session["account_id"], session["ended_at"]) == (ada, None)
    acts = await superuser.fetch("SELECT action FROM audit_log ORDER BY id")
    assert [row["action"] for row in acts if row["action"].startswith("second")] == [
        "secondFactorOn"
    ]


async def test_a_code_is_good_for_the_browser_that_typed_the_password_and_once(
    app: Starlette, browser: Browser, superuser: asyncpg.Connection, ada: UUID
) -> None:
    await type_password(browser)
    totp = await switch_on(browser)
    await send(browser, "/sign-out", {})
    await add_tenant(superuser, "shelby")
    fields = {"code": next_code(totp)}
    async with browser_at(app) as other:
        assert (await send(other, "/t/springfield/code", fields)).status_code == 403
        await type_password(other)
        # The password was right here, not there.
        assert (await send(other, "/t/shelby/code", fields)).status_code == 403
        assert (await send(other, "/t/springfield/code", fields)).status_code == 403
    await type_password(browser)
    assert (await send(browser, "/t/springfield/code", fields)).status_code == 303
    again = await send(browser, "/t/springfield/code", fields)
    assert "This took too long" in again.text
    await type_password(browser)
    assert (await send(browser, "/t/springfield/code", fields)).status_code == 403


async def test_codes_cannot_be_guessed_for_long(browser: Browser, ada: UUID) -> None:
    await type_password(browser)
    await switch_on(browser)
    await type_password(browser)
    found = [
        (await send(browser, "/t/springfield/code", {"code": f"{number:06}"})).status_code
        for number in range(TRIES_BY_NAME)
    ]
    assert found == [403] * (TRIES_BY_NAME - 1) + [429]


async def test_a_second_factor_is_switched_off_with_a_code(
    browser: Browser, superuser: asyncpg.Connection, ada: UUID
) -> None:
    await type_password(browser)
    totp = await switch_on(browser)
    page = await browser.get("/second-factor")
    assert "Switch it off" in page.text
    assert Outline(page.text).faults() == []
    for code in ("", "123", "000000"):
        answer = await send(browser, "/second-factor", {"act": "off", "code": code})
        assert answer.status_code == 400
    answer = await send(browser, "/second-factor", {"act": "off", "code": next_code(totp)})
    assert "It is off" in answer.text
    assert await superuser.fetchval("SELECT totp_sealed FROM accounts") is None
    assert (await type_password(browser)).status_code == 303


async def test_only_a_super_admin_has_a_second_factor(
    browser: Browser, superuser: asyncpg.Connection, springfield: UUID, mia: UUID
) -> None:
    for _ in range(2):
        for answer in (
            await browser.get("/second-factor"),
            await send(browser, "/second-factor", {"act": "on", "code": "1"}),
        ):
            assert (answer.status_code, answer.headers["location"]) == (303, "/")
        if SESSION not in browser.cookies:
            await enter(browser, superuser, springfield, user_id=mia)
