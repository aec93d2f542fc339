"""Trying a connection: a worker does it while the caller waits."""

import asyncio
from pathlib import Path

import asyncpg
import pytest

from api.graphql import integration_tests
from api.graphql.node import encode_id
from domain.resources import Resources
from tests.api.graphql.client import World
from tests.api.graphql.seed import add_integration
from worker.tasks import WorkerContext, check

pytestmark = pytest.mark.anyio

TEST = """mutation ($id: ID!) { integrationTest(input: {tenantId: $id}) {
    steps { name ok message advice } userErrors { field code message } } }"""


async def work(resources: Resources, see: asyncpg.Connection, checks: int) -> None:
    """A worker that is woken until so many checks are done."""
    while (
        await see.fetchval("SELECT count(*) FROM integration_checks WHERE state = 'DONE'") < checks
    ):
        await check({"homerow": WorkerContext(resources)})
        await asyncio.sleep(0.02)


async def test_a_connection_is_tried_step_by_step_and_audited(
    world: World, superuser: asyncpg.Connection, worker_resources: Resources, tmp_path: Path
) -> None:
    integration_id = await add_integration(
        superuser, world.alpha_id, settings={"path": str(tmp_path / "nothing")}
    )
    global_id = encode_id("T", world.alpha_id, world.alpha_id)
    data, _ = await asyncio.gather(
        world.alpha.run(TEST, id=global_id), work(worker_resources, superuser, 1)
    )
    answer = data["integrationTest"]
    assert answer["userErrors"] == []
    assert [step["ok"] for step in answer["steps"]] == [False]
    assert answer["steps"][0]["message"]
    assert answer["steps"][0]["advice"]
    [act] = await superuser.fetch("SELECT action, target, actor, tenant_id FROM audit_log")
    assert (act["action"], act["target"]) == ("integrationTest", str(integration_id))
    assert act["actor"].startswith("token ")
    assert act["tenant_id"] == world.alpha_id


async def test_without_a_worker_it_is_said_how_to_see_one(
    world: World, superuser: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(integration_tests, "WAIT_SECONDS", 0.1)
    await add_integration(superuser, world.alpha_id)
    global_id = encode_id("T", world.alpha_id, world.alpha_id)
    answer = (await world.alpha.run(TEST, id=global_id))["integrationTest"]
    assert answer["steps"] == []
    [error] = answer["userErrors"]
    assert (error["field"], error["code"]) == (None, "CONFLICT")
    assert "homerow status" in error["message"]


async def test_it_may_take_longer_than_other_requests(
    world: World,
    superuser: asyncpg.Connection,
    worker_resources: Resources,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = "api.graphql.engine.asyncio.timeout"
    timeout = asyncio.timeout
    monkeypatch.setattr(engine, lambda seconds: timeout(0.3 if seconds == 10 else seconds))
    await add_integration(superuser, world.alpha_id)
    global_id = encode_id("T", world.alpha_id, world.alpha_id)
    asking = asyncio.create_task(world.alpha.run(TEST, id=global_id))
    await asyncio.sleep(0.6)
    await work(worker_resources, superuser, 1)
    assert len((await asking)["integrationTest"]["steps"]) == 1


async def test_nothing_is_tried_where_nothing_is_connected(
    world: World, superuser: asyncpg.Connection
) -> None:
    global_id = encode_id("T", world.alpha_id, world.alpha_id)
    for client, code in ((world.alpha, "NOT_FOUND"), (world.beta, "NOT_FOUND")):
        answer = (await client.run(TEST, id=global_id))["integrationTest"]
        assert answer["steps"] == []
        assert [error["code"] for error in answer["userErrors"]] == [code]
    assert await superuser.fetchval("SELECT count(*) FROM audit_log") == 0
    assert await superuser.fetchval("SELECT count(*) FROM integration_checks") == 0
