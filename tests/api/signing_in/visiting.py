"""What a browser does on our pages, and the people who do it: forms, passwords, mails."""

import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import asyncpg
import httpx2
from joserfc import jwt
from joserfc.jwk import KeySet
from starlette.applications import Starlette

from domain.signing_in.passwords import hash_password
from tests.api.graphql.seed import insert
from tests.api.graphql.signed_in import add_session, add_super_admin
from tests.api.signing_in.conftest import ORIGIN

SESSION: Final = "__Host-homerow"
LOGIN: Final = "__Host-homerow-login"
OWN: Final = {"Sec-Fetch-Site": "same-origin"}
ADDRESS: Final = "ada@example.org"
TRAINING: Final = "https://training.example/enter"
PASSWORD: Final = "four plain words here"  # noqa: S105 - of nobody

Browser = httpx2.AsyncClient


@asynccontextmanager
async def browser_at(
    app: Starlette, address: str = "192.0.2.1", url: str = ORIGIN
) -> AsyncGenerator[Browser]:
    """Another browser. What is counted by address is counted apart for it."""
    transport = httpx2.ASGITransport(app, client=(address, 50000))
    async with Browser(transport=transport, base_url=url) as browser:
        yield browser


async def send(browser: Browser, path: str, fields: Mapping[str, str]) -> httpx2.Response:
    """A form of ours."""
    return await browser.post(path, data=dict(fields), headers=OWN)


async def type_password(
    browser: Browser, name: str = ADDRESS, password: str = PASSWORD, **more: str
) -> httpx2.Response:
    fields = {"name": name, "password": password, **more}
    return await send(browser, "/t/springfield/password", fields)


async def add_ada(connection: asyncpg.Connection, tenant_id: UUID) -> UUID:
    """The super admin, with a password."""
    return await add_super_admin(
        connection, tenant_id, email=ADDRESS, password_hash=await hash_password(PASSWORD)
    )


async def add_account(connection: asyncpg.Connection, tenant_id: UUID, **values: Any) -> UUID:
    """Of somebody who was imported."""
    return await insert(connection, "accounts", tenant_id=tenant_id, created_by="system", **values)


async def enter(
    browser: Browser, connection: asyncpg.Connection, tenant_id: UUID, **who: Any
) -> UUID:
    """Signed in as a `user_id` or an `account_id`: the session's id."""
    token = f"hrs_{'x' * 43}"
    session_id = await add_session(connection, tenant_id, token, **who)
    browser.cookies.set(SESSION, token, domain=httpx2.URL(ORIGIN).host)
    return session_id


async def links_mailed(connection: asyncpg.Connection) -> list[str]:
    """The paths of the links in the mails that wait, the oldest first."""
    rows = await connection.fetch("SELECT body_text FROM mail_outbox ORDER BY created_at")
    pattern = re.compile(re.escape(ORIGIN) + r"(/account-links/\S+)")
    return [found for row in rows for found in pattern.findall(row["body_text"])]


async def ended(connection: asyncpg.Connection, session_id: UUID) -> bool:
    found = await connection.fetchval("SELECT ended_at FROM sessions WHERE id = $1", session_id)
    return found is not None


def cookies_set(response: httpx2.Response) -> dict[str, str]:
    """The attributes of each, as they are written."""
    cookies = response.headers.get_list("set-cookie")
    return {text.partition("=")[0]: text.partition("; ")[2] for text in cookies}


async def launched(browser: Browser) -> str:
    """The token with which the browser is sent on."""
    answer = await browser.get("/landing")
    assert answer.status_code == 303, answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    url = answer.headers["location"]
    assert url.startswith(f"{TRAINING}?launch=")
    [found] = parse_qs(urlsplit(url).query)["launch"]
    return str(found)


async def claims_of(browser: Browser) -> Mapping[str, Any]:
    launch = await launched(browser)
    published = (await browser.get("/.well-known/jwks.json")).json()
    return jwt.decode(launch, KeySet.import_key_set(published), ["ES256"]).claims
