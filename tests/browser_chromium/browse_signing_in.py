"""Signing in with Chromium: with each provider, from their portals, by password; and out again."""

from uuid import UUID

import asyncpg
import pytest

from tests.api.signing_in.flows.people import PORTALS, SESSION, Provider, sessions
from tests.api.signing_in.provider import METHODS
from tests.api.signing_in.visiting import ADDRESS, PASSWORD, add_ada
from tests.browser_chromium.homerow import elsewhere
from tests.browser_chromium.webdriver import Window
from tests.fakes.identity import Misdeed

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("mia", "mia_at_classlink", "bob")]


async def sign_in(window: Window, homerow: str, provider: Provider) -> None:
    await window.goto(f"{homerow}/t/springfield")
    await window.press(f"Sign in with {provider.title}")


@pytest.mark.parametrize("method", METHODS)
async def test_somebody_signs_in_and_out(
    window: Window,
    homerow: str,
    providers: dict[str, Provider],
    superuser: asyncpg.Connection,
    method: str,
) -> None:
    provider = providers[method]
    provider.knows(None)
    await sign_in(window, homerow, provider)
    assert await window.title() == f"Sign in to {method}"
    await window.press("Sign in as Mia Lee")

    assert await window.current_url() == f"{homerow}/landing"
    assert "Mia Lee, there is no class for you yet." in await window.page_text()
    cookies = await window.cookies()
    assert set(cookies) == {SESSION}
    told = {name: cookies[SESSION][name] for name in ("secure", "httpOnly", "sameSite", "path")}
    assert told == {"secure": True, "httpOnly": True, "sameSite": "Lax", "path": "/"}
    assert await window.run("return document.cookie") == ""

    await window.press("Sign out")
    assert await window.title() == "You are signed out"
    assert await window.cookies() == {}
    await window.goto(f"{homerow}/landing")
    assert await window.current_url() == f"{homerow}/"
    assert [row[1:] for row in await sessions(superuser)] == [(method.upper(), False)]


@pytest.mark.parametrize("method", PORTALS)
async def test_somebody_comes_from_the_portal_as_somebody_else(
    window: Window,
    homerow: str,
    providers: dict[str, Provider],
    superuser: asyncpg.Connection,
    method: str,
) -> None:
    """The one who had the shared computer before has not signed out."""
    provider = providers[method]
    await sign_in(window, homerow, provider)
    assert "Mia Lee" in await window.page_text()
    provider.knows(1)
    former = list(provider.fake.codes)

    await window.goto(elsewhere(provider.served.url) + PORTALS[method])
    await window.press("Homerow")

    assert await window.current_url() == f"{homerow}/landing"
    assert "Bob Lee" in await window.page_text()
    [_, own] = provider.fake.codes[len(former) :]
    assert provider.fake.exchanged() == [*former, own]
    assert [is_open for _, _, is_open in await sessions(superuser)] == [False, True]


async def test_going_back_and_loading_again_harms_nothing(
    window: Window, homerow: str, providers: dict[str, Provider], superuser: asyncpg.Connection
) -> None:
    await sign_in(window, homerow, providers["clever"])
    await window.again()
    assert await window.current_url() == f"{homerow}/landing"
    await window.goto(f"{homerow}/t/springfield")
    await window.run("history.back()")
    await window.again()
    assert await window.current_url() == f"{homerow}/landing"
    assert [is_open for _, _, is_open in await sessions(superuser)] == [True]


async def test_what_went_wrong_is_shown_with_a_way_on(
    window: Window, homerow: str, providers: dict[str, Provider]
) -> None:
    google = providers["google"]
    google.fake.misbehave(Misdeed.OTHER_KEY)
    await sign_in(window, homerow, google)
    assert await window.title() == "Google did not answer as expected"
    assert SESSION not in await window.cookies()
    google.fake.behave()
    await window.press("Try again with Google")
    assert await window.current_url() == f"{homerow}/landing"


async def test_somebody_signs_in_with_a_password(
    window: Window, homerow: str, superuser: asyncpg.Connection, springfield: UUID
) -> None:
    await add_ada(superuser, springfield)
    await window.goto(f"{homerow}/t/springfield")
    await window.type("#name", ADDRESS)
    await window.type("#password", "wrong words")
    await window.press("Sign in")
    assert "The name or the password is wrong." in await window.page_text()
    assert await (await window.find("#name")).attribute("value") == ADDRESS

    await window.type("#password", PASSWORD)
    await window.press("Sign in")

    assert await window.current_url() == f"{homerow}/landing"
    assert "Ada Root, you are signed in as an administrator." in await window.page_text()
    await window.press("Sign out")
    assert await window.title() == "You are signed out"
    assert [is_open for _, _, is_open in await sessions(superuser)] == [False]


async def test_the_policy_lets_no_script_of_a_page_run_and_the_style_is_there(
    window: Window, homerow: str
) -> None:
    await window.goto(f"{homerow}/t/springfield")
    added = (
        "const one = document.createElement('script'); one.textContent = 'window.ran = true';"
        "document.body.append(one); return window.ran === undefined"
    )
    assert await window.run(added) is True
    assert await window.run("return document.styleSheets.length") == 1
