"""What is shot at: the application over a database with two tenants, both of them full."""

import asyncio
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final
from uuid import UUID

import asyncpg
import httpx2
from anyio.from_thread import BlockingPortal, start_blocking_portal
from sqlalchemy import make_url
from starlette.applications import Starlette

from api.app import create_app
from api.local import LocalServers
from api.signing_in.site import SignInSettings
from api.web_settings import WebSettings
from domain.clock import new_id
from domain.database import DatabaseRole
from domain.models import metadata
from domain.people.callers import CallerRole
from domain.resources import open_resources
from domain.secrets import KeyRing
from tests.api.graphql.roles import Part, add_callers, add_part, add_whole
from tests.api.graphql.seed import add_tenant, add_token
from tests.conftest import KEY_TEXT, dsn, run_as_superuser
from tests.sources import HOSTS

DATABASE: Final = "fuzz"
ORIGIN: Final = "http://homerow.test"
FOREIGN: Final = "zebrafish"
"""A word that every name of the other tenant has, and nothing else."""
HIDDEN: Final = "axolotl"
"""The same of that part of the own tenant which people of one school do not see."""
_NAMES: Final[Mapping[str, str]] = {
    "T": "tenants SET name",
    "S": "schools SET name",
    "G": "groups SET name",
    "U": "users SET family_name",
    "C": "courses SET name",
    "P": "terms SET name",
}


@dataclass(frozen=True, slots=True)
class Rows:
    """`seen` and `hidden` are of alpha, `foreign` is beta's."""

    seen: Part
    hidden: Part
    foreign: Part
    secrets: Mapping[CallerRole, str]

    def part(self, name: str) -> Part:
        return {"seen": self.seen, "hidden": self.hidden, "foreign": self.foreign}[name]


class Target:
    """Everything is asked from outside its loop."""

    def __init__(
        self, portal: BlockingPortal, superuser: asyncpg.Connection, app: Starlette
    ) -> None:
        self._portal = portal
        self._superuser = superuser
        self.app = app
        self.rows = portal.call(_fill, superuser)

    def begin_anew(self) -> None:
        """Somebody has ended a session, or closed the tenant: that was their right."""
        self.rows = self._portal.call(_fill, self._superuser)

    def ask(self, role: CallerRole, document: str, *, accept: str = "*/*") -> httpx2.Response:
        response = self._ask(role, document, accept)
        if response.status_code == 401:
            self.begin_anew()
            response = self._ask(role, document, accept)
        return response

    def _ask(self, role: CallerRole, document: str, accept: str) -> httpx2.Response:
        return self.send(
            "POST",
            "/graphql",
            json={"query": document},
            headers={"Authorization": f"Bearer {self.rows.secrets[role]}", "Accept": accept},
        )

    def send(self, method: str, path: str, **how: Any) -> httpx2.Response:
        return self._portal.call(partial(self._send, method, path, **how))

    async def _send(self, method: str, path: str, **how: Any) -> httpx2.Response:
        """By a browser without cookies, from an address of its own: some things are counted."""
        transport = httpx2.ASGITransport(self.app, client=(f"browser {new_id()}", 50000))
        async with httpx2.AsyncClient(transport=transport, base_url=ORIGIN) as http:
            return await http.request(method, path, **how)


@contextmanager
def opened(local: LocalServers, template: str) -> Generator[Target]:
    create = f"CREATE DATABASE {DATABASE} TEMPLATE {template} STRATEGY FILE_COPY"
    asyncio.run(run_as_superuser(local, create))
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(_connected(local)) as (superuser, app),
    ):
        yield Target(portal, superuser, app)
    asyncio.run(run_as_superuser(local, f"DROP DATABASE {DATABASE} WITH (FORCE)"))


@asynccontextmanager
async def _connected(
    local: LocalServers,
) -> AsyncGenerator[tuple[asyncpg.Connection, Starlette]]:
    def url(login: str) -> str:
        own = make_url(local.postgres.url(login)).set(database=DATABASE)
        return own.render_as_string(hide_password=False)

    superuser = await asyncpg.connect(dsn(url("postgres")))
    try:
        async with open_resources(
            database_url=url(DatabaseRole.API),
            redis_url=local.redis_url,
            keys=KeyRing.parse(KEY_TEXT),
            hosts=HOSTS,
            role=DatabaseRole.API,
        ) as resources:
            web = WebSettings(landing_url="https://training.example/enter", is_local=True)
            yield superuser, create_app(resources, SignInSettings(web=web))
    finally:
        await superuser.close()


async def _fill(superuser: asyncpg.Connection) -> Rows:
    tables = ", ".join(table.name for table in metadata.sorted_tables)
    await superuser.execute(f"TRUNCATE {tables}")
    alpha = await add_tenant(superuser, "alpha")
    beta = await add_tenant(superuser, "beta")
    seen = await add_whole(superuser, alpha, await add_part(superuser, alpha))
    hidden = await add_part(superuser, alpha)
    foreign = await add_whole(superuser, beta, await add_part(superuser, beta))
    await _mark(superuser, {code: key for code, key in hidden.keys.items() if code != "T"}, HIDDEN)
    await _mark(superuser, foreign.keys, FOREIGN)
    await add_token(superuser, "of-operator")
    await add_token(superuser, "of-alpha", alpha)
    await add_token(superuser, "of-beta", beta, name=f"token of {FOREIGN}")
    return Rows(seen, hidden, foreign, await add_callers(superuser, seen))


async def _mark(superuser: asyncpg.Connection, keys: Mapping[str, UUID], word: str) -> None:
    for code, setting in _NAMES.items():
        if code in keys:
            await superuser.execute(
                f"UPDATE {setting} = $1 WHERE id = $2",
                f"Of {word}",
                keys[code],
            )
