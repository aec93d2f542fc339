"""Sync runs: asking for one, following it, and what it changed."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from api.graphql.node import encode_id
from domain.clock import new_id, utc_now
from tests.api.graphql.client import World
from tests.api.graphql.seed import (
    add_error,
    add_group,
    add_integration,
    add_membership,
    add_run,
    add_school,
    add_user,
    insert,
)

pytestmark = pytest.mark.anyio

START = """mutation ($input: SyncRunStartInput!) { syncRunStart(input: $input) {
    joined syncRun { id mode trigger state phase requestedBy { kind label } tenant { slug } }
    userErrors { field code message }
} }"""
CHANGES = """query ($id: ID!, $filter: SyncChangeFilter) { syncRun(id: $id) {
    changes(filter: $filter) { totalCount nodes {
        recordType recordId sourceId action fields { name oldValue newValue } } } } }"""


def alpha(world: World, **values: str) -> dict[str, str]:
    return {"tenantId": encode_id("T", world.alpha_id, world.alpha_id)} | values


async def test_a_run_is_asked_for_and_joined(world: World, superuser: asyncpg.Connection) -> None:
    await add_integration(superuser, world.alpha_id)
    first = (await world.alpha.run(START, input=alpha(world)))["syncRunStart"]
    run = first["syncRun"]
    assert first["joined"] is False
    assert first["userErrors"] == []
    assert {key: run[key] for key in ("mode", "trigger", "state", "phase", "tenant")} == {
        "mode": "FULL",
        "trigger": "MANUAL",
        "state": "QUEUED",
        "phase": None,
        "tenant": {"slug": "alpha"},
    }
    assert run["requestedBy"]["kind"] == "TOKEN"
    second = (await world.operator.run(START, input=alpha(world, mode="FULL")))["syncRunStart"]
    assert second["joined"] is True
    assert second["syncRun"]["id"] == run["id"]
    third = (await world.alpha.run(START, input=alpha(world, mode="DELTA")))["syncRunStart"]
    assert third["syncRun"] is None
    assert [error["code"] for error in third["userErrors"]] == ["CONFLICT"]
    assert await superuser.fetchval("SELECT count(*) FROM sync_runs") == 1


async def test_what_cannot_be_started_is_said(world: World, superuser: asyncpg.Connection) -> None:
    answer = (await world.alpha.run(START, input=alpha(world)))["syncRunStart"]
    [error] = answer["userErrors"]
    assert (error["field"], error["code"]) == (["input", "tenantId"], "NOT_FOUND")
    await add_integration(superuser, world.alpha_id, status="PAUSED")
    answer = (await world.alpha.run(START, input=alpha(world)))["syncRunStart"]
    assert answer["userErrors"] == [
        {
            "field": None,
            "code": "CONFLICT",
            "message": "The integration is paused; resume it first.",
        }
    ]
    answer = (await world.alpha.run(START, input=alpha(world, mode="SINGLE_USER")))["syncRunStart"]
    [error] = answer["userErrors"]
    assert (error["field"], error["code"]) == (["input", "user"], "INVALID")
    answer = (await world.alpha.run(START, input=alpha(world, mode="REVERT")))["syncRunStart"]
    [error] = answer["userErrors"]
    assert (error["field"], error["code"]) == (["input", "mode"], "INVALID")
    assert await superuser.fetchval("SELECT count(*) FROM sync_runs") == 0


async def run_with(world: World, superuser: asyncpg.Connection, **values: Any) -> Any:
    integration = await add_integration(superuser, world.alpha_id)
    run = await add_run(superuser, world.alpha_id, integration, **values)
    query = """query ($id: ID!) { syncRun(id: $id) {
        state phase progress { phase read expected percent } requestedBy { kind label }
        counts { recordType fetched created updated archived restored unchanged rejected ignored }
        failure { code message title } hold { createdAt }
    } }"""
    return (await world.alpha.run(query, id=encode_id("R", world.alpha_id, run)))["syncRun"]


async def test_a_running_run_says_how_far_it_is(
    world: World, superuser: asyncpg.Connection
) -> None:
    run = await run_with(
        world,
        superuser,
        state="FETCHING",
        finished_at=None,
        requested_by="command line",
        progress={"read": 350, "expected": 1000},
    )
    assert run == {
        "state": "FETCHING",
        "phase": "FETCHING",
        "progress": {"phase": "FETCHING", "read": 350, "expected": 1000, "percent": 35},
        "requestedBy": {"kind": "COMMAND_LINE", "label": "command line"},
        "counts": [],
        "failure": None,
        "hold": None,
    }


async def test_a_failed_run_says_where_and_why(world: World, superuser: asyncpg.Connection) -> None:
    run = await run_with(
        world,
        superuser,
        state="FAILED",
        progress={"read": 12, "expected": 0},
        phases={"QUEUED": {}, "FETCHING": {"seconds": 1}, "VALIDATING": {"seconds": 2}},
        failure_code="SOMETHING_NEW",
        failure_message="It went wrong.",
    )
    assert run["phase"] == "VALIDATING"
    assert run["progress"] == {
        "phase": "VALIDATING",
        "read": 12,
        "expected": None,
        "percent": None,
    }
    assert run["failure"] == {
        "code": "SOMETHING_NEW",
        "message": "It went wrong.",
        "title": None,
    }
    assert run["requestedBy"] == {"kind": "SYSTEM", "label": "system"}


async def test_a_finished_run_has_counts_parents_first(
    world: World, superuser: asyncpg.Connection
) -> None:
    run = await run_with(
        world,
        superuser,
        counts={"USER": {"fetched": 9, "created": 2, "ignored": 1}, "SCHOOL": {"fetched": 1}},
        progress={"read": 10, "expected": 8},
        phases={"FETCHING": {}, "SUMMARISING": {}},
    )
    nothing = dict.fromkeys(
        ("created", "updated", "archived", "restored", "unchanged", "rejected", "ignored"), 0
    )
    assert run["counts"] == [
        nothing | {"recordType": "SCHOOL", "fetched": 1},
        nothing | {"recordType": "USER", "fetched": 9, "created": 2, "ignored": 1},
    ]
    assert run["progress"]["percent"] == 100


async def test_a_held_run_says_why_it_waits(world: World, superuser: asyncpg.Connection) -> None:
    integration = await add_integration(superuser, world.alpha_id)
    run = await add_run(superuser, world.alpha_id, integration, state="HELD")
    reason = {"code": "HOLD_TYPE_EMPTY", "record_type": "USER", "count": 40, "of": 40}
    await insert(
        superuser,
        "holds",
        tenant_id=world.alpha_id,
        run_id=run,
        reasons=[reason],
        ended_at=utc_now(),
        ended_by="system",
    )
    query = """query ($id: ID!) { syncRun(id: $id) { state hold {
        reasons { code recordType count of } endedBy { kind } } } }"""
    data = await world.alpha.run(query, id=encode_id("R", world.alpha_id, run))
    assert data["syncRun"] == {
        "state": "HELD",
        "hold": {
            "reasons": [{"code": "HOLD_TYPE_EMPTY", "recordType": "USER", "count": 40, "of": 40}],
            "endedBy": {"kind": "SYSTEM"},
        },
    }


async def add_change(
    superuser: asyncpg.Connection, tenant_id: UUID, run: UUID, **values: Any
) -> UUID:
    row = {"record_type": "USER", "action": "UPDATE", "old_values": {}, "new_values": {}}
    return await insert(superuser, "sync_changes", tenant_id=tenant_id, run_id=run, **row | values)


async def changes_of(world: World, run: UUID, **filter_: str) -> list[Any]:
    run_id = encode_id("R", world.alpha_id, run)
    data = await world.alpha.run(CHANGES, id=run_id, filter=filter_ or None)
    found = data["syncRun"]["changes"]
    assert found["totalCount"] == len(found["nodes"])
    return sorted(found["nodes"], key=lambda node: (node["action"], node["recordType"]))


async def test_updates_archives_and_restores_have_old_and_new_values(
    world: World, superuser: asyncpg.Connection
) -> None:
    tenant_id = world.alpha_id
    integration = await add_integration(superuser, tenant_id)
    run, other = [await add_run(superuser, tenant_id, integration) for _ in range(2)]
    user, membership = new_id(), new_id()
    await add_change(
        superuser,
        tenant_id,
        run,
        record_id=user,
        source_id="u-9",
        old_values={"family_name": "Lee", "is_enabled": True, "grades": ["05"]},
        new_values={"family_name": "Li", "is_enabled": False, "grades": ["05", "06"]},
    )
    await add_change(
        superuser,
        tenant_id,
        run,
        record_type="MEMBERSHIP",
        action="RESTORE",
        record_id=membership,
        old_values={"spans": [{"source_id": "e", "is_primary": True}]},
        new_values={"spans": None},
    )
    await add_change(superuser, tenant_id, other, record_id=user, action="ARCHIVE")
    assert await changes_of(world, run) == [
        {
            "recordType": "MEMBERSHIP",
            "recordId": encode_id("M", tenant_id, membership),
            "sourceId": None,
            "action": "RESTORE",
            "fields": [
                {
                    "name": "spans",
                    "oldValue": [{"sourceId": "e", "isPrimary": True}],
                    "newValue": None,
                }
            ],
        },
        {
            "recordType": "USER",
            "recordId": encode_id("U", tenant_id, user),
            "sourceId": "u-9",
            "action": "UPDATE",
            "fields": [
                {"name": "familyName", "oldValue": "Lee", "newValue": "Li"},
                {"name": "grades", "oldValue": ["05"], "newValue": ["05", "06"]},
                {"name": "isEnabled", "oldValue": True, "newValue": False},
            ],
        },
    ]


async def test_creates_are_the_records_that_name_the_run(
    world: World, superuser: asyncpg.Connection
) -> None:
    tenant_id = world.alpha_id
    integration = await add_integration(superuser, tenant_id)
    run, other = [await add_run(superuser, tenant_id, integration) for _ in range(2)]
    school = await add_school(superuser, tenant_id, created_by_run_id=run, source_id="s-1")
    group = await add_group(superuser, tenant_id, school, created_by_run_id=run)
    user = await add_user(superuser, tenant_id, created_by_run_id=run)
    membership = await add_membership(superuser, tenant_id, user, group, created_by_run_id=run)
    await add_user(superuser, tenant_id, created_by_run_id=other)
    await add_user(superuser, tenant_id)
    created = await changes_of(world, run)
    assert [(node["recordType"], node["recordId"]) for node in created] == [
        ("GROUP", encode_id("G", tenant_id, group)),
        ("MEMBERSHIP", encode_id("M", tenant_id, membership)),
        ("SCHOOL", encode_id("S", tenant_id, school)),
        ("USER", encode_id("U", tenant_id, user)),
    ]
    assert {(node["action"], len(node["fields"])) for node in created} == {("CREATE", 0)}
    assert [node["sourceId"] for node in created] == [None, None, "s-1", None]


async def test_changes_are_filtered(world: World, superuser: asyncpg.Connection) -> None:
    tenant_id = world.alpha_id
    run = await add_run(superuser, tenant_id, await add_integration(superuser, tenant_id))
    await add_school(superuser, tenant_id, created_by_run_id=run)
    await add_user(superuser, tenant_id, created_by_run_id=run)
    await add_change(superuser, tenant_id, run, record_id=new_id())

    async def found(**filter_: str) -> list[tuple[str, str]]:
        changes = await changes_of(world, run, **filter_)
        return [(node["action"], node["recordType"]) for node in changes]

    school, user, update = ("CREATE", "SCHOOL"), ("CREATE", "USER"), ("UPDATE", "USER")
    assert await found() == [school, user, update]
    assert await found(action="CREATE") == [school, user]
    assert await found(recordType="USER") == [user, update]
    assert await found(recordType="USER", action="UPDATE") == [update]
    assert await found(recordType="SCHOOL", action="UPDATE") == []
    assert await found(action="ARCHIVE") == []
    for kind in ("TERM", "COURSE", "GROUP", "MEMBERSHIP"):
        assert await found(recordType=kind) == []


async def test_changes_come_page_by_page_in_the_order_of_their_ids(
    world: World, superuser: asyncpg.Connection
) -> None:
    tenant_id = world.alpha_id
    run = await add_run(superuser, tenant_id, await add_integration(superuser, tenant_id))
    expected = []
    for _ in range(4):
        school = await add_school(superuser, tenant_id, created_by_run_id=run)
        change_id = await add_change(superuser, tenant_id, run, record_id=school, action="ARCHIVE")
        global_id = encode_id("S", tenant_id, school)
        expected += [
            (school, "CREATE", global_id),
            (change_id, "ARCHIVE", encode_id("U", tenant_id, school)),
        ]
    query = """query ($id: ID!, $after: String) { syncRun(id: $id) {
        changes(first: 3, after: $after) {
            nodes { action recordId } pageInfo { hasNextPage endCursor } } } }"""
    seen: list[tuple[str, str]] = []
    after = None
    has_next = True
    while has_next:
        data = await world.alpha.run(query, id=encode_id("R", tenant_id, run), after=after)
        page = data["syncRun"]["changes"]
        seen += [(node["action"], node["recordId"]) for node in page["nodes"]]
        has_next, after = page["pageInfo"]["hasNextPage"], page["pageInfo"]["endCursor"]
    assert seen == [(action, record_id) for _, action, record_id in sorted(expected)]


async def test_what_was_created_outside_a_runs_time_is_not_looked_for(
    world: World, superuser: asyncpg.Connection
) -> None:
    """A run's creates are found by the primary key; a minute before and after is within it."""
    tenant_id, now = world.alpha_id, utc_now()
    integration = await add_integration(superuser, tenant_id)
    began = now - timedelta(hours=2)
    times = {"requested_at": began, "started_at": began, "finished_at": began}
    run = await add_run(superuser, tenant_id, integration, **times)
    await add_school(superuser, tenant_id, created_by_run_id=run)
    edge = int((began + timedelta(seconds=59)).timestamp() * 1000)
    near = UUID(int=(edge << 80) | (new_id().int & ((1 << 80) - 1)))
    await add_school(superuser, tenant_id, id=near, created_by_run_id=run)
    data = await world.alpha.run(CHANGES, id=encode_id("R", tenant_id, run))
    [change] = data["syncRun"]["changes"]["nodes"]
    assert change["recordId"] == encode_id("S", tenant_id, near)
    waiting = await add_run(
        superuser, tenant_id, integration, state="QUEUED", started_at=None, finished_at=None
    )
    data = await world.alpha.run(CHANGES, id=encode_id("R", tenant_id, waiting))
    assert data["syncRun"]["changes"] == {"totalCount": 0, "nodes": []}


async def test_a_run_has_the_errors_that_it_saw_last(
    world: World, superuser: asyncpg.Connection
) -> None:
    integration = await add_integration(superuser, world.alpha_id)
    earlier = await add_run(superuser, world.alpha_id, integration)
    latest = await add_run(superuser, world.alpha_id, integration)
    await add_error(superuser, world.alpha_id, earlier, code="CLASS_EMPTY")
    await add_error(superuser, world.alpha_id, latest, first_seen_run_id=earlier)
    query = """query ($id: ID!) { syncRun(id: $id) {
        validationErrors { totalCount nodes { code } } } }"""
    data = await world.alpha.run(query, id=encode_id("R", world.alpha_id, latest))
    assert data["syncRun"]["validationErrors"] == {
        "totalCount": 1,
        "nodes": [{"code": "USER_NO_SCHOOL"}],
    }


async def test_runs_are_filtered_and_the_latest_is_first(
    world: World, superuser: asyncpg.Connection
) -> None:
    integration = await add_integration(superuser, world.alpha_id)
    now = utc_now()
    for number, values in enumerate(
        (
            {"state": "SUCCEEDED", "trigger": "SCHEDULE"},
            {"state": "FAILED", "mode": "DELTA"},
            {"state": "HELD"},
        )
    ):
        requested_at = now + timedelta(minutes=number)
        await add_run(superuser, world.alpha_id, integration, requested_at=requested_at, **values)
    query = """query ($filter: SyncRunFilter, $order: SyncRunOrder) { tenant(slug: "alpha") {
        syncRuns(filter: $filter, orderBy: $order) { totalCount nodes { state } } } }"""

    async def states(**variables: Any) -> list[str]:
        found = (await world.alpha.run(query, **variables))["tenant"]["syncRuns"]
        assert found["totalCount"] == len(found["nodes"])
        return [node["state"] for node in found["nodes"]]

    assert await states() == ["HELD", "FAILED", "SUCCEEDED"]
    order = {"field": "REQUESTED", "direction": "ASC"}
    assert await states(order=order) == ["SUCCEEDED", "FAILED", "HELD"]
    assert await states(filter={"state": ["HELD", "FAILED"]}) == ["HELD", "FAILED"]
    assert await states(filter={"state": "HELD"}) == ["HELD"]
    assert await states(filter={"mode": "DELTA"}) == ["FAILED"]
    assert await states(filter={"trigger": "SCHEDULE"}) == ["SUCCEEDED"]
    error = await world.alpha.fail(query, filter={"state": ["HELD"] * 51})
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
