"""The report of a preflight over the API: numbers, and lists by pages."""

import itertools
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from domain.resources import Resources
from tests.api.graphql.client import World, counted_statements
from tests.api.graphql.seed import add_integration, add_run, add_school, insert
from tests.api.reports import REPORT

pytestmark = pytest.mark.anyio

NUMBERS = """{ tenant(slug: "alpha") { syncRuns { nodes { preflight {
    schools { expected shared sharedAndExpected sharedNotExpected expectedNotShared leftOut }
    classes { expected shared leftOut withoutTeacher empty }
    existingUsers { policy created ambiguous byOrigin { origin matched archived kept } }
    licences { limit used needed shortBy expected order }
    usernames { same wouldChange taken caseClashes legacySame legacyDifferent }
    localData { outcome recordType count } wouldHold { code recordType count of message }
    held { recordType count }
} } } } }"""
ITEMS = """query ($first: Int, $after: String, $filter: PreflightItemFilter) {
    tenant(slug: "alpha") { syncRuns { nodes { preflight {
        items(first: $first, after: $after, filter: $filter) {
            totalCount pageInfo { hasNextPage endCursor }
            nodes { topic outcome recordType recordId sourceId name details { name value } }
} } } } } }"""


async def add_report(see: asyncpg.Connection, world: World) -> UUID:
    integration_id = await add_integration(see, world.alpha_id)
    return await add_run(see, world.alpha_id, integration_id, mode="PREFLIGHT", report=REPORT)


_places = itertools.count(1)


async def add_item(
    see: asyncpg.Connection, world: World, run_id: UUID, topic: str, outcome: str, **values: Any
) -> None:
    row = {"record_type": "SCHOOL", "name": "North", "details": {}} | values
    await insert(
        see,
        "preflight_items",
        tenant_id=world.alpha_id,
        run_id=run_id,
        topic=topic,
        outcome=outcome,
        id=UUID(int=next(_places)),
        **row,
    )


def report_of(data: Any) -> Any:
    [run] = data["tenant"]["syncRuns"]["nodes"]
    return run["preflight"]


async def test_the_six_questions_are_answered_in_numbers(
    world: World, superuser: asyncpg.Connection
) -> None:
    await add_report(superuser, world)
    report = report_of(await world.alpha.run(NUMBERS))
    [reason] = report.pop("wouldHold")
    assert reason.pop("message")
    assert reason == {"code": "LICENCE_LIMIT", "recordType": "USER", "count": 1, "of": 9}
    assert report == {
        "schools": {"expected": 2, "shared": 2, "sharedAndExpected": 1, "sharedNotExpected": 1,
                    "expectedNotShared": 1, "leftOut": 0},
        "classes": {"expected": None, "shared": 7, "leftOut": 3, "withoutTeacher": 1, "empty": 2},
        "existingUsers": {"policy": "MATCH_KEYS", "created": 4, "ambiguous": 1, "byOrigin": [
            {"origin": "LEGACY", "matched": 5, "archived": 6, "kept": 0}]},
        "licences": {"limit": 9, "used": 8, "needed": 10, "shortBy": 1, "expected": None,
                     "order": "CREATED"},
        "usernames": {"same": 1, "wouldChange": 2, "taken": 3, "caseClashes": 4, "legacySame": 5,
                      "legacyDifferent": 6},
        "localData": [{"outcome": "COMES_BACK", "recordType": "USER", "count": 3}],
        "held": [{"recordType": "USER", "count": 1}],
    }  # fmt: skip


async def test_a_run_that_is_no_preflight_has_no_report(
    world: World, superuser: asyncpg.Connection
) -> None:
    await add_run(superuser, world.alpha_id, await add_integration(superuser, world.alpha_id))
    assert report_of(await world.alpha.run(NUMBERS)) is None


async def test_the_lists_are_read_by_pages_and_filtered(
    world: World, superuser: asyncpg.Connection
) -> None:
    run_id = await add_report(superuser, world)
    school_id = await add_school(superuser, world.alpha_id)
    await add_item(superuser, world, run_id, "USERNAMES", "TAKEN", record_type="USER", name="Zoe")
    await add_item(
        superuser, world, run_id, "SCHOOLS", "SHARED", record_id=school_id, source_id="s1",
        details={"number": "17", "only_case": True},
    )  # fmt: skip
    await add_item(superuser, world, run_id, "SCHOOLS", "EXPECTED_NOT_SHARED", name="East")
    page = report_of(await world.alpha.run(ITEMS, first=1))["items"]
    assert (page["totalCount"], page["pageInfo"]["hasNextPage"]) == (3, True)
    [node] = page["nodes"]
    named = await world.alpha.run(
        "query ($id: ID!) { node(id: $id) { ... on School { name } } }", id=node.pop("recordId")
    )
    assert named == {"node": {"name": "North School"}}
    assert node == {
        "topic": "SCHOOLS",
        "outcome": "SHARED",
        "recordType": "SCHOOL",
        "sourceId": "s1",
        "name": "North",
        "details": [{"name": "number", "value": "17"}, {"name": "onlyCase", "value": True}],
    }
    rest = report_of(await world.alpha.run(ITEMS, after=page["pageInfo"]["endCursor"]))["items"]
    assert [found["name"] for found in rest["nodes"]] == ["East", "Zoe"]
    for chosen, names in (
        ({"topic": "USERNAMES"}, ["Zoe"]),
        ({"outcome": "SHARED"}, ["North"]),
        ({"recordType": "SCHOOL"}, ["North", "East"]),
        ({"recordType": "SCHOOL", "topic": "USERNAMES"}, []),
    ):
        found = report_of(await world.alpha.run(ITEMS, filter=chosen))["items"]
        assert [each["name"] for each in found["nodes"]] == names
        assert found["totalCount"] == len(names)


async def test_more_lines_and_more_runs_take_no_more_statements(
    world: World, superuser: asyncpg.Connection, resources: Resources
) -> None:
    integration_id = await add_integration(superuser, world.alpha_id)
    statements = []
    for count in (1, 20):
        for _ in range(count):
            run_id = await add_run(
                superuser, world.alpha_id, integration_id, mode="PREFLIGHT", report=REPORT
            )
            await add_item(superuser, world, run_id, "SCHOOLS", "SHARED")
        with counted_statements(resources.database.engine.sync_engine) as counted:
            await world.alpha.run(ITEMS, first=10)
        statements.append(len(counted))
    assert statements[0] == statements[1]
