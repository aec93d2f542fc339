"""Default groups and schools over GraphQL: who may choose, what is chosen, what is told."""

from typing import Any
from uuid import UUID

import asyncpg
import pytest
from starlette.applications import Starlette

from api.graphql.node import encode_id
from domain.clock import new_id
from domain.people.callers import ALL_SCOPES, Scope
from domain.resources import Resources
from tests.api.graphql.client import Client, World, connected, counted_statements
from tests.api.graphql.seed import (
    add_group,
    add_membership,
    add_school,
    add_token,
    add_user,
)

pytestmark = pytest.mark.anyio

SHOWN = """
    defaultGroup { source isFallback setBy { kind label } group { name } chosen { name } }
    defaultSchool { source isFallback setBy { label } school { name } chosen { name } }
"""
SET_GROUP = f"""
    mutation ($input: DefaultGroupSetInput!) {{ set: defaultGroupSet(input: $input) {{
      user {{ {SHOWN} }} userErrors {{ field code message }} }} }}
"""
SET_SCHOOL = f"""
    mutation ($input: DefaultSchoolSetInput!) {{ set: defaultSchoolSet(input: $input) {{
      user {{ {SHOWN} }} userErrors {{ field code message }} }} }}
"""
ONLY_ERRORS = (
    "mutation ($input: DefaultGroupSetInput!) { set: defaultGroupSet(input: $input) { %s } }"
)
READ = f"query ($id: ID!) {{ node(id: $id) {{ ... on User {{ {SHOWN} }} }} }}"


@pytest.fixture
async def mia(world: World, superuser: asyncpg.Connection) -> dict[str, Any]:
    """A student of two schools in two groups: global ids, and her own id as `key`."""
    alpha = world.alpha_id
    north = await add_school(superuser, alpha, name="North")
    south = await add_school(superuser, alpha, name="South")
    algebra = await add_group(superuser, alpha, north, name="Algebra")
    drama = await add_group(superuser, alpha, south, name="Drama")
    key = await add_user(superuser, alpha, schools=[north, south])
    for group in (algebra, drama):
        await add_membership(superuser, alpha, key, group)
    return {
        "key": key,
        "id": encode_id("U", alpha, key),
        "algebra": encode_id("G", alpha, algebra),
        "drama": encode_id("G", alpha, drama),
        "north": encode_id("S", alpha, north),
        "south": encode_id("S", alpha, south),
        "drama_key": drama,
    }


async def refused(client: Client, query: str, **given: Any) -> Any:
    answer = (await client.run(query, input=given))["set"]
    assert answer["user"] is None
    [error] = answer["userErrors"]
    return error


async def test_a_person_lands_in_what_they_chose(
    world: World, superuser: asyncpg.Connection, mia: dict[str, Any]
) -> None:
    nothing = {"isFallback": False, "setBy": None, "chosen": None}
    asked = {"source": "ASK", "group": None, **nothing}
    primary = {"source": "PRIMARY", "school": {"name": "North"}, **nothing}
    read = await world.alpha.run(READ, id=mia["id"])
    assert read == {"node": {"defaultGroup": asked, "defaultSchool": primary}}
    token_id = await superuser.fetchval("SELECT id FROM api_tokens WHERE name = 'token of-alpha'")
    answer = await world.alpha.run(SET_GROUP, input={"userId": mia["id"], "groupId": mia["drama"]})
    drama = {
        "source": "CHOSEN",
        "isFallback": False,
        "setBy": {"kind": "TOKEN", "label": f"token {token_id}"},
        "group": {"name": "Drama"},
        "chosen": {"name": "Drama"},
    }
    assert answer["set"] == {
        "user": {"defaultGroup": drama, "defaultSchool": primary},
        "userErrors": [],
    }
    answer = await world.alpha.run(
        SET_SCHOOL, input={"userId": mia["id"], "schoolId": mia["south"]}
    )
    assert answer["set"]["user"]["defaultSchool"] == {
        "source": "CHOSEN",
        "isFallback": False,
        "setBy": {"label": f"token {token_id}"},
        "school": {"name": "South"},
        "chosen": {"name": "South"},
    }
    answer = await world.alpha.run(SET_GROUP, input={"userId": mia["id"], "groupId": None})
    assert answer["set"]["user"]["defaultGroup"] == asked


async def test_a_choice_that_does_not_count_now_is_shown_beside_the_fallback(
    world: World, superuser: asyncpg.Connection, mia: dict[str, Any]
) -> None:
    await world.alpha.run(SET_GROUP, input={"userId": mia["id"], "groupId": mia["drama"]})
    await superuser.execute(
        "UPDATE memberships SET archived_at = now() WHERE group_id = $1", mia["drama_key"]
    )
    found = (await world.alpha.run(READ, id=mia["id"]))["node"]["defaultGroup"]
    assert (found["source"], found["isFallback"]) == ("ONLY_ONE", True)
    assert (found["group"], found["chosen"]) == ({"name": "Algebra"}, {"name": "Drama"})
    set_at = "query ($id: ID!) { node(id: $id) { ... on User { defaultGroup { setAt } } } }"
    chosen_at = await superuser.fetchval("SELECT group_set_at FROM default_places")
    read = await world.alpha.run(set_at, id=mia["id"])
    assert read["node"]["defaultGroup"] == {"setAt": chosen_at.isoformat()}


async def test_what_is_not_theirs_is_refused_in_words(
    world: World, superuser: asyncpg.Connection, mia: dict[str, Any]
) -> None:
    other = await add_school(superuser, world.alpha_id)
    group = await add_group(superuser, world.alpha_id, other)
    assert await refused(
        world.alpha, SET_GROUP, userId=mia["id"], groupId=encode_id("G", world.alpha_id, group)
    ) == {
        "field": ["input", "groupId"],
        "code": "CONFLICT",
        "message": f"The person '{mia['key']}' is not in the group '{group}' now: choose one of"
        " theirs.",
    }
    assert await refused(
        world.alpha, SET_SCHOOL, userId=mia["id"], schoolId=encode_id("S", world.alpha_id, other)
    ) == {
        "field": ["input", "schoolId"],
        "code": "CONFLICT",
        "message": f"The person '{mia['key']}' is not in the school '{other}' now: choose one of"
        " theirs.",
    }
    await superuser.execute("UPDATE users SET archived_at = now()")
    error = await refused(world.alpha, SET_GROUP, userId=mia["id"], groupId=mia["drama"])
    assert (error["field"], error["code"]) == (["input", "userId"], "CONFLICT")


async def test_an_id_of_another_kind_is_invalid(world: World, mia: dict[str, Any]) -> None:
    error = await refused(world.alpha, SET_GROUP, userId=mia["drama"], groupId=mia["drama"])
    assert error == {
        "field": ["input", "userId"],
        "code": "INVALID",
        "message": "This is not the id of a person.",
    }
    error = await refused(world.alpha, SET_GROUP, userId=mia["id"], groupId=mia["north"])
    assert (error["field"], error["message"]) == (
        ["input", "groupId"], "This is not the id of a group.",
    )  # fmt: skip
    error = await refused(world.alpha, SET_SCHOOL, userId=mia["id"], schoolId="x")
    assert (error["field"], error["message"]) == (
        ["input", "schoolId"], "This is not the id of a school.",
    )  # fmt: skip


async def test_another_tenants_person_group_and_school_do_not_exist(
    world: World, superuser: asyncpg.Connection, mia: dict[str, Any]
) -> None:
    north = await add_school(superuser, world.beta_id)
    group = await add_group(superuser, world.beta_id, north)
    bea = await add_user(superuser, world.beta_id, schools=[north])
    foreign = {
        code: encode_id(code, world.beta_id, key)
        for code, key in (("U", bea), ("G", group), ("S", north))
    }
    for client in (world.alpha, world.operator):
        for query, given in (
            (SET_GROUP, {"userId": mia["id"], "groupId": foreign["G"]}),
            (SET_SCHOOL, {"userId": mia["id"], "schoolId": foreign["S"]}),
        ):
            error = await refused(client, query, **given)
            assert (error["field"], error["code"]) == (None, "NOT_FOUND")
    for query in (SET_GROUP, SET_SCHOOL):
        error = await refused(world.alpha, query, userId=foreign["U"])
        assert (error["code"], error["message"]) == ("NOT_FOUND", f"There is no person '{bea}'.")
    nobody = encode_id("U", world.alpha_id, new_id())
    assert (await refused(world.alpha, SET_GROUP, userId=nobody))["code"] == "NOT_FOUND"
    assert await superuser.fetchval("SELECT count(*) FROM default_places") == 0
    assert await superuser.fetchval("SELECT count(*) FROM audit_log") == 0


async def test_the_training_application_chooses_with_its_own_scope_and_reads_nothing(
    world: World, app: Starlette, superuser: asyncpg.Connection, mia: dict[str, Any]
) -> None:
    await add_token(superuser, "of-app", world.alpha_id, scopes=[Scope.TRAINING_WRITE])
    given = {"userId": mia["id"], "groupId": mia["drama"]}
    async with connected(app, "of-app") as client:
        answer = await client.run(ONLY_ERRORS % "userErrors { message }", input=given)
        assert answer == {"set": {"userErrors": []}}
        error = await client.fail(ONLY_ERRORS % "user { id }", input=given)
        assert error["extensions"]["code"] == "FORBIDDEN"
    assert await superuser.fetchval("SELECT group_id FROM default_places") == mia["drama_key"]


async def test_choosing_needs_one_of_two_scopes(
    world: World, app: Starlette, superuser: asyncpg.Connection, mia: dict[str, Any]
) -> None:
    others = ALL_SCOPES - {Scope.TRAINING_WRITE, Scope.TENANT_ADMIN}
    await add_token(superuser, "of-others", world.alpha_id, scopes=sorted(others))
    await add_token(superuser, "of-admin", world.alpha_id, scopes=[Scope.TENANT_ADMIN])
    given = {"userId": mia["id"], "groupId": mia["drama"]}
    async with connected(app, "of-others") as client:
        for query, name in ((SET_GROUP, "groupId"), (SET_SCHOOL, "schoolId")):
            error = await client.fail(query, input={"userId": mia["id"], name: None})
            assert error["extensions"]["code"] == "FORBIDDEN"
            assert error["message"] == (
                "This needs a token with the scope training:write or tenant:admin."
            )
    async with connected(app, "of-admin") as client:
        answer = await client.run(ONLY_ERRORS % "userErrors { message }", input=given)
    assert answer == {"set": {"userErrors": []}}


async def test_a_page_of_people_with_their_places_costs_the_same_for_one_and_for_many(
    world: World, superuser: asyncpg.Connection, resources: Resources
) -> None:
    query = f'{{ tenant(slug: "alpha") {{ users(first: 50) {{ nodes {{ {SHOWN} }} }} }} }}'
    engine = resources.database.engine.sync_engine
    counts: list[int] = []
    found: Any = None
    for number in (1, 8):
        for _ in range(number):
            await _landing(superuser, world.alpha_id)
        with counted_statements(engine) as statements:
            found = await world.alpha.run(query)
        counts.append(len(statements))
    people = found["tenant"]["users"]["nodes"]
    assert len(people) == 9
    assert all(person["defaultGroup"]["source"] == "CHOSEN" for person in people)
    assert counts[0] == counts[1]


async def _landing(superuser: asyncpg.Connection, tenant_id: UUID) -> None:
    school = await add_school(superuser, tenant_id)
    user = await add_user(superuser, tenant_id, schools=[school])
    group = await add_group(superuser, tenant_id, school)
    await add_membership(superuser, tenant_id, user, group)
    await superuser.execute(
        "INSERT INTO default_places (tenant_id, user_id, group_id, group_set_at)"
        " VALUES ($1, $2, $3, now())",
        tenant_id,
        user,
        group,
    )
