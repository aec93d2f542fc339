"""B: what an answer tells beside what was asked."""

from typing import Any, Final

import asyncpg
import pytest
from graphql import GraphQLEnumType, GraphQLInputObjectType
from starlette.applications import Starlette

from api.graphql.node import encode_id
from api.graphql.schema import core
from api.matrix import MATRIX, READS
from domain.clock import new_id
from domain.people.callers import CallerRole
from domain.resources import Resources
from tests.api.graphql.client import World, connected, counted_statements
from tests.api.graphql.roles import add_callers, add_part, add_whole

pytestmark = pytest.mark.anyio

NODE: Final = "query ($id: ID!) { node(id: $id) { id __typename } }"
PEOPLE: Final = (
    CallerRole.SCHOOL_ADMIN,
    CallerRole.TEACHER,
    CallerRole.STAFF,
    CallerRole.STUDENT,
)


@pytest.mark.parametrize("role", PEOPLE)
async def test_b5_what_is_hidden_and_what_is_missing_are_answered_alike(
    role: CallerRole,
    world: World,
    app: Starlette,
    superuser: asyncpg.Connection,
    resources: Resources,
    subtests: pytest.Subtests,
) -> None:
    """By the same words and by the same statements, so that no clock tells them apart."""
    seen = await add_whole(superuser, world.alpha_id, await add_part(superuser, world.alpha_id))
    hidden = await add_part(superuser, world.alpha_id)
    secrets = await add_callers(superuser, seen)
    engine = resources.database.engine.sync_engine
    async with connected(app, secrets[role]) as client:
        for code in "SGUM":
            with subtests.test(code=code):
                answers, statements = [], []
                for key in (hidden.keys[code], new_id()):
                    with counted_statements(engine) as executed:
                        answers.append(
                            await client.run(NODE, id=encode_id(code, world.alpha_id, key))
                        )
                    statements.append(executed)
                assert answers == [{"node": None}, {"node": None}]
                assert statements[0] == statements[1]


async def test_b5_no_switch_makes_an_answer_say_more(world: World) -> None:
    asked: dict[str, Any] = {
        "query": '{ tenant(slug: "alpha") { schools(first: 0) { totalCount } } }',
        "extensions": {"__debug": True, "tracing": True, "debug": True},
        "debug": True,
    }
    headers = {"X-Debug": "1", "Apollo-Tracing": "1", "X-Apollo-Tracing": "1"}
    answer = (await world.alpha.http.post("/graphql", json=asked, headers=headers)).json()
    assert set(answer) == {"data", "errors", "extensions"}
    assert set(answer["extensions"]) == {"cost"}
    [error] = answer["errors"]
    assert set(error) <= {"message", "path", "locations", "extensions"}
    assert set(error["extensions"]) <= {"code", "reason", "requestId"}


async def test_b6_a_page_does_not_say_that_there_is_more_than_somebody_sees(
    world: World, app: Starlette, superuser: asyncpg.Connection
) -> None:
    seen = await add_whole(superuser, world.alpha_id, await add_part(superuser, world.alpha_id))
    await add_part(superuser, world.alpha_id)
    secrets = await add_callers(superuser, seen)
    query = """{ tenant(slug: "alpha") { groups(first: 1) {
        totalCount pageInfo { hasNextPage hasPreviousPage } } } }"""
    page = {"hasNextPage": False, "hasPreviousPage": False}
    async with connected(app, secrets[CallerRole.TEACHER]) as teacher:
        data = await teacher.run(query)
    assert data["tenant"]["groups"] == {"totalCount": 1, "pageInfo": page}
    assert (await world.alpha.run(query))["tenant"]["groups"]["totalCount"] == 2


def test_b7_lists_are_ordered_by_what_whoever_reads_them_reads_too() -> None:
    """An order by a field that somebody may not read would tell it by and by."""
    orders = {
        name: set(type_.values)
        for name, type_ in core.type_map.items()
        if isinstance(type_, GraphQLEnumType) and name.endswith("OrderField")
    }
    assert orders == {
        "GroupOrderField": {"CREATED", "NAME"},
        "SchoolOrderField": {"CREATED", "NAME"},
        "SyncRunOrderField": {"REQUESTED"},
        "TenantOrderField": {"CREATED", "NAME", "SLUG"},
        "UserOrderField": {"CREATED", "NAME", "USERNAME"},
        "ValidationErrorOrderField": orders.get("ValidationErrorOrderField"),
    }
    for field in ("Group.name", "School.name", "User.familyName", "User.username", "Tenant.slug"):
        assert MATRIX.get(field, READS).roles >= READS.roles


async def test_b7_nobody_is_found_by_what_is_not_for_searching(
    world: World, superuser: asyncpg.Connection
) -> None:
    part = await add_part(superuser, world.alpha_id)
    await superuser.execute(
        "UPDATE users SET email = 'zanzibar@example.org', username = 'mia' WHERE id = $1",
        part.keys["U"],
    )
    query = """query ($s: String) { tenant(slug: "alpha") {
        users(filter: {search: $s}) { totalCount } } }"""
    source = await superuser.fetchval("SELECT source_id FROM users WHERE id = $1", part.keys["U"])
    for search, count in (("zanzibar", 0), (source, 0), ("mia", 1)):
        found = await world.alpha.run(query, s=search)
        assert found == {"tenant": {"users": {"totalCount": count}}}


def test_b7_people_are_filtered_by_what_everybody_sees_of_them() -> None:
    filter_ = core.type_map["UserFilter"]
    assert isinstance(filter_, GraphQLInputObjectType)
    assert set(filter_.fields) == {"archived", "grade", "group", "role", "school", "search"}
