"""Everything that a provider can do wrong: nobody is in afterwards, and a page says so."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final, NamedTuple

import asyncpg
import pytest
from typing_extensions import override

from tests.api.signing_in.conftest import ORIGIN
from tests.api.signing_in.flows.people import (
    Provider,
    new_fakes,
    session_of,
    sessions,
)
from tests.api.signing_in.provider import CLEVER_ID, DOMAIN, TID
from tests.api.signing_in.reading import Outline
from tests.browser import Browser
from tests.fakes.identity import IN_ID_TOKENS, Misdeed
from tests.fakes.identity_microsoft import MicrosoftPerson
from tests.fakes.identity_tokens import ELSEWHERE

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("mia", "mia_at_classlink")]


class Ending(NamedTuple):
    """`words` are on the page. Whether a code was exchanged before it was clear."""

    status: int
    title: str
    words: str
    is_exchanged: bool = True


class Case(NamedTuple):
    method: str
    misdeed: Misdeed
    amount: float | None = None

    @override
    def __str__(self) -> str:
        amount = "" if self.amount is None else f" {self.amount:g}"
        return f"{self.method} {self.misdeed}{amount}"


FAILED: Final = Ending(502, "{} did not answer as expected", "We could not find out from {}")
CIRCLE: Final = Ending(
    400, "Signing in went round in circles", "{} sent you back twice", is_exchanged=False
)
OUTSIDE: Final = Ending(403, "You are not signed in", "account that is not of this district")
NO_KEY: Final = Ending(403, "You are not signed in", "nothing by which your school knows you")
ENDINGS: Final = {
    Misdeed.STATE_DROPPED: CIRCLE,
    Misdeed.STATE_CHANGED: CIRCLE,
    Misdeed.ACCESS_DENIED: Ending(
        403, "{} has not signed you in", "said no to signing in here", is_exchanged=False
    ),
    Misdeed.ANSWER_OF_ANOTHER: FAILED._replace(is_exchanged=False),
    Misdeed.AUTHORIZED_BY_TEACHER: Ending(403, "You are not signed in", "from Clever Library"),
    Misdeed.NO_SOURCED_ID: NO_KEY,
    Misdeed.NO_HOSTED_DOMAIN: NO_KEY,
    Misdeed.OTHER_HOSTED_DOMAIN: OUTSIDE,
    Misdeed.PERSONAL_ACCOUNT: OUTSIDE,
    Misdeed.ADDRESS_UNVERIFIED: Ending(403, "You are not signed in", "not on your school's list"),
}
"""All others end as FAILED."""
HARMLESS: Final = frozenset(
    {
        # The token of my/info and /me says who it is: an id_token is only checked if it is there.
        Case("clever", Misdeed.NO_ID_TOKEN),
        Case("classlink", Misdeed.NO_ID_TOKEN),
    }
)
ELSEWHERE_TRIED: Final = frozenset({Misdeed.TOKEN_SLOW, Misdeed.GUEST})
"""They have tests of their own below."""
SKEWED: Final = ((Misdeed.EXPIRED, 30.0), (Misdeed.ISSUED_IN_FUTURE, 30.0))
BEYOND: Final = ((Misdeed.EXPIRED, 75.0), (Misdeed.ISSUED_IN_FUTURE, 75.0))


def cases() -> Iterator[Case]:
    for fake in new_fakes():
        for misdeed in sorted(fake.misdeeds):
            if Case(fake.name, misdeed) not in HARMLESS and misdeed not in ELSEWHERE_TRIED:
                yield Case(fake.name, misdeed)
        for misdeed, amount in BEYOND:
            yield Case(fake.name, misdeed, amount)
    yield Case("google", Misdeed.TOKEN_HTML, 500)
    yield Case("google", Misdeed.TOKEN_REDIRECTS, 302)
    yield Case("google", Misdeed.TOKEN_FAILS, 429)
    yield Case("google", Misdeed.TOKEN_FAILS, 401)


def harmless() -> Iterator[Case]:
    yield from sorted(HARMLESS)
    for fake in new_fakes():
        for misdeed, amount in SKEWED:
            yield Case(fake.name, misdeed, amount)


def told(providers: dict[str, Provider], case: Case) -> Provider:
    provider = providers[case.method]
    if case.method == "clever" and case.misdeed in IN_ID_TOKENS:
        # Without it, there is no token to be spoilt.
        provider.enable_oidc()
    provider.fake.misbehave(case.misdeed, amount=case.amount)
    return provider


@pytest.mark.parametrize("case", list(cases()), ids=str)
async def test_nobody_gets_in_by_a_misdeed(
    browser: Browser, providers: dict[str, Provider], superuser: asyncpg.Connection, case: Case
) -> None:
    provider = told(providers, case)
    ending = ENDINGS.get(case.misdeed, FAILED)

    page = await provider.sign_in(browser)

    assert (page.status, page.title) == (ending.status, ending.title.format(provider.title))
    assert ending.words.format(provider.title) in page.words
    assert Outline(page.text).faults() == []
    assert page.url.startswith(ORIGIN)
    assert page.links, "Nobody is left without a way on."
    assert session_of(browser) is None
    assert await sessions(superuser) == []
    assert bool(provider.fake.exchanged()) == ending.is_exchanged
    # Nothing that the provider said led us to another address.
    assert provider.fake.asked(ELSEWHERE) == []


@pytest.mark.parametrize("case", list(harmless()), ids=str)
async def test_what_is_harmless_hinders_nobody(
    browser: Browser, providers: dict[str, Provider], superuser: asyncpg.Connection, case: Case
) -> None:
    page = await told(providers, case).sign_in(browser)
    assert (page.url, page.status) == (f"{ORIGIN}/landing", 200)
    assert [method for _, method, _ in await sessions(superuser)] == [case.method.upper()]


async def test_a_provider_that_does_not_come_to_an_end_is_left(
    browser: Browser,
    each: Provider,
    superuser: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("api.signing_in.sso.conversation.CONVERSATION_SECONDS", 0.5)
    each.fake.misbehave(Misdeed.TOKEN_SLOW, amount=20)
    page = await each.sign_in(browser)
    assert (page.status, page.title) == (502, f"{each.title} did not answer as expected")
    assert await sessions(superuser) == []


async def test_after_a_misdeed_it_works_again_from_the_page_that_said_so(
    browser: Browser, each: Provider, superuser: asyncpg.Connection
) -> None:
    for misdeed in (Misdeed.TOKEN_FAILS, Misdeed.ACCESS_DENIED, Misdeed.STATE_DROPPED):
        each.fake.misbehave(misdeed)
        await each.sign_in(browser)
        each.fake.behave()
        page = await browser.click(f"Try again with {each.title}")
        assert page.url == f"{ORIGIN}/landing"
        await browser.submit(form="/sign-out")
    assert [is_open for _, _, is_open in await sessions(superuser)] == [False] * 3


async def test_a_key_that_is_new_is_found(
    browser: Browser, each: Provider, superuser: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Providers change their keys without a word; a process that runs has the former ones."""
    if each.method == "clever":
        each.enable_oidc()
    monkeypatch.setattr("api.signing_in.sso.discovery.REFETCH_EVERY", timedelta())
    await each.sign_in(browser)
    each.fake.keys.rotate(keeps_former=False)
    assert (await each.sign_in(browser)).url == f"{ORIGIN}/landing"
    assert len(await sessions(superuser)) == 2


@pytest.mark.usefixtures("bob")
async def test_a_failed_sign_in_does_not_touch_the_session_that_there_is(
    browser: Browser, each: Provider, superuser: asyncpg.Connection
) -> None:
    await each.sign_in(browser)
    before = session_of(browser)
    each.knows(1)
    each.fake.misbehave(Misdeed.TOKEN_FAILS)
    await each.sign_in(browser)
    assert session_of(browser) == before
    assert [is_open for _, _, is_open in await sessions(superuser)] == [True]


@pytest.mark.parametrize(
    ("compares", "address"),
    [("ADDRESS", f"mia@{DOMAIN}"), ("LOCAL_PART", "mia@mallory.example")],
)
async def test_a_guest_is_not_taken_for_somebody_of_the_district(
    browser: Browser,
    providers: dict[str, Provider],
    superuser: asyncpg.Connection,
    compares: str,
    address: str,
) -> None:
    """Any pupil may invite guests unless it is forbidden; what they are called says their home."""
    await superuser.execute(
        "UPDATE sign_in_methods SET compares = $1 WHERE method = 'MICROSOFT'", compares
    )
    if compares == "LOCAL_PART":
        await superuser.execute("UPDATE users SET username = 'mia' WHERE source_id = $1", CLEVER_ID)
    provider = providers["microsoft"]
    provider.fake.signed_in_as(
        MicrosoftPerson(
            name="Mallory", subject="of-a-guest", key=TID, address=address, is_guest=True
        )
    )
    page = await provider.sign_in(browser)
    assert page.status == 403
    assert await sessions(superuser) == []
