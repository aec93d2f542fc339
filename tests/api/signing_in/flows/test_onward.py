"""After signing in with a provider: to a frontend, or to the training application; and out."""

import json
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

import asyncpg
import httpx2
import pytest
from starlette.applications import Starlette

from api.graphql.node import encode_id
from domain.people.callers import Scope
from tests.api.graphql.seed import add_token
from tests.api.signing_in.conftest import FRONTEND, ORIGIN
from tests.api.signing_in.flows.people import Provider, query_of, session_of, sessions
from tests.browser import Browser
from tests.fakes.identity import challenge_of

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("mia", "mia_at_classlink")]

VERIFIER: Final = "of-a-frontend-that-has-kept-it-to-itself-43"
BACK: Final = f"{FRONTEND}/back?page=3"
TRAINING: Final = "https://training.example"


async def code_of(browser: Browser, provider: Provider) -> str:
    """What the frontend gets in its address. Its page is shown afterwards."""
    wanted = {"return_to": BACK, "code_challenge": challenge_of(VERIFIER)}
    await browser.get(f"{ORIGIN}/t/springfield?{urlencode(wanted)}")
    page = await browser.click(f"Sign in with {provider.title}", stop_before=FRONTEND)
    assert page.location is not None
    query = query_of(page.location)
    assert page.location.startswith(f"{FRONTEND}/back?")
    assert query["page"] == "3"
    browser.show(page.location, "<title>Frontend</title>")
    return query["code"]


async def fetch_token(browser: Browser, code: str, verifier: str = VERIFIER) -> httpx2.Response:
    """By the frontend's script."""
    return await browser.fetch(
        f"{ORIGIN}/session/token",
        method="POST",
        headers={"Content-Type": "application/json"},
        content=json.dumps({"code": code, "code_verifier": verifier}).encode(),
    )


async def ask(browser: Browser, token: str) -> dict[str, Any]:
    """Who the API takes the token for."""
    answer = await browser.fetch(
        f"{ORIGIN}/graphql",
        method="POST",
        headers={"Content-Type": "application/json", "Authorization": f"Bearer {token}"},
        content=json.dumps({"query": "{ viewer { name tenant { slug } } }"}).encode(),
    )
    found: dict[str, Any] = answer.json()["data"]["viewer"]
    return found


async def test_a_frontend_gets_a_session_once(
    browser: Browser, each: Provider, superuser: asyncpg.Connection
) -> None:
    code = await code_of(browser, each)
    assert session_of(browser) is None

    fetched = await fetch_token(browser, code)

    assert fetched.status_code == 200
    token = fetched.json()["token"]
    assert await ask(browser, token) == {"name": "Mia Lee", "tenant": {"slug": "springfield"}}
    assert (await fetch_token(browser, code)).status_code == 400
    assert len(await sessions(superuser)) == 1
    assert session_of(browser) is None


async def test_a_code_is_worth_nothing_to_who_has_only_seen_it(
    browser: Browser, each: Provider
) -> None:
    code = await code_of(browser, each)
    assert (await fetch_token(browser, code, "x" * 43)).status_code == 400
    assert (await fetch_token(browser, code)).status_code == 400


async def test_a_place_that_is_not_ours_gets_nobody(
    browser: Browser, each: Provider, superuser: asyncpg.Connection
) -> None:
    for place in ("https://evil.example/", "//evil.example", f"{FRONTEND}.evil.example/"):
        wanted = {"return_to": place, "code_challenge": challenge_of(VERIFIER)}
        for path in ("/t/springfield?", f"/sign-in/{each.method}?tenant=springfield&"):
            page = await browser.get(f"{ORIGIN}{path}{urlencode(wanted)}")
            assert (page.status, page.title) == (400, "This link cannot be used")
    assert each.fake.requests == []
    assert await sessions(superuser) == []


async def test_a_page_of_ours_is_come_back_to(browser: Browser, each: Provider) -> None:
    await browser.get(f"{ORIGIN}/t/springfield?return_to=/sign-out")
    page = await browser.click(f"Sign in with {each.title}")
    assert (page.url, page.title) == (f"{ORIGIN}/sign-out", "Sign out")


@pytest.fixture
async def training_token(superuser: asyncpg.Connection, springfield: UUID) -> str:
    scopes = [Scope.TRAINING_READ]
    return await add_token(superuser, "of-training", springfield, scopes=scopes)


async def redeem(app: Starlette, launch: str, token: str) -> httpx2.Response:
    """By the training application's server."""
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url=ORIGIN) as server:
        headers = {"Authorization": f"Bearer {token}"}
        return await server.post("/launch/redeem", json={"token": launch}, headers=headers)


@pytest.fixture
def expected_claims(springfield: UUID, mia: UUID, algebra: UUID) -> dict[str, str]:
    """Mia's, who is in one group."""
    return {
        "sub": encode_id("U", springfield, mia),
        "group": encode_id("G", springfield, algebra),
    }


@pytest.mark.parametrize("is_of_portal", [False, True])
async def test_who_has_one_group_is_taken_there(
    browser: Browser,
    app: Starlette,
    clever: Provider,
    expected_claims: dict[str, str],
    training_token: str,
    is_of_portal: bool,
) -> None:
    go = clever.open_portal if is_of_portal else clever.sign_in

    page = await go(browser, stop_before=TRAINING)

    assert page.location is not None
    assert page.location.startswith(f"{TRAINING}/enter?launch=")
    launch = query_of(page.location)["launch"]
    redeemed = await redeem(app, launch, training_token)
    assert redeemed.status_code == 200
    assert redeemed.json().items() >= expected_claims.items()
    assert (await redeem(app, launch, training_token)).status_code == 410


async def test_who_signs_out_is_out_and_stays_signed_in_at_the_provider(
    browser: Browser, each: Provider, superuser: asyncpg.Connection
) -> None:
    await each.sign_in(browser)
    page = await browser.click("Sign out")
    assert (page.url, page.title) == (f"{ORIGIN}/sign-out", "You are signed out")
    assert session_of(browser) is None
    assert (await browser.get(f"{ORIGIN}/landing")).url == f"{ORIGIN}/"
    # On a shared computer that is worth knowing, and so the page says it.
    assert "On a shared computer" in page.words
    assert (await each.sign_in(browser)).url == f"{ORIGIN}/landing"
    assert [is_open for _, _, is_open in await sessions(superuser)] == [False, True]
