"""Matches: listed with their candidates, decided once, and only by whom they belong to."""

import json
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from starlette.applications import Starlette

from api.graphql.node import encode_id
from domain.clock import new_id, utc_now
from domain.people.callers import Scope
from domain.resources import Resources
from tests.api.graphql.client import Client, World, connected, counted_statements
from tests.api.graphql.seed import add_integration, add_token, add_user, insert

pytestmark = pytest.mark.anyio

LIST = """query ($filter: MatchCandidateFilter, $first: Int) { tenant(slug: "alpha") {
    matchCandidates(filter: $filter, first: $first) { totalCount nodes {
        id recordType sourceId reason resolution resolvedAt createdAt
        candidates { id givenName archivedAt } } } } }"""
RESOLVE = """mutation ($input: MatchCandidateResolveInput!) { matchCandidateResolve(input: $input) {
    matchCandidate { id resolution resolvedAt candidates { id } }
    userErrors { field code message } } }"""


async def add_match(
    superuser: asyncpg.Connection, tenant_id: UUID, *user_ids: UUID, **values: Any
) -> UUID:
    row = {
        "record_type": "USER",
        "source_id": f"new-{new_id()}",
        "candidate_ids": [str(user_id) for user_id in user_ids],
        "reason": "USER_ID_CHANGED",
    }
    return await insert(superuser, "match_candidates", tenant_id=tenant_id, **row | values)


async def resolve(client: Client, match_id: str, **values: Any) -> Any:
    answer = await client.run(RESOLVE, input={"matchCandidateId": match_id} | values)
    return answer["matchCandidateResolve"]


async def refused(client: Client, match_id: str, **values: Any) -> tuple[Any, str]:
    answer = await resolve(client, match_id, **values)
    assert answer["matchCandidate"] is None
    [error] = answer["userErrors"]
    return error["field"], error["code"]


async def stored(superuser: asyncpg.Connection) -> list[tuple[Any, ...]]:
    rows = await superuser.fetch(
        "SELECT candidate_ids, resolution, resolved_at IS NOT NULL FROM match_candidates"
        " ORDER BY id"
    )
    return [tuple(row) for row in rows]


async def test_matches_are_listed_with_their_candidates(
    world: World, superuser: asyncpg.Connection
) -> None:
    now = utc_now()
    live = await add_user(superuser, world.alpha_id, given_name="Mia")
    archived = await add_user(superuser, world.alpha_id, given_name="Ava", archived_at=now)
    # Ids of one millisecond have no order of their own.
    first, second = sorted(new_id() for _ in range(2))
    both = await add_match(
        superuser, world.alpha_id, live, archived, id=first, source_id="m2", created_at=now
    )
    gone = await add_match(
        superuser, world.alpha_id, live, id=second, source_id="m3", created_at=now,
        resolution="GONE", resolved_at=now,
    )  # fmt: skip
    await add_match(superuser, world.beta_id, await add_user(superuser, world.beta_id))
    matches = (await world.alpha.run(LIST))["tenant"]["matchCandidates"]
    assert matches["totalCount"] == 2
    assert matches["nodes"][0] == {
        "id": encode_id("X", world.alpha_id, both),
        "recordType": "USER",
        "sourceId": "m2",
        "reason": "USER_ID_CHANGED",
        "resolution": None,
        "resolvedAt": None,
        "createdAt": now.isoformat(),
        "candidates": [
            {"id": encode_id("U", world.alpha_id, live), "givenName": "Mia", "archivedAt": None},
            {
                "id": encode_id("U", world.alpha_id, archived),
                "givenName": "Ava",
                "archivedAt": now.isoformat(),
            },
        ],
    }
    assert (matches["nodes"][1]["resolution"], matches["nodes"][1]["resolvedAt"]) == (
        "GONE",
        now.isoformat(),
    )
    for is_open, expected in ((True, [both]), (False, [gone]), (None, [both, gone])):
        data = await world.alpha.run(LIST, filter={"isOpen": is_open})
        nodes = data["tenant"]["matchCandidates"]["nodes"]
        assert [node["id"] for node in nodes] == [
            encode_id("X", world.alpha_id, key) for key in expected
        ]


async def test_a_page_of_many_matches_takes_as_many_statements_as_one_of_two(
    world: World, superuser: asyncpg.Connection, resources: Resources
) -> None:
    for _ in range(10):
        users = [await add_user(superuser, world.alpha_id) for _ in range(2)]
        await add_match(superuser, world.alpha_id, *users)
    counts = []
    for first in (2, 10):
        with counted_statements(resources.database.engine.sync_engine) as statements:
            data = await world.alpha.run(LIST, first=first)
        assert len(data["tenant"]["matchCandidates"]["nodes"]) == first
        counts.append(len(statements))
    assert counts[0] == counts[1]


async def test_a_link_narrows_the_candidates_to_the_chosen_one(
    world: World, superuser: asyncpg.Connection
) -> None:
    await add_integration(superuser, world.alpha_id, cursors={"USER": "2026"})
    users = [await add_user(superuser, world.alpha_id) for _ in range(2)]
    key = await add_match(superuser, world.alpha_id, *users)
    match_id = encode_id("X", world.alpha_id, key)
    chosen = encode_id("U", world.alpha_id, users[1])
    answer = await resolve(world.alpha, match_id, resolution="LINK", userId=chosen)
    assert answer["userErrors"] == []
    assert answer["matchCandidate"].pop("resolvedAt")
    assert answer["matchCandidate"] == {
        "id": match_id,
        "resolution": "LINK",
        "candidates": [{"id": chosen}],
    }
    assert await stored(superuser) == [([str(users[1])], "LINK", True)]
    assert await superuser.fetchval("SELECT cursors FROM integrations") == "{}"
    act = await superuser.fetchrow("SELECT action, target, details::text FROM audit_log")
    assert (act["action"], act["target"]) == ("matchCandidateResolve", str(key))
    assert json.loads(act["details"]) == {"resolution": "LINK", "user_id": str(users[1])}


@pytest.mark.parametrize("resolution", ["CREATE", "IGNORE"])
async def test_other_decisions_keep_the_candidates(
    resolution: str, world: World, superuser: asyncpg.Connection
) -> None:
    user = await add_user(superuser, world.alpha_id)
    key = await add_match(superuser, world.alpha_id, user)
    match_id = encode_id("X", world.alpha_id, key)
    answer = await resolve(world.alpha, match_id, resolution=resolution)
    assert answer["matchCandidate"]["resolution"] == resolution
    assert await stored(superuser) == [([str(user)], resolution, True)]


async def test_a_match_is_decided_once_unless_it_was_ignored_or_opened_again(
    world: World, superuser: asyncpg.Connection, subtests: pytest.Subtests
) -> None:
    user = await add_user(superuser, world.alpha_id)
    chosen = encode_id("U", world.alpha_id, user)
    link, create, ignore = (
        {"resolution": "LINK", "userId": chosen},
        {"resolution": "CREATE"},
        {"resolution": "IGNORE"},
    )
    for first, again, code in (
        ("LINK", create, "CONFLICT"), ("CREATE", link, "CONFLICT"), ("GONE", link, "CONFLICT"),
        ("IGNORE", ignore, "CONFLICT"), ("IGNORE", create, None), ("IGNORE", link, None),
        (None, create, None),
    ):  # fmt: skip
        with subtests.test(first=first, again=again):
            at = utc_now() if first else None
            key = await add_match(superuser, world.alpha_id, user, resolution=first, resolved_at=at)
            match_id = encode_id("X", world.alpha_id, key)
            if code:
                assert await refused(world.alpha, match_id, **again) == (None, code)
            else:
                answer = await resolve(world.alpha, match_id, **again)
                assert answer["matchCandidate"]["resolution"] == again["resolution"]


async def test_only_a_candidate_can_be_chosen(
    world: World, superuser: asyncpg.Connection, subtests: pytest.Subtests
) -> None:
    user, other = [await add_user(superuser, world.alpha_id) for _ in range(2)]
    match_id = encode_id("X", world.alpha_id, await add_match(superuser, world.alpha_id, user))
    wrong: list[dict[str, Any]] = [
        {"resolution": "LINK"},
        {"resolution": "LINK", "userId": None},
        {"resolution": "LINK", "userId": "x"},
        {"resolution": "LINK", "userId": encode_id("U", world.alpha_id, other)},
        {"resolution": "LINK", "userId": encode_id("U", world.beta_id, user)},
        {"resolution": "LINK", "userId": encode_id("S", world.alpha_id, user)},
        {"resolution": "CREATE", "userId": encode_id("U", world.alpha_id, user)},
    ]
    for values in wrong:
        with subtests.test(values=values):
            expected = (["input", "userId"], "INVALID")
            assert await refused(world.alpha, match_id, **values) == expected
    assert await stored(superuser) == [([str(user)], None, False)]
    error = await world.alpha.fail(
        RESOLVE, input={"matchCandidateId": match_id, "resolution": "GONE"}
    )
    assert error["extensions"]["code"] == "BAD_USER_INPUT"


async def test_another_tenants_match_does_not_exist(
    world: World, superuser: asyncpg.Connection, subtests: pytest.Subtests
) -> None:
    user = await add_user(superuser, world.beta_id)
    key = await add_match(superuser, world.beta_id, user)
    foreign = encode_id("X", world.beta_id, key)
    forged = encode_id("X", world.alpha_id, key)
    absent = encode_id("X", world.alpha_id, new_id())
    for match_id in (foreign, forged, absent):
        with subtests.test(match_id=match_id):
            found = await refused(world.alpha, match_id, resolution="CREATE")
            assert found == (None, "NOT_FOUND")
            assert await world.alpha.run("query ($id: ID!) { node(id: $id) { id } }",
                                         id=match_id) == {"node": None}  # fmt: skip
    for other_id in ("x", encode_id("U", world.alpha_id, user)):
        found = await refused(world.alpha, other_id, resolution="CREATE")
        assert found == (["input", "matchCandidateId"], "INVALID")
    assert await stored(superuser) == [([str(user)], None, False)]
    assert await superuser.fetchval("SELECT count(*) FROM audit_log") == 0
    answer = await resolve(world.operator, foreign, resolution="CREATE")
    assert answer["matchCandidate"]["id"] == foreign


async def test_deciding_needs_the_scope_of_administrators_and_people_that_of_readers(
    world: World, app: Starlette, superuser: asyncpg.Connection
) -> None:
    user = await add_user(superuser, world.alpha_id)
    match_id = encode_id("X", world.alpha_id, await add_match(superuser, world.alpha_id, user))
    given = {"matchCandidateId": match_id, "resolution": "CREATE"}
    for scope in (Scope.ROSTER_READ, Scope.TENANT_ADMIN):
        others = [other for other in Scope if other is not scope]
        await add_token(superuser, f"without-{scope.name}", world.alpha_id, scopes=others)
    async with connected(app, "without-TENANT_ADMIN") as reader:
        error = await reader.fail(RESOLVE, input=given)
        assert error["extensions"]["code"] == "FORBIDDEN"
    assert await stored(superuser) == [([str(user)], None, False)]
    async with connected(app, "without-ROSTER_READ") as administrator:
        error = await administrator.fail(RESOLVE, input=given)
        assert error["extensions"]["code"] == "FORBIDDEN"
        assert error["path"] == ["matchCandidateResolve", "matchCandidate", "candidates"]
