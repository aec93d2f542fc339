"""Changing the roster by hand over HTTP: what works, and what a provider manages."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from starlette.applications import Starlette

from api.graphql.node import encode_id
from domain.errands.perform import perform_errand
from domain.people.callers import Scope
from domain.resources import Resources
from domain.roster.managed import LOCAL_FIELDS, fields_of
from domain.roster.ownership import FieldOwner
from domain.roster.records import RecordType
from tests.api.graphql.client import World, connected, counted_statements
from tests.api.graphql.seed import (
    add_group,
    add_integration,
    add_membership,
    add_school,
    add_token,
    add_user,
)

pytestmark = pytest.mark.anyio

PARTS = "errand { state } userErrors { field code message managedBy }"
USER = "id username givenName email grades origin archivedAt schools { name }"


def mutation(name: str, shown: str = "") -> str:
    type_ = f"{name[0].upper()}{name[1:]}Input"
    return f"mutation ($input: {type_}!) {{ done: {name}(input: $input) {{ {shown} {PARTS} }} }}"


USER_CREATE = mutation("userCreate", f"user {{ {USER} }}")
USER_UPDATE = mutation("userUpdate", f"user {{ {USER} }}")
USER_ARCHIVE = mutation("userArchive", "user { archivedAt }")
USER_RESTORE = mutation("userRestore", "user { archivedAt }")
GROUP_CREATE = mutation("groupCreate", "group { id name startsOn school { name } }")
GROUP_UPDATE = mutation("groupUpdate", "group { name startsOn grades }")
SCHOOL_UPDATE = mutation("schoolUpdate", "school { name displayName }")
MEMBERSHIP_CREATE = mutation("membershipCreate", "membership { id role group { name } }")
MEMBERSHIP_ARCHIVE = mutation("membershipArchive", "membership { archivedAt }")
MANAGED = "managedBy { owner provider fields where }"
EVERYTHING = f"""query ($first: Int) {{ tenant(slug: "alpha") {{
    users(first: $first) {{ nodes {{ {MANAGED} isEligible eligibility {{ source }}
        memberships {{ nodes {{ {MANAGED} }} }} }} }}
    groups(first: $first) {{ nodes {{ {MANAGED} }} }}
    schools(first: $first) {{ nodes {{ {MANAGED} }} }} }} }}"""
IN_CLEVER = (
    "Change it in Clever, or in the student information system that feeds it; it comes with the"
    " next sync."
)


@pytest.fixture(name="working")
async def fixture_working(worker_resources: Resources) -> AsyncGenerator[None]:
    """A worker that runs errands."""

    async def work() -> None:
        while True:
            if not await perform_errand(worker_resources.database):
                await asyncio.sleep(0.02)

    working = asyncio.create_task(work())
    yield
    working.cancel()
    await asyncio.wait([working])


def of_alpha(world: World, code: str, key: UUID) -> str:
    return encode_id(code, world.alpha_id, key)


async def do(world: World, query: str, **input: Any) -> Any:
    done = (await world.alpha.run(query, input=input))["done"]
    assert (done["userErrors"], done["errand"]) == ([], None)
    return done


async def refusal(world: World, query: str, **input: Any) -> Any:
    done = (await world.alpha.run(query, input=input))["done"]
    assert all(value is None for name, value in done.items() if name != "userErrors")
    [error] = done["userErrors"]
    return error


async def test_where_nobody_rosters_people_and_groups_are_kept_by_hand(
    world: World, superuser: asyncpg.Connection, working: None
) -> None:
    school = of_alpha(
        world, "S", await add_school(superuser, world.alpha_id, origin="LEGACY", name="North")
    )
    tenant = of_alpha(world, "T", world.alpha_id)
    made = await do(
        world, USER_CREATE, tenantId=tenant, username="mia", givenName="Mia", familyName="Lee",
        roles=["STUDENT"], grades=["3"], schoolIds=[school],
    )  # fmt: skip
    user = made["user"]
    assert user == {
        "id": user["id"], "username": "mia", "givenName": "Mia", "email": None, "grades": ["03"],
        "origin": "LEGACY", "archivedAt": None, "schools": [{"name": "North"}],
    }  # fmt: skip
    changed = await do(world, USER_UPDATE, userId=user["id"], email="mia@example.org", grades=None)
    assert changed["user"] == user | {"email": "mia@example.org", "grades": []}
    group = (await do(world, GROUP_CREATE, schoolId=school, name="Club", startsOn="2026-08-17"))[
        "group"
    ]
    assert group == {
        "id": group["id"], "name": "Club", "startsOn": "2026-08-17", "school": {"name": "North"},
    }  # fmt: skip
    updated = await do(world, GROUP_UPDATE, groupId=group["id"], startsOn=None, grades=["KG"])
    assert updated["group"] == {"name": "Club", "startsOn": None, "grades": ["KG"]}
    member = await do(
        world, MEMBERSHIP_CREATE, userId=user["id"], groupId=group["id"], role="STUDENT"
    )
    membership = member["membership"]
    assert (membership["role"], membership["group"]) == ("STUDENT", {"name": "Club"})
    ended = await do(world, MEMBERSHIP_ARCHIVE, membershipId=membership["id"])
    assert ended["membership"]["archivedAt"] is not None
    gone = await do(world, USER_ARCHIVE, userId=user["id"])
    assert gone["user"]["archivedAt"] is not None
    back = await do(world, USER_RESTORE, userId=user["id"])
    assert back["user"] == {"archivedAt": None}
    actions = await superuser.fetch("SELECT action FROM audit_log ORDER BY id")
    assert [row[0] for row in actions] == [
        "userCreate", "userUpdate", "groupCreate", "groupUpdate", "membershipCreate",
        "membershipArchive", "userArchive", "userRestore",
    ]  # fmt: skip


async def test_what_a_provider_manages_is_refused_at_once_with_the_provider_and_the_place(
    world: World, superuser: asyncpg.Connection, subtests: pytest.Subtests
) -> None:
    """No worker runs: the refusal does not wait for one."""
    tenant_id = world.alpha_id
    await add_integration(superuser, tenant_id, provider="CLEVER")
    school = await add_school(superuser, tenant_id)
    group = await add_group(superuser, tenant_id, school)
    user = await add_user(superuser, tenant_id, schools=[school])
    membership = await add_membership(superuser, tenant_id, user, group)
    ids = {
        name: of_alpha(world, code, key)
        for name, code, key in (
            ("userId", "U", user),
            ("groupId", "G", group),
            ("schoolId", "S", school),
            ("membershipId", "M", membership),
            ("tenantId", "T", tenant_id),
        )
    }
    new = {"username": "x", "givenName": "X", "familyName": "X", "roles": ["STUDENT"]}
    adding = (
        "Clever says who and what there is here, so nothing is added by hand. Add it in Clever, or"
        " in the student information system that feeds it; it comes with the next sync."
        " Administrators and staff who are not in the roster come in by adminsImport and"
        " staffImport."
    )
    cases: list[tuple[str, tuple[str, ...], dict[str, Any], str, str]] = [
        (USER_CREATE, ("tenantId",), new, "tenantId", adding),
        (GROUP_CREATE, ("schoolId",), {"name": "X"}, "schoolId", adding),
        (MEMBERSHIP_CREATE, ("userId", "groupId"), {"role": "STUDENT"}, "groupId", adding),
        (USER_UPDATE, ("userId",), {"email": "x@example.org", "number": "7"}, "email",
         f"Clever manages this: email, number. {IN_CLEVER}"),
        (USER_ARCHIVE, ("userId",), {}, "userId", f"Clever manages this: archivedAt. {IN_CLEVER}"),
        (USER_RESTORE, ("userId",), {}, "userId", f"Clever manages this: archivedAt. {IN_CLEVER}"),
        (GROUP_UPDATE, ("groupId",), {"name": "X"}, "name",
         f"Clever manages this: name. {IN_CLEVER}"),
        (SCHOOL_UPDATE, ("schoolId",), {"number": None}, "number",
         f"Clever manages this: number. {IN_CLEVER}"),
        (MEMBERSHIP_ARCHIVE, ("membershipId",), {}, "membershipId",
         f"Clever manages this: archivedAt. {IN_CLEVER}"),
    ]  # fmt: skip
    for query, names, given, field, message in cases:
        with subtests.test(query=query):
            error = await refusal(world, query, **{name: ids[name] for name in names}, **given)
            assert error == {
                "field": ["input", field],
                "code": "PROVIDER_MANAGED",
                "message": message,
                "managedBy": "CLEVER",
            }
    assert await superuser.fetchval("SELECT count(*) FROM errands") == 0


async def test_how_a_providers_school_is_called_here_is_changed_here(
    world: World, superuser: asyncpg.Connection, working: None
) -> None:
    await add_integration(superuser, world.alpha_id)
    school = of_alpha(world, "S", await add_school(superuser, world.alpha_id, name="North"))
    for name in ("North, as people call it", None):
        done = await do(world, SCHOOL_UPDATE, schoolId=school, displayName=name)
        assert done["school"] == {"name": "North", "displayName": name}


async def test_another_tenants_record_is_not_there(
    world: World, superuser: asyncpg.Connection
) -> None:
    school = await add_school(superuser, world.beta_id, origin="LEGACY")
    group = await add_group(superuser, world.beta_id, school, origin="LEGACY")
    user = await add_user(superuser, world.beta_id, origin="LEGACY")
    member = await add_membership(superuser, world.beta_id, user, group, origin="LEGACY")
    mine = of_alpha(world, "U", await add_user(superuser, world.alpha_id, origin="LEGACY"))
    other = {
        "userId": encode_id("U", world.beta_id, user),
        "groupId": encode_id("G", world.beta_id, group),
        "schoolId": encode_id("S", world.beta_id, school),
        "membershipId": encode_id("M", world.beta_id, member),
    }
    for query, field, given in (
        (USER_UPDATE, "userId", {}),
        (USER_ARCHIVE, "userId", {}),
        (USER_RESTORE, "userId", {}),
        (GROUP_CREATE, "schoolId", {"name": "X"}),
        (GROUP_UPDATE, "groupId", {}),
        (SCHOOL_UPDATE, "schoolId", {}),
        (MEMBERSHIP_ARCHIVE, "membershipId", {}),
        (MEMBERSHIP_CREATE, "groupId", {"userId": mine, "role": "STUDENT"}),
    ):
        error = await refusal(world, query, **{field: other[field]}, **given)
        assert (error["code"], error["field"]) == ("NOT_FOUND", None)
        error = await refusal(world, query, **{field: "nonsense"}, **given)
        assert (error["code"], error["field"]) == ("INVALID", ["input", field])
    schools = await refusal(world, USER_UPDATE, userId=mine, schoolIds=[other["schoolId"]])
    assert (schools["code"], schools["field"]) == ("INVALID", ["input", "schoolIds"])
    wrong = await world.operator.run(
        MEMBERSHIP_CREATE, input={"userId": mine, "groupId": other["groupId"], "role": "STUDENT"}
    )
    assert wrong["done"]["userErrors"][0]["message"] == "Both have to be of one tenant."


async def test_editing_needs_its_scope(
    app: Starlette, world: World, superuser: asyncpg.Connection
) -> None:
    secret = await add_token(
        superuser, "reader", world.alpha_id, scopes=[Scope.ROSTER_READ, Scope.SYNC_RUN]
    )
    user = of_alpha(world, "U", await add_user(superuser, world.alpha_id, origin="LEGACY"))
    async with connected(app, secret) as reader:
        error = await reader.fail(USER_ARCHIVE, input={"userId": user})
    assert error["extensions"]["code"] == "FORBIDDEN"


async def test_every_record_says_who_manages_its_fields(
    world: World, superuser: asyncpg.Connection, resources: Resources
) -> None:
    """As many statements for many records as for one."""
    tenant_id = world.alpha_id
    await add_integration(superuser, tenant_id, provider="CLEVER")
    for number in range(4):
        school = await add_school(superuser, tenant_id, name=f"School {number}")
        group = await add_group(superuser, tenant_id, school)
        user = await add_user(superuser, tenant_id, family_name=f"Lee {number}")
        await add_membership(superuser, tenant_id, user, group)
    engine = resources.database.engine.sync_engine
    with counted_statements(engine) as for_one:
        await world.alpha.run(EVERYTHING, first=1)
    with counted_statements(engine) as for_many:
        found = (await world.alpha.run(EVERYTHING, first=4))["tenant"]
    assert len(for_one) == len(for_many)
    record_types = {
        "users": RecordType.USER, "groups": RecordType.GROUP, "schools": RecordType.SCHOOL,
    }  # fmt: skip
    for name, record_type in record_types.items():
        nodes = found[name]["nodes"]
        assert len(nodes) == 4
        for node in nodes:
            provider = node["managedBy"][0]
            assert provider == {
                "owner": "PROVIDER",
                "provider": "CLEVER",
                "fields": list(fields_of(record_type, FieldOwner.PROVIDER)),
                "where": IN_CLEVER,
            }
    member = found["users"]["nodes"][0]["memberships"]["nodes"][0]["managedBy"]
    assert [(part["owner"], part["fields"]) for part in member] == [
        ("PROVIDER", ["archivedAt", "user", "group", "role", "spans"]),
        ("SYSTEM", ["id", "origin"]),
    ]


async def test_fields_are_named_as_the_types_have_them(world: World) -> None:
    local = {name for table in LOCAL_FIELDS.values() for names in table.values() for name in names}
    assert local
    for record_type in RecordType:
        query = f'{{ __type(name: "{record_type.title()}") {{ fields {{ name }} }} }}'
        known = {field["name"] for field in (await world.alpha.run(query))["__type"]["fields"]}
        told = {name for owner in FieldOwner for name in fields_of(record_type, owner)}
        assert told <= known, record_type
