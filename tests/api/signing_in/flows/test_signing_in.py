"""From a tenant's page, or a portal, to a session: through the whole application and the fakes."""

from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest
from starlette.applications import Starlette

from domain.clock import utc_now
from tests.api.graphql.seed import add_integration, add_tenant, add_user
from tests.api.signing_in.conftest import ORIGIN
from tests.api.signing_in.flows.people import (
    SESSION,
    SHELBY,
    Provider,
    browser_of,
    query_of,
    session_of,
    sessions,
)
from tests.api.signing_in.provider import CLEVER_ID
from tests.browser import Browser

pytestmark = pytest.mark.anyio


async def test_somebody_signs_in_from_the_tenants_page(
    browser: Browser, each: Provider, superuser: asyncpg.Connection, mia_at: dict[str, UUID]
) -> None:
    each.knows(None)
    asked = await each.sign_in(browser)
    assert asked.title == f"Sign in to {each.method}"

    page = await browser.click("Sign in as Mia Lee")

    assert (page.url, page.status) == (f"{ORIGIN}/landing", 200)
    assert "Mia Lee, there is no class for you yet" in page.words
    assert await sessions(superuser) == [(mia_at[each.method], each.method.upper(), True)]
    assert each.fake.exchanged() == each.fake.codes
    [cookie] = [one for one in browser.jar.all() if one.name == SESSION]
    assert (cookie.is_secure, cookie.is_http_only, cookie.is_host_only) == (True, True, True)
    assert (cookie.same_site, cookie.path, cookie.expires_at) == ("lax", "/", None)
    assert "__Host-homerow-login" not in {one.name for one in browser.jar.all()}


async def test_clever_may_send_an_id_token(
    browser: Browser, clever: Provider, superuser: asyncpg.Connection, mia: UUID
) -> None:
    clever.enable_oidc()
    assert (await clever.sign_in(browser)).url == f"{ORIGIN}/landing"
    assert await sessions(superuser) == [(mia, "CLEVER", True)]
    assert len(clever.fake.asked("/oauth/certs")) == 1


async def test_somebody_signs_in_from_the_portal(
    browser: Browser, portal: Provider, superuser: asyncpg.Connection, mia_at: dict[str, UUID]
) -> None:
    page = await portal.open_portal(browser)

    assert (page.url, page.status) == (f"{ORIGIN}/landing", 200)
    assert await sessions(superuser) == [(mia_at[portal.method], portal.method.upper(), True)]
    # Anybody could have sent the portal's own code: only ours was exchanged.
    [from_portal, own] = portal.fake.codes
    assert portal.fake.exchanged() == [own] != [from_portal]


async def test_a_portal_may_open_the_sign_in_page(
    browser: Browser,
    classlink: Provider,
    superuser: asyncpg.Connection,
    mia_at: dict[str, UUID],
) -> None:
    classlink.open_by(f"{ORIGIN}/sign-in/classlink")
    assert (await classlink.open_portal(browser)).url == f"{ORIGIN}/landing"
    assert await sessions(superuser) == [(mia_at["classlink"], "CLASSLINK", True)]
    assert classlink.fake.exchanged() == classlink.fake.codes[1:]


async def test_somebody_signs_in_by_clevers_link(
    browser: Browser, clever: Provider, superuser: asyncpg.Connection, mia: UUID
) -> None:
    client_id = clever.fake.application.client_id
    url = f"{clever.served.url}/oauth/instant-login?client_id={client_id}&district_id=5"
    assert (await browser.get(url)).url == f"{ORIGIN}/landing"
    assert await sessions(superuser) == [(mia, "CLEVER", True)]
    assert clever.fake.exchanged() == clever.fake.codes[1:]


@pytest.mark.usefixtures("bob")
async def test_a_new_sign_in_replaces_the_former_session(
    browser: Browser,
    app: Starlette,
    each: Provider,
    superuser: asyncpg.Connection,
    mia_at: dict[str, UUID],
    bob: UUID,
) -> None:
    await each.sign_in(browser)
    [kept] = [one for one in browser.jar.all() if one.name == SESSION]
    each.knows(1)

    assert (await each.sign_in(browser)).url == f"{ORIGIN}/landing"

    assert session_of(browser) not in {kept.value, None}
    assert await sessions(superuser) == [
        (mia_at[each.method], each.method.upper(), False),
        (bob, each.method.upper(), True),
    ]
    # Whoever has kept the former cookie is nobody.
    async with browser_of(app) as keeper:
        keeper.jar.put(kept)
        assert (await keeper.get(f"{ORIGIN}/landing")).url == f"{ORIGIN}/"


@pytest.mark.usefixtures("mia", "bob")
async def test_the_portal_replaces_a_session_too(
    browser: Browser, clever: Provider, superuser: asyncpg.Connection
) -> None:
    await clever.sign_in(browser)
    clever.knows(1)
    page = await clever.open_portal(browser)
    assert "Bob Lee" in page.words
    assert [is_open for _, _, is_open in await sessions(superuser)] == [False, True]


@pytest.fixture
async def sue(superuser: asyncpg.Connection) -> UUID:
    """Of Shelby, another tenant."""
    shelby = await add_tenant(superuser, "shelby", display_name="Shelby")
    await add_integration(superuser, shelby, provider="CLEVER", settings={"district_id": SHELBY})
    return await add_user(superuser, shelby, given_name="Sue", source_id="9" * 24)


@pytest.mark.usefixtures("mia")
async def test_whose_tenant_it_is_says_the_provider(
    browser: Browser,
    other_browser: Browser,
    clever: Provider,
    superuser: asyncpg.Connection,
    sue: UUID,
) -> None:
    await clever.open_portal(browser)
    clever.knows(2)
    page = await clever.open_portal(other_browser)
    assert "Sue Lee" in page.words
    rows = await superuser.fetch(
        "SELECT t.slug, s.user_id FROM sessions s JOIN tenants t ON t.id = s.tenant_id"
        " ORDER BY t.slug"
    )
    assert [row["slug"] for row in rows] == ["shelby", "springfield"]
    assert rows[0]["user_id"] == sue


@pytest.mark.usefixtures("mia", "sue")
async def test_somebody_of_one_tenant_is_nobody_in_another(
    browser: Browser, clever: Provider, superuser: asyncpg.Connection
) -> None:
    clever.knows(2)
    page = await clever.sign_in(browser, slug="springfield")
    assert (page.status, page.title) == (403, "You are not signed in")
    assert "an account that is not of this district or school" in page.words
    # Where Sue belongs is not told, and neither is that she is known somewhere.
    assert "helby" not in page.text
    assert await sessions(superuser) == []
    assert session_of(browser) is None


@pytest.mark.usefixtures("springfield")
async def test_who_is_not_in_the_roster_does_not_get_in(
    browser: Browser, each: Provider, superuser: asyncpg.Connection
) -> None:
    page = await each.sign_in(browser)
    assert (page.status, page.title) == (403, "You are not signed in")
    assert "You are not on your school's list for this product yet." in page.words
    assert page.link("Sign in to Springfield USD") is not None
    assert await sessions(superuser) == []


async def switch_off(superuser: asyncpg.Connection, tenant_id: UUID, method: str) -> None:
    await superuser.execute(
        "INSERT INTO sign_in_methods (id, tenant_id, method, is_enabled, keys)"
        " VALUES (uuidv7(), $1, $2, false, '{}')"
        " ON CONFLICT (tenant_id, method) DO UPDATE SET is_enabled = false",
        tenant_id,
        method.upper(),
    )


@pytest.mark.usefixtures("mia", "mia_at_classlink")
async def test_a_method_that_is_off_lets_nobody_in(
    browser: Browser, each: Provider, superuser: asyncpg.Connection, springfield: UUID
) -> None:
    # Somebody has begun before it was switched off.
    url = await each.answer(browser)
    await switch_off(superuser, springfield, each.method)

    for page in (
        await browser.follow(url),
        await browser.get(f"{ORIGIN}/sign-in/{each.method}?tenant=springfield"),
    ):
        assert page.status == 403
        assert "does not use this way of signing in" in page.words
    page = await browser.get(f"{ORIGIN}/t/springfield")
    assert page.link(f"Sign in with {each.title}") is None
    assert await sessions(superuser) == []


@pytest.mark.usefixtures("mia", "mia_at_classlink")
async def test_before_the_day_of_going_live_pupils_wait(
    browser: Browser, each: Provider, superuser: asyncpg.Connection
) -> None:
    day = utc_now().date() + timedelta(days=40)
    await superuser.execute("UPDATE subscriptions SET go_live_on = $1", day)
    page = await each.sign_in(browser)
    assert page.status == 403
    assert f"opens this product on {day:%B} {day.day}, {day.year}." in page.words
    assert await sessions(superuser) == []


@pytest.mark.usefixtures("mia")
async def test_before_the_day_of_going_live_administrators_get_in(
    browser: Browser, clever: Provider, superuser: asyncpg.Connection
) -> None:
    await superuser.execute("UPDATE subscriptions SET go_live_on = current_date + 40")
    await superuser.execute(
        "UPDATE users SET roles = '{DISTRICT_ADMIN}' WHERE source_id = $1", CLEVER_ID
    )
    assert (await clever.sign_in(browser)).url == f"{ORIGIN}/landing"


@pytest.mark.usefixtures("mia")
async def test_administrators_of_clevers_districts_use_clever(
    browser: Browser, providers: dict[str, Provider], superuser: asyncpg.Connection
) -> None:
    await superuser.execute("UPDATE users SET roles = '{DISTRICT_ADMIN}'")
    for method in ("google", "microsoft"):
        page = await providers[method].sign_in(browser)
        assert (page.status, page.title) == (403, "You are not signed in")
        assert "sign in with Clever" in page.words
    assert await sessions(superuser) == []
    assert (await providers["clever"].sign_in(browser)).url == f"{ORIGIN}/landing"


@pytest.mark.usefixtures("mia", "mia_at_classlink")
async def test_what_the_provider_is_told_leads_nobody_in_elsewhere(
    browser: Browser, each: Provider
) -> None:
    """Neither the code nor the state is in anything that another site gets to see."""
    answer = query_of(await each.answer(browser))
    await browser.follow(f"{each.callback}?code={answer['code']}&state={answer['state']}")
    onward = [visit for visit in browser.visits if visit.url.startswith(ORIGIN)]
    told = [visit.headers.get("referer", "") for visit in browser.visits if visit not in onward]
    assert not any(answer["code"] in one or answer["state"] in one for one in told)
