"""API tokens: made by those who may do as much themselves, shown once, and taken back."""

from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from starlette.applications import Starlette

from api.graphql.node import encode_id
from domain.clock import utc_now
from domain.people.callers import Scope
from tests.api.graphql.client import Client, World, connected
from tests.api.graphql.seed import add_token, add_user
from tests.api.graphql.signed_in import add_session, add_super_admin

pytestmark = pytest.mark.anyio

CREATE = """mutation ($input: ApiTokenCreateInput!) { apiTokenCreate(input: $input) {
    apiToken { id name scopes createdBy { kind label } expiresAt lastUsedAt revokedAt } secret
    userErrors { field code message } } }"""
REVOKE = """mutation ($id: ID!) { apiTokenRevoke(input: {apiTokenId: $id}) {
    apiToken { id revokedAt } userErrors { field code message } } }"""
LIST = """{ tenant(slug: "alpha") { apiTokens { totalCount nodes {
    id name scopes lastUsedAt revokedAt createdBy { label } } } } }"""
WHO = "{ viewer { name scopes } }"


def wanted(world: World, *scopes: str, **values: Any) -> dict[str, Any]:
    return {
        "tenantId": encode_id("T", world.alpha_id, world.alpha_id),
        "name": "Dashboard",
        "scopes": list(scopes),
    } | values


async def create(client: Client, given: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = (await client.run(CREATE, input=given))["apiTokenCreate"]
    return answer


async def test_a_token_is_shown_once_and_is_good_for_what_it_was_made_for(
    world: World, app: Starlette, superuser: asyncpg.Connection
) -> None:
    answer = await create(world.operator, wanted(world, "TRAINING_READ", "ROSTER_READ"))
    assert answer["userErrors"] == []
    token, secret = answer["apiToken"], answer["secret"]
    operator_token = await superuser.fetchval("SELECT id FROM api_tokens WHERE tenant_id IS NULL")
    assert token["name"] == "Dashboard"
    assert token["scopes"] == ["ROSTER_READ", "TRAINING_READ"]
    assert token["createdBy"] == {"kind": "TOKEN", "label": f"token {operator_token}"}
    assert (token["lastUsedAt"], token["revokedAt"]) == (None, None)
    row = await superuser.fetchrow("SELECT * FROM api_tokens WHERE name = 'Dashboard'")
    assert timedelta(days=89) < row["expires_at"] - utc_now() <= timedelta(days=90)
    assert row["tenant_id"] == world.alpha_id
    assert (row["created_by_user_id"], row["operator_id"]) == (None, None)
    async with connected(app, secret) as machine:
        viewer = (await machine.run(WHO))["viewer"]
        assert viewer == {"name": "Dashboard", "scopes": ["ROSTER_READ", "TRAINING_READ"]}
    listed = (await world.alpha.run(LIST))["tenant"]["apiTokens"]
    assert listed["totalCount"] == 2
    assert listed["nodes"][0]["name"] == "Dashboard"
    assert listed["nodes"][0]["lastUsedAt"] is not None
    assert secret not in str(listed)
    act = await superuser.fetchrow("SELECT * FROM audit_log")
    assert (act["action"], act["target"]) == ("apiTokenCreate", str(row["id"]))
    assert act["details"] == '{"days": 90, "scopes": ["roster:read", "training:read"]}'
    assert secret not in str(dict(act))


async def test_a_token_can_do_no_more_than_who_makes_it(
    world: World, app: Starlette, superuser: asyncpg.Connection
) -> None:
    scopes = [Scope.TENANT_ADMIN, Scope.ROSTER_READ]
    await add_token(superuser, "of-admin", world.alpha_id, scopes=scopes)
    async with connected(app, "of-admin") as admin:
        answer = await create(admin, wanted(world, "ROSTER_READ", "SYNC_RUN", "TRAINING_READ"))
        assert (answer["apiToken"], answer["secret"]) == (None, None)
        assert answer["userErrors"] == [
            {
                "field": ["input", "scopes"],
                "code": "INVALID",
                "message": "A token cannot do more than who makes it: not sync:run, training:read.",
            }
        ]
        [error] = (await create(admin, wanted(world, "ROSTER_READ", lifetimeDays=2)))["userErrors"]
        assert error["field"] == ["input", "lifetimeDays"]
        assert "0 whole days" in error["message"]
    assert await superuser.fetchval("SELECT count(*) FROM audit_log") == 0


async def test_what_no_token_can_be_is_refused(
    world: World, superuser: asyncpg.Connection, subtests: pytest.Subtests
) -> None:
    for given, field in (
        (wanted(world), "scopes"),
        (wanted(world, "ROSTER_READ", name=" "), "name"),
        (wanted(world, "ROSTER_READ", name="x" * 101), "name"),
        (wanted(world, "ROSTER_READ", name="a\nb"), "name"),
        (wanted(world, "ROSTER_READ", lifetimeDays=0), "lifetimeDays"),
        (wanted(world, "ROSTER_READ", lifetimeDays=366), "lifetimeDays"),
        (wanted(world, "ROSTER_READ", lifetimeDays=2_000_000_000), "lifetimeDays"),
        (wanted(world, "ROSTER_READ", lifetimeDays=-2_000_000_000), "lifetimeDays"),
    ):
        with subtests.test(given=given):
            [error] = (await create(world.operator, given))["userErrors"]
            assert (error["field"], error["code"]) == (["input", field], "INVALID")
    assert await superuser.fetchval("SELECT count(*) FROM api_tokens") == 3


async def test_a_tenant_has_a_hundred_good_tokens_at_most(
    world: World, superuser: asyncpg.Connection
) -> None:
    await superuser.execute(
        "INSERT INTO api_tokens (tenant_id, name, token_hash, scopes, expires_at, revoked_at)"
        " SELECT $1, 'many', sha256(n::text::bytea), '{}', now() + interval '1 day',"
        " CASE WHEN n > 99 THEN now() END FROM generate_series(1, 200) AS n",
        world.alpha_id,
    )
    [error] = (await create(world.operator, wanted(world, "ROSTER_READ")))["userErrors"]
    assert (error["field"], error["code"]) == (None, "CONFLICT")
    await superuser.execute("UPDATE api_tokens SET expires_at = now() WHERE name = 'many'")
    assert (await create(world.operator, wanted(world, "ROSTER_READ")))["secret"]


async def test_a_district_admin_signs_in_anew_and_the_token_lasts_as_long_as_the_role(
    world: World, app: Starlette, superuser: asyncpg.Connection
) -> None:
    admin_id = await add_user(superuser, world.alpha_id, roles=["DISTRICT_ADMIN"])
    old = utc_now() - timedelta(minutes=11)
    await add_session(superuser, world.alpha_id, "hrs_new", user_id=admin_id)
    await add_session(superuser, world.alpha_id, "hrs_old", user_id=admin_id, created_at=old)
    given = wanted(world, "TENANT_ADMIN", "ROSTER_READ", lifetimeDays=30)
    async with connected(app, "hrs_old") as person:
        [error] = (await create(person, given))["userErrors"]
        assert (error["field"], error["code"]) == (None, "SIGN_IN_AGAIN")
    async with connected(app, "hrs_new") as person:
        [error] = (await create(person, wanted(world, "TRAINING_READ")))["userErrors"]
        assert error["field"] == ["input", "scopes"]
        made = await create(person, given)
        assert made["apiToken"]["createdBy"] == {"kind": "USER", "label": f"user {admin_id}"}
    async with connected(app, made["secret"]) as machine:
        child = await create(machine, wanted(world, "ROSTER_READ", name="Child", lifetimeDays=29))
        assert child["userErrors"] == []
    await superuser.execute("UPDATE users SET roles = '{TEACHER}' WHERE id = $1", admin_id)
    for secret in (made["secret"], child["secret"]):
        async with connected(app, secret) as machine:
            error = await machine.fail(WHO)
            assert error["extensions"]["code"] == "UNAUTHENTICATED"


async def test_a_super_admin_makes_tokens_and_other_people_do_not(
    world: World, app: Starlette, superuser: asyncpg.Connection, subtests: pytest.Subtests
) -> None:
    root = await add_super_admin(superuser, world.alpha_id)
    await add_session(superuser, world.alpha_id, "hrs_root", account_id=root)
    async with connected(app, "hrs_root") as person:
        made = await create(person, wanted(world, "SYNC_RUN"))
    assert made["apiToken"]["createdBy"] == {"kind": "SUPER_ADMIN", "label": f"account {root}"}
    for role in ("SCHOOL_ADMIN", "TEACHER", "STAFF", "STUDENT"):
        user = await add_user(superuser, world.alpha_id, roles=[role], is_eligible=True)
        await add_session(superuser, world.alpha_id, f"hrs_{role}", user_id=user)
        with subtests.test(role=role):
            async with connected(app, f"hrs_{role}") as person:
                given = wanted(world, "ROSTER_READ")
                for error in (
                    await person.fail(CREATE, input=given),
                    await person.fail(REVOKE, id=made["apiToken"]["id"]),
                    await person.fail(LIST),
                ):
                    assert error["extensions"]["code"] == "FORBIDDEN"


async def test_a_revoked_token_takes_those_with_it_that_it_made(
    world: World, app: Starlette, superuser: asyncpg.Connection
) -> None:
    given = wanted(world, "TENANT_ADMIN", "ROSTER_READ", lifetimeDays=30)
    first = await create(world.operator, given)
    async with connected(app, first["secret"]) as machine:
        second = await create(machine, given | {"lifetimeDays": 29})
    async with connected(app, second["secret"]) as machine:
        third = await create(machine, wanted(world, "ROSTER_READ", lifetimeDays=28))
    answer = (await world.alpha.run(REVOKE, id=second["apiToken"]["id"]))["apiTokenRevoke"]
    assert answer["userErrors"] == []
    assert answer["apiToken"]["revokedAt"] is not None
    for made, is_good in ((first, True), (second, False), (third, False)):
        async with connected(app, made["secret"]) as machine:
            assert ((await machine.post(WHO)).status_code == 200) is is_good
    again = (await world.alpha.run(REVOKE, id=second["apiToken"]["id"]))["apiTokenRevoke"]
    assert again == answer
    acts = await superuser.fetch(
        "SELECT details FROM audit_log WHERE action = 'apiTokenRevoke' ORDER BY id"
    )
    assert len(acts) == 1
    third_id = await superuser.fetchval(
        "SELECT id FROM api_tokens WHERE scopes = '{roster:read}' AND tenant_id = $1",
        world.alpha_id,
    )
    assert acts[0]["details"] == f'{{"also": ["{third_id}"]}}'


async def test_another_tenants_tokens_are_not_there(
    world: World, app: Starlette, superuser: asyncpg.Connection
) -> None:
    key = await superuser.fetchval("SELECT id FROM api_tokens WHERE name = 'token of-alpha'")
    token = encode_id("B", world.alpha_id, key)
    [error] = (await world.beta.run(REVOKE, id=token))["apiTokenRevoke"]["userErrors"]
    assert error["code"] == "NOT_FOUND"
    forged = encode_id("B", world.beta_id, key)
    [error] = (await world.beta.run(REVOKE, id=forged))["apiTokenRevoke"]["userErrors"]
    assert error["code"] == "NOT_FOUND"
    node = "query ($id: ID!) { node(id: $id) { ... on ApiToken { name } } }"
    assert await world.beta.run(node, id=token) == {"node": None}
    assert await world.alpha.run(node, id=token) == {"node": {"name": "token of-alpha"}}
    operators = await superuser.fetchval("SELECT id FROM api_tokens WHERE tenant_id IS NULL")
    forged = encode_id("B", world.alpha_id, operators)
    assert await world.alpha.run(node, id=forged) == {"node": None}
    [error] = (await world.alpha.run(REVOKE, id=forged))["apiTokenRevoke"]["userErrors"]
    assert error["code"] == "NOT_FOUND"
    await add_token(superuser, "of-reader", world.alpha_id, scopes=[Scope.ROSTER_READ])
    async with connected(app, "of-reader") as reader:
        assert await reader.run(node, id=token) == {"node": None}
    assert (
        await superuser.fetchval("SELECT count(*) FROM api_tokens WHERE revoked_at > '-infinity'")
        == 0
    )
