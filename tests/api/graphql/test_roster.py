"""The roster: who is where, and finding them."""

from datetime import date
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from api.graphql.node import encode_id
from domain.clock import utc_now
from tests.api.graphql.client import World
from tests.api.graphql.seed import (
    add_group,
    add_membership,
    add_school,
    add_user,
    insert,
)

pytestmark = pytest.mark.anyio

USERS = """query ($filter: UserFilter, $order: UserOrder) { tenant(slug: "alpha") {
    users(filter: $filter, orderBy: $order) { totalCount nodes { username } } } }"""
GROUPS = """query ($filter: GroupFilter) { tenant(slug: "alpha") {
    groups(filter: $filter) { totalCount nodes { name } } } }"""
SCHOOLS = """query ($filter: SchoolFilter) { tenant(slug: "alpha") {
    schools(filter: $filter) { totalCount nodes { name } } } }"""


async def test_a_person_is_shown_with_schools_groups_and_memberships(
    world: World, superuser: asyncpg.Connection
) -> None:
    tenant_id = world.alpha_id
    north = await add_school(superuser, tenant_id, name="North", number="7", source_id="n")
    south = await add_school(superuser, tenant_id, name="South", display_name="South (KS)")
    group = await add_group(superuser, tenant_id, north, name="Typing 2")
    old_group = await add_group(superuser, tenant_id, north, archived_at=utc_now())
    user = await add_user(
        superuser,
        tenant_id,
        schools=[south, north],
        username="mlee",
        number="42",
        email="m@example.org",
        roles=["STUDENT", "STAFF"],
        grades=["05"],
        source_id="u-1",
        preferred_given_name="Mimi",
    )
    membership = await add_membership(superuser, tenant_id, user, group)
    await add_membership(superuser, tenant_id, user, group, role="STAFF")
    await add_membership(superuser, tenant_id, user, old_group, archived_at=utc_now())
    await superuser.execute(
        "INSERT INTO membership_spans VALUES ($1, $2, 'e-2', $3, $4, true)",
        tenant_id,
        membership,
        date(2026, 8, 1),
        date(2027, 1, 1),
    )
    query = """query ($id: ID!) { node(id: $id) { ... on User {
        username givenName familyName preferredGivenName preferredFamilyName email number
        roles grades isEnabled origin sourceId archivedAt
        school { name displayName } schools { name number sourceId } groups { name }
        memberships(filter: {role: STUDENT, archived: null}) { totalCount nodes {
            role archivedAt group { name } spans { sourceId beginsOn endsOn isPrimary } } }
    } } }"""
    data = await world.alpha.run(query, id=encode_id("U", tenant_id, user))
    shown = data["node"]
    memberships = shown.pop("memberships")
    assert shown == {
        "username": "mlee",
        "givenName": "Mia",
        "familyName": "Lee",
        "preferredGivenName": "Mimi",
        "preferredFamilyName": None,
        "email": "m@example.org",
        "number": "42",
        "roles": ["STUDENT", "STAFF"],
        "grades": ["05"],
        "isEnabled": True,
        "origin": "PROVIDER",
        "sourceId": "u-1",
        "archivedAt": None,
        "school": {"name": "South", "displayName": "South (KS)"},
        "schools": [
            {"name": "South", "number": None, "sourceId": None},
            {"name": "North", "number": "7", "sourceId": "n"},
        ],
        "groups": [{"name": "Typing 2"}],
    }
    assert memberships["totalCount"] == 2
    live = next(node for node in memberships["nodes"] if node["archivedAt"] is None)
    assert (live["role"], live["group"]) == ("STUDENT", {"name": "Typing 2"})
    # The other span has no dates: those come last.
    assert live["spans"][0] == {
        "sourceId": "e-2",
        "beginsOn": "2026-08-01",
        "endsOn": "2027-01-01",
        "isPrimary": True,
    }
    assert len(live["spans"]) == 2


async def test_a_group_is_shown_with_its_school_course_terms_and_people(
    world: World, superuser: asyncpg.Connection
) -> None:
    tenant_id = world.alpha_id
    school = await add_school(superuser, tenant_id, name="North")
    course = await insert(
        superuser,
        "courses",
        tenant_id=tenant_id,
        name="Typing",
        code="T1",
        subjects=["Technology"],
        origin="PROVIDER",
    )
    await insert(
        superuser,
        "terms",
        tenant_id=tenant_id,
        name="Fall",
        kind="semester",
        source_id="fall",
        starts_on=date(2026, 8, 1),
        ends_on=date(2027, 1, 1),
        origin="PROVIDER",
    )
    await add_group(
        superuser,
        tenant_id,
        school,
        course_id=course,
        name="Period 3",
        code="P3",
        period="3",
        grades=["05"],
        term_source_ids=["fall", "gone"],
        starts_on=date(2026, 8, 1),
        ends_on=date(2027, 1, 1),
    )
    query = """{ tenant(slug: "alpha") { groups { nodes {
        name code period kind grades subjects startsOn endsOn visibleOn
        school { name } course { name code subjects } terms { name kind startsOn endsOn }
        memberships { totalCount nodes { id } }
    } } } }"""
    data = await world.alpha.run(query)
    assert data["tenant"]["groups"]["nodes"] == [
        {
            "name": "Period 3",
            "code": "P3",
            "period": "3",
            "kind": None,
            "grades": ["05"],
            "subjects": [],
            "startsOn": "2026-08-01",
            "endsOn": "2027-01-01",
            "visibleOn": "2026-08-01",
            "school": {"name": "North"},
            "course": {"name": "Typing", "code": "T1", "subjects": ["Technology"]},
            "terms": [
                {
                    "name": "Fall",
                    "kind": "semester",
                    "startsOn": "2026-08-01",
                    "endsOn": "2027-01-01",
                }
            ],
            "memberships": {"totalCount": 0, "nodes": []},
        }
    ]


@pytest.fixture
async def people(world: World, superuser: asyncpg.Connection) -> dict[str, UUID]:
    tenant_id = world.alpha_id
    north = await add_school(superuser, tenant_id, name="North", number="N-1")
    south = await add_school(
        superuser, tenant_id, name="South", display_name="Southern", archived_at=utc_now()
    )
    group = await add_group(superuser, tenant_id, north, name="Typing 5", grades=["05"], code="T5")
    other = await add_group(superuser, tenant_id, south, name="Typing 6", grades=["06"])
    await add_group(superuser, tenant_id, north, name="Old", archived_at=utc_now())
    mia = await add_user(
        superuser,
        tenant_id,
        username="mia",
        grades=["05"],
        number="42_1",
        preferred_given_name="Mimi",
        schools=[north],
    )
    noah = await add_user(
        superuser, tenant_id, username="noah", given_name="Noah", family_name="Abel",
        grades=["06"], schools=[north, south],
    )  # fmt: skip
    await add_user(
        superuser,
        tenant_id,
        username="ada",
        given_name="Ada",
        family_name="O'Neil",
        roles=["TEACHER"],
    )
    gone = await add_user(superuser, tenant_id, username="gone", archived_at=utc_now())
    await add_membership(superuser, tenant_id, mia, group)
    await add_membership(superuser, tenant_id, noah, group, archived_at=utc_now())
    await add_membership(superuser, tenant_id, noah, other)
    await add_membership(superuser, tenant_id, gone, group)
    return {"north": north, "south": south, "group": group}


async def test_people_are_filtered(
    people: dict[str, UUID], world: World, subtests: pytest.Subtests
) -> None:
    north = encode_id("S", world.alpha_id, people["north"])
    south = encode_id("S", world.alpha_id, people["south"])
    group = encode_id("G", world.alpha_id, people["group"])
    cases: list[tuple[dict[str, Any] | None, list[str]]] = [
        (None, ["noah", "mia", "ada"]),
        ({}, ["noah", "mia", "ada"]),
        ({"archived": True}, ["gone"]),
        ({"archived": None}, ["noah", "gone", "mia", "ada"]),
        ({"role": "TEACHER"}, ["ada"]),
        ({"role": "DISTRICT_ADMIN"}, []),
        ({"school": north}, ["noah", "mia"]),
        ({"school": south}, ["noah"]),
        ({"group": group}, ["mia"]),
        ({"group": group, "archived": None}, ["gone", "mia"]),
        ({"grade": "06"}, ["noah"]),
        ({"grade": "0"}, []),
        ({"school": north, "grade": "05", "role": "STUDENT"}, ["mia"]),
        ({"search": "MIA LE"}, ["mia"]),
        ({"search": "mim"}, ["mia"]),
        ({"search": "o'n"}, ["ada"]),
        ({"search": "'; DROP TABLE users; --"}, []),
        ({"search": "_"}, ["mia"]),
        ({"search": "%"}, []),
        ({"search": "/"}, []),
        ({"search": "2_1"}, ["mia"]),
        ({"search": "2x1"}, []),
        ({"search": "  noa "}, ["noah"]),
        ({"search": "   "}, ["noah", "mia", "ada"]),
        ({"search": "\u202e"}, []),
    ]
    for filter_, expected in cases:
        with subtests.test(filter=filter_):
            found = (await world.alpha.run(USERS, filter=filter_))["tenant"]["users"]
            # Mia and the one who is gone have the same name.
            assert sorted(node["username"] for node in found["nodes"]) == sorted(expected)
            assert found["totalCount"] == len(expected)


async def test_people_are_ordered_by_name_or_username(
    people: dict[str, UUID], world: World
) -> None:
    async def usernames(**order: str) -> list[str]:
        data = await world.alpha.run(USERS, order=order)
        return [node["username"] for node in data["tenant"]["users"]["nodes"]]

    assert await usernames(field="NAME") == ["noah", "mia", "ada"]
    assert await usernames(field="USERNAME") == ["ada", "mia", "noah"]
    assert await usernames(field="USERNAME", direction="DESC") == ["noah", "mia", "ada"]


async def test_groups_are_filtered(
    people: dict[str, UUID], world: World, subtests: pytest.Subtests
) -> None:
    north = encode_id("S", world.alpha_id, people["north"])
    cases: list[tuple[dict[str, Any] | None, list[str]]] = [
        (None, ["Typing 5", "Typing 6"]),
        ({"archived": True}, ["Old"]),
        ({"school": north}, ["Typing 5"]),
        ({"school": north, "archived": None}, ["Old", "Typing 5"]),
        ({"grade": "06"}, ["Typing 6"]),
        ({"search": "t5"}, ["Typing 5"]),
        ({"search": "TYPING"}, ["Typing 5", "Typing 6"]),
    ]
    for filter_, expected in cases:
        with subtests.test(filter=filter_):
            found = (await world.alpha.run(GROUPS, filter=filter_))["tenant"]["groups"]
            assert [node["name"] for node in found["nodes"]] == expected
            assert found["totalCount"] == len(expected)


async def test_schools_are_filtered(people: dict[str, UUID], world: World) -> None:
    async def names(**filter_: Any) -> list[str]:
        data = await world.alpha.run(SCHOOLS, filter=filter_)
        return [node["name"] for node in data["tenant"]["schools"]["nodes"]]

    assert await names() == ["North"]
    assert await names(archived=True) == ["South"]
    assert await names(archived=None) == ["North", "South"]
    assert await names(search="n-1") == ["North"]
    assert await names(search="southern", archived=None) == ["South"]


async def test_a_search_has_a_length(world: World) -> None:
    error = await world.alpha.fail(USERS, filter={"search": "x" * 201})
    assert error["message"] == "`search` has at most 200 characters."
    await world.alpha.run(USERS, filter={"search": "x" * 200})


async def test_a_list_of_groups_ends_at_a_hundred(
    world: World, superuser: asyncpg.Connection
) -> None:
    school = await add_school(superuser, world.alpha_id)
    user = await add_user(superuser, world.alpha_id)
    for number in range(101):
        group = await add_group(superuser, world.alpha_id, school, name=f"Group {number:03}")
        await add_membership(superuser, world.alpha_id, user, group)
    query = """{ tenant(slug: "alpha") { users { nodes {
        groups { name } memberships(first: 1) { totalCount } } } } }"""
    [user_] = (await world.alpha.run(query))["tenant"]["users"]["nodes"]
    assert [group["name"] for group in user_["groups"]] == [f"Group {n:03}" for n in range(100)]
    assert user_["memberships"] == {"totalCount": 101}
