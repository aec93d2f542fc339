"""Saying over HTTP who may use the product."""

from typing import Any

import asyncpg
import pytest
from starlette.applications import Starlette

from api.graphql.node import encode_id
from domain.people.callers import Scope
from tests.api.graphql.client import World, connected
from tests.api.graphql.seed import add_group, add_membership, add_school, add_token, add_user

pytestmark = pytest.mark.anyio

SET = """
    mutation ($input: EligibilitySetInput!) { done: eligibilitySet(input: $input) {
      changedCount
      user { isEligible eligibility { isEligible source providerSays setAt setBy { kind } }
        managedBy { owner fields } }
      userErrors { field code message } } }
"""
LIST = """
    query { tenant(slug: "alpha") { users(orderBy: {field: USERNAME}) {
      totalCount nodes { username isEligible eligibility { source setBy { kind } } } } } }
"""


def asked(world: World, **given: Any) -> dict[str, Any]:
    return {"tenantId": encode_id("T", world.alpha_id, world.alpha_id), **given}


async def test_one_person_is_let_in_and_taken_back(
    world: World, superuser: asyncpg.Connection
) -> None:
    key = await add_user(superuser, world.alpha_id, is_eligible=False)
    user = encode_id("U", world.alpha_id, key)
    done = (await world.alpha.run(SET, input=asked(world, userId=user, isEligible=True)))["done"]
    assert (done["changedCount"], done["userErrors"]) == (1, [])
    shown = done["user"]
    assert shown["isEligible"] is True
    assert shown["eligibility"].pop("setAt") is not None
    assert shown["eligibility"] == {
        "isEligible": True,
        "source": "LOCAL",
        "providerSays": False,
        "setBy": {"kind": "TOKEN"},
    }
    [owner] = [part["owner"] for part in shown["managedBy"] if "isEligible" in part["fields"]]
    assert owner == "LOCAL"
    back = (await world.alpha.run(SET, input=asked(world, userId=user, isEligible=None)))["done"]
    assert back["user"]["eligibility"] == {
        "isEligible": False,
        "source": "PROVIDER",
        "providerSays": False,
        "setAt": None,
        "setBy": None,
    }
    [owner] = [p["owner"] for p in back["user"]["managedBy"] if "isEligible" in p["fields"]]
    assert owner == "PROVIDER"


async def test_several_at_once_by_ids_or_by_what_they_have_in_common(
    world: World, superuser: asyncpg.Connection
) -> None:
    tenant_id = world.alpha_id
    school = await add_school(superuser, tenant_id)
    group = await add_group(superuser, tenant_id, school)
    keys = [
        await add_user(superuser, tenant_id, username=name, schools=[school], grades=["03"])
        for name in ("ann", "ben", "cid")
    ]
    await add_membership(superuser, tenant_id, keys[0], group)
    cases: list[tuple[dict[str, Any], bool | None, list[bool]]] = [
        ({"userIds": [encode_id("U", tenant_id, key) for key in keys[:2]]}, False,
         [False, False, True]),
        ({"filter": {"groupId": encode_id("G", tenant_id, group)}}, True, [True, False, True]),
        ({"filter": {"schoolId": encode_id("S", tenant_id, school)}}, None, [True, True, True]),
        ({"filter": {"grade": "03"}}, False, [False, False, False]),
    ]  # fmt: skip
    for given, value, outcome in cases:
        done = (await world.alpha.run(SET, input=asked(world, **given, isEligible=value)))["done"]
        assert (done["userErrors"], done["user"]) == ([], None)
        nodes = (await world.alpha.run(LIST))["tenant"]["users"]["nodes"]
        assert [node["isEligible"] for node in nodes] == outcome
        source = "PROVIDER" if value is None else "LOCAL"
        assert nodes[0]["eligibility"]["source"] == source


async def test_beyond_the_licences_only_an_operator_lets_in(
    world: World, superuser: asyncpg.Connection
) -> None:
    await superuser.execute(
        "UPDATE subscriptions SET licence_limit = 1 WHERE tenant_id = $1", world.alpha_id
    )
    users = [
        encode_id("U", world.alpha_id, await add_user(superuser, world.alpha_id, is_eligible=False))
        for _ in range(2)
    ]
    given = asked(world, userIds=users, isEligible=True)
    done = (await world.alpha.run(SET, input=given))["done"]
    assert done["changedCount"] == 0
    assert done["userErrors"] == [
        {
            "field": ["input", "isEligible"],
            "code": "CONFLICT",
            "message": "There are not licences enough: 1 in all, 0 taken, and 2 more would be. "
            "Only an operator may go beyond.",
        }
    ]
    done = (await world.operator.run(SET, input=given))["done"]
    assert (done["changedCount"], done["userErrors"]) == (2, [])


async def test_what_cannot_be_meant_is_refused_with_its_field(
    world: World, superuser: asyncpg.Connection
) -> None:
    user = encode_id("U", world.alpha_id, await add_user(superuser, world.alpha_id))
    foreign = encode_id("U", world.beta_id, await add_user(superuser, world.beta_id))
    school = encode_id("S", world.beta_id, await add_school(superuser, world.beta_id))
    own = encode_id("S", world.alpha_id, await add_school(superuser, world.alpha_id))
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({"userId": user}, ["isEligible"]),
        ({"isEligible": True}, ["userId"]),
        ({"isEligible": True, "userId": user, "userIds": [user]}, ["userId"]),
        ({"isEligible": True, "userId": foreign}, ["userId"]),
        ({"isEligible": True, "userIds": []}, ["userIds"]),
        ({"isEligible": True, "userIds": [user, foreign]}, ["userIds"]),
        ({"isEligible": True, "filter": {}}, ["filter"]),
        ({"isEligible": True, "filter": {"schoolId": school}}, ["filter", "schoolId"]),
        ({"isEligible": True, "filter": {"groupId": user}}, ["filter", "groupId"]),
        ({"isEligible": True, "filter": {"schoolId": own, "grade": ""}}, ["filter", "grade"]),
    ]
    for given, field in cases:
        done = (await world.alpha.run(SET, input=asked(world, **given)))["done"]
        [error] = done["userErrors"]
        assert (error["code"], error["field"]) == ("INVALID", ["input", *field])
    assert await superuser.fetchval("SELECT count(*) FROM eligibility_overrides") == 0


async def test_saying_it_needs_its_scope(
    app: Starlette, world: World, superuser: asyncpg.Connection
) -> None:
    secret = await add_token(superuser, "reader", world.alpha_id, scopes=[Scope.ROSTER_READ])
    async with connected(app, secret) as reader:
        error = await reader.fail(SET, input=asked(world, isEligible=True, filter={"grade": "03"}))
    assert error["extensions"]["code"] == "FORBIDDEN"
