"""Stopping and undoing runs over GraphQL: who may, what is answered, and what is seen of it."""

from typing import Any
from uuid import UUID

import asyncpg
import pytest
from starlette.applications import Starlette

from api.graphql.node import encode_id
from domain.clock import new_id
from domain.people.callers import Scope
from tests.api.graphql.client import World, connected
from tests.api.graphql.seed import add_integration, add_run, add_token, add_user

pytestmark = pytest.mark.anyio

CANCEL = """mutation ($input: SyncRunCancelInput!) { syncRunCancel(input: $input) {
    syncRun { id state cancelRequestedAt cancelledBy { kind label } }
    userErrors { field code message } } }"""
REVERT = """mutation ($input: SyncRunRevertInput!) { syncRunRevert(input: $input) {
    syncRun { id mode state reverts { id } } message userErrors { field code message } } }"""
LINKED = """query ($slug: String!) { tenant(slug: $slug) { syncRuns { nodes {
    id mode reverts { id } revertedBy { id mode } } } } }"""


def of(world: World, run_id: UUID) -> dict[str, str]:
    return {"syncRunId": encode_id("R", world.alpha_id, run_id)}


async def add_unfinished(see: asyncpg.Connection, world: World, **values: Any) -> UUID:
    integration = await add_integration(see, world.alpha_id)
    return await add_run(see, world.alpha_id, integration, finished_at=None, **values)


async def add_finished(see: asyncpg.Connection, world: World) -> UUID:
    """A run that has created one user."""
    integration = await add_integration(see, world.alpha_id)
    run_id = await add_run(
        see, world.alpha_id, integration, counts={"USER": {"created": 1, "fetched": 1}}
    )
    await add_user(see, world.alpha_id, source_id="ann", created_by_run_id=run_id)
    return run_id


async def test_a_run_that_waits_is_cancelled(world: World, superuser: asyncpg.Connection) -> None:
    run_id = await add_unfinished(superuser, world, state="QUEUED", started_at=None)
    answer = (await world.alpha.run(CANCEL, input=of(world, run_id)))["syncRunCancel"]
    run = answer["syncRun"]
    assert (run["state"], answer["userErrors"]) == ("CANCELLED", [])
    assert run["cancelRequestedAt"] is not None
    assert run["cancelledBy"]["kind"] == "TOKEN"


async def test_a_run_under_way_is_asked_to_stop(
    world: World, superuser: asyncpg.Connection
) -> None:
    run_id = await add_unfinished(superuser, world, state="PLANNING")
    run = (await world.operator.run(CANCEL, input=of(world, run_id)))["syncRunCancel"]["syncRun"]
    assert run["state"] == "PLANNING"
    assert run["cancelRequestedAt"] is not None


async def test_what_was_applied_is_not_cancelled(
    world: World, superuser: asyncpg.Connection
) -> None:
    run_id = await add_unfinished(
        superuser, world, state="SUMMARISING", counts={"USER": {"updated": 3}}
    )
    answer = (await world.alpha.run(CANCEL, input=of(world, run_id)))["syncRunCancel"]
    assert answer["syncRun"] is None
    assert answer["userErrors"] == [
        {
            "field": None,
            "code": "CONFLICT",
            "message": "The run has been applied already; use syncRunRevert once it has ended.",
        }
    ]


async def test_a_run_is_undone_and_the_two_know_each_other(
    world: World, superuser: asyncpg.Connection
) -> None:
    run_id = await add_finished(superuser, world)
    answer = (await world.alpha.run(REVERT, input=of(world, run_id)))["syncRunRevert"]
    revert = answer["syncRun"]
    assert (revert["mode"], revert["state"], answer["userErrors"]) == ("REVERT", "QUEUED", [])
    assert revert["reverts"] == {"id": of(world, run_id)["syncRunId"]}
    assert answer["message"].startswith("The next sync does again what is undone, unless")
    shown = (await world.alpha.run(LINKED, slug="alpha"))["tenant"]["syncRuns"]["nodes"]
    assert [run["revertedBy"] for run in shown] == [None, None]
    await superuser.execute(
        "UPDATE sync_runs SET state = 'SUCCEEDED', finished_at = now() WHERE mode = 'REVERT'"
    )
    shown = (await world.alpha.run(LINKED, slug="alpha"))["tenant"]["syncRuns"]["nodes"]
    by_mode = {run["mode"]: run for run in shown}
    assert by_mode["FULL"]["revertedBy"] == {"id": revert["id"], "mode": "REVERT"}
    assert by_mode["FULL"]["reverts"] is None
    assert by_mode["REVERT"]["reverts"] == {"id": by_mode["FULL"]["id"]}
    again = (await world.alpha.run(REVERT, input=of(world, run_id)))["syncRunRevert"]
    assert (again["syncRun"], again["message"]) == (None, None)
    [error] = again["userErrors"]
    assert (error["field"], error["code"]) == (None, "CONFLICT")
    assert error["message"].startswith("The run is undone already, by run ")


async def test_what_has_changed_since_is_named(world: World, superuser: asyncpg.Connection) -> None:
    run_id = await add_finished(superuser, world)
    user_id = await superuser.fetchval("UPDATE users SET archived_at = now() RETURNING id")
    await superuser.execute(
        "INSERT INTO people_merges (tenant_id, kept_id, merged_id, created_by)"
        " VALUES ($1, $2, $2, 'x')",
        world.alpha_id,
        user_id,
    )
    answer = (await world.alpha.run(REVERT, input=of(world, run_id)))["syncRunRevert"]
    [error] = answer["userErrors"]
    assert (error["code"], "USER ann" in error["message"]) == ("CONFLICT", True)
    assert await superuser.fetchval("SELECT count(*) FROM sync_runs") == 1


async def test_what_the_worker_found_is_said(world: World, superuser: asyncpg.Connection) -> None:
    integration = await add_integration(superuser, world.alpha_id)
    run_id = await add_run(
        superuser,
        world.alpha_id,
        integration,
        mode="REVERT",
        state="FAILED",
        failure_code="RUN_REVERT_REFUSED",
        failure_message="1 record has changed since.",
    )
    query = "query ($id: ID!) { syncRun(id: $id) { failure { code title owner remedy } } }"
    shown = await world.alpha.run(query, id=of(world, run_id)["syncRunId"])
    assert shown["syncRun"]["failure"] == {
        "code": "RUN_REVERT_REFUSED",
        "title": "The run could not be undone any more",
        "owner": "ADMINISTRATOR",
        "remedy": "See in the message what has changed since; undo the later runs first.",
    }


@pytest.mark.parametrize("query", [CANCEL, REVERT], ids=["cancel", "revert"])
async def test_only_a_run_of_one_s_own_can_be_named(
    world: World, superuser: asyncpg.Connection, query: str
) -> None:
    run_id = await add_finished(superuser, world)
    name = "syncRunCancel" if query == CANCEL else "syncRunRevert"
    for client, wanted, code in (
        (world.beta, of(world, run_id), "NOT_FOUND"),
        (world.alpha, of(world, new_id()), "NOT_FOUND"),
        (world.alpha, {"syncRunId": encode_id("T", world.alpha_id, run_id)}, "INVALID"),
        (world.alpha, {"syncRunId": "nonsense"}, "INVALID"),
    ):
        answer = (await client.run(query, input=wanted))[name]
        assert (answer["syncRun"], [each["code"] for each in answer["userErrors"]]) == (
            None,
            [code],
        )
    assert await superuser.fetchval("SELECT count(*) FROM audit_log") == 0


async def test_who_runs_syncs_may_stop_one_and_only_administrators_undo_one(
    world: World, app: Starlette, superuser: asyncpg.Connection
) -> None:
    run_id = await add_finished(superuser, world)
    reader = await add_token(superuser, "reader", world.alpha_id, scopes=[Scope.ROSTER_READ])
    runner = await add_token(superuser, "runner", world.alpha_id, scopes=[Scope.SYNC_RUN])
    async with connected(app, reader) as may_read, connected(app, runner) as may_run:
        for client, query in ((may_read, CANCEL), (may_read, REVERT), (may_run, REVERT)):
            error = await client.fail(query, input=of(world, run_id))
            assert error["extensions"]["code"] == "FORBIDDEN"
        answer = (await may_run.run(CANCEL, input=of(world, run_id)))["syncRunCancel"]
        assert [error["code"] for error in answer["userErrors"]] == ["CONFLICT"]
