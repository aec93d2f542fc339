"""Tenants see their own, tokens do what their scopes say, and nothing else is told."""

from typing import Any
from uuid import UUID

import asyncpg
import pytest
from graphql import (
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    get_named_type,
)
from starlette.applications import Starlette

from api.graphql.node import encode_id
from api.graphql.schema import core
from domain.clock import new_id
from domain.people.callers import Scope
from domain.resources import Resources
from tests.api.graphql.client import Client, World, connected, counted_statements
from tests.api.graphql.foreign_ids import INNER, MUTATIONS, QUERIES
from tests.api.graphql.seed import (
    add_error,
    add_group,
    add_integration,
    add_membership,
    add_run,
    add_school,
    add_token,
    add_user,
    insert,
)

pytestmark = pytest.mark.anyio

CODES = {
    "Query.tenant": "T",
    "Query.syncRun": "R",
    "UserFilter.school": "S",
    "UserFilter.group": "G",
    "GroupFilter.school": "S",
}


def id_arguments() -> set[str]:
    types = [type_ for name, type_ in core.type_map.items() if not name.startswith("__")]
    arguments = {
        f"{type_.name}.{name}": argument.type
        for type_ in types
        if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType)
        for name, field in type_.fields.items()
        for argument in field.args.values()
        if get_named_type(argument.type).name == "ID"
    }
    inputs = {
        f"{type_.name}.{name}": field.type
        for type_ in types
        if isinstance(type_, GraphQLInputObjectType)
        for name, field in type_.fields.items()
        if get_named_type(field.type).name == "ID"
    }
    return {*arguments, *inputs}


def test_every_argument_that_is_an_id_is_tried_below() -> None:
    assert id_arguments() == set(QUERIES) | set(MUTATIONS) | INNER


async def everything_of(superuser: asyncpg.Connection, tenant_id: UUID) -> dict[str, UUID]:
    """One row of each type, by type code."""
    school = await add_school(superuser, tenant_id)
    group = await add_group(superuser, tenant_id, school)
    user = await add_user(superuser, tenant_id, schools=[school])
    integration = await add_integration(superuser, tenant_id)
    run = await add_run(superuser, tenant_id, integration)
    course = await insert(
        superuser, "courses", tenant_id=tenant_id, name="Typing", subjects=[], origin="PROVIDER"
    )
    term = await insert(
        superuser, "terms", tenant_id=tenant_id, name="Fall", kind="term", origin="PROVIDER"
    )
    return {
        "T": tenant_id,
        "S": school,
        "G": group,
        "U": user,
        "M": await add_membership(superuser, tenant_id, user, group),
        "I": integration,
        "R": run,
        "E": await add_error(superuser, tenant_id, run),
        "C": course,
        "P": term,
    }


async def outcome(client: Client, query: str, global_id: str) -> Any:
    answer = (await client.post(query, id=global_id)).json()
    for error in answer.get("errors", []):
        del error["extensions"]["requestId"]
    return answer


async def test_a_node_of_every_type_is_found_by_its_own_tenant_and_operators_only(
    world: World, superuser: asyncpg.Connection, subtests: pytest.Subtests
) -> None:
    query = QUERIES["Query.node"]
    for code, key in (await everything_of(superuser, world.beta_id)).items():
        global_id = encode_id(code, world.beta_id, key)
        with subtests.test(code=code):
            assert await world.beta.run(query, id=global_id) == {"found": {"id": global_id}}
            assert await world.operator.run(query, id=global_id) == {"found": {"id": global_id}}
            assert await world.alpha.run(query, id=global_id) == {"found": None}


async def test_the_tenant_of_an_id_is_part_of_the_row_that_is_meant(
    world: World, superuser: asyncpg.Connection, subtests: pytest.Subtests
) -> None:
    """A row's own id beside one's own tenant's is nobody's."""
    for code, key in (await everything_of(superuser, world.beta_id)).items():
        forged = encode_id(code, world.alpha_id, key)
        with subtests.test(code=code):
            assert await world.alpha.run(QUERIES["Query.node"], id=forged) == {"found": None}


async def test_another_tenants_id_is_as_good_as_none_in_every_query(
    world: World,
    superuser: asyncpg.Connection,
    resources: Resources,
    subtests: pytest.Subtests,
) -> None:
    rows = await everything_of(superuser, world.beta_id)
    await everything_of(superuser, world.alpha_id)
    for name, query in QUERIES.items():
        code = CODES.get(name, "U")
        with subtests.test(argument=name):
            foreign = encode_id(code, world.beta_id, rows[code])
            absent_tenant = new_id()
            absent = encode_id(code, absent_tenant, absent_tenant)
            with counted_statements(resources.database.engine.sync_engine) as for_foreign:
                answer = await outcome(world.alpha, query, foreign)
            with counted_statements(resources.database.engine.sync_engine) as for_absent:
                assert await outcome(world.alpha, query, absent) == answer
            assert for_foreign == for_absent
            found = answer["data"].get("found", answer["data"].get("tenant"))
            assert found in (None, {"found": {"totalCount": 0, "nodes": []}})


async def test_nothing_is_read_for_another_tenants_id(
    world: World, superuser: asyncpg.Connection, resources: Resources
) -> None:
    rows = await everything_of(superuser, world.beta_id)
    global_id = encode_id("U", world.beta_id, rows["U"])
    with counted_statements(resources.database.engine.sync_engine) as statements:
        await world.alpha.run(QUERIES["Query.node"], id=global_id)
    [set_tenant, find_caller] = statements
    assert "set_config" in set_tenant
    assert "find_api_token" in find_caller


async def test_another_tenant_is_not_found_in_every_mutation(
    world: World, superuser: asyncpg.Connection, subtests: pytest.Subtests
) -> None:
    await add_integration(superuser, world.beta_id)
    for name, query in MUTATIONS.items():
        with subtests.test(argument=name):
            foreign = encode_id("T", world.beta_id, world.beta_id)
            absent_tenant = new_id()
            absent = encode_id("T", absent_tenant, absent_tenant)
            for global_id in (foreign, absent):
                answer = await world.alpha.run(query, id=global_id)
                assert answer["found"]["userErrors"] == [
                    {
                        "field": ["input", "tenantId"],
                        "code": "NOT_FOUND",
                        "message": f"There is no tenant '{global_id}'.",
                    }
                ]
    for table in ("sync_runs", "audit_log"):
        assert await superuser.fetchval(f"SELECT count(*) FROM {table}") == 0  # noqa: S608
    assert await superuser.fetchval("SELECT settings ->> 'path' FROM integrations") == "/nowhere"


async def test_an_operator_is_told_that_a_tenant_is_not_there(
    world: World, subtests: pytest.Subtests
) -> None:
    absent = new_id()
    for name, query in MUTATIONS.items():
        with subtests.test(argument=name):
            answer = await world.operator.run(query, id=encode_id("T", absent, absent))
            [error] = answer["found"]["userErrors"]
            assert (error["field"], error["code"]) == (["input", "tenantId"], "NOT_FOUND")


async def test_an_id_is_read_strictly(
    world: World, superuser: asyncpg.Connection, subtests: pytest.Subtests
) -> None:
    rows = await everything_of(superuser, world.alpha_id)
    good = encode_id("R", world.alpha_id, rows["R"])
    wrong = ("", "x", good[:-1], good + "=", good + "A", " " + good, good.replace(good[0], "/", 1),
             good[:20] + "\n" + good[21:], "R" * 43 + "é", str(rows["R"]))  # fmt: skip
    for global_id in wrong:
        with subtests.test(id=global_id):
            for name in ("Query.node", "Query.syncRun"):
                error = await world.alpha.fail(QUERIES[name], id=global_id)
                assert error["extensions"]["code"] == "BAD_USER_INPUT"
                assert error["extensions"]["reason"] == "INVALID_ID"


async def test_an_id_of_another_type_is_bad_input(
    world: World, superuser: asyncpg.Connection, subtests: pytest.Subtests
) -> None:
    rows = await everything_of(superuser, world.alpha_id)
    for name, code in CODES.items():
        with subtests.test(argument=name):
            global_id = encode_id("E", world.alpha_id, rows["E"])
            assert code != "E"
            error = await world.alpha.fail(QUERIES[name], id=global_id)
            assert error["extensions"]["reason"] == "INVALID_ID"
    for name, query in MUTATIONS.items():
        with subtests.test(argument=name):
            global_id = encode_id("S", world.alpha_id, rows["S"])
            [error] = (await world.alpha.run(query, id=global_id))["found"]["userErrors"]
            assert (error["field"], error["code"]) == (["input", "tenantId"], "INVALID")


async def test_a_tenants_token_sees_one_tenant(world: World) -> None:
    query = "{ tenants { totalCount nodes { slug } } viewer { isOperator tenant { slug } } }"
    assert await world.alpha.run(query) == {
        "tenants": {"totalCount": 1, "nodes": [{"slug": "alpha"}]},
        "viewer": {"isOperator": False, "tenant": {"slug": "alpha"}},
    }
    assert await world.operator.run(query) == {
        "tenants": {"totalCount": 2, "nodes": [{"slug": "alpha"}, {"slug": "beta"}]},
        "viewer": {"isOperator": True, "tenant": None},
    }
    assert await world.alpha.run('{ tenant(slug: "beta") { id } }') == {"tenant": None}


ASKED = {
    Scope.ROSTER_READ: [
        "{ tenants { totalCount } }",
        '{ tenant(slug: "alpha") { id } }',
        *(QUERIES[name] for name in ("Query.node", "Query.tenant", "Query.syncRun")),
    ],
    Scope.SYNC_RUN: [MUTATIONS["SyncRunStartInput.tenantId"]],
    Scope.TENANT_ADMIN: [
        MUTATIONS["IntegrationConfigureInput.tenantId"],
        MUTATIONS["IntegrationTestInput.tenantId"],
        MUTATIONS["SharingRulesPreviewInput.tenantId"],
        MUTATIONS["SharingRulesSetInput.tenantId"],
        MUTATIONS["RoleMapSetInput.tenantId"],
        MUTATIONS["TenantUpdateInput.tenantId"],
        MUTATIONS["LicencesSetInput.tenantId"],
        MUTATIONS["OnboardingApproveInput.tenantId"],
        MUTATIONS["OnboardingStepSetInput.tenantId"],
        MUTATIONS["ExpectationsSetInput.tenantId"],
        'mutation { tenantCreate(input: {slug: "new", name: "New"}) { tenant { id } } }',
    ],
    Scope.PROGRESS_WRITE: [MUTATIONS["ProgressRecordInput.tenantId"]],
    # What may be done with one of several scopes, or over HTTP alone, is tried in its own tests.
    Scope.TRAINING_READ: [],
    Scope.TRAINING_WRITE: [],
}


@pytest.mark.parametrize("scope", Scope)
async def test_a_token_does_what_its_scopes_say(
    scope: Scope,
    world: World,
    app: Starlette,
    superuser: asyncpg.Connection,
    subtests: pytest.Subtests,
) -> None:
    """With every scope but one, on the product's own side."""
    others = [other for other in Scope if other is not scope]
    await add_token(superuser, "of-others", scopes=others)
    global_id = encode_id("T", world.alpha_id, world.alpha_id)
    async with connected(app, "of-others") as client:
        for query in ASKED[scope]:
            with subtests.test(query=query):
                variables = {"id": global_id} if "$id" in query else {}
                error = await client.fail(query, **variables)
                assert error["extensions"]["code"] == "FORBIDDEN"
                assert error["message"] == f"This needs a token with the scope {scope.value}."
        assert (await client.run("{ viewer { name } }"))["viewer"]["name"] == "token of-others"
    assert await superuser.fetchval("SELECT count(*) FROM audit_log") == 0


async def test_a_token_that_starts_syncs_cannot_read_rosters_through_the_run(
    world: World, app: Starlette, superuser: asyncpg.Connection
) -> None:
    await add_integration(superuser, world.alpha_id)
    await add_token(superuser, "of-starter", world.alpha_id, scopes=[Scope.SYNC_RUN])
    query = "mutation ($id: ID!) { syncRunStart(input: {tenantId: $id}) { syncRun { state %s } } }"
    global_id = encode_id("T", world.alpha_id, world.alpha_id)
    async with connected(app, "of-starter") as starter:
        data = await starter.run(query % "", id=global_id)
        assert data == {"syncRunStart": {"syncRun": {"state": "QUEUED"}}}
        for edge in (
            "tenant { slug }",
            "changes { totalCount }",
            "hold { createdAt }",
            "preflight { licences { used } }",
            "validationErrors { totalCount }",
        ):
            error = await starter.fail(query % edge, id=global_id)
            assert error["extensions"]["code"] == "FORBIDDEN"
        error = await starter.fail("{ viewer { tenant { users { totalCount } } } }")
        assert error["extensions"]["code"] == "FORBIDDEN"


async def test_only_an_operator_creates_tenants(
    world: World, superuser: asyncpg.Connection
) -> None:
    query = 'mutation { tenantCreate(input: {slug: "new", name: "New"}) { tenant { id } } }'
    error = await world.alpha.fail(query)
    assert error["message"] == "Only an operator may do this."
    assert error["extensions"]["code"] == "FORBIDDEN"
    assert await superuser.fetchval("SELECT count(*) FROM tenants") == 2
