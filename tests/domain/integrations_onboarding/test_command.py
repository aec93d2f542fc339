"""`homerow onboarding list`, as an operator sees it."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Generator
from datetime import UTC, datetime

import asyncpg
import pytest
import structlog

from api.cli.onboarding import commands
from api.local import LocalServers
from domain.database import DatabaseRole
from domain.integrations.onboarding import Share, record_shares
from domain.resources import Resources
from domain.roster.source import Provider
from tests.api.graphql.seed import add_integration, add_tenant
from tests.conftest import KEY_TEXT

pytestmark = pytest.mark.anyio

Run = Callable[..., Awaitable[str]]
MONDAY = datetime(2026, 8, 3, 6, 23, tzinfo=UTC)


@pytest.fixture(name="run")
def fixture_run(
    database_url: dict[str, str],
    local_servers: LocalServers,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Generator[Run]:
    """Runs the command on the test's database, in a thread: it has an event loop of its own."""
    logs, last_resort = structlog.get_config(), logging.lastResort
    monkeypatch.setenv("HOMEROW_DATABASE_URL", database_url[DatabaseRole.API])
    monkeypatch.setenv("HOMEROW_REDIS_URL", local_servers.redis_url)
    monkeypatch.setenv("HOMEROW_SECRET_KEYS", KEY_TEXT)

    async def run(*arguments: str) -> str:
        capfd.readouterr()
        await asyncio.to_thread(commands, ["list", *arguments], standalone_mode=False)
        return capfd.readouterr().out

    yield run
    structlog.configure(**logs)
    logging.lastResort = last_resort


@pytest.fixture(name="_shares")
async def fixture_shares(worker_resources: Resources, superuser: asyncpg.Connection) -> None:
    async with worker_resources.database.transaction() as session:
        for provider, share in (
            (Provider.CLEVER, Share("d1", "Aspen")),
            (Provider.CLASSLINK, Share("1001", "Hickory Valley")),
        ):
            await record_shares(session, provider=provider, shares=[share], now=MONDAY)
    tenant_id = await add_tenant(superuser, "hickory")
    await add_integration(
        superuser, tenant_id, provider="CLASSLINK", settings={"tenant_id": "1001"}
    )


@pytest.mark.usefixtures("_shares")
async def test_the_districts_are_listed_as_json(run: Run) -> None:
    seen = {"firstSeenAt": "2026-08-03T06:23:00+00:00", "lastSeenAt": "2026-08-03T06:23:00+00:00"}
    assert json.loads(await run("--json")) == [
        {
            "provider": "CLASSLINK",
            "externalId": "1001",
            "name": "Hickory Valley",
            **seen,
            "isShared": True,
            "tenant": "hickory",
        },
        {
            "provider": "CLEVER",
            "externalId": "d1",
            "name": "Aspen",
            **seen,
            "isShared": True,
            "tenant": None,
        },
    ]


@pytest.mark.usefixtures("_shares")
async def test_the_districts_are_listed_as_a_table(run: Run) -> None:
    lines = (await run()).splitlines()
    [line] = [line for line in lines if "Hickory Valley" in line]
    for word in ("CLASSLINK", "1001", "2026-08-03 06:23:00", "yes", "hickory"):
        assert word in line


async def test_an_empty_list_is_told(run: Run) -> None:
    assert await run() == "No district has been seen yet.\n"
    assert json.loads(await run("--json")) == []
