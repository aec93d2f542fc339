"""Signing in with a password, from the mail with the link to the landing page."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx2
import pyotp
import pytest

from api.signing_in.site import Site
from domain.clock import utc_now
from domain.people.callers import COMMAND_LINE
from domain.signing_in.accounts import create_super_admin, disable_account, get_super_admin
from domain.signing_in.links import create_invitation, invite_super_admin
from domain.signing_in.second_factor import switch_on
from tests.api.graphql.seed import add_user
from tests.api.signing_in.conftest import ORIGIN

pytestmark = pytest.mark.anyio

PAGE = {"Sec-Fetch-Site": "same-origin"}
PASSWORD = "correct horse battery"  # noqa: S105 - of nobody
TOTP = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
NAME = "ada@example.org"


@pytest.fixture(autouse=True)
async def fixture_fresh_counts(site: Site) -> None:
    """Tests come from one address, and would lock each other out."""
    for key in ("password 127.0.0.1", "reset 127.0.0.1", "search 127.0.0.1"):
        await site.resources.throttle.forget(key)


@pytest.fixture
async def ada(site: Site, springfield: UUID, browser: httpx2.AsyncClient) -> UUID:
    """A super admin who has chosen her password."""
    async with site.resources.database.transaction(springfield) as session:
        account = await create_super_admin(
            session, tenant_id=springfield, name="Ada Root", email=NAME, caller=COMMAND_LINE
        )
        url = await invite_super_admin(session, account, public_url=ORIGIN, now=utc_now())
    answer = await choose(browser, url)
    assert answer.status_code == 200, answer.text
    return account.id


async def choose(
    browser: httpx2.AsyncClient, url: str, password: str = PASSWORD, again: str | None = None
) -> httpx2.Response:
    fields = {"password": password, "again": again if again is not None else password}
    return await browser.post(url, data=fields, headers=PAGE)


async def sign_in(
    browser: httpx2.AsyncClient, password: str = PASSWORD, name: str = NAME, **fields: str
) -> httpx2.Response:
    return await browser.post(
        "/t/springfield/password",
        data={"name": name, "password": password, **fields},
        headers=PAGE,
    )


async def attempts(superuser: asyncpg.Connection) -> list[tuple[Any, ...]]:
    rows = await superuser.fetch(
        "SELECT method, outcome, reason, account_id IS NOT NULL FROM sign_in_attempts ORDER BY id"
    )
    return [tuple(row) for row in rows]


@pytest.mark.usefixtures("ada")
async def test_a_super_admin_signs_in_and_lands(
    browser: httpx2.AsyncClient, superuser: asyncpg.Connection
) -> None:
    answer = await sign_in(browser, name=" ADA@example.org ")
    assert (answer.status_code, answer.headers["location"]) == (303, "/landing")
    cookie = answer.headers["set-cookie"]
    assert re.match(r"__Host-homerow=hrs_[\w-]{43}; HttpOnly; Path=/; SameSite=lax; Secure", cookie)
    landing = await browser.get("/landing")
    assert "You are signed in" in landing.text
    assert await attempts(superuser) == [("PASSWORD", "SIGNED_IN", None, True)]
    row = await superuser.fetchrow("SELECT expires_at - created_at AS life FROM sessions")
    assert row["life"] <= timedelta(hours=8)


@pytest.mark.usefixtures("ada")
async def test_a_wrong_password_and_an_unknown_name_get_the_same_answer(
    browser: httpx2.AsyncClient, superuser: asyncpg.Connection
) -> None:
    wrong = await sign_in(browser, "wrong horse battery")
    unknown = await sign_in(browser, name="eve@example.org")
    assert (wrong.status_code, unknown.status_code) == (403, 403)
    assert wrong.text.replace(NAME, "X") == unknown.text.replace("eve@example.org", "X")
    assert "The name or the password is wrong." in wrong.text
    assert f'value="{NAME}"' in wrong.text
    assert "wrong horse" not in wrong.text
    assert await attempts(superuser) == [
        ("PASSWORD", "REFUSED", "WRONG_PASSWORD", True),
        ("PASSWORD", "REFUSED", "WRONG_PASSWORD", False),
    ]


@pytest.mark.usefixtures("ada")
async def test_too_many_tries_lock_the_name_out_and_a_success_counts_anew(
    browser: httpx2.AsyncClient,
) -> None:
    for _ in range(9):
        assert (await sign_in(browser, "wrong horse battery")).status_code == 403
    assert (await sign_in(browser)).status_code == 303
    for _ in range(10):
        assert (await sign_in(browser, "wrong horse battery")).status_code == 403
    locked = await sign_in(browser)
    assert locked.status_code == 429
    assert "There were too many tries." in locked.text
    assert (await sign_in(browser, name="eve@example.org")).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
@pytest.mark.usefixtures("ada")
async def test_a_form_of_another_site_signs_nobody_in(
    browser: httpx2.AsyncClient, headers: dict[str, str]
) -> None:
    fields = {"name": NAME, "password": PASSWORD}
    answer = await browser.post("/t/springfield/password", data=fields, headers=headers)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


@pytest.mark.usefixtures("ada")
async def test_an_older_browser_says_its_origin(browser: httpx2.AsyncClient) -> None:
    fields = {"name": NAME, "password": PASSWORD}
    answer = await browser.post("/t/springfield/password", data=fields, headers={"Origin": ORIGIN})
    assert answer.status_code == 303


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"name=a&name=b&password=c", "application/x-www-form-urlencoded"),
        (b"name=%00&password=c", "application/x-www-form-urlencoded"),
        (b"name=%ff&password=c", "application/x-www-form-urlencoded"),
        (b"\xff", "application/x-www-form-urlencoded"),
        (b"x" * 20_000, "application/x-www-form-urlencoded"),
        (b"&".join(b"f%d=1" % number for number in range(30)), "application/x-www-form-urlencoded"),
        (b"{}", "application/json"),
        (b"", "multipart/form-data; boundary=x"),
    ],
)
async def test_what_is_no_form_of_ours_is_refused(
    browser: httpx2.AsyncClient, springfield: UUID, content: bytes, kind: str
) -> None:
    answer = await browser.post(
        "/t/springfield/password", content=content, headers=PAGE | {"Content-Type": kind}
    )
    assert answer.status_code == 400
    assert "This form cannot be read" in answer.text


async def test_the_second_factor_is_asked_for_and_each_code_is_good_once(
    site: Site, browser: httpx2.AsyncClient, ada: UUID, springfield: UUID
) -> None:
    early = utc_now() - timedelta(minutes=5)
    async with site.resources.database.transaction(springfield) as session:
        await switch_on(
            session,
            tenant_id=springfield,
            account_id=ada,
            secret=TOTP,
            code=pyotp.TOTP(TOTP).at(early),
            keys=site.resources.keys,
            caller=COMMAND_LINE,
            now=early,
        )
    asked = await sign_in(browser)
    assert asked.status_code == 200
    assert "Type the code of your authenticator" in asked.text
    assert PASSWORD not in asked.text
    assert (await browser.get("/landing")).status_code == 303
    wrong = await type_code(browser, "000000")
    assert wrong.status_code == 403
    assert "The code is wrong" in wrong.text
    code = pyotp.TOTP(TOTP).at(utc_now())
    assert (await type_code(browser, code)).status_code == 303
    await sign_in(browser)
    again = await type_code(browser, code)
    assert again.status_code == 403


async def type_code(browser: httpx2.AsyncClient, code: str) -> httpx2.Response:
    return await browser.post("/t/springfield/code", data={"code": code}, headers=PAGE)


async def test_a_code_without_a_password_before_it_is_nothing(
    browser: httpx2.AsyncClient, springfield: UUID
) -> None:
    answer = await type_code(browser, "123456")
    assert answer.status_code == 403
    assert "This took too long" in answer.text


@pytest.mark.usefixtures("ada")
async def test_a_link_is_good_once_and_looking_at_it_uses_nothing_up(
    site: Site, browser: httpx2.AsyncClient, springfield: UUID
) -> None:
    url = await reset_link(site, springfield)
    for _ in range(2):
        assert (await browser.get(url)).status_code == 200
    weak = await choose(browser, url, "short")
    assert weak.status_code == 400
    assert "A password has 12 to 128 characters." in weak.text
    unlike = await choose(browser, url, again="something else")
    assert "The two passwords are not the same." in unlike.text
    named = await choose(browser, url, "i am ada@example.org")
    assert "A password has no name and no address of yours in it." in named.text
    assert (await choose(browser, url, "another horse battery")).status_code == 200
    assert (await choose(browser, url, "a third horse battery")).status_code == 410
    assert (await browser.get(url)).status_code == 410
    assert (await sign_in(browser)).status_code == 403
    assert (await sign_in(browser, "another horse battery")).status_code == 303


async def reset_link(site: Site, tenant_id: UUID) -> str:
    async with site.resources.database.transaction(tenant_id) as session:
        account = await get_super_admin(session, tenant_id=tenant_id, email=NAME)
        return await invite_super_admin(session, account, public_url=ORIGIN, now=utc_now())


@pytest.mark.usefixtures("ada")
async def test_a_new_link_voids_the_former_one_and_time_does_too(
    site: Site, browser: httpx2.AsyncClient, springfield: UUID, superuser: asyncpg.Connection
) -> None:
    former = await reset_link(site, springfield)
    newer = await reset_link(site, springfield)
    assert (await choose(browser, former)).status_code == 410
    await superuser.execute("UPDATE account_links SET expires_at = now()")
    assert (await choose(browser, newer)).status_code == 410


@pytest.mark.usefixtures("ada")
async def test_a_new_password_ends_all_sessions_and_is_told_by_mail(
    site: Site, browser: httpx2.AsyncClient, springfield: UUID, superuser: asyncpg.Connection
) -> None:
    await sign_in(browser)
    assert (await browser.get("/landing")).status_code == 200
    await choose(browser, await reset_link(site, springfield), "another horse battery")
    assert (await browser.get("/landing")).status_code == 303
    assert await superuser.fetchval("SELECT max(kind) FROM mail_outbox") == "PASSWORD_CHANGED"


@pytest.mark.usefixtures("ada")
async def test_a_forgotten_password_is_answered_alike_for_everybody(
    browser: httpx2.AsyncClient, superuser: asyncpg.Connection, site: Site, springfield: UUID
) -> None:
    for name in (NAME, "eve@example.org"):
        await site.resources.throttle.forget(f"reset {springfield} {name}")
    await superuser.execute("DELETE FROM mail_outbox")
    pages = [
        await browser.post("/t/springfield/forgotten", data={"name": name}, headers=PAGE)
        for name in (NAME, "eve@example.org", "", NAME, NAME, NAME)
    ]
    assert {page.status_code for page in pages} == {200}
    assert len({page.text for page in pages}) == 1
    rows = await superuser.fetch("SELECT recipient, kind, body_text FROM mail_outbox")
    assert [(row["recipient"], row["kind"]) for row in rows] == [(NAME, "RESET")] * 3
    links = [re.search(r"https://\S+", row["body_text"]) for row in rows]
    answers = [await choose(browser, link[0], "another horse battery") for link in links if link]
    assert sorted(answer.status_code for answer in answers) == [200, 410, 410]


async def test_a_disabled_account_is_nobodys(
    site: Site, browser: httpx2.AsyncClient, ada: UUID, springfield: UUID
) -> None:
    await sign_in(browser)
    async with site.resources.database.transaction(springfield) as session:
        account = await get_super_admin(session, tenant_id=springfield, email=NAME)
        await disable_account(session, account, caller=COMMAND_LINE, now=utc_now())
    assert (await browser.get("/landing")).status_code == 303
    assert (await sign_in(browser)).status_code == 403


async def test_somebody_who_was_imported_signs_in_by_username(
    site: Site, browser: httpx2.AsyncClient, springfield: UUID, superuser: asyncpg.Connection
) -> None:
    user_id = await add_user(
        superuser,
        springfield,
        username="Bo.Diaz",
        given_name="Bo",
        family_name="Diaz",
        roles=["SCHOOL_ADMIN"],
        origin="IMPORT",
        email="bo@example.org",
    )
    async with site.resources.database.transaction(springfield) as session:
        await create_invitation(
            session,
            tenant_id=springfield,
            user_id=user_id,
            caller=COMMAND_LINE,
            public_url=ORIGIN,
            now=utc_now(),
        )
    body = await superuser.fetchval("SELECT body_text FROM mail_outbox")
    found = re.search(r"https://\S+", body)
    assert found is not None
    assert (await choose(browser, found[0])).status_code == 200
    assert (await sign_in(browser, name="bo.diaz")).status_code == 303
    row = await superuser.fetchrow("SELECT user_id, account_id, method FROM sessions")
    assert tuple(row) == (user_id, None, "PASSWORD")
    await superuser.execute("UPDATE users SET is_enabled = false WHERE id = $1", user_id)
    refused = await sign_in(browser, name="bo.diaz")
    assert refused.status_code == 403
    assert "Your account has been switched off by your school." in refused.text


@pytest.mark.usefixtures("ada")
async def test_without_valkey_nobody_gets_in_by_password(
    browser: httpx2.AsyncClient, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    from domain.throttle import Throttle, ThrottleUnavailable  # noqa: PLC0415 - only here

    async def away(*_: object, **__: object) -> bool:
        raise ThrottleUnavailable

    monkeypatch.setattr(Throttle, "count", away)
    answer = await sign_in(browser)
    assert answer.status_code == 503
    assert "Signing in with a password is not possible for the moment." in answer.text


def fields_of(text: str) -> Mapping[str, str]:
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', text))


@pytest.mark.usefixtures("ada")
async def test_where_somebody_wanted_to_go_is_carried_along(browser: httpx2.AsyncClient) -> None:
    page = await browser.get("/t/springfield?return_to=/second-factor")
    answer = await sign_in(browser, **fields_of(page.text))
    assert answer.headers["location"] == "/second-factor"
    shown = await browser.get("/second-factor")
    secret = re.search(r"<code>(\w+)</code>", shown.text)
    assert secret is not None
    code = pyotp.TOTP(secret[1]).now()
    form = {"act": "on", "code": code}
    switched = await browser.post("/second-factor", data=form, headers=PAGE)
    assert "It is on" in switched.text
    assert "switch it off" in (await browser.get("/second-factor")).text
