"""What a story of a district needs: the API, a worker in a process of its own, and a provider."""

import asyncio
import io
import os
import subprocess
import sys
import zipfile
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx2

from api.app import create_app
from api.graphql.node import find_id
from api.local import LocalServers
from api.signing_in.site import SignInSettings
from domain.database import DatabaseRole
from domain.providers.hosts import Hosts
from domain.resources import open_resources
from domain.secrets import KeyRing
from tests.api.graphql.client import Client, connected
from tests.api.graphql.seed import add_token
from tests.conftest import KEY_TEXT

ROOT = Path(__file__).parents[3]
SECONDS = 60.0
RUN = """id mode state failure { code message }
    counts { recordType created updated archived restored unchanged held rejected }
    hold { message applied waiting endedAt reasons { code count of } }"""


@dataclass(frozen=True, slots=True)
class Servers:
    """Where a story takes place. `urls` are the database's, by login."""

    local: LocalServers
    urls: Mapping[str, str]
    keys: KeyRing
    see: asyncpg.Connection
    folder: Path


@dataclass(frozen=True, slots=True)
class Office:
    """A district's administrator, and the product's own people. `see` reads what no API shows."""

    district: Client
    operator: Client
    anonymous: httpx2.AsyncClient
    see: asyncpg.Connection
    tenant_id: str
    slug: str

    async def do(self, mutation: str, shows: str = "", **values: Any) -> Any:
        """A mutation for this tenant that must not be refused."""
        answer = await self.ask(mutation, shows, **values)
        assert answer["userErrors"] == [], answer["userErrors"]
        return answer

    def of_the_product(self) -> "Office":
        """The same, where the product's own people do it."""
        return replace(self, district=self.operator)

    async def ask(self, mutation: str, shows: str = "", **values: Any) -> Any:
        given = await self._about_tenant(mutation, values)
        kind = f"{mutation[0].upper()}{mutation[1:]}Input"
        query = (
            f"mutation ($input: {kind}!) {{ {mutation}(input: $input) {{"
            f" {shows} userErrors {{ field code message }} }} }}"
        )
        return (await self.district.run(query, input=given))[mutation]

    async def _about_tenant(self, mutation: str, values: Mapping[str, Any]) -> dict[str, Any]:
        by_run = ("syncRunApprove", "syncRunDiscard", "syncRunCancel", "syncRunRevert")
        others = (*by_run, "matchCandidateResolve", "validationErrorAccept", "identityUnlink")
        return {**values} if mutation in others else {"tenantId": self.tenant_id, **values}

    async def show(self, selection: str) -> Any:
        """Of the tenant."""
        query = f"query ($slug: String!) {{ tenant(slug: $slug) {{ {selection} }} }}"
        return (await self.district.run(query, slug=self.slug))["tenant"]

    async def people(self, shows: str = "", **filters: Any) -> dict[str, Any]:
        """By username."""
        query = (
            "query ($slug: String!, $filter: UserFilter) { tenant(slug: $slug) {"
            f" users(first: 50, filter: $filter) {{ nodes {{ id username {shows} }} }} }} }}"
        )
        data = await self.district.run(query, slug=self.slug, filter=filters)
        return {found["username"]: found for found in data["tenant"]["users"]["nodes"]}

    async def sync(self, mode: str = "FULL") -> Any:
        """Ask for a run and wait for its end."""
        # Nobody waits here for the time between two syncs to pass.
        await self.see.execute("UPDATE integrations SET cooldown_minutes = 0")
        started = await self.do("syncRunStart", "syncRun { id }", mode=mode)
        return await self.end_of(started)

    async def approve(self, run: Any) -> Any:
        return await self.end_of(
            await self.do("syncRunApprove", "syncRun { id }", syncRunId=run["id"])
        )

    async def end_of(self, answer: Any) -> Any:
        query = f"query ($id: ID!) {{ syncRun(id: $id) {{ {RUN} finishedAt }} }}"
        for _ in range(int(SECONDS / 0.1)):
            run = (await self.district.run(query, id=answer["syncRun"]["id"]))["syncRun"]
            if run.pop("finishedAt") is not None:
                assert run["failure"] is None
                run["counts"] = {count.pop("recordType"): count for count in run["counts"]}
                return run
            await asyncio.sleep(0.1)
        raise AssertionError(f"not within {SECONDS} s: the end of {answer}")

    async def import_legacy(self, files: Mapping[str, str]) -> Any:
        """Upload what was there before, look at the preview, and take it over."""
        place = (await self.do("uploadCreate", "upload { id url }", purpose="LEGACY_IMPORT"))[
            "upload"
        ]
        answer = await self.anonymous.put(place["url"], content=_zipped(files))
        assert answer.status_code == 201
        shows = "report { files { name new } errorCount settings progress isApplied }"
        preview = await self.do("legacyImport", shows, uploadId=place["id"])
        assert preview["report"]["isApplied"] is False
        done = await self.do("legacyImport", shows, uploadId=place["id"], apply=True)
        assert done["report"] == preview["report"] | {"isApplied": True}
        return done["report"]

    async def preflight(self, shows: str) -> Any:
        """The report, with the run's id."""
        run = await self.sync("PREFLIGHT")
        assert run["state"].startswith("SUCCEEDED")
        query = f"query ($id: ID!) {{ syncRun(id: $id) {{ preflight {{ {shows} }} }} }}"
        report = (await self.district.run(query, id=run["id"]))["syncRun"]["preflight"]
        return report | {"id": run["id"]}

    async def rows(self, sql: str) -> list[str]:
        """What is stored, byte for byte; `$1` is the tenant."""
        tenant_id = _row_id(self.tenant_id)
        return [row[0] for row in await self.see.fetch(sql, tenant_id)]


def counted(run: Any, record_type: str) -> dict[str, int]:
    """Without the zeros."""
    return {name: number for name, number in run["counts"][record_type].items() if number}


def _row_id(global_id: str) -> UUID:
    found = find_id(global_id)
    assert found is not None
    return found.key


def _zipped(files: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@asynccontextmanager
async def open_office(
    servers: Servers, hosts: Hosts, slug: str, name: str
) -> AsyncGenerator[Office]:
    async with open_resources(
        database_url=servers.urls[DatabaseRole.API],
        redis_url=servers.local.redis_url,
        keys=servers.keys,
        hosts=hosts,
        role=DatabaseRole.API,
    ) as resources:
        app = create_app(resources, SignInSettings())
        await add_token(servers.see, "of-operator")
        async with connected(app, "of-operator") as operator, connected(app, None) as anonymous:
            create = """mutation ($input: TenantCreateInput!) { tenantCreate(input: $input) {
                tenant { id } userErrors { field code message } } }"""
            made = await operator.run(create, input={"slug": slug, "name": name})
            tenant_id = made["tenantCreate"]["tenant"]["id"]
            await add_token(servers.see, f"of-{slug}", _row_id(tenant_id))
            with worker(servers, hosts):
                async with connected(app, f"of-{slug}") as district:
                    yield Office(district, operator, anonymous.http, servers.see, tenant_id, slug)


@contextmanager
def worker(servers: Servers, hosts: Hosts) -> Generator[None]:
    """A worker like any other, told where the fake is. It is ended by its id."""
    told = {
        "HOMEROW_DATABASE_URL": servers.urls[DatabaseRole.WORKER],
        "HOMEROW_REDIS_URL": servers.local.redis_url,
        "HOMEROW_SECRET_KEYS": KEY_TEXT,
        "HOMEROW_ALLOW_PRIVATE_PROVIDERS": "true",
        "HOMEROW_CLEVER_API_URL": hosts.clever_api_url,
        "HOMEROW_CLEVER_OAUTH_URL": hosts.clever_oauth_url,
        "HOMEROW_CLEVER_CLIENT_ID": hosts.clever_client_id,
        "HOMEROW_CLEVER_CLIENT_SECRET": hosts.clever_client_secret,
        "HOMEROW_CLASSLINK_PROXY_URL": hosts.classlink_proxy_url,
        "HOMEROW_CLASSLINK_TOKEN": hosts.classlink_token,
    }
    with (servers.folder / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "worker.main"],
            cwd=ROOT,
            env={"PATH": os.defpath} | {name: text for name, text in told.items() if text},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            yield
        finally:
            process.kill()
            process.wait(10)
