"""Validation errors: each with what to do, and grouped by what one correction mends."""

from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from domain.clock import utc_now
from tests.api.graphql.client import World
from tests.api.graphql.seed import add_error, add_integration, add_run

pytestmark = pytest.mark.anyio

LIST = """query ($filter: ValidationErrorFilter, $order: ValidationErrorOrder) {
    tenant(slug: "alpha") { validationErrors(filter: $filter, orderBy: $order) {
        totalCount nodes { sourceId } } } }"""
GROUPS = """{ tenant(slug: "alpha") { validationErrorGroups {
    code title severity owner cause count weight effect remedy example { sourceId } } } }"""


async def test_an_error_says_what_is_wrong_and_what_to_do(
    world: World, superuser: asyncpg.Connection
) -> None:
    run = await add_run(superuser, world.alpha_id, await add_integration(superuser, world.alpha_id))
    seen = utc_now()
    await add_error(
        superuser,
        world.alpha_id,
        run,
        source_id="u-1",
        field="schoolSourceIds",
        expected="a school of the feed",
        found="s-9",
        place="users.csv line 12",
        record={"source_id": "u-1", "username": "mlee"},
        first_seen_at=seen,
        last_seen_at=seen,
        runs=3,
    )
    query = """{ tenant(slug: "alpha") { validationErrors { nodes {
        code severity state recordType sourceId field expected found place cause record
        title owner effect remedy firstSeenAt lastSeenAt runs resolvedAt } } } }"""
    [error] = (await world.alpha.run(query))["tenant"]["validationErrors"]["nodes"]
    assert error == {
        "code": "USER_NO_SCHOOL",
        "severity": "ERROR",
        "state": "OPEN",
        "recordType": "USER",
        "sourceId": "u-1",
        "field": "schoolSourceIds",
        "expected": "a school of the feed",
        "found": "s-9",
        "place": "users.csv line 12",
        "cause": "USER u1",
        "record": {"source_id": "u-1", "username": "mlee"},
        "title": "A person belongs to no school that is in the feed",
        "owner": "DISTRICT",
        "effect": "The record was not applied; what was stored of it before stays as it was.",
        "remedy": "Share the school, or correct the person in the student information system.",
        "firstSeenAt": seen.isoformat(),
        "lastSeenAt": seen.isoformat(),
        "runs": 3,
        "resolvedAt": None,
    }


async def test_errors_are_grouped_by_cause_the_worst_and_the_most_first(
    world: World, superuser: asyncpg.Connection
) -> None:
    run = await add_run(superuser, world.alpha_id, await add_integration(superuser, world.alpha_id))
    missing = {"code": "ENR_CLASS_MISSING", "severity": "WARNING", "record_type": "MEMBERSHIP"}
    for number in range(3):
        await add_error(
            superuser, world.alpha_id, run, cause="GROUP g1", source_id=f"e{number}", **missing
        )
    await add_error(superuser, world.alpha_id, run, cause="GROUP g2", source_id="e9", **missing)
    await add_error(superuser, world.alpha_id, run, source_id="u1")
    await add_error(superuser, world.alpha_id, run, state="RESOLVED")
    await add_error(superuser, world.alpha_id, run, state="ACCEPTED")
    groups = (await world.alpha.run(GROUPS))["tenant"]["validationErrorGroups"]
    assert [(group["code"], group["cause"], group["count"]) for group in groups] == [
        ("USER_NO_SCHOOL", "USER u1", 1),
        ("ENR_CLASS_MISSING", "GROUP g1", 3),
        ("ENR_CLASS_MISSING", "GROUP g2", 1),
    ]
    first = await superuser.fetchval(
        "SELECT source_id FROM validation_errors WHERE cause = 'GROUP g1' ORDER BY id LIMIT 1"
    )
    assert groups[1] == {
        "code": "ENR_CLASS_MISSING",
        "title": "Enrollments name a class that is not in the feed",
        "severity": "WARNING",
        "owner": "DISTRICT",
        "cause": "GROUP g1",
        "count": 3,
        "weight": 3,
        "effect": "The enrollment was left out; the rest of the roster was applied.",
        "remedy": "Share the class, or remove the enrollments in the student information system.",
        "example": {"sourceId": first},
    }


async def test_a_group_weighs_what_one_correction_mends(
    world: World, superuser: asyncpg.Connection
) -> None:
    run = await add_run(superuser, world.alpha_id, await add_integration(superuser, world.alpha_id))

    async def add(code: str, severity: str, name: str, cause: str, **values: Any) -> None:
        record_type, source_id = name.split()
        await add_error(
            superuser, world.alpha_id, run, code=code, severity=severity, record_type=record_type,
            source_id=source_id, cause=cause, **values,
        )  # fmt: skip

    # A school that cannot be read, its class, and who is in that.
    await add("FIELD_REQUIRED", "ERROR", "SCHOOL s1", "SCHOOL s1")
    await add("CLASS_SCHOOL_MISSING", "ERROR", "GROUP g1", "SCHOOL s1")
    for number in range(30):
        await add("ENR_CLASS_MISSING", "WARNING", f"MEMBERSHIP e{number}", "GROUP g1")
    # Two things wrong with one person, of which only one keeps the enrollment out.
    await add("USER_NAME_MISSING", "ERROR", "USER u1", "USER u1")
    await add("USER_GRADE_UNMAPPED", "WARNING", "USER u1", "USER u1")
    await add("ENR_USER_MISSING", "WARNING", "MEMBERSHIP e99", "USER u1")
    await add("STUDENT_MULTI_GROUP", "WARNING", "SCHOOL s2", "SCHOOL s2", record={"concerned": 400})
    groups = (await world.alpha.run(GROUPS))["tenant"]["validationErrorGroups"]
    assert [(group["code"], group["count"], group["weight"]) for group in groups] == [
        ("FIELD_REQUIRED", 1, 32),
        ("CLASS_SCHOOL_MISSING", 1, 31),
        ("USER_NAME_MISSING", 1, 2),
        ("STUDENT_MULTI_GROUP", 1, 400),
        ("ENR_CLASS_MISSING", 30, 30),
        ("ENR_USER_MISSING", 1, 1),
        ("USER_GRADE_UNMAPPED", 1, 1),
    ]


async def test_what_is_required_is_told_as_such(
    world: World, superuser: asyncpg.Connection
) -> None:
    run = await add_run(superuser, world.alpha_id, await add_integration(superuser, world.alpha_id))
    query = '{ tenant(slug: "alpha") { validationErrors { nodes { severity effect } } } }'
    for severity in ("WARNING", "ERROR"):
        await add_error(
            superuser, world.alpha_id, run, code="USER_GRADE_MISSING", severity=severity
        )
    nodes = (await world.alpha.run(query))["tenant"]["validationErrors"]["nodes"]
    assert {node["severity"]: node["effect"] for node in nodes} == {
        "WARNING": "The student was applied without a grade.",
        "ERROR": "The record was not applied, since the tenant requires it; what was stored of it "
        "before stays as it was.",
    }


async def test_errors_are_filtered_and_ordered(world: World, superuser: asyncpg.Connection) -> None:
    run = await add_run(superuser, world.alpha_id, await add_integration(superuser, world.alpha_id))
    now = utc_now()
    given: list[dict[str, Any]] = [
        {"source_id": "a", "last_seen_at": now + timedelta(hours=1)},
        {"source_id": "b", "code": "CLASS_EMPTY", "severity": "INFO", "record_type": "GROUP"},
        {"source_id": "c", "state": "RESOLVED", "cause": "GROUP g1"},
    ]
    for values in given:
        await add_error(superuser, world.alpha_id, run, **values)

    async def found(**variables: Any) -> set[str]:
        errors = (await world.alpha.run(LIST, **variables))["tenant"]["validationErrors"]
        assert errors["totalCount"] == len(errors["nodes"])
        return {node["sourceId"] for node in errors["nodes"]}

    assert await found() == {"a", "b", "c"}
    assert await found(filter={"state": "OPEN"}) == {"a", "b"}
    assert await found(filter={"state": ["RESOLVED", "ACCEPTED"]}) == {"c"}
    assert await found(filter={"severity": ["INFO"]}) == {"b"}
    assert await found(filter={"code": ["CLASS_EMPTY", "ID_MISSING"]}) == {"b"}
    assert await found(filter={"cause": "GROUP g1"}) == {"c"}
    assert await found(filter={"recordType": "GROUP"}) == {"b"}
    assert await found(filter={"sourceId": "a"}) == {"a"}
    assert await found(filter={"state": []}) == set()
    latest = {"field": "LAST_SEEN", "direction": "DESC"}
    nodes = (await world.alpha.run(LIST, order=latest))["tenant"]["validationErrors"]["nodes"]
    assert nodes[0] == {"sourceId": "a"}
    error = await world.alpha.fail(LIST, filter={"code": ["CLASS_EMPTY"] * 51})
    assert error["message"] == "A list in a filter has at most 50 values."
