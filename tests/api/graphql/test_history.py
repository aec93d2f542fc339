"""The history of a record: what syncs did to it, the latest first."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from api.graphql.node import encode_id
from domain.clock import new_id, utc_now
from domain.resources import Resources
from tests.api.graphql.client import World, counted_statements
from tests.api.graphql.seed import (
    add_group,
    add_integration,
    add_membership,
    add_run,
    add_school,
    add_user,
    insert,
)

pytestmark = pytest.mark.anyio

HISTORY = """query ($id: ID!, $first: Int, $after: String) { node(id: $id) { ... on User {
    changes(first: $first, after: $after) { totalCount pageInfo { endCursor hasNextPage } nodes {
        action changedAt recordType recordId fields { name oldValue newValue }
        syncRun { id mode }
    } } } } }"""
OF_ALL = """{ tenant(slug: "alpha") {
    schools(first: 1) { nodes { changes(first: 2) { nodes { action recordType } } } }
    groups(first: 1) { nodes {
        changes(first: 2) { nodes { action recordType } }
        memberships(first: 1) { nodes {
            changes(first: 2) { nodes { action recordType syncRun { state } } } } } } }
} }"""
PAGE = """query ($first: Int) { tenant(slug: "alpha") { users(first: $first) { nodes {
    changes(first: 3) { totalCount nodes { action syncRun { mode state } } } } } } }"""


async def add_change(
    superuser: asyncpg.Connection, world: World, run: UUID, record: UUID, **values: Any
) -> None:
    row: dict[str, Any] = {
        "record_type": "USER",
        "action": "UPDATE",
        "old_values": {"family_name": "Archer"},
        "new_values": {"family_name": "Baker"},
    }
    await insert(
        superuser,
        "sync_changes",
        tenant_id=world.alpha_id,
        run_id=run,
        record_id=record,
        **row | values,
    )


@pytest.fixture
async def integration(world: World, superuser: asyncpg.Connection) -> UUID:
    return await add_integration(superuser, world.alpha_id)


async def test_what_was_done_is_told_and_what_was_only_planned_is_not(
    world: World, superuser: asyncpg.Connection, integration: UUID
) -> None:
    async def run(**values: Any) -> UUID:
        return await add_run(superuser, world.alpha_id, integration, **values)

    first = await run()
    user = await add_user(superuser, world.alpha_id, created_by_run_id=first)
    second, third = await run(), await run(mode="DELTA", state="SUCCEEDED_WITH_HOLD")
    await add_change(superuser, world, second, user)
    await add_change(superuser, world, await run(mode="PREFLIGHT"), user)
    await add_change(superuser, world, await run(state="FAILED"), user)
    await add_change(superuser, world, await run(state="CANCELLED"), user)
    await add_change(superuser, world, third, user, held_by="HOLD_UPDATES")
    archive = {"action": "ARCHIVE", "old_values": {"archived": False}}
    await add_change(superuser, world, third, user, new_values={"archived": True}, **archive)
    await add_change(superuser, world, third, new_id())
    own = encode_id("U", world.alpha_id, user)
    changes = (await world.alpha.run(HISTORY, id=own))["node"]["changes"]
    assert changes["totalCount"] == 3
    runs = [encode_id("R", world.alpha_id, key) for key in (third, second, first)]
    assert [(node["action"], node["syncRun"]["id"]) for node in changes["nodes"]] == list(
        zip(["ARCHIVE", "UPDATE", "CREATE"], runs, strict=True)
    )
    assert {(node["recordType"], node["recordId"]) for node in changes["nodes"]} == {("USER", own)}
    assert changes["nodes"][1]["fields"] == [
        {"name": "familyName", "oldValue": "Archer", "newValue": "Baker"}
    ]
    assert changes["nodes"][2]["fields"] == []
    times = [node["changedAt"] for node in changes["nodes"]]
    assert times == sorted(times, reverse=True)
    assert min(times) > (utc_now() - timedelta(minutes=5)).isoformat()


async def test_a_history_has_pages(
    world: World, superuser: asyncpg.Connection, integration: UUID
) -> None:
    run = await add_run(superuser, world.alpha_id, integration)
    user = await add_user(superuser, world.alpha_id, created_by_run_id=run)
    for number in range(3):
        await add_change(superuser, world, run, user, new_values={"family_name": f"{number}"})
    seen: list[Any] = []
    page: Any = {"endCursor": None, "hasNextPage": True}
    while page["hasNextPage"]:
        answer = await world.alpha.run(
            HISTORY, id=encode_id("U", world.alpha_id, user), first=2, after=page["endCursor"]
        )
        changes = answer["node"]["changes"]
        seen += [node["fields"][0]["newValue"] if node["fields"] else node["action"]
                 for node in changes["nodes"]]  # fmt: skip
        page = changes["pageInfo"]
    assert seen == ["2", "1", "0", "CREATE"]


async def test_schools_groups_and_memberships_have_one_too(
    world: World, superuser: asyncpg.Connection, integration: UUID
) -> None:
    run = await add_run(superuser, world.alpha_id, integration)
    made = {"created_by_run_id": run}
    school = await add_school(superuser, world.alpha_id, **made)
    group = await add_group(superuser, world.alpha_id, school, **made)
    user = await add_user(superuser, world.alpha_id)
    membership = await add_membership(superuser, world.alpha_id, user, group)
    spans = {"record_type": "MEMBERSHIP", "old_values": {}, "new_values": {"spans": []}}
    await add_change(superuser, world, run, membership, **spans)
    tenant = (await world.alpha.run(OF_ALL))["tenant"]
    [found] = tenant["schools"]["nodes"]
    assert found["changes"]["nodes"] == [{"action": "CREATE", "recordType": "SCHOOL"}]
    [found] = tenant["groups"]["nodes"]
    assert found["changes"]["nodes"] == [{"action": "CREATE", "recordType": "GROUP"}]
    [found] = found["memberships"]["nodes"]
    assert found["changes"]["nodes"] == [
        {"action": "UPDATE", "recordType": "MEMBERSHIP", "syncRun": {"state": "SUCCEEDED"}}
    ]


async def test_the_histories_of_a_page_are_read_together(
    world: World, superuser: asyncpg.Connection, resources: Resources, integration: UUID
) -> None:
    for _ in range(40):
        run = await add_run(superuser, world.alpha_id, integration)
        user = await add_user(superuser, world.alpha_id, created_by_run_id=run)
        await add_change(superuser, world, run, user)
    numbers = []
    for first in (2, 40):
        with counted_statements(resources.database.engine.sync_engine) as statements:
            data = await world.alpha.run(PAGE, first=first)
        nodes = data["tenant"]["users"]["nodes"]
        assert [node["changes"]["totalCount"] for node in nodes] == [2] * first
        numbers.append(len(statements))
    assert numbers[0] == numbers[1]
    assert numbers[1] <= 14
