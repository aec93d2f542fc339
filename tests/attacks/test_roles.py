"""D: people and tokens that want to be more than they are."""

from typing import Any, Final
from uuid import UUID

import asyncpg
import pytest
from graphql import GraphQLEnumType, GraphQLInputObjectType, get_named_type
from starlette.applications import Starlette

from api.graphql.node import encode_id
from api.graphql.schema import core
from domain.people.callers import CallerRole, Scope
from tests.api.graphql.client import World, connected
from tests.api.graphql.roles import Part, add_callers, add_part, add_whole
from tests.api.graphql.seed import add_school, add_token, add_user
from tests.api.graphql.signed_in import add_session

pytestmark = pytest.mark.anyio

UPDATE: Final = """mutation ($input: UserUpdateInput!) { userUpdate(input: $input) {
    userErrors { field code message } } }"""
SCHOOLS: Final = """{ viewer { tenant { schools { totalCount } users { totalCount }
    groups { totalCount } } } }"""
OF_SEVERAL: Final = frozenset({"EligibilitySetInput"})
"""Of one user or of several: both of the tenant that is named, or there is no such user."""
BELOW: Final = ("SCHOOL_ADMIN", "TEACHER", "STAFF", "STUDENT")


@pytest.fixture
async def part(world: World, superuser: asyncpg.Connection) -> Part:
    part = await add_part(superuser, world.alpha_id)
    return await add_whole(superuser, world.alpha_id, part)


async def signed_in_admin(
    superuser: asyncpg.Connection, tenant_id: UUID, schools: list[UUID]
) -> UUID:
    admin = await add_user(superuser, tenant_id, roles=["SCHOOL_ADMIN"], schools=schools)
    await add_session(superuser, tenant_id, "hrs_two_schools", user_id=admin)
    return admin


async def test_d2_an_admin_of_two_schools_sees_both_and_of_one_that_was_left_nothing(
    world: World, part: Part, app: Starlette, superuser: asyncpg.Connection
) -> None:
    other = await add_part(superuser, world.alpha_id)
    await add_part(superuser, world.alpha_id)
    schools = [part.keys["S"], other.keys["S"]]
    admin = await signed_in_admin(superuser, world.alpha_id, schools)

    async def seen() -> Any:
        async with connected(app, "hrs_two_schools") as client:
            found = (await client.run(SCHOOLS))["viewer"]["tenant"]
        return tuple(found[name]["totalCount"] for name in ("schools", "users", "groups"))

    assert await seen() == (2, 3, 2)
    await superuser.execute(
        "DELETE FROM school_affiliations WHERE user_id = $1 AND school_id = $2",
        admin,
        other.keys["S"],
    )
    assert await seen() == (1, 2, 1)
    await superuser.execute("DELETE FROM school_affiliations WHERE user_id = $1", admin)
    assert await seen() == (0, 1, 0)


async def test_d2_who_moves_to_another_school_is_gone_for_the_first_ones_admin(
    world: World, part: Part, app: Starlette, superuser: asyncpg.Connection
) -> None:
    secrets = await add_callers(superuser, part)
    elsewhere = await add_school(superuser, world.alpha_id)
    mia = part.id("U")
    query = "query ($id: ID!) { node(id: $id) { id } }"
    async with connected(app, secrets[CallerRole.SCHOOL_ADMIN]) as admin:
        assert await admin.run(query, id=mia) == {"node": {"id": mia}}
        await superuser.execute(
            "UPDATE school_affiliations SET school_id = $1 WHERE user_id = $2",
            elsewhere,
            part.keys["U"],
        )
        await superuser.execute(
            "UPDATE memberships SET archived_at = now() WHERE user_id = $1", part.keys["U"]
        )
        assert await admin.run(query, id=mia) == {"node": None}


async def test_d3_a_token_of_support_has_no_more_than_support_whatever_it_was_given(
    world: World, part: Part, app: Starlette, superuser: asyncpg.Connection
) -> None:
    await add_callers(superuser, part)
    operator = await superuser.fetchval("SELECT id FROM operators")
    await add_token(superuser, "of-sue", operator_id=operator, scopes=list(Scope))
    query = "{ viewer { roles scopes } }"
    async with connected(app, "of-sue") as sue:
        viewer = (await sue.run(query))["viewer"]
        assert viewer == {"roles": ["SUPPORT"], "scopes": ["ROSTER_READ", "SYNC_RUN"]}
        await superuser.execute("UPDATE operators SET disabled_at = now() WHERE id = $1", operator)
        assert (await sue.post(query)).status_code == 401


def test_d4_no_input_says_what_is_decided_elsewhere() -> None:
    """Who somebody is, whose a row is and where it came from are no fields of any input."""
    assert core.mutation_type
    ours = {"passwordHash", "origin", "isOperator", "accountId", "operatorId", "actor", "createdBy"}
    for field in core.mutation_type.fields.values():
        given = get_named_type(field.args["input"].type)
        assert isinstance(given, GraphQLInputObjectType)
        assert not ours & set(given.fields), given.name
        is_of_a_row = {"userId", "groupId", "schoolId"} & set(given.fields)
        assert not (is_of_a_row and "tenantId" in given.fields) or given.name in OF_SEVERAL


def test_d4_nobody_is_made_a_super_admin_or_an_operator_here() -> None:
    user = core.type_map["UserUpdateInput"]
    assert isinstance(user, GraphQLInputObjectType)
    roles = get_named_type(user.fields["roles"].type)
    assert isinstance(roles, GraphQLEnumType)
    assert not {"SUPER_ADMIN", "OPERATOR", "SUPPORT", "MACHINE"} & set(roles.values)


async def test_d4_a_field_that_an_input_has_not_is_refused_whole(
    world: World, part: Part, superuser: asyncpg.Connection
) -> None:
    beta = encode_id("T", world.beta_id, world.beta_id)
    asked = {"userId": part.id("U"), "givenName": "Eve", "tenantId": beta, "isOperator": True}
    response = await world.alpha.post(UPDATE, input=asked)
    assert response.status_code == 400
    assert await superuser.fetchval("SELECT count(*) FROM users WHERE given_name = 'Eve'") == 0


@pytest.mark.parametrize("role", BELOW)
async def test_d5_nobody_makes_themselves_an_administrator(
    role: str, world: World, part: Part, app: Starlette, superuser: asyncpg.Connection
) -> None:
    secrets = await add_callers(superuser, part)
    query = "{ viewer { user { id } roles } }"
    async with connected(app, secrets[CallerRole(role)]) as client:
        me = (await client.run(query))["viewer"]["user"]["id"]
        error = await client.fail(UPDATE, input={"userId": me, "roles": ["DISTRICT_ADMIN"]})
        assert error["extensions"]["code"] == "FORBIDDEN"
        assert (await client.run(query))["viewer"]["roles"] == [role]
    assert await superuser.fetchval("SELECT count(*) FROM audit_log") == 0


async def test_d5_without_any_administrator_a_tenant_still_has_its_super_admin(
    world: World, part: Part, app: Starlette, superuser: asyncpg.Connection
) -> None:
    """Who is none of the roster's people, and is made and unmade by operators alone."""
    secrets = await add_callers(superuser, part)
    await superuser.execute("UPDATE users SET archived_at = now()")
    async with connected(app, secrets[CallerRole.DISTRICT_ADMIN]) as gone:
        assert (await gone.post("{ viewer { name } }")).status_code == 401
    async with connected(app, secrets[CallerRole.SUPER_ADMIN]) as root:
        assert (await root.run("{ viewer { roles } }"))["viewer"]["roles"] == ["SUPER_ADMIN"]


async def test_d6_who_was_demoted_is_no_administrator_with_the_next_request(
    world: World, part: Part, app: Starlette, superuser: asyncpg.Connection
) -> None:
    secrets = await add_callers(superuser, part)
    asked = {"tenantId": part.id("T"), "name": "Mine"}
    update = """mutation ($input: TenantUpdateInput!) { tenantUpdate(input: $input) {
        userErrors { code } } }"""
    async with connected(app, secrets[CallerRole.DISTRICT_ADMIN]) as admin:
        assert (await admin.run(update, input=asked)) == {"tenantUpdate": {"userErrors": []}}
        await superuser.execute(
            "UPDATE users SET roles = '{TEACHER}' WHERE 'DISTRICT_ADMIN' = ANY(roles)"
        )
        error = await admin.fail(update, input=asked | {"name": "Mine again"})
        assert error["extensions"]["code"] == "FORBIDDEN"
    assert await superuser.fetchval("SELECT name FROM tenants WHERE slug = 'alpha'") == "Mine"
