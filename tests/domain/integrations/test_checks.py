"""Trying connections: each is tried once, and whoever asked gets an answer, whatever happens."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest
from typing_extensions import override

from domain.clock import new_id, utc_now
from domain.database import Database
from domain.errors import InvalidInput, NotFound
from domain.integrations import checks
from domain.integrations.checks import (
    delete_old_checks,
    perform_check,
    request_check,
    try_connection,
    wait_for_check,
)
from domain.integrations.service import Configuration, configure_integration
from domain.people.callers import COMMAND_LINE
from domain.resources import Resources
from domain.roster.source import (
    Checkpoint,
    CheckStep,
    Page,
    Picks,
    Provider,
    RosterSource,
    SourceConfig,
    SourceOpener,
)
from domain.secrets import KeyRing
from domain.tenants.service import create_tenant

pytestmark = pytest.mark.anyio

STEP = CheckStep("credentials", is_ok=True, message="The token is accepted.")
OTHER_KEYS = KeyRing("other", {"other": bytes(32)})


@dataclass(frozen=True)
class Source(RosterSource):
    """Answers a check, or does what a broken source would do."""

    step: CheckStep = STEP
    error: Exception | None = None
    seconds: float = 0

    @override
    async def check(self) -> Sequence[CheckStep]:
        await asyncio.sleep(self.seconds)
        if self.error:
            raise self.error
        return [self.step]

    @override
    async def fingerprint(self) -> str:
        raise NotImplementedError

    @override
    def pages(self, after: Checkpoint | None = None) -> AsyncIterator[Page]:
        raise NotImplementedError

    @override
    def pick(self, picks: Picks) -> AsyncIterator[Page]:
        raise NotImplementedError


def opener(source: RosterSource, seen: list[SourceConfig] | None = None) -> SourceOpener:
    def open_source(config: SourceConfig) -> RosterSource:
        if seen is not None:
            seen.append(config)
        return source

    return open_source


@dataclass(frozen=True)
class Desk:
    """Where connections are asked for and tried. `see` is the superuser's connection."""

    api: Database
    worker: Database
    see: asyncpg.Connection
    keys: KeyRing

    async def connect(self, slug: str) -> UUID:
        """A tenant of Clever's."""
        tenant_id = await self.create(slug)
        async with self.api.transaction(tenant_id) as session:
            await configure_integration(
                session,
                tenant_id=tenant_id,
                configuration=Configuration(Provider.CLEVER, {}, {"token": f"token of {slug}"}),
                keys=self.keys,
                caller=COMMAND_LINE,
                now=utc_now(),
            )
        return tenant_id

    async def create(self, slug: str) -> UUID:
        tenant_id = new_id()
        async with self.api.transaction(tenant_id) as session:
            await create_tenant(
                session, tenant_id=tenant_id, slug=slug, name=slug, caller=COMMAND_LINE
            )
        return tenant_id

    async def ask(self, tenant_id: UUID) -> UUID:
        async with self.api.transaction(tenant_id) as session:
            return await request_check(
                session, tenant_id=tenant_id, caller=COMMAND_LINE, now=utc_now()
            )

    async def perform(self, open_source: SourceOpener, keys: KeyRing | None = None) -> bool:
        return await perform_check(self.worker, open_source, keys or self.keys)

    async def answer(
        self, tenant_id: UUID, open_source: SourceOpener, keys: KeyRing | None = None
    ) -> Sequence[CheckStep] | None:
        """What is read by whoever asked after a worker has tried."""
        check_id = await self.ask(tenant_id)
        assert await self.perform(open_source, keys)
        return await self.wait(tenant_id, check_id, 5)

    async def wait(
        self, tenant_id: UUID, check_id: UUID, seconds: float
    ) -> Sequence[CheckStep] | None:
        return await wait_for_check(
            self.api, tenant_id=tenant_id, check_id=check_id, seconds=seconds
        )

    async def states(self) -> list[str]:
        rows = await self.see.fetch("SELECT state FROM integration_checks ORDER BY requested_at")
        return [row["state"] for row in rows]


@pytest.fixture
def desk(
    resources: Resources,
    worker_resources: Resources,
    superuser: asyncpg.Connection,
    keys: KeyRing,
) -> Desk:
    return Desk(resources.database, worker_resources.database, superuser, keys)


async def test_a_worker_tries_with_the_secrets_and_the_asker_reads_the_steps(desk: Desk) -> None:
    seen = list[SourceConfig]()
    tenant_id = await desk.connect("alpha")
    assert await desk.answer(tenant_id, opener(Source(), seen)) == [STEP]
    assert [config.credentials for config in seen] == [{"token": "token of alpha"}]
    assert not await desk.perform(opener(Source()))


async def test_whoever_asks_meanwhile_gets_the_same_answer(desk: Desk) -> None:
    tenant_id = await desk.connect("alpha")
    first = await desk.ask(tenant_id)
    assert await desk.ask(tenant_id) == first
    assert await desk.perform(opener(Source()))
    assert await desk.ask(tenant_id) != first


async def test_two_workers_try_each_connection_once(desk: Desk) -> None:
    for slug in ("alpha", "beta", "gamma"):
        await desk.ask(await desk.connect(slug))
    seen = list[SourceConfig]()
    slow = opener(Source(seconds=0.2), seen)
    done = await asyncio.gather(*(desk.perform(slow) for _ in range(5)))
    assert sorted(done) == [False, False, True, True, True]
    tokens = sorted(config.credentials["token"] for config in seen)
    assert tokens == ["token of alpha", "token of beta", "token of gamma"]
    assert await desk.states() == ["DONE"] * 3


@pytest.mark.parametrize(
    ("error", "name", "message"),
    [
        (ZeroDivisionError("of Mia Lee"), "homerow", "Something went wrong here."),
        (InvalidInput("path", "That path is none."), "settings", "That path is none."),
    ],
)
async def test_a_source_that_breaks_is_a_step_that_fails(
    desk: Desk, error: Exception, name: str, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    tenant_id = await desk.connect("alpha")
    steps = await desk.answer(tenant_id, opener(Source(error=error)))
    assert steps is not None
    assert [(step.name, step.is_ok, step.message) for step in steps] == [(name, False, message)]
    assert steps[0].advice
    assert "Mia" not in "".join(capfd.readouterr())
    assert await desk.states() == ["DONE"]


async def test_a_provider_that_does_not_answer_is_a_step_that_fails(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "MOST_SECONDS", 0.1)
    tenant_id = await desk.connect("alpha")
    steps = await desk.answer(tenant_id, opener(Source(seconds=60)))
    assert [(step.name, step.is_ok) for step in steps or ()] == [("answer", False)]


async def test_credentials_that_do_not_open_are_a_step_that_fails(desk: Desk) -> None:
    tenant_id = await desk.connect("alpha")
    steps = await desk.answer(tenant_id, opener(Source()), OTHER_KEYS)
    assert [(step.name, step.is_ok) for step in steps or ()] == [("settings", False)]
    assert "HOMEROW_SECRET_KEYS" in str(steps)


async def test_the_api_cannot_try_by_itself(desk: Desk) -> None:
    tenant_id = await desk.connect("alpha")
    integration_id = await desk.see.fetchval("SELECT id FROM integrations")
    seen = list[SourceConfig]()
    [step] = await try_connection(
        desk.api,
        opener(Source(), seen),
        desk.keys,
        tenant_id=tenant_id,
        integration_id=integration_id,
    )
    assert (step.is_ok, seen) == (False, [])


async def test_nobody_waits_for_ever(desk: Desk) -> None:
    tenant_id = await desk.connect("alpha")
    check_id = await desk.ask(tenant_id)
    assert await desk.wait(tenant_id, check_id, 0.1) is None


async def test_nothing_is_tried_where_nothing_is_connected(desk: Desk) -> None:
    tenant_id = await desk.create("alpha")
    with pytest.raises(NotFound):
        await desk.ask(tenant_id)


async def test_answers_are_deleted_after_a_day(desk: Desk) -> None:
    old, other = await desk.connect("alpha"), await desk.connect("beta")
    await desk.ask(old)
    kept = await desk.ask(other)
    await desk.see.execute(
        "UPDATE integration_checks SET requested_at = $1 WHERE tenant_id = $2",
        utc_now() - timedelta(days=1, minutes=1),
        old,
    )
    await delete_old_checks(desk.worker, now=utc_now())
    rows = await desk.see.fetch("SELECT id FROM integration_checks")
    assert [row["id"] for row in rows] == [kept]
