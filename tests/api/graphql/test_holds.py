"""Holds over GraphQL: what they say, deciding them, and the limits."""

from typing import Any
from uuid import UUID

import asyncpg
import pytest
from starlette.applications import Starlette

from api.graphql.node import encode_id
from domain.people.callers import Scope
from tests.api.graphql.client import World, connected
from tests.api.graphql.seed import add_integration, add_run, add_token, insert

pytestmark = pytest.mark.anyio

APPROVE = """mutation ($id: ID!) { syncRunApprove(input: {syncRunId: $id}) {
    syncRun { mode state trigger } userErrors { field code message } } }"""
DISCARD = """mutation ($id: ID!) { syncRunDiscard(input: {syncRunId: $id}) {
    syncRun { id hold { endedAt endedBy { kind } } } userErrors { field code message } } }"""
HOLD = """query ($id: ID!) { syncRun(id: $id) {
    hold { applied waiting told message endedAt
      reasons { code recordType count of value schoolId message } }
    changes(filter: {isWaiting: true}) { totalCount nodes { action sourceId waitsFor } } } }"""
LIMITS = """mutation ($input: HoldLimitsSetInput!) { holdLimitsSet(input: $input) {
    limits { recordType archiveCount archivePercent updatePercent } holdsEverything
    userErrors { field code message } } }"""
USUAL = {"archiveCount": 10, "archivePercent": 10, "updatePercent": 75}


async def add_hold(see: asyncpg.Connection, world: World, code: str = "HOLD_DELETES") -> UUID:
    """A run of alpha that has created five people and wants to archive two, who wait."""
    integration = await add_integration(see, world.alpha_id)
    run_id = await add_run(
        see,
        world.alpha_id,
        integration,
        state="SUCCEEDED_WITH_HOLD",
        counts={"USER": {"created": 5, "archived": 0, "held": 2, "fetched": 9}},
    )
    reasons = [{"code": code, "record_type": "USER", "count": 2, "of": 11}]
    await insert(see, "holds", tenant_id=world.alpha_id, run_id=run_id, reasons=reasons)
    for source_id in ("ann", "cid"):
        await see.execute(
            "INSERT INTO sync_changes (tenant_id, run_id, record_type, record_id, source_id,"
            " action, old_values, new_values, held_by) VALUES ($1, $2, 'USER', uuidv7(), $3,"
            " 'ARCHIVE', '{}', '{}', $4)",
            world.alpha_id, run_id, source_id, code,
        )  # fmt: skip
    return run_id


def at(world: World, run_id: UUID) -> str:
    return encode_id("R", world.alpha_id, run_id)


async def test_a_hold_says_what_was_applied_what_waits_and_what_comes_next(
    world: World, superuser: asyncpg.Connection
) -> None:
    run_id = await add_hold(superuser, world)
    run = (await world.alpha.run(HOLD, id=at(world, run_id)))["syncRun"]
    assert run["hold"] == {
        "applied": 5,
        "waiting": 2,
        "told": [],
        "message": "5 changes were applied. These wait, as they were: 2 people."
        " No notice was sent. The next run looks anew: what is within limits then is applied, what"
        " is not waits again. Approving starts a run that may do what was shown, and no more.",
        "endedAt": None,
        "reasons": [
            {
                "code": "HOLD_DELETES", "recordType": "USER", "count": 2, "of": 11, "value": None,
                "schoolId": None,
                "message": "Unusually many records would be archived: 2 people of 11. Look at the"
                " changes that wait. Approve them if they are meant; else correct the feed.",
            }
        ],
    }  # fmt: skip
    assert run["changes"]["totalCount"] == 2
    assert run["changes"]["nodes"][0] == {
        "action": "ARCHIVE", "sourceId": "ann", "waitsFor": "HOLD_DELETES",
    }  # fmt: skip


async def test_approving_asks_for_a_full_run_that_knows_what_it_may(
    world: World, superuser: asyncpg.Connection
) -> None:
    run_id = await add_hold(superuser, world)
    answer = (await world.alpha.run(APPROVE, id=at(world, run_id)))["syncRunApprove"]
    assert answer == {
        "syncRun": {"mode": "FULL", "state": "QUEUED", "trigger": "MANUAL"}, "userErrors": [],
    }  # fmt: skip
    approves = "SELECT approves_run_id FROM sync_runs WHERE state = 'QUEUED'"
    assert await superuser.fetchval(approves) == run_id
    again = (await world.alpha.run(APPROVE, id=at(world, run_id)))["syncRunApprove"]
    assert again["userErrors"] == []
    assert await superuser.fetchval("SELECT count(*) FROM sync_runs") == 2
    actions = await superuser.fetch("SELECT action FROM audit_log WHERE action = 'syncRunApprove'")
    assert len(actions) == 2


async def test_a_run_that_waits_in_the_queue_takes_the_approval(
    world: World, superuser: asyncpg.Connection
) -> None:
    run_id = await add_hold(superuser, world)
    integration = await superuser.fetchval("SELECT integration_id FROM sync_runs")
    await add_run(
        superuser, world.alpha_id, integration, state="QUEUED", started_at=None, finished_at=None
    )
    await world.alpha.run(APPROVE, id=at(world, run_id))
    runs = await superuser.fetch("SELECT approves_run_id FROM sync_runs WHERE state = 'QUEUED'")
    assert [row["approves_run_id"] for row in runs] == [run_id]


async def test_a_plan_that_is_gone_is_neither_approved_nor_set_aside(
    world: World, superuser: asyncpg.Connection
) -> None:
    run_id = await add_hold(superuser, world)
    ended = await world.alpha.run(DISCARD, id=at(world, run_id))
    hold = ended["syncRunDiscard"]["syncRun"]["hold"]
    assert (hold["endedAt"] is not None, hold["endedBy"]["kind"]) == (True, "TOKEN")
    for query, name in ((APPROVE, "syncRunApprove"), (DISCARD, "syncRunDiscard")):
        answer = (await world.alpha.run(query, id=at(world, run_id)))[name]
        [error] = answer["userErrors"]
        assert (answer["syncRun"], error["code"]) == (None, "CONFLICT")
        assert error["message"].startswith("This plan is gone: token ")
    assert await superuser.fetchval("SELECT count(*) FROM sync_runs") == 1


async def test_nothing_waits_of_a_run_without_a_hold(
    world: World, superuser: asyncpg.Connection
) -> None:
    integration = await add_integration(superuser, world.alpha_id)
    run_id = await add_run(superuser, world.alpha_id, integration)
    answer = (await world.alpha.run(APPROVE, id=at(world, run_id)))["syncRunApprove"]
    assert answer["userErrors"] == [
        {"field": None, "code": "CONFLICT", "message": "Nothing of this run waits."}
    ]


async def test_only_an_operator_lets_students_in_beyond_the_licences(
    world: World, superuser: asyncpg.Connection
) -> None:
    run_id = await add_hold(superuser, world, code="LICENCE_LIMIT")
    answer = (await world.alpha.run(APPROVE, id=at(world, run_id)))["syncRunApprove"]
    [error] = answer["userErrors"]
    assert (error["code"], "licences" in error["message"]) == ("CONFLICT", True)
    answer = (await world.operator.run(APPROVE, id=at(world, run_id)))["syncRunApprove"]
    assert answer["userErrors"] == []


@pytest.mark.parametrize("query", [APPROVE, DISCARD])
async def test_another_tenants_hold_does_not_exist_and_a_scope_is_needed(
    world: World, superuser: asyncpg.Connection, app: Starlette, query: str
) -> None:
    run_id = await add_hold(superuser, world)
    answer = await world.beta.run(query, id=at(world, run_id))
    [error] = next(iter(answer.values()))["userErrors"]
    assert error["code"] == "NOT_FOUND"
    secret = await add_token(
        superuser, "reader", world.alpha_id, scopes=(Scope.ROSTER_READ, Scope.SYNC_RUN)
    )
    async with connected(app, secret) as client:
        answer = (await client.post(query, id=at(world, run_id))).json()
    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    assert await superuser.fetchval("SELECT count(*) FROM sync_runs") == 1


async def set_limits(world: World, **values: Any) -> Any:
    wanted = {"tenantId": encode_id("T", world.alpha_id, world.alpha_id), **values}
    return (await world.alpha.run(LIMITS, input=wanted))["holdLimitsSet"]


async def test_limits_are_set_as_a_whole_and_shown_with_the_usual_ones(
    world: World, superuser: asyncpg.Connection
) -> None:
    await add_integration(superuser, world.alpha_id)
    answer = await set_limits(
        world, limits=[{"recordType": "USER", "archiveCount": 50}], holdsEverything=True
    )
    others = [{"recordType": kind, **USUAL} for kind in ("SCHOOL", "GROUP", "USER", "MEMBERSHIP")]
    others[2]["archiveCount"] = 50
    assert answer == {"limits": others, "holdsEverything": True, "userErrors": []}
    answer = await set_limits(world, limits=[])
    assert answer["limits"][2] == {"recordType": "USER", **USUAL}
    assert answer["holdsEverything"] is True


async def test_limits_that_make_no_sense_are_refused(
    world: World, superuser: asyncpg.Connection
) -> None:
    await add_integration(superuser, world.alpha_id)
    for limits in (
        [{"recordType": "USER", "archivePercent": 101}],
        [{"recordType": "USER", "archiveCount": -1}],
        [{"recordType": "USER"}, {"recordType": "USER"}],
    ):
        answer = await set_limits(world, limits=limits)
        [error] = answer["userErrors"]
        assert (error["field"], error["code"]) == (["input", "limits"], "INVALID")
    assert await superuser.fetchval("SELECT count(*) FROM hold_limits") == 0
