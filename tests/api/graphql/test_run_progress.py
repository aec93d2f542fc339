"""Following a run: at once, with news and without, to its end, by both ways and by whoever may."""

import dataclasses
import json
from collections.abc import AsyncGenerator
from typing import Any
from uuid import UUID

import asyncpg
import httpx2
import pytest
from starlette.applications import Starlette

from api.app import create_app
from api.graphql.node import encode_id
from api.signing_in.site import SignInSettings
from domain.clock import new_id
from domain.news import News
from domain.people.callers import Scope
from domain.resources import Resources
from domain.tally import Tally
from domain.throttle import Throttle, open_redis
from tests.api.graphql.client import World
from tests.api.graphql.listening import FOLLOW, served, streamed, wired
from tests.api.graphql.seed import add_integration, add_run, add_token

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


async def test_without_valkey_the_row_is_looked_at_by_and_by(
    world: World, run: UUID, superuser: asyncpg.Connection, resources: Resources
) -> None:
    away = open_redis("redis://127.0.0.1:1")
    alone = dataclasses.replace(
        resources, news=News(away), tally=Tally(away), throttle=Throttle(away)
    )
    async with served(create_app(alone, SignInSettings())) as address:
        events = streamed(address, "of-alpha", id=encode_id("R", world.alpha_id, run))
        name, answer = await anext(events)
        assert (name, answer["data"]) == ("next", as_told("FETCHING", 350))
        await move(superuser, run, "SUCCEEDED", 1000)
        name, answer = await anext(events)
        assert (name, answer["data"]) == ("next", as_told("SUCCEEDED", 1000))
        assert [event async for event in events] == [("complete", {})]
    await alone.news.close()


async def test_what_is_not_there_and_what_is_anothers_get_the_same_answer(
    world: World, run: UUID, address: str
) -> None:
    absent = new_id()
    for tenant_id, key in ((world.alpha_id, run), (world.beta_id, absent), (absent, absent)):
        events = streamed(address, "of-beta", id=encode_id("R", tenant_id, key))
        [(name, answer), end] = [event async for event in events]
        [error] = answer["errors"]
        del error["extensions"]["requestId"]
        assert (name, end) == ("next", ("complete", {}))
        assert error == {
            "message": "There is no run with this id.",
            "extensions": {"code": "NOT_FOUND"},
        }


async def test_an_operator_follows_any_run_and_who_may_not_read_none(
    world: World, run: UUID, address: str, superuser: asyncpg.Connection
) -> None:
    await add_token(superuser, "of-starter", world.alpha_id, scopes=[Scope.SYNC_RUN])
    global_id = encode_id("R", world.alpha_id, run)
    name, answer = await anext(streamed(address, "of-operator", id=global_id))
    assert (name, answer["data"]) == ("next", as_told("FETCHING", 350))
    name, answer = await anext(streamed(address, "of-starter", id=global_id))
    [error] = answer["errors"]
    assert error["extensions"]["code"] == "FORBIDDEN"
    assert error["message"] == "This needs a token with the scope roster:read."


async def test_an_id_that_is_none_is_bad_input(address: str, world: World) -> None:
    [(_, answer), _] = [event async for event in streamed(address, "of-alpha", id="x")]
    assert answer["errors"][0]["extensions"]["reason"] == "INVALID_ID"
    query = "subscription ($id: ID!) { syncRunProgress(id: $id) { state } }"
    [(_, answer), _] = [event async for event in streamed(address, "of-alpha", query)]
    assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_a_subscription_is_a_stream_and_a_query_is_none(world: World, run: UUID) -> None:
    query = "subscription ($id: ID!) { syncRunProgress(id: $id) { state } }"
    response = await world.alpha.post(query, id=encode_id("R", world.alpha_id, run))
    assert response.status_code == 406
    assert response.json()["errors"][0]["message"] == (
        "A subscription is followed with the header Accept: text/event-stream, or by WebSocket."
    )
    stream = {"Accept": "text/event-stream"}
    asked = {"query": "{ viewer { name } }"}
    response = await world.alpha.http.post("/graphql", json=asked, headers=stream)
    assert response.json()["data"] == {"viewer": {"name": "token of-alpha"}}
    for url in (f"/graphql?query={query}", "/graphql/stream"):
        assert (await world.alpha.http.get(url, headers=stream)).status_code in {404, 405}


async def test_nobody_gets_no_stream(address: str, world: World, run: UUID) -> None:
    async with httpx2.AsyncClient() as http:
        response = await http.post(
            f"http://{address}/graphql",
            json={"query": FOLLOW, "variables": {"id": "x"}},
            headers={"Accept": "text/event-stream"},
        )
    assert response.status_code == 401
    assert response.headers["content-type"] == "application/json; charset=utf-8"
