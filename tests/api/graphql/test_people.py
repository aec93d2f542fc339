"""Merging people, undoing that, and undoing wrong links, as an administrator does."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from starlette.applications import Starlette

from api.graphql.node import encode_id
from domain.clock import new_id
from domain.errands.perform import perform_errand
from domain.people.callers import Scope
from domain.resources import Resources
from tests.api.graphql.client import World, connected
from tests.api.graphql.seed import (
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

MERGE = """
    mutation ($input: PeopleMergeInput!) { peopleMerge(input: $input) {
      merge { id undoneAt kept { sourceId archivedAt } merged { sourceId archivedAt } }
      preview { takesOver sourceId formerSourceId membershipCount progressCount
        memberships { role outcome group { name } }
        progress { outcome lessons seconds bestSpeed group { name } }
        settings { name value } }
      errand { state } userErrors { field code message } } }
"""
UNDO = """
    mutation ($input: PeopleMergeUndoInput!) { peopleMergeUndo(input: $input) {
      merge { id undoneAt kept { sourceId } merged { sourceId archivedAt } }
      userErrors { field code message } } }
"""
UNLINK = """
    mutation ($input: IdentityUnlinkInput!) { identityUnlink(input: $input) {
      user { sourceId origin username } newUser { sourceId origin username } notes
      errand { state } userErrors { field code message } } }
"""
LIST = """
    query ($id: ID!) { tenant(id: $id) { peopleMerges { nodes { id undoneAt kept { id } } } } }
"""


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


def node(world: World, user_id: UUID) -> str:
    return encode_id("U", world.alpha_id, user_id)


async def two_people(world: World, superuser: asyncpg.Connection) -> tuple[UUID, UUID]:
    """One from before, archived, and one that was created beside."""
    tenant_id = world.alpha_id
    school_id = await add_school(superuser, tenant_id, source_id="s1")
    group_id = await add_group(superuser, tenant_id, school_id, source_id="g1")
    kept = await add_user(superuser, tenant_id, source_id="old")
    await superuser.execute("UPDATE users SET archived_at = now()")
    merged = await add_user(superuser, tenant_id, schools=[school_id], source_id="new")
    await add_membership(superuser, tenant_id, merged, group_id)
    for user_id, lessons in ((kept, 2), (merged, 3)):
        await superuser.execute(
            "INSERT INTO progress (tenant_id, user_id, group_id, school_year, lessons, seconds,"
            " best_speed) VALUES ($1, $2, $3, 2026, $4, 60, 30)",
            tenant_id,
            user_id,
            group_id,
            lessons,
        )
    await insert(
        superuser, "training_settings", tenant_id=tenant_id, user_id=merged, has_avatars=True
    )
    return kept, merged


async def test_a_merge_is_shown_done_and_undone(
    world: World, superuser: asyncpg.Connection, working: None
) -> None:
    kept, merged = await two_people(world, superuser)
    asked = {"keptId": node(world, kept), "mergedId": node(world, merged)}
    shown = (await world.alpha.run(MERGE, input={**asked, "preview": True}))["peopleMerge"]
    assert shown == {
        "merge": None,
        "preview": {
            "takesOver": True,
            "sourceId": "new",
            "formerSourceId": "old",
            "membershipCount": 1,
            "progressCount": 1,
            "memberships": [
                {"role": "STUDENT", "outcome": "MOVED", "group": {"name": "Typing 1"}}
            ],
            "progress": [
                {"outcome": "JOINED", "lessons": 5, "seconds": 120, "bestSpeed": 30,
                 "group": {"name": "Typing 1"}}
            ],
            "settings": [{"name": "hasAvatars", "value": True}],
        },
        "errand": None,
        "userErrors": [],
    }  # fmt: skip
    done = (await world.alpha.run(MERGE, input=asked))["peopleMerge"]
    assert (done["userErrors"], done["preview"], done["errand"]) == ([], None, None)
    assert done["merge"]["kept"] == {"sourceId": "new", "archivedAt": None}
    assert done["merge"]["merged"]["sourceId"] is None
    assert done["merge"]["merged"]["archivedAt"] is not None
    tenant = encode_id("T", world.alpha_id, world.alpha_id)
    listed = (await world.alpha.run(LIST, id=tenant))["tenant"]["peopleMerges"]["nodes"]
    assert listed == [
        {"id": done["merge"]["id"], "undoneAt": None, "kept": {"id": node(world, kept)}}
    ]

    undone = (await world.alpha.run(UNDO, input={"mergeId": done["merge"]["id"]}))[
        "peopleMergeUndo"
    ]
    assert undone["userErrors"] == []
    assert undone["merge"]["undoneAt"] is not None
    assert undone["merge"]["kept"] == {"sourceId": "old"}
    assert undone["merge"]["merged"] == {"sourceId": "new", "archivedAt": None}
    again = (await world.alpha.run(UNDO, input={"mergeId": done["merge"]["id"]}))["peopleMergeUndo"]
    assert again["merge"] is None
    assert again["userErrors"] == [
        {
            "field": ["input", "mergeId"],
            "code": "CONFLICT",
            "message": "This merge has been undone already.",
        }
    ]
    rows = await superuser.fetch("SELECT actor, action FROM audit_log ORDER BY id")
    assert [row["action"] for row in rows] == ["peopleMerge", "peopleMergeUndo"]
    assert {row["actor"].split()[0] for row in rows} == {"token"}


async def test_a_wrong_link_is_undone_once(
    world: World, superuser: asyncpg.Connection, working: None
) -> None:
    integration_id = await add_integration(superuser, world.alpha_id)
    run_id = await add_run(superuser, world.alpha_id, integration_id)
    user_id = await add_user(superuser, world.alpha_id, source_id="u2", username="new.mia")
    await insert(
        superuser, "identity_links", tenant_id=world.alpha_id, record_type="USER",
        record_id=user_id, source_id="u2", former_origin="LEGACY", reason="USERNAME",
        run_id=run_id,
    )  # fmt: skip
    await insert(
        superuser, "sync_changes", tenant_id=world.alpha_id, run_id=run_id, record_type="USER",
        record_id=user_id, source_id="u2", action="UPDATE",
        old_values={"username": "old.mia", "origin": "LEGACY"},
        new_values={"username": "new.mia", "origin": "PROVIDER"},
    )  # fmt: skip
    asked = {"userId": node(world, user_id)}
    done = (await world.alpha.run(UNLINK, input=asked))["identityUnlink"]
    assert done == {
        "user": {"sourceId": None, "origin": "LEGACY", "username": "old.mia"},
        "newUser": {"sourceId": "u2", "origin": "PROVIDER", "username": "new.mia"},
        "notes": [],
        "errand": None,
        "userErrors": [],
    }
    again = (await world.alpha.run(UNLINK, input=asked))["identityUnlink"]
    assert [error["code"] for error in again["userErrors"]] == ["CONFLICT"]


async def test_what_cannot_be_done_is_a_user_error(
    world: World, superuser: asyncpg.Connection, working: None, subtests: pytest.Subtests
) -> None:
    kept, merged = await two_people(world, superuser)
    others = encode_id("U", world.beta_id, await add_user(superuser, world.beta_id))
    nobody = node(world, new_id())
    for query, name, given, field, code in (
        (MERGE, "peopleMerge", {"keptId": node(world, kept), "mergedId": node(world, kept)},
         ["input", "mergedId"], "INVALID"),
        (MERGE, "peopleMerge", {"keptId": "x", "mergedId": node(world, merged)},
         ["input", "keptId"], "INVALID"),
        (MERGE, "peopleMerge", {"keptId": node(world, kept), "mergedId": others}, None,
         "NOT_FOUND"),
        (MERGE, "peopleMerge", {"keptId": node(world, kept), "mergedId": nobody}, None,
         "NOT_FOUND"),
        (UNDO, "peopleMergeUndo", {"mergeId": node(world, kept)}, ["input", "mergeId"],
         "INVALID"),
        (UNDO, "peopleMergeUndo", {"mergeId": encode_id("Y", world.alpha_id, new_id())}, None,
         "NOT_FOUND"),
        (UNLINK, "identityUnlink", {"userId": others}, None, "NOT_FOUND"),
        (UNLINK, "identityUnlink", {"userId": nobody}, None, "NOT_FOUND"),
        (UNLINK, "identityUnlink", {"userId": node(world, kept)}, ["input", "userId"],
         "CONFLICT"),
    ):  # fmt: skip
        with subtests.test(given=given):
            answer: Any = (await world.alpha.run(query, input=given))[name]
            [error] = answer["userErrors"]
            assert (error["field"], error["code"]) == (field, code)
    assert await superuser.fetchval("SELECT count(*) FROM people_merges") == 0
    assert await superuser.fetchval("SELECT count(*) FROM audit_log") == 0


async def test_people_of_two_tenants_are_never_one(
    world: World, superuser: asyncpg.Connection
) -> None:
    kept, _ = await two_people(world, superuser)
    others = encode_id("U", world.beta_id, await add_user(superuser, world.beta_id))
    answer = await world.operator.run(
        MERGE, input={"keptId": node(world, kept), "mergedId": others}
    )
    [error] = answer["peopleMerge"]["userErrors"]
    assert (error["field"], error["message"]) == (
        ["input", "mergedId"], "Both have to be of one tenant.",
    )  # fmt: skip


async def test_only_administrators_merge_and_unlink(
    world: World, superuser: asyncpg.Connection, app: Starlette
) -> None:
    await add_token(superuser, "of-reader", world.alpha_id, scopes=[Scope.ROSTER_READ])
    async with connected(app, "of-reader") as reader:
        for query, given in (
            (MERGE, {"keptId": "x", "mergedId": "x"}),
            (UNDO, {"mergeId": "x"}),
            (UNLINK, {"userId": "x"}),
        ):
            error = await reader.fail(query, input=given)
            assert error["extensions"]["code"] == "FORBIDDEN"


async def test_who_may_not_read_the_roster_is_shown_nothing_of_it(
    world: World, superuser: asyncpg.Connection, app: Starlette
) -> None:
    kept, merged = await two_people(world, superuser)
    await add_token(superuser, "of-setter", world.alpha_id, scopes=[Scope.TENANT_ADMIN])
    given = {"keptId": node(world, kept), "mergedId": node(world, merged), "preview": True}
    shown = "mutation ($input: PeopleMergeInput!) { done: peopleMerge(input: $input) { %s } }"
    async with connected(app, "of-setter") as setter:
        for part in ("memberships { group { name } }", "sourceId", "settings { name }"):
            error = await setter.fail(shown % f"preview {{ {part} }}", input=given)
            assert error["extensions"]["code"] == "FORBIDDEN"
            assert error["path"] == ["done", "preview"]
        for part in ("user", "newUser"):
            error = await setter.fail(
                "mutation ($input: IdentityUnlinkInput!) { done: identityUnlink(input: $input) {"
                f" {part} {{ username }} }} }}",
                input={"userId": "x"},
            )
            assert error["path"] == ["done", part]
