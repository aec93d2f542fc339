"""Following a run: at once, with news and without, to its end, by both ways and by whoever may."""

import json
from collections.abc import AsyncGenerator
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from starlette.applications import Starlette

from api.graphql.node import encode_id
from domain.resources import Resources
from tests.api.graphql.client import World
from tests.api.graphql.listening import served, streamed, wired
from tests.api.graphql.seed import add_integration, add_run

pytestmark = pytest.mark.anyio


@pytest.fixture(name="address")
async def fixture_address(app: Starlette) -> AsyncGenerator[str]:
    async with served(app) as address:
        yield address


@pytest.fixture(name="run")
async def fixture_run(world: World, superuser: asyncpg.Connection) -> UUID:
    """Of alpha, under way."""
    integration = await add_integration(superuser, world.alpha_id)
    return await add_run(
        superuser,
        world.alpha_id,
        integration,
        state="FETCHING",
        finished_at=None,
        progress={"read": 350, "expected": 1000, "rate": 700.5, "at": "2026-01-01T00:00:00+00:00"},
    )


async def move(superuser: asyncpg.Connection, run: UUID, state: str, read: int) -> None:
    await superuser.execute(
        "UPDATE sync_runs SET state = $2::text, progress = progress || $3,"
        " finished_at = CASE WHEN $2::text = 'SUCCEEDED' THEN now() END WHERE id = $1",
        run,
        state,
        json.dumps({"read": read}),
    )


def as_told(state: str, read: int) -> Any:
    return {"syncRunProgress": {"state": state, "progress": {"read": read, "rate": 700.5}}}


async def test_a_run_is_followed_by_websocket_to_its_end(
    world: World,
    run: UUID,
    address: str,
    superuser: asyncpg.Connection,
    resources: Resources,
) -> None:
    async with wired(address) as wire:
        await wire.begin("of-alpha")
        await wire.subscribe("one", id=encode_id("R", world.alpha_id, run))
        first = await wire.hear()
        assert (first["type"], first["id"]) == ("next", "one")
        assert first["payload"]["data"] == as_told("FETCHING", 350)
        assert first["payload"]["extensions"]["cost"]["requestedQueryCost"] == 2
        await move(superuser, run, "VALIDATING", 1000)
        resources.queue.announce(run)
        assert (await wire.hear())["payload"]["data"] == as_told("VALIDATING", 1000)
        await move(superuser, run, "SUCCEEDED", 1000)
        resources.queue.announce(run)
        assert (await wire.hear())["payload"]["data"] == as_told("SUCCEEDED", 1000)
        assert await wire.hear() == {"type": "complete", "id": "one"}
        await wire.say({"type": "ping"})
        assert await wire.hear() == {"type": "pong"}


async def test_a_run_is_followed_by_events_to_its_end(
    world: World,
    run: UUID,
    address: str,
    superuser: asyncpg.Connection,
    resources: Resources,
) -> None:
    events = streamed(address, "of-alpha", id=encode_id("R", world.alpha_id, run))
    name, answer = await anext(events)
    assert (name, answer["data"]) == ("next", as_told("FETCHING", 350))
    await move(superuser, run, "SUCCEEDED", 1000)
    resources.queue.announce(run)
    name, answer = await anext(events)
    assert (name, answer["data"]) == ("next", as_told("SUCCEEDED", 1000))
    assert [event async for event in events] == [("complete", {})]
