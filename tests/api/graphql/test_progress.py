"""Results, what becomes of them when students move, and how everybody is doing: over HTTP."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from starlette.applications import Starlette

from api.graphql.node import encode_id
from domain.clock import new_id, utc_now
from domain.people.callers import Scope
from domain.resources import Resources
from domain.training.recording import MOST_EVENTS
from tests.api.graphql.client import World, connected, counted_statements
from tests.api.graphql.seed import (
    add_group,
    add_membership,
    add_school,
    add_token,
    add_user,
    insert,
)

pytestmark = pytest.mark.anyio

RECORD = """
    mutation ($input: ProgressRecordInput!) { progressRecord(input: $input) {
      counted repeated rejected { index eventId code message }
      userErrors { field code message } } }
"""
CARRY = """
    mutation ($input: ProgressCarryOverInput!) { progressCarryOver(input: $input) { count
      carries { id mode createdBy { kind } undoneAt user { id } fromGroup { name }
        toGroup { name } }
      userErrors { field code message } } }
"""
UNDO = """
    mutation ($input: ProgressCarryUndoInput!) { progressCarryUndo(input: $input) { count
      carries { id undoneBy { kind } } userErrors { field code message } } }
"""
PROGRESS = """
    query ($id: ID!, $filter: ProgressFilter) { node(id: $id) {
      ... on User { progress(filter: $filter) { totalCount nodes { ...all } } }
      ... on Group { progress(filter: $filter) { totalCount nodes { ...all } } } } }
    fragment all on Progress { schoolYear lessons seconds copiedLessons bestSpeed averageSpeed
      bestAccuracy averageAccuracy isCurrent user { id } group { name } }
"""
CARRIES = """
    query ($id: ID!, $undone: Boolean) { node(id: $id) { ... on User {
      progressCarries(undone: $undone) { totalCount nodes { id } } } } }
"""
SUMMARY = """
    fragment all on ProgressSummary { schoolYear students studentsWithProgress withoutTarget
      lessons seconds averageSpeed averageAccuracy lastActiveAt
      atSpeedTarget { students of percent } atAccuracyTarget { students of percent }
      atBothTargets { students of percent }
      speedDistribution { low high students } accuracyDistribution { low high students } }
"""
PAGE = (
    """
    query ($first: Int) { tenant(slug: "alpha") { progressSummary { ...all }
      schools(first: $first) { nodes { progressSummary { ...all } } }
      groups(first: $first) { nodes { progressSummary { ...all }
        progress(first: 3) { totalCount nodes { lessons user { username } } } } }
      users(first: $first) { nodes { progressSummary { ...all }
        progress(first: 3) { totalCount nodes { lessons isCurrent group { name } } }
        progressCarries(first: 3) { totalCount nodes { mode } } } } } }
"""
    + SUMMARY
)


class School:
    """Alpha's school with two groups, and a student who has left the first for the second."""

    def __init__(self, world: World, superuser: asyncpg.Connection) -> None:
        self.world, self.see, self.tenant_id = world, superuser, world.alpha_id
        self.tenant = encode_id("T", world.alpha_id, world.alpha_id)

    async def begin(self) -> None:
        self.school = await add_school(self.see, self.tenant_id)
        self.first = await add_group(self.see, self.tenant_id, self.school, name="First")
        self.second = await add_group(self.see, self.tenant_id, self.school, name="Second")
        self.mia = await self.student(self.second)
        await add_membership(self.see, self.tenant_id, self.mia, self.first, archived_at=utc_now())

    async def student(self, *groups: UUID) -> UUID:
        user_id = await add_user(self.see, self.tenant_id, schools=[self.school])
        for group_id in groups:
            await add_membership(self.see, self.tenant_id, user_id, group_id)
        return user_id

    def user_id(self, key: UUID) -> str:
        return encode_id("U", self.tenant_id, key)

    def group_id(self, key: UUID) -> str:
        return encode_id("G", self.tenant_id, key)

    def event(self, user: UUID, group: UUID | None, **values: Any) -> dict[str, Any]:
        event = {
            "eventId": str(new_id()),
            "userId": self.user_id(user),
            "occurredAt": (utc_now() - timedelta(hours=1)).isoformat(),
            "lessons": 1,
            "seconds": 300,
            **values,
        }
        return event | ({"groupId": self.group_id(group)} if group else {})

    async def record(self, *events: dict[str, Any]) -> Any:
        asked = {"tenantId": self.tenant, "events": list(events)}
        return (await self.world.alpha.run(RECORD, input=asked))["progressRecord"]

    async def carry(self, **values: Any) -> Any:
        asked = {
            "fromGroupId": self.group_id(self.first),
            "toGroupId": self.group_id(self.second),
            **values,
        }
        return (await self.world.alpha.run(CARRY, input=asked))["progressCarryOver"]


@pytest.fixture
async def school(world: World, superuser: asyncpg.Connection) -> School:
    made = School(world, superuser)
    await made.begin()
    return made


async def test_a_token_with_the_scope_alone_records_and_reads_nothing(
    school: School, app: Starlette
) -> None:
    scopes = [Scope.PROGRESS_WRITE]
    await add_token(school.see, "of-trainer", school.tenant_id, scopes=scopes)
    asked = {"tenantId": school.tenant, "events": [school.event(school.mia, None)]}
    async with connected(app, "of-trainer") as trainer:
        found = (await trainer.run(RECORD, input=asked))["progressRecord"]
        assert found == {"counted": 1, "repeated": 0, "rejected": [], "userErrors": []}
        error = await trainer.fail(PROGRESS, id=school.user_id(school.mia))
        assert error["extensions"]["code"] == "FORBIDDEN"
        for mutation, name in ((CARRY, "progressCarryOver"), (UNDO, "progressCarryUndo")):
            values = (
                {"fromGroupId": "x", "toGroupId": "x"} if mutation is CARRY else {"carryIds": ["x"]}
            )
            error = await trainer.fail(mutation, input=values)
            assert (error["path"], error["extensions"]["code"]) == ([name], "FORBIDDEN")


async def test_every_other_scope_together_records_nothing(school: School, app: Starlette) -> None:
    scopes = [scope for scope in Scope if scope is not Scope.PROGRESS_WRITE]
    await add_token(school.see, "of-others", school.tenant_id, scopes=scopes)
    asked = {"tenantId": school.tenant, "events": [school.event(school.mia, None)]}
    async with connected(app, "of-others") as others:
        error = await others.fail(RECORD, input=asked)
    assert error["message"] == "This needs a token with the scope progress:write."


async def test_a_batch_says_what_became_of_each_event(school: School) -> None:
    right = school.event(school.mia, school.first, speed=31.256, accuracy=96.5)
    foreign = encode_id("U", school.world.beta_id, school.mia)
    found = await school.record(
        right,
        right,
        school.event(school.mia, school.second, eventId="e2") | {"userId": foreign},
        school.event(school.mia, school.second, eventId="e3") | {"groupId": "nonsense"},
        school.event(school.mia, school.second, eventId="e4", accuracy=101),
    )
    assert found == {
        "counted": 1,
        "repeated": 1,
        "rejected": [
            {
                "index": 2,
                "eventId": "e2",
                "code": "USER_NOT_FOUND",
                "message": "There is no such person.",
            },
            {
                "index": 3,
                "eventId": "e3",
                "code": "NOT_A_MEMBER",
                "message": "The person is not in this group and never was.",
            },
            {
                "index": 4,
                "eventId": "e4",
                "code": "INVALID",
                "message": "`accuracy` is a number from 0 to 100.",
            },
        ],
        "userErrors": [],
    }
    assert (await school.record(right))["repeated"] == 1


async def test_the_largest_batch_fits_into_a_request(school: School, resources: Resources) -> None:
    events = [
        school.event(school.mia, school.first, eventId=f"{n:0>200}", speed=31.5, accuracy=96.5)
        for n in range(MOST_EVENTS)
    ]
    with counted_statements(resources.database.engine.sync_engine) as statements:
        assert (await school.record(*events))["counted"] == MOST_EVENTS
    number = len(statements)
    with counted_statements(resources.database.engine.sync_engine) as statements:
        assert (await school.record(school.event(school.mia, school.first)))["counted"] == 1
    assert len(statements) == number
    for batch in ([], [*events, events[0]]):
        [error] = (await school.record(*batch))["userErrors"]
        assert (error["field"], error["code"]) == (["input", "events"], "INVALID")


async def test_another_tenants_results_are_not_recorded(school: School) -> None:
    asked = {"tenantId": school.tenant, "events": [school.event(school.mia, None)]}
    found = (await school.world.beta.run(RECORD, input=asked))["progressRecord"]
    assert [error["code"] for error in found["userErrors"]] == ["NOT_FOUND"]
    assert await school.see.fetchval("SELECT count(*) FROM progress_events") == 0


async def test_progress_is_listed_by_person_and_by_group(school: School) -> None:
    await school.record(
        school.event(school.mia, school.first, speed=30.5, accuracy=90),
        school.event(school.mia, school.first, speed=41, accuracy=95.5),
        school.event(school.mia, school.second),
    )
    await school.see.execute(
        "UPDATE progress SET school_year = school_year - 1 WHERE group_id = $1", school.first
    )
    year = await school.see.fetchval("SELECT max(school_year) FROM progress")
    old = {
        "schoolYear": year - 1,
        "lessons": 2,
        "seconds": 600,
        "copiedLessons": 0,
        "bestSpeed": 41,
        "averageSpeed": 35.75,
        "bestAccuracy": 95.5,
        "averageAccuracy": 92.75,
        "isCurrent": False,
        "user": {"id": school.user_id(school.mia)},
        "group": {"name": "First"},
    }
    new = {
        **dict.fromkeys(("bestSpeed", "averageSpeed", "bestAccuracy", "averageAccuracy")),
        "schoolYear": year,
        "lessons": 1,
        "seconds": 300,
        "copiedLessons": 0,
        "isCurrent": True,
        "user": old["user"],
        "group": {"name": "Second"},
    }
    mia, first = school.user_id(school.mia), school.group_id(school.first)
    for global_id, wanted, nodes in (
        (mia, None, [new, old]),
        (mia, {"current": True}, [new]),
        (mia, {"current": False}, [old]),
        (mia, {"schoolYear": year - 1}, [old]),
        (mia, {"schoolYear": year, "current": False}, []),
        (first, None, [old]),
    ):
        found = await school.world.alpha.run(PROGRESS, id=global_id, filter=wanted)
        assert found["node"]["progress"] == {"totalCount": len(nodes), "nodes": nodes}


async def test_progress_is_carried_to_the_new_group_and_back(school: School) -> None:
    await school.record(school.event(school.mia, school.first))
    done = await school.carry()
    [carry] = done["carries"]
    assert done["count"] == 1
    assert carry == {
        "id": carry["id"],
        "mode": "MOVE",
        "createdBy": {"kind": "TOKEN"},
        "undoneAt": None,
        "user": {"id": school.user_id(school.mia)},
        "fromGroup": {"name": "First"},
        "toGroup": {"name": "Second"},
    }
    [error] = (await school.carry())["userErrors"]
    assert error["code"] == "CONFLICT"
    mia = school.user_id(school.mia)
    run = school.world.alpha.run

    async def carries(*, undone: bool | None) -> int:
        found = await run(CARRIES, id=mia, undone=undone)
        return int(found["node"]["progressCarries"]["totalCount"])

    assert [await carries(undone=undone) for undone in (False, True, None)] == [1, 0, 1]
    asked = {"carryIds": [carry["id"]]}
    undone = (await run(UNDO, input=asked))["progressCarryUndo"]
    assert undone["carries"] == [{"id": carry["id"], "undoneBy": {"kind": "TOKEN"}}]
    assert [await carries(undone=undone) for undone in (False, True, None)] == [0, 1, 1]
    [error] = (await run(UNDO, input=asked))["progressCarryUndo"]["userErrors"]
    carry_id = await school.see.fetchval("SELECT id FROM progress_carries")
    assert error == {
        "field": ["input", "carryIds"],
        "code": "CONFLICT",
        "message": f"The carry {str(carry_id)!r} has been undone already.",
    }


async def test_named_students_are_carried_and_others_ids_are_not_there(school: School) -> None:
    await school.record(school.event(school.mia, school.first))
    foreign = encode_id("U", school.world.beta_id, school.mia)
    for user_id, code in ((foreign, "NOT_FOUND"), ("x", "INVALID")):
        [error] = (await school.carry(userIds=[user_id]))["userErrors"]
        assert error["code"] == code
    [error] = (await school.carry(toGroupId=encode_id("G", new_id(), school.second)))["userErrors"]
    assert error["code"] == "NOT_FOUND"
    asked = {"carryIds": [encode_id("K", school.world.beta_id, new_id())]}
    [error] = (await school.world.alpha.run(UNDO, input=asked))["progressCarryUndo"]["userErrors"]
    assert error["code"] == "NOT_FOUND"
    done = await school.carry(userIds=[school.user_id(school.mia)], mode="COPY")
    assert [carry["mode"] for carry in done["carries"]] == ["COPY"]


async def test_summaries_are_numbers_that_a_chart_can_be_drawn_from(school: School) -> None:
    tom = await school.student(school.second)
    await school.student(school.second)
    await insert(
        school.see,
        "training_settings",
        tenant_id=school.tenant_id,
        group_id=school.second,
        speed_target=30,
        accuracy_target=95,
    )
    at = (utc_now() - timedelta(hours=1)).isoformat()
    await school.record(
        school.event(school.mia, school.second, speed=41, accuracy=96, occurredAt=at),
        school.event(tom, school.second, speed=20, accuracy=97, occurredAt=at),
    )
    found = (await school.world.alpha.run(PAGE, first=5))["tenant"]
    year = await school.see.fetchval("SELECT max(school_year) FROM progress")
    whole = found["progressSummary"]
    moment = whole.pop("lastActiveAt")
    assert whole == {
        "schoolYear": year,
        "students": 3,
        "studentsWithProgress": 2,
        "withoutTarget": 0,
        "lessons": 2,
        "seconds": 600,
        "averageSpeed": 30.5,
        "averageAccuracy": 96.5,
        "atSpeedTarget": {"students": 1, "of": 2, "percent": 50},
        "atAccuracyTarget": {"students": 2, "of": 2, "percent": 100},
        "atBothTargets": {"students": 1, "of": 2, "percent": 50},
        "speedDistribution": [
            {"low": 20, "high": 30, "students": 1},
            {"low": 30, "high": 40, "students": 0},
            {"low": 40, "high": 50, "students": 1},
        ],
        "accuracyDistribution": [{"low": 95, "high": 100, "students": 2}],
    }
    assert moment == at
    [of_school] = found["schools"]["nodes"]
    assert of_school["progressSummary"] == {**whole, "lastActiveAt": at}
    first, second = found["groups"]["nodes"]
    assert second["progressSummary"] == {**whole, "lastActiveAt": at}
    assert (first["progressSummary"]["students"], second["progress"]["totalCount"]) == (0, 2)
    query = (
        'query ($year: Int) { tenant(slug: "alpha") { progressSummary(schoolYear: $year)'
        " { ...all } } }" + SUMMARY
    )
    former = await school.world.alpha.run(query, year=year - 1)
    assert former["tenant"]["progressSummary"]["atSpeedTarget"] == {
        "students": 0, "of": 0, "percent": None,
    }  # fmt: skip


async def test_a_page_costs_the_same_statements_however_long_it_is(
    school: School, resources: Resources
) -> None:
    users = [await school.student(school.first, school.second) for _ in range(20)]
    for _ in range(18):
        await add_group(school.see, school.tenant_id, school.school)
        await add_school(school.see, school.tenant_id)
    for group in (school.first, school.second):
        await school.record(*(school.event(user, group) for user in users))
    await school.carry(userIds=[school.user_id(user) for user in users], mode="COPY")
    numbers = []
    for first in (2, 20):
        with counted_statements(resources.database.engine.sync_engine) as statements:
            found = (await school.world.alpha.run(PAGE, first=first))["tenant"]
        assert len(found["users"]["nodes"]) == len(found["groups"]["nodes"]) == first
        numbers.append(len(statements))
    assert numbers[0] == numbers[1]
