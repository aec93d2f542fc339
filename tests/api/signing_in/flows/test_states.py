"""The state: whoever comes back has to be the browser that went, from where it went, once."""

import time
from itertools import permutations
from urllib.parse import urlencode
from uuid import UUID

import asyncpg
import pytest
from typing_extensions import override

from tests.api.signing_in.conftest import ORIGIN
from tests.api.signing_in.flows.people import Provider, query_of, session_of, sessions
from tests.api.signing_in.provider import METHODS
from tests.browser import Browser
from tests.browser_cookies import Context, Jar

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("mia", "mia_at_classlink", "bob")]


class Forgetful(Jar):
    @override
    def take(self, text: str, url: str, context: Context) -> bool:
        return False


@pytest.mark.parametrize("is_signed_in", [False, True])
async def test_a_code_that_somebody_else_has_got_signs_nobody_in_as_them(
    browser: Browser,
    other_browser: Browser,
    each: Provider,
    superuser: asyncpg.Connection,
    mia_at: dict[str, UUID],
    is_signed_in: bool,
) -> None:
    """Login CSRF: Bob would like Mia to do her work under his name."""
    each.knows(1)
    trap = await each.answer(other_browser)
    each.knows(0)
    if is_signed_in:
        await each.sign_in(browser)
    browser.show("https://bob.example/", f'<a href="{trap.replace("&", "&amp;")}">Look</a>')

    page = await browser.click("Look")

    assert page.url == f"{ORIGIN}/landing"
    assert query_of(trap)["code"] not in each.fake.exchanged()
    assert {row[0] for row in await sessions(superuser)} == {mia_at[each.method]}


async def test_a_code_and_a_state_that_were_seen_by_somebody_are_worth_nothing(
    browser: Browser, other_browser: Browser, each: Provider, superuser: asyncpg.Connection
) -> None:
    seen = await each.answer(browser)
    each.knows(None)
    page = await other_browser.get(seen)
    assert page.title == f"Sign in to {each.method}"
    assert session_of(other_browser) is None
    assert each.fake.exchanged() == []
    assert await sessions(superuser) == []


@pytest.mark.parametrize("state", [None, "", "x", "A" * 43, "\x00", "a b"])
async def test_without_a_state_of_ours_it_begins_anew(
    browser: Browser, each: Provider, superuser: asyncpg.Connection, state: str | None
) -> None:
    answer = query_of(await each.answer(browser))
    query = {"code": answer["code"], **({} if state is None else {"state": state})}
    page = await browser.get(f"{each.callback}?{urlencode(query)}")
    assert page.url == f"{ORIGIN}/landing"
    assert each.fake.exchanged() == each.fake.codes[1:] != []
    assert len(await sessions(superuser)) == 1


async def test_a_browser_that_comes_back_twice_lands_twice(
    browser: Browser, each: Provider, superuser: asyncpg.Connection
) -> None:
    url = await each.answer(browser)
    await browser.follow(url)
    session = session_of(browser)

    page = await browser.get(url)

    assert (page.url, page.status) == (f"{ORIGIN}/landing", 200)
    assert session_of(browser) == session
    assert len(each.fake.exchanged()) == 1
    assert [is_open for _, _, is_open in await sessions(superuser)] == [True]


async def test_a_state_that_was_used_is_nobodys_after_signing_out(
    browser: Browser, each: Provider, superuser: asyncpg.Connection
) -> None:
    url = await each.answer(browser)
    await browser.follow(url)
    await browser.submit(form="/sign-out")
    each.knows(None)
    page = await browser.get(url)
    assert page.title == f"Sign in to {each.method}"
    assert [is_open for _, _, is_open in await sessions(superuser)] == [False]


@pytest.mark.parametrize(("method", "other"), list(permutations(METHODS, 2)))
async def test_a_state_is_good_at_its_own_provider_alone(
    browser: Browser,
    providers: dict[str, Provider],
    superuser: asyncpg.Connection,
    method: str,
    other: str,
) -> None:
    """Mix-up: one provider gets the browser to bring its code to another one's callback."""
    answer = query_of(await providers[method].answer(browser))
    providers[other].knows(None)
    page = await browser.get(f"{providers[other].callback}?{urlencode(answer)}")
    assert page.title == f"Sign in to {other}"
    assert answer["code"] not in providers[other].fake.exchanged()
    assert await sessions(superuser) == []


async def test_two_tabs_sign_in_side_by_side(
    browser: Browser, each: Provider, superuser: asyncpg.Connection
) -> None:
    first, second = await each.answer(browser), await each.answer(browser)
    for url in (second, first):
        assert (await browser.get(url)).url == f"{ORIGIN}/landing"
    # The first one's cookie was gone when it came back: it has begun once more by itself.
    assert query_of(first)["code"] not in each.fake.exchanged()
    assert [is_open for _, _, is_open in await sessions(superuser)] == [False, True]


async def test_a_code_that_has_waited_too_long_is_asked_for_again(
    browser: Browser,
    clever: Provider,
    superuser: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = await clever.answer(browser)
    monkeypatch.setattr(clever.fake, "clock", lambda: time.time() + 61)
    assert (await browser.follow(url)).url == f"{ORIGIN}/landing"
    assert clever.fake.exchanged() == clever.fake.codes
    assert len(clever.fake.codes) == 2
    assert len(await sessions(superuser)) == 1


async def test_a_code_that_was_exchanged_before_is_asked_for_again(
    browser: Browser, each: Provider, superuser: asyncpg.Connection
) -> None:
    """A browser may have sent the last request twice, and this is the one that was slower."""
    url = await each.answer(browser)
    each.fake.forget_codes()
    assert (await browser.follow(url)).url == f"{ORIGIN}/landing"
    assert each.fake.exchanged() == each.fake.codes
    assert len(await sessions(superuser)) == 1


async def test_somebody_elses_verifier_fits_no_code(
    browser: Browser,
    other_browser: Browser,
    providers: dict[str, Provider],
    superuser: asyncpg.Connection,
) -> None:
    """Code injection: with a state of one's own, but a code that another browser was given."""
    for method in ("google", "microsoft"):
        provider = providers[method]
        stolen = query_of(await provider.answer(other_browser))
        provider.knows(1)
        own = query_of(await provider.answer(browser))
        url = f"{provider.callback}?{urlencode({**own, 'code': stolen['code']})}"
        page = await browser.get(url)
        # It began anew, and it was Bob who came back, not Mia.
        assert page.url == f"{ORIGIN}/landing"
        assert "Bob Lee" in page.words
    names = await superuser.fetch(
        "SELECT DISTINCT u.given_name FROM sessions s JOIN users u ON u.id = s.user_id"
    )
    assert [row["given_name"] for row in names] == ["Bob"]


@pytest.mark.parametrize("method", ["clever", "classlink"])
async def test_an_injected_code_of_a_provider_without_proofs_is_stopped_by_the_nonce(
    browser: Browser,
    other_browser: Browser,
    providers: dict[str, Provider],
    superuser: asyncpg.Connection,
    method: str,
) -> None:
    provider = providers[method]
    if method == "clever":
        provider.enable_oidc()
    stolen = query_of(await provider.answer(other_browser))
    provider.knows(1)
    own = query_of(await provider.answer(browser))
    url = f"{provider.callback}?{urlencode({**own, 'code': stolen['code']})}"
    page = await browser.get(url)
    assert (page.status, page.title) == (502, f"{provider.title} did not answer as expected")
    assert await sessions(superuser) == []


@pytest.mark.parametrize("is_of_portal", [False, True])
async def test_a_browser_that_keeps_no_cookies_is_told_so(
    browser: Browser, clever: Provider, superuser: asyncpg.Connection, is_of_portal: bool
) -> None:
    browser.jar = Forgetful(time.time)
    go = clever.open_portal if is_of_portal else clever.sign_in
    page = await go(browser)
    assert (page.status, page.title) == (400, "Your browser keeps no cookies for this site")
    assert clever.fake.exchanged() == []
    assert await sessions(superuser) == []
