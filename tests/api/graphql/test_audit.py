"""The audit log: what was done, by whom, read in pages and by conditions."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from starlette.applications import Starlette

from api.graphql.node import encode_id
from domain.people.callers import Scope
from domain.resources import Resources
from tests.api.graphql.client import World, connected, counted_statements
from tests.api.graphql.seed import add_school, add_token, add_user, insert
from tests.api.graphql.signed_in import add_session, add_super_admin

pytestmark = pytest.mark.anyio

LOG = """query ($filter: AuditLogFilter, $first: Int, $after: String) { tenant(slug: "alpha") {
    auditLog(filter: $filter, first: $first, after: $after) { totalCount
        nodes { createdAt actor { kind label } user { givenName } action target details }
        pageInfo { hasNextPage endCursor } } } }"""
BEGAN = datetime(2026, 3, 1, 8, tzinfo=UTC)


async def add_entry(
    superuser: asyncpg.Connection, tenant_id: UUID, hour: int, action: str, **values: Any
) -> UUID:
    row = {"actor": "system", "created_at": BEGAN + timedelta(hours=hour)}
    return await insert(superuser, "audit_log", tenant_id=tenant_id, action=action, **row | values)


async def add_log(superuser: asyncpg.Connection, world: World) -> UUID:
    """Four entries of alpha, written down in another order, and one of beta. The person's id."""
    mia = await add_user(superuser, world.alpha_id, roles=["DISTRICT_ADMIN"])
    add = add_entry
    await add(superuser, world.alpha_id, 3, "contactsSet", details={"contacts": 2})
    await add(superuser, world.alpha_id, 2, "signIn", actor=f"user {mia}", target=str(mia))
    await add(superuser, world.alpha_id, 1, "signIn", actor=f"account {mia}")
    await add(
        superuser,
        world.alpha_id,
        4,
        "syncRunStart",
        actor="token 1",
        target="t1",
        details={"school_ids": ["a"], "inner": {"so_on": True}},
    )
    await add(superuser, world.beta_id, 5, "betaAct")
    return mia


async def test_the_log_is_read_newest_first_with_who_did_it(
    world: World, superuser: asyncpg.Connection
) -> None:
    mia = await add_log(superuser, world)
    log = (await world.alpha.run(LOG))["tenant"]["auditLog"]
    assert log["totalCount"] == 4
    assert log["nodes"] == [
        {
            "createdAt": "2026-03-01T12:00:00+00:00",
            "actor": {"kind": "TOKEN", "label": "token 1"},
            "user": None,
            "action": "syncRunStart",
            "target": "t1",
            "details": {"schoolIds": ["a"], "inner": {"soOn": True}},
        },
        {
            "createdAt": "2026-03-01T11:00:00+00:00",
            "actor": {"kind": "SYSTEM", "label": "system"},
            "user": None,
            "action": "contactsSet",
            "target": None,
            "details": {"contacts": 2},
        },
        {
            "createdAt": "2026-03-01T10:00:00+00:00",
            "actor": {"kind": "USER", "label": f"user {mia}"},
            "user": {"givenName": "Mia"},
            "action": "signIn",
            "target": str(mia),
            "details": {},
        },
        {
            "createdAt": "2026-03-01T09:00:00+00:00",
            "actor": {"kind": "SUPER_ADMIN", "label": f"account {mia}"},
            "user": None,
            "action": "signIn",
            "target": None,
            "details": {},
        },
    ]


async def test_the_log_is_narrowed_by_each_condition_and_all_together(
    world: World, superuser: asyncpg.Connection, subtests: pytest.Subtests
) -> None:
    mia = await add_log(superuser, world)
    mias = encode_id("U", world.alpha_id, mia)
    foreign = encode_id("U", world.beta_id, mia)
    for conditions, actions in (
        ({"action": "signIn"}, ["signIn", "signIn"]),
        ({"actor": "token 1"}, ["syncRunStart"]),
        ({"target": "t1"}, ["syncRunStart"]),
        ({"target": str(mia)}, ["signIn"]),
        ({"user": mias}, ["signIn"]),
        ({"user": foreign}, []),
        ({"action": "signIn", "actor": f"account {mia}"}, ["signIn"]),
        ({"action": "betaAct"}, []),
        ({"from": "2026-03-01T11:00:00Z"}, ["syncRunStart", "contactsSet"]),
        ({"to": "2026-03-01T11:00:00Z"}, ["signIn", "signIn"]),
        ({"from": "2026-03-01T06:00:00-05:00", "to": "2026-03-01T12:00:00Z"}, ["contactsSet"]),
    ):
        with subtests.test(filter=conditions):
            log = (await world.alpha.run(LOG, filter=conditions))["tenant"]["auditLog"]
            assert [node["action"] for node in log["nodes"]] == actions
            assert log["totalCount"] == len(actions)


async def test_a_condition_that_means_nothing_is_refused(
    world: World, subtests: pytest.Subtests
) -> None:
    for conditions in (
        {"from": "2026-03-01T11:00:00"},
        {"to": "0001-01-01T00:00:00+14:00"},
        {"action": "x" * 201},
        {"user": "x"},
    ):
        with subtests.test(filter=conditions):
            error = await world.alpha.fail(LOG, filter=conditions)
            assert error["extensions"]["code"] == "BAD_USER_INPUT"


async def test_pages_follow_on_each_other_in_as_many_statements_however_long_they_are(
    world: World, superuser: asyncpg.Connection, resources: Resources
) -> None:
    await add_log(superuser, world)
    actions: list[str] = []
    numbers: set[int] = set()
    after, goes_on = None, True
    while goes_on:
        with counted_statements(resources.database.engine.sync_engine) as statements:
            log = (await world.alpha.run(LOG, first=3 if after is None else 2, after=after))[
                "tenant"
            ]["auditLog"]
        actions += [node["action"] for node in log["nodes"]]
        numbers.add(len(statements))
        after, goes_on = log["pageInfo"]["endCursor"], log["pageInfo"]["hasNextPage"]
    assert actions == ["syncRunStart", "contactsSet", "signIn", "signIn"]
    # The first page has somebody of the roster in it, the second has not.
    assert sorted(numbers) == [min(numbers), min(numbers) + 2]


async def test_an_entry_is_a_node_for_those_who_may_read_the_log(
    world: World, app: Starlette, superuser: asyncpg.Connection
) -> None:
    key = await add_entry(superuser, world.alpha_id, 0, "contactsSet")
    query = "query ($id: ID!) { node(id: $id) { ... on AuditEntry { action } } }"
    entry = encode_id("A", world.alpha_id, key)
    assert await world.alpha.run(query, id=entry) == {"node": {"action": "contactsSet"}}
    assert await world.operator.run(query, id=entry) == {"node": {"action": "contactsSet"}}
    assert await world.beta.run(query, id=entry) == {"node": None}
    await add_token(superuser, "of-reader", world.alpha_id, scopes=[Scope.ROSTER_READ])
    async with connected(app, "of-reader") as reader:
        assert await reader.run(query, id=entry) == {"node": None}
        error = await reader.fail(LOG)
        assert error["extensions"]["code"] == "FORBIDDEN"


async def test_administrators_of_the_tenant_read_the_log_and_nobody_else_of_it(
    world: World, app: Starlette, superuser: asyncpg.Connection, subtests: pytest.Subtests
) -> None:
    await add_log(superuser, world)
    school = await add_school(superuser, world.alpha_id)
    root = await add_super_admin(superuser, world.alpha_id)
    await add_session(superuser, world.alpha_id, "hrs_SUPER_ADMIN", account_id=root)
    for role in ("DISTRICT_ADMIN", "SCHOOL_ADMIN", "TEACHER", "STAFF", "STUDENT"):
        user = await add_user(
            superuser, world.alpha_id, roles=[role], schools=[school], is_eligible=True
        )
        await add_session(superuser, world.alpha_id, f"hrs_{role}", user_id=user)
    for role, may in (
        ("SUPER_ADMIN", True),
        ("DISTRICT_ADMIN", True),
        ("SCHOOL_ADMIN", False),
        ("TEACHER", False),
        ("STAFF", False),
        ("STUDENT", False),
    ):
        with subtests.test(role=role):
            async with connected(app, f"hrs_{role}") as person:
                answer = (await person.post(LOG)).json()
            if may:
                assert answer["data"]["tenant"]["auditLog"]["totalCount"] == 4
            else:
                assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_log SET actor = 'system'", "DELETE FROM audit_log"]
)
async def test_what_the_log_says_cannot_be_changed_by_the_api(
    statement: str, world: World, superuser: asyncpg.Connection, resources: Resources
) -> None:
    await add_entry(superuser, world.alpha_id, 0, "contactsSet", details={"contacts": 1})
    with pytest.raises(ProgrammingError, match="permission denied"):
        async with resources.database.transaction(world.alpha_id) as session:
            await session.execute(text(statement))
    kept = await superuser.fetchrow("SELECT actor, details FROM audit_log")
    assert (kept["actor"], json.loads(kept["details"])) == ("system", {"contacts": 1})
