"""Reading one person, and the records of errors, by name over GraphQL."""

from typing import Any

import asyncpg
import pytest
from starlette.applications import Starlette

from api.graphql.node import encode_id
from domain.clock import new_id
from domain.people.callers import Scope
from tests.api.graphql.client import World, connected
from tests.api.graphql.seed import add_error, add_integration, add_run, add_token, add_user

pytestmark = pytest.mark.anyio

START = """mutation ($input: SyncRunStartInput!) { syncRunStart(input: $input) {
    syncRun { id mode state steps { name } progress { expected } } joined
    userErrors { field code message } } }"""
REVALIDATE = """mutation ($input: ValidationErrorsRevalidateInput!) {
    validationErrorsRevalidate(input: $input) {
    syncRun { id mode state } joined fullFetchNeeded fullFetchReason
    userErrors { field code message } } }"""
STEPS = "query ($id: ID!) { syncRun(id: $id) { steps { name outcome message } } }"


async def start(world: World, **user: Any) -> Any:
    tenant_id = encode_id("T", world.alpha_id, world.alpha_id)
    given = {"tenantId": tenant_id, "mode": "SINGLE_USER", "user": user}
    return (await world.alpha.run(START, input=given))["syncRunStart"]


async def revalidate(world: World, **chosen: Any) -> Any:
    given = {"tenantId": encode_id("T", world.alpha_id, world.alpha_id), **chosen}
    return (await world.alpha.run(REVALIDATE, input=given))["validationErrorsRevalidate"]


async def target_of(see: asyncpg.Connection) -> Any:
    return await see.fetchval("SELECT target FROM sync_runs WHERE state = 'QUEUED'")


@pytest.fixture
async def rostered(world: World, superuser: asyncpg.Connection) -> World:
    integration = await add_integration(superuser, world.alpha_id)
    await superuser.execute("UPDATE integrations SET rostered_at = now()")
    await add_run(superuser, world.alpha_id, integration)
    return world


async def test_somebody_is_asked_for_by_each_of_their_names(
    rostered: World, superuser: asyncpg.Connection
) -> None:
    ann = await add_user(superuser, rostered.alpha_id, source_id="u-1", number="100")
    own = encode_id("U", rostered.alpha_id, ann)
    for given, wanted in (
        ({"id": own}, '{"user": {"number": null, "source_id": "u-1"}}'),
        ({"sourceId": "u-9"}, '{"user": {"number": null, "source_id": "u-9"}}'),
        ({"number": "100"}, '{"user": {"number": "100", "source_id": "u-1"}}'),
        ({"number": "7"}, '{"user": {"number": "7", "source_id": null}}'),
    ):
        answer = await start(rostered, **given)
        assert answer["userErrors"] == []
        run = answer["syncRun"]
        assert (run["mode"], run["state"], run["steps"]) == ("SINGLE_USER", "QUEUED", [])
        assert run["progress"] == {"expected": None}
        assert await target_of(superuser) == wanted
        await superuser.execute("DELETE FROM sync_runs WHERE state = 'QUEUED'")


async def test_nobody_is_a_user_error(rostered: World, superuser: asyncpg.Connection) -> None:
    foreign = await add_user(superuser, rostered.beta_id, source_id="u-2")
    for given, code, field in (
        ({}, "INVALID", "user"),
        ({"sourceId": "a", "number": "b"}, "INVALID", "user"),
        ({"sourceId": ""}, "INVALID", "sourceId"),
        ({"id": "nonsense"}, "INVALID", "id"),
        ({"id": encode_id("U", rostered.beta_id, foreign)}, "NOT_FOUND", None),
        ({"id": encode_id("U", rostered.alpha_id, new_id())}, "NOT_FOUND", None),
    ):
        answer = await start(rostered, **given)
        [error] = answer["userErrors"]
        assert (answer["syncRun"], error["code"]) == (None, code)
        assert (error["field"] or [None])[-1] == field


async def test_a_person_is_of_one_mode_only(rostered: World) -> None:
    tenant_id = encode_id("T", rostered.alpha_id, rostered.alpha_id)
    for given, field in (
        ({"mode": "FULL", "user": {"sourceId": "a"}}, "user"),
        ({"mode": "SINGLE_USER"}, "user"),
        ({"mode": "REVALIDATION"}, "mode"),
    ):
        answer = await rostered.alpha.run(START, input={"tenantId": tenant_id, **given})
        [error] = answer["syncRunStart"]["userErrors"]
        assert (error["code"], error["field"]) == ("INVALID", ["input", field])


async def test_before_the_first_sync_nobody_is_read(
    world: World, superuser: asyncpg.Connection
) -> None:
    await add_integration(superuser, world.alpha_id)
    await superuser.execute("UPDATE integrations SET rostered_at = NULL")
    [error] = (await start(world, sourceId="a"))["userErrors"]
    assert error["code"] == "CONFLICT"
    assert error["message"].startswith("The first sync has not been applied yet")


async def test_what_a_run_found_is_shown_step_by_step(
    rostered: World, superuser: asyncpg.Connection
) -> None:
    run_id = await superuser.fetchval("SELECT id FROM sync_runs")
    await superuser.execute(
        "UPDATE sync_runs SET mode = 'SINGLE_USER', steps ="
        """ '[{"name": "FETCHED", "outcome": "STOPPED", "message": "Nobody.", "source_id": "x"}]'"""
    )
    shown = await rostered.alpha.run(STEPS, id=encode_id("R", rostered.alpha_id, run_id))
    assert shown["syncRun"]["steps"] == [
        {"name": "FETCHED", "outcome": "STOPPED", "message": "Nobody."}
    ]


async def test_errors_are_looked_at_again_by_their_ids_and_by_their_code(
    rostered: World, superuser: asyncpg.Connection
) -> None:
    run_id = await superuser.fetchval("SELECT id FROM sync_runs")
    found = await add_error(
        superuser, rostered.alpha_id, run_id, code="USER_GRADE_MISSING", source_id="u-1"
    )
    own = encode_id("E", rostered.alpha_id, found)
    wanted = '{"ids": {"USER": ["u-1"]}, "memberships_of": {}}'
    for chosen in ({"ids": [own]}, {"code": "USER_GRADE_MISSING"}, {"all": True}):
        answer = await revalidate(rostered, **chosen)
        assert (answer["userErrors"], answer["fullFetchNeeded"]) == ([], False)
        assert (answer["syncRun"]["mode"], answer["syncRun"]["state"]) == (
            "REVALIDATION",
            "QUEUED",
        )
        assert await target_of(superuser) == wanted
    assert answer["joined"] is True


async def test_errors_of_no_record_offer_a_full_sync(
    rostered: World, superuser: asyncpg.Connection
) -> None:
    run_id = await superuser.fetchval("SELECT id FROM sync_runs")
    await add_error(superuser, rostered.alpha_id, run_id, code="FILE_EMPTY", source_id=None)
    answer = await revalidate(rostered, all=True)
    assert answer == {
        "syncRun": None,
        "joined": False,
        "fullFetchNeeded": True,
        "fullFetchReason": "1 of the errors are of no record that can be asked for by its id.",
        "userErrors": [],
    }


async def test_a_wrong_choice_of_errors_is_a_user_error(
    rostered: World, superuser: asyncpg.Connection
) -> None:
    integration = await add_integration(superuser, rostered.beta_id)
    theirs = await add_run(superuser, rostered.beta_id, integration)
    foreign = await add_error(superuser, rostered.beta_id, theirs, code="FILE_EMPTY")
    for chosen, code in (
        ({}, "INVALID"),
        ({"ids": ["nonsense"]}, "INVALID"),
        ({"ids": [encode_id("E", rostered.beta_id, foreign)]}, "NOT_FOUND"),
        ({"ids": [encode_id("E", rostered.alpha_id, new_id())]}, "NOT_FOUND"),
        ({"all": True}, "NOT_FOUND"),
    ):
        answer = await revalidate(rostered, **chosen)
        assert [error["code"] for error in answer["userErrors"]] == [code]
        assert answer["syncRun"] is None


async def test_only_who_may_run_syncs_may_read_by_name(
    rostered: World, superuser: asyncpg.Connection, app: Starlette
) -> None:
    await add_token(superuser, "reader", rostered.alpha_id, scopes=[Scope.ROSTER_READ])
    given = {"tenantId": encode_id("T", rostered.alpha_id, rostered.alpha_id), "all": True}
    async with connected(app, "reader") as reader:
        error = await reader.fail(REVALIDATE, input=given)
    assert error["extensions"]["code"] == "FORBIDDEN"
    assert await target_of(superuser) is None
