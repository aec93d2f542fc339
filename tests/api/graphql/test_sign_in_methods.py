"""Ways of signing in: on or off, for whose accounts; and forgetting whose account is whose."""

import json
from typing import Any

import asyncpg
import pytest
from starlette.applications import Starlette

from api.graphql.node import encode_id
from tests.api.graphql.client import World, connected
from tests.api.graphql.seed import add_integration, add_school, add_user, insert
from tests.api.graphql.signed_in import add_session

pytestmark = pytest.mark.anyio

SET = """mutation ($input: SignInMethodsSetInput!) { signInMethodsSet(input: $input) {
    methods { name isEnabled keys compares isOfIntegration }
    userErrors { field code message } } }"""
SHOW = """{ tenant(slug: "alpha") { signInMethods {
    name isEnabled keys compares isOfIntegration } } }"""
FORGET = """mutation ($id: ID!, $method: SignInMethodName!) { identityForget(
    input: {userId: $id, method: $method}) { user { id } userErrors { field code } } }"""
TID = "6f1c2f6a-4b7e-4c39-9d43-0d4f3f0f9a11"


def given(world: World, *methods: dict[str, Any]) -> dict[str, Any]:
    tenant_id = encode_id("T", world.alpha_id, world.alpha_id)
    return {"tenantId": tenant_id, "methods": list(methods)}


def method(name: str, **values: Any) -> dict[str, Any]:
    usual = {"isEnabled": False, "keys": [], "compares": None, "isOfIntegration": False}
    return {"name": name, **usual, **values}


async def test_without_a_word_the_rosters_provider_and_the_password_are_on(
    world: World, superuser: asyncpg.Connection
) -> None:
    off = [method(name) for name in ("CLEVER", "CLASSLINK", "GOOGLE", "MICROSOFT")]
    shown = (await world.alpha.run(SHOW))["tenant"]["signInMethods"]
    assert shown == [*off, method("PASSWORD", isEnabled=True)]
    await add_integration(
        superuser, world.alpha_id, provider="CLEVER", settings={"district_id": "d-1"}
    )
    clever = method("CLEVER", isEnabled=True, keys=["d-1"], isOfIntegration=True)
    shown = (await world.alpha.run(SHOW))["tenant"]["signInMethods"]
    assert shown == [clever, *off[1:], method("PASSWORD", isEnabled=True)]


async def test_what_is_not_named_stays_as_it_is(
    world: World, superuser: asyncpg.Connection
) -> None:
    google = {"name": "GOOGLE", "isEnabled": True, "keys": [" Springfield.Example.org"]}
    answer = (
        await world.alpha.run(
            SET,
            input=given(
                world,
                google | {"compares": "LOCAL_PART"},
                {"name": "PASSWORD", "isEnabled": False},
            ),
        )
    )["signInMethodsSet"]
    assert answer["userErrors"] == []
    expected = [
        method("CLEVER"),
        method("CLASSLINK"),
        method("GOOGLE", isEnabled=True, keys=["springfield.example.org"], compares="LOCAL_PART"),
        method("MICROSOFT"),
        method("PASSWORD"),
    ]
    assert answer["methods"] == expected
    microsoft = {"name": "MICROSOFT", "isEnabled": True, "keys": [TID.upper()]}
    answer = (await world.alpha.run(SET, input=given(world, microsoft | {"compares": "ADDRESS"})))[
        "signInMethodsSet"
    ]
    expected[3] = method("MICROSOFT", isEnabled=True, keys=[TID], compares="ADDRESS")
    assert answer == {"methods": expected, "userErrors": []}
    assert (await world.alpha.run(SHOW))["tenant"]["signInMethods"] == expected
    assert (await world.beta.run(SHOW.replace("alpha", "beta")))["tenant"]["signInMethods"][
        2
    ] == method("GOOGLE")
    acts = await superuser.fetch("SELECT action FROM audit_log")
    assert [act["action"] for act in acts] == ["signInMethodsSet", "signInMethodsSet"]


async def test_what_would_let_anybody_in_is_refused(
    world: World, superuser: asyncpg.Connection, subtests: pytest.Subtests
) -> None:
    on = {"isEnabled": True, "compares": "ADDRESS"}
    google, microsoft = {"name": "GOOGLE", **on}, {"name": "MICROSOFT", **on}
    clever = {"name": "CLEVER", "isEnabled": True}
    for methods in (
        [google],
        [google | {"keys": []}],
        [google | {"keys": ["gmail.com"]}],
        [google | {"keys": ["nowhere"]}],
        [google | {"keys": [f"d{number}.org" for number in range(51)]}],
        [google | {"keys": ["a.org"], "compares": None}],
        [microsoft | {"keys": ["common"]}],
        [microsoft | {"keys": ["9188040d-6c67-4c5b-b112-36a304b66dad"]}],
        [clever | {"keys": ["another district"]}],
        [clever | {"compares": "ADDRESS"}],
        [{"name": "PASSWORD", "isEnabled": True, "keys": ["x"]}],
        [clever, clever],
        [clever] * 6,
    ):
        with subtests.test(methods=methods[:2]):
            answer = (await world.alpha.run(SET, input=given(world, *methods)))["signInMethodsSet"]
            assert answer["methods"] == []
            [error] = answer["userErrors"]
            assert (error["field"], error["code"]) == (["input", "methods"], "INVALID")
    for table in ("sign_in_methods", "audit_log"):
        assert await superuser.fetchval(f"SELECT count(*) FROM {table}") == 0  # noqa: S608


async def test_an_operator_says_which_district_is_a_tenants(world: World) -> None:
    clever = {"name": "CLEVER", "isEnabled": True, "keys": ["d-2"]}
    answer = (await world.operator.run(SET, input=given(world, clever)))["signInMethodsSet"]
    assert answer["methods"][0] == method("CLEVER", isEnabled=True, keys=["d-2"])


async def test_a_forgotten_account_is_nobodys(world: World, superuser: asyncpg.Connection) -> None:
    mia = await add_user(superuser, world.alpha_id)
    for name in ("GOOGLE", "MICROSOFT"):
        await insert(
            superuser,
            "identities",
            tenant_id=world.alpha_id,
            user_id=mia,
            method=name,
            subject="s",
        )
    user = encode_id("U", world.alpha_id, mia)
    answer = (await world.alpha.run(FORGET, id=user, method="GOOGLE"))["identityForget"]
    assert answer == {"user": {"id": user}, "userErrors": []}
    left = await superuser.fetchval("SELECT array_agg(method::text) FROM identities")
    assert left == ["MICROSOFT"]
    act = await superuser.fetchrow("SELECT action, target, details FROM audit_log")
    assert (act["action"], act["target"]) == ("identityForget", str(mia))
    assert json.loads(act["details"]) == {"method": "GOOGLE"}
    for asked, field, code in (
        ({"id": user, "method": "GOOGLE"}, None, "NOT_FOUND"),
        ({"id": user, "method": "CLEVER"}, ["input", "method"], "CONFLICT"),
        (
            {"id": encode_id("U", world.beta_id, mia), "method": "MICROSOFT"},
            None,
            "NOT_FOUND",
        ),
    ):
        answer = (await world.alpha.run(FORGET, **asked))["identityForget"]
        assert answer == {"user": None, "userErrors": [{"field": field, "code": code}]}
    [error] = (await world.beta.run(FORGET, id=user, method="MICROSOFT"))["identityForget"][
        "userErrors"
    ]
    assert error["code"] == "NOT_FOUND"


async def test_ways_of_signing_in_are_for_administrators_of_the_whole_tenant(
    world: World, app: Starlette, superuser: asyncpg.Connection, subtests: pytest.Subtests
) -> None:
    school = await add_school(superuser, world.alpha_id)
    for role, may in (
        ("DISTRICT_ADMIN", True),
        ("SCHOOL_ADMIN", False),
        ("TEACHER", False),
        ("STAFF", False),
        ("STUDENT", False),
    ):
        user = await add_user(superuser, world.alpha_id, roles=[role], schools=[school])
        await add_session(superuser, world.alpha_id, f"hrs_{role}", user_id=user)
        with subtests.test(role=role):
            password = {"name": "PASSWORD", "isEnabled": True}
            async with connected(app, f"hrs_{role}") as person:
                for query, variables in (
                    (SHOW, {}),
                    (SET, {"input": given(world, password)}),
                    (FORGET, {"id": encode_id("U", world.alpha_id, user), "method": "GOOGLE"}),
                ):
                    answer = (await person.post(query, **variables)).json()
                    assert ("errors" not in answer) is may
                    if not may:
                        assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"
