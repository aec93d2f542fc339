"""Pages and cursors: right whatever happens between two pages, and of one list only."""

import base64
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from domain.clock import utc_now
from tests.api.graphql.client import Client, World
from tests.api.graphql.seed import (
    add_group,
    add_integration,
    add_membership,
    add_run,
    add_school,
    add_user,
)

pytestmark = pytest.mark.anyio

SCHOOLS = """query ($first: Int, $after: String, $last: Int, $before: String,
        $filter: SchoolFilter, $order: SchoolOrder) {
    tenant(slug: "alpha") {
        schools(first: $first, after: $after, last: $last, before: $before,
                filter: $filter, orderBy: $order) {
            totalCount nodes { name } edges { cursor node { name } }
            pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
        }
    }
}"""
USERS = """query ($after: String, $before: String, $first: Int, $last: Int, $order: UserOrder) {
    tenant(slug: "alpha") {
        users(first: $first, after: $after, last: $last, before: $before, orderBy: $order) {
            nodes { username } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
        }
    }
}"""
GROUPS = """query ($after: String) {
    tenant(slug: "alpha") { groups(after: $after) { nodes { id } } }
}"""
RUNS = """query ($first: Int, $after: String, $order: SyncRunOrder) {
    tenant(slug: "alpha") {
        syncRuns(first: $first, after: $after, orderBy: $order) {
            nodes { id requestedAt } pageInfo { hasNextPage endCursor }
        }
    }
}"""


async def schools(client: Client, **variables: Any) -> Any:
    return (await client.run(SCHOOLS, **variables))["tenant"]["schools"]


def names(page: Any) -> list[str]:
    assert [edge["node"] for edge in page["edges"]] == page["nodes"]
    return [node["name"] for node in page["nodes"]]


@pytest.fixture
async def five(world: World, superuser: asyncpg.Connection) -> World:
    for name in ("delta", "Bravo", "alpha", "Echo", "charlie"):
        await add_school(superuser, world.alpha_id, name=name)
    await add_school(superuser, world.beta_id, name="beta's")
    return world


async def test_a_list_is_read_forward_page_by_page(five: World) -> None:
    page = await schools(five.alpha, first=2)
    assert names(page) == ["alpha", "Bravo"]
    assert page["totalCount"] == 5
    cursors = [edge["cursor"] for edge in page["edges"]]
    assert page["pageInfo"] == {
        "hasNextPage": True,
        "hasPreviousPage": False,
        "startCursor": cursors[0],
        "endCursor": cursors[1],
    }
    page = await schools(five.alpha, first=2, after=cursors[1])
    assert names(page) == ["charlie", "delta"]
    assert page["pageInfo"]["hasPreviousPage"] is True
    page = await schools(five.alpha, first=2, after=page["pageInfo"]["endCursor"])
    assert names(page) == ["Echo"]
    assert page["pageInfo"]["hasNextPage"] is False


async def test_a_list_is_read_backward_page_by_page(five: World) -> None:
    page = await schools(five.alpha, last=2)
    assert names(page) == ["delta", "Echo"]
    assert page["pageInfo"]["hasPreviousPage"] is True
    assert page["pageInfo"]["hasNextPage"] is False
    page = await schools(five.alpha, last=2, before=page["pageInfo"]["startCursor"])
    assert names(page) == ["Bravo", "charlie"]
    assert page["pageInfo"]["hasNextPage"] is True
    page = await schools(five.alpha, last=2, before=page["pageInfo"]["startCursor"])
    assert names(page) == ["alpha"]
    assert page["pageInfo"]["hasPreviousPage"] is False


async def test_a_list_is_read_in_the_opposite_order(
    five: World, superuser: asyncpg.Connection
) -> None:
    order = {"field": "NAME", "direction": "DESC"}
    page = await schools(five.alpha, first=2, order=order)
    assert names(page) == ["Echo", "delta"]
    after = page["pageInfo"]["endCursor"]
    assert names(await schools(five.alpha, after=after, order=order)) == [
        "charlie",
        "Bravo",
        "alpha",
    ]
    assert names(await schools(five.alpha, before=after, order=order)) == ["Echo"]
    order = {"field": "CREATED"}
    created = await superuser.fetch(
        "SELECT name FROM schools WHERE tenant_id = $1 ORDER BY id", five.alpha_id
    )
    expected = [row["name"] for row in created]
    assert names(await schools(five.alpha, order=order)) == expected


async def test_two_cursors_bound_a_page(five: World) -> None:
    cursors = [edge["cursor"] for edge in (await schools(five.alpha))["edges"]]
    page = await schools(five.alpha, after=cursors[0], before=cursors[4])
    assert names(page) == ["Bravo", "charlie", "delta"]


async def test_an_empty_page_has_no_cursors(five: World) -> None:
    page = await schools(five.alpha, filter={"search": "nowhere"})
    assert page == {
        "totalCount": 0,
        "nodes": [],
        "edges": [],
        "pageInfo": {
            "hasNextPage": False,
            "hasPreviousPage": False,
            "startCursor": None,
            "endCursor": None,
        },
    }


async def test_rows_that_come_and_go_between_two_pages_move_nothing(
    five: World, superuser: asyncpg.Connection
) -> None:
    page = await schools(five.alpha, first=2)
    await superuser.execute("DELETE FROM schools WHERE name = 'Bravo'")
    await add_school(superuser, five.alpha_id, name="Aardvark")
    rest = await schools(five.alpha, after=page["pageInfo"]["endCursor"])
    assert names(rest) == ["charlie", "delta", "Echo"]


async def test_equal_names_are_told_apart(world: World, superuser: asyncpg.Connection) -> None:
    usernames = [f"u{number}" for number in range(7)]
    for username in usernames:
        await add_user(superuser, world.alpha_id, username=username)
    for order in ({"field": "NAME"}, {"field": "NAME", "direction": "DESC"}, {"field": "CREATED"}):
        seen: list[str] = []
        after = None
        while True:
            data = await world.alpha.run(USERS, first=2, after=after, order=order)
            page = data["tenant"]["users"]
            seen += [node["username"] for node in page["nodes"]]
            after = page["pageInfo"]["endCursor"]
            if not page["pageInfo"]["hasNextPage"]:
                break
        assert sorted(seen) == usernames


async def test_people_without_a_username_have_their_place(
    world: World, superuser: asyncpg.Connection
) -> None:
    for username in ("Zoe", None, "adam", None):
        await add_user(superuser, world.alpha_id, username=username)
    order = {"field": "USERNAME"}
    page = (await world.alpha.run(USERS, first=3, order=order))["tenant"]["users"]
    assert [node["username"] for node in page["nodes"]] == [None, None, "adam"]
    after = page["pageInfo"]["endCursor"]
    page = (await world.alpha.run(USERS, after=after, order=order))["tenant"]["users"]
    assert [node["username"] for node in page["nodes"]] == ["Zoe"]


async def test_instants_are_a_place_to_the_microsecond(
    world: World, superuser: asyncpg.Connection
) -> None:
    integration = await add_integration(superuser, world.alpha_id)
    now = utc_now()
    for number in range(5):
        await add_run(
            superuser,
            world.alpha_id,
            integration,
            requested_at=now + timedelta(microseconds=number // 2),
        )
    seen: list[str] = []
    after, has_next = None, True
    while has_next:
        data = await world.alpha.run(RUNS, first=1, after=after)
        page = data["tenant"]["syncRuns"]
        seen += [node["requestedAt"] for node in page["nodes"]]
        has_next, after = page["pageInfo"]["hasNextPage"], page["pageInfo"]["endCursor"]
    instants = [now + timedelta(microseconds=number) for number in (2, 1, 1, 0, 0)]
    assert seen == [instant.isoformat() for instant in instants]


@pytest.mark.parametrize(
    "arguments",
    [{"first": 0}, {"first": -1}, {"first": 101}, {"last": 0}, {"last": -1}, {"last": 101},
     {"first": 1, "last": 1}],
    ids=str,
)  # fmt: skip
async def test_a_page_has_a_size_from_1_to_100(arguments: dict[str, int], world: World) -> None:
    error = await world.alpha.fail(SCHOOLS, **arguments)
    assert error["extensions"]["code"] == "BAD_USER_INPUT"


async def test_a_page_has_fifty_unless_it_is_asked_for(
    world: World, superuser: asyncpg.Connection
) -> None:
    for _ in range(101):
        await add_school(superuser, world.alpha_id)
    assert len((await schools(world.alpha))["nodes"]) == 50
    assert len((await schools(world.alpha, first=None))["nodes"]) == 50
    page = await schools(world.alpha, first=100)
    assert (len(page["nodes"]), page["totalCount"]) == (100, 101)
    assert (await world.alpha.post(SCHOOLS, first=2147483648)).status_code == 400


async def test_a_cursor_is_of_one_list_with_its_filter_and_order(
    five: World, superuser: asyncpg.Connection
) -> None:
    good = (await schools(five.alpha))["edges"][1]["cursor"]
    others: list[tuple[Client, str, dict[str, Any]]] = [
        (five.alpha, SCHOOLS, {"filter": {"archived": None}}),
        (five.alpha, SCHOOLS, {"filter": {"search": "a"}}),
        (five.alpha, SCHOOLS, {"order": {"field": "CREATED"}}),
        (five.alpha, SCHOOLS, {"order": {"field": "NAME", "direction": "DESC"}}),
        (five.beta, SCHOOLS.replace("alpha", "beta"), {}),
        (five.operator, SCHOOLS.replace("alpha", "beta"), {}),
        (five.alpha, USERS, {}),
        (five.alpha, GROUPS, {}),
        (five.alpha, "query ($after: String) { tenants(after: $after) { nodes { id } } }", {}),
    ]  # fmt: skip
    for client, query, variables in others:
        error = await client.fail(query, after=good, **variables)
        assert error["extensions"]["code"] == "BAD_USER_INPUT"
        assert error["extensions"]["reason"] == "INVALID_CURSOR"
    # The same list, said in other words, and seen by somebody else who may see it.
    same = {"filter": {"archived": False}, "order": {"field": "NAME", "direction": "ASC"}}
    assert names(await schools(five.alpha, after=good, **same))[0] == "charlie"
    assert names(await schools(five.operator, after=good))[0] == "charlie"


async def test_a_cursor_that_was_changed_or_made_up_is_refused(
    five: World, subtests: pytest.Subtests
) -> None:
    good = (await schools(five.alpha))["edges"][1]["cursor"]
    raw = bytearray(base64.urlsafe_b64decode(good))
    raw[-3] ^= 1
    changed = base64.urlsafe_b64encode(raw).decode()
    for cursor in (changed, good[:-4], "x", "é", "AAAA", "=" * 10, "A" * 10_000, good + good):
        with subtests.test(cursor=cursor[:40]):
            error = await five.alpha.fail(SCHOOLS, after=cursor)
            assert error["extensions"]["reason"] == "INVALID_CURSOR"


async def test_a_nested_list_has_pages_of_its_own(
    world: World, superuser: asyncpg.Connection
) -> None:
    school = await add_school(superuser, world.alpha_id)
    groups = [
        await add_group(superuser, world.alpha_id, school, name=f"Group {number}")
        for number in range(3)
    ]
    for number in range(4):
        user = await add_user(superuser, world.alpha_id, username=f"u{number}")
        for group in groups[: 2 if number else 1]:
            await add_membership(superuser, world.alpha_id, user, group)
    query = """query ($first: Int, $after: String, $last: Int, $search: String) {
        tenant(slug: "alpha") { groups(filter: {search: $search}) { nodes {
            name
            memberships(first: $first, after: $after, last: $last) {
                totalCount nodes { user { username } } pageInfo { hasNextPage endCursor }
            }
        } } }
    }"""
    data = await world.alpha.run(query, first=2)
    found = {
        group["name"]: (
            group["memberships"]["totalCount"],
            [node["user"]["username"] for node in group["memberships"]["nodes"]],
            group["memberships"]["pageInfo"]["hasNextPage"],
        )
        for group in data["tenant"]["groups"]["nodes"]
    }
    assert found == {
        "Group 0": (4, ["u0", "u1"], True),
        "Group 1": (3, ["u1", "u2"], True),
        "Group 2": (0, [], False),
    }
    after = data["tenant"]["groups"]["nodes"][0]["memberships"]["pageInfo"]["endCursor"]
    data = await world.alpha.run(query, after=after, search="group 0")
    [group] = data["tenant"]["groups"]["nodes"]
    assert [n["user"]["username"] for n in group["memberships"]["nodes"]] == ["u2", "u3"]
    error = await world.alpha.fail(query, after=after, search="group 1")
    assert error["extensions"]["reason"] == "INVALID_CURSOR"
    data = await world.alpha.run(query, last=1, search="group 0")
    [group] = data["tenant"]["groups"]["nodes"]
    assert [n["user"]["username"] for n in group["memberships"]["nodes"]] == ["u3"]
