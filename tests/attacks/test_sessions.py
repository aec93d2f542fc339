"""E: a browser that is made to send what its owner never wanted to send."""

import json
from collections.abc import Mapping
from typing import Final
from uuid import UUID

import asyncpg
import httpx2
import pytest
from starlette.applications import Starlette

from tests.api.graphql.client import World
from tests.api.graphql.signed_in import add_session, add_super_admin

pytestmark = pytest.mark.anyio

VIEWER: Final = {"query": "{ viewer { name } }"}
PAGE: Final = {"Sec-Fetch-Site": "same-origin", "X-Homerow-Csrf": "1"}
FORMS: Final = (
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/plain,application/json",
    "text/plain; application/json",
    "",
)


@pytest.fixture
async def root(world: World, superuser: asyncpg.Connection) -> UUID:
    account = await add_super_admin(superuser, world.alpha_id)
    await add_session(superuser, world.alpha_id, "hrs_root", account_id=account)
    return account


async def ask(app: Starlette, headers: Mapping[str, str], method: str = "POST") -> httpx2.Response:
    """A header without text is not sent."""
    given = {"Content-Type": "application/json", **headers}
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://homerow.test"
    ) as http:
        return await http.request(
            method,
            "/graphql",
            content=json.dumps(VIEWER).encode(),
            headers={name: text for name, text in given.items() if text},
        )


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("form", FORMS)
async def test_e1_a_form_with_the_cookie_is_not_executed(app: Starlette, form: str) -> None:
    """Even one that names our own page as where it is from."""
    cookie = {"Cookie": "__Host-homerow=hrs_root"}
    assert (await ask(app, {"Content-Type": form, **cookie})).status_code == 403
    assert (await ask(app, {"Content-Type": form, **cookie, **PAGE})).status_code == 415


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
async def test_e2_nothing_is_executed_but_by_post(app: Starlette, method: str) -> None:
    for accept in ("text/html", "text/event-stream", "application/json"):
        cookie = {"Cookie": "__Host-homerow=hrs_root", "Accept": accept, **PAGE}
        assert (await ask(app, cookie, method)).status_code == 405


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize(
    "from_where",
    [
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://evil.homerow.test"},
        {"Origin": "http://homerow.test", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://homerow.test.", "Sec-Fetch-Site": ""},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://homerow.test:81"},
        {"Origin": "https://homerow.test"},
        {"Origin": "http://homerow.test@evil.test"},
        {"Origin": "http://evil-homerow.test"},
        {"Origin": "http://homerow.test, http://evil.test"},
        {"Origin": "http://evil.test", "Referer": "http://homerow.test/"},
    ],
)
async def test_e4_a_page_of_a_neighbour_or_of_nobody_gets_nothing(
    app: Starlette, from_where: dict[str, str]
) -> None:
    """A neighbour below the same domain (E3) as little as anybody else."""
    sent = {"Cookie": "__Host-homerow=hrs_root", "X-Homerow-Csrf": "1", **from_where}
    answer = await ask(app, sent)
    assert answer.status_code == 403
    assert "data" not in answer.json()


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize(
    "cookie",
    [
        "__Host-homerow=hrs_root; __Host-homerow=hrs_evil",
        "__Host-homerow=hrs_evil; __Host-homerow=hrs_root",
        "__Host-homerow=hrs_root; __Host-homerow=hrs_root",
        "homerow=hrs_root",
        "__host-homerow=hrs_root",
        '__Host-homerow=""',
        "__Host-homerow=of-operator",
    ],
)
async def test_e6_a_cookie_that_a_neighbour_has_set_is_nobody(app: Starlette, cookie: str) -> None:
    """An API token in the cookie, whose name has a prefix for hosts alone, neither."""
    answer = await ask(app, {"Cookie": cookie, **PAGE})
    assert answer.status_code == 401


@pytest.mark.usefixtures("root")
async def test_e8_a_stolen_cookie_ends_with_the_session_however_much_it_is_used(
    app: Starlette, superuser: asyncpg.Connection
) -> None:
    cookie = {"Cookie": "__Host-homerow=hrs_root", **PAGE}
    assert (await ask(app, cookie)).status_code == 200
    await superuser.execute("UPDATE sessions SET last_seen_at = now(), expires_at = now()")
    assert (await ask(app, cookie)).status_code == 401


@pytest.mark.usefixtures("root")
async def test_e9_with_a_token_beside_it_the_cookie_counts_nothing(
    app: Starlette, world: World
) -> None:
    cookie = {"Cookie": "__Host-homerow=hrs_root", **PAGE}
    both = await ask(app, {"Authorization": "Bearer of-alpha", **cookie})
    assert both.json()["data"]["viewer"]["name"] == "token of-alpha"
    for header in ("Bearer", "Bearer ", "Bearer unknown", "Basic aHJzX3Jvb3Q6", "hrs_root", "x"):
        assert (await ask(app, {"Authorization": header, **cookie})).status_code == 401
