"""Accepting what is meant so, and opening it again: all of it or nothing."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from starlette.applications import Starlette

from api.graphql.node import encode_id
from domain.clock import new_id
from domain.people.callers import Scope
from tests.api.graphql.client import World, connected
from tests.api.graphql.seed import add_error, add_integration, add_run, add_token

pytestmark = pytest.mark.anyio

ANSWER = """count validationErrors { state acceptedAt acceptedNote acceptedBy { kind label } }
    userErrors { field code message }"""
ACCEPT = f"""mutation ($input: ValidationErrorAcceptInput!) {{
    validationErrorAccept(input: $input) {{ {ANSWER} }} }}"""
REOPEN = f"""mutation ($input: ValidationErrorReopenInput!) {{
    validationErrorReopen(input: $input) {{ {ANSWER} }} }}"""
OPEN = '{ tenant(slug: "alpha") { subscriptionSummary { openErrors } } }'
NOTE = {"code": "CLASS_EMPTY", "severity": "INFO", "record_type": "GROUP"}


@pytest.fixture
async def run(world: World, superuser: asyncpg.Connection) -> UUID:
    return await add_run(
        superuser, world.alpha_id, await add_integration(superuser, world.alpha_id)
    )


def ids(world: World, keys: Sequence[UUID]) -> list[str]:
    return [encode_id("E", world.alpha_id, key) for key in keys]


async def states(superuser: asyncpg.Connection) -> list[str]:
    rows = await superuser.fetch("SELECT state FROM validation_errors ORDER BY id")
    return [row["state"] for row in rows]


async def accept(world: World, **input: Any) -> Any:
    return (await world.alpha.run(ACCEPT, input=input))["validationErrorAccept"]


async def reopen(world: World, **input: Any) -> Any:
    return (await world.alpha.run(REOPEN, input=input))["validationErrorReopen"]


async def test_notes_are_accepted_and_opened_again(
    world: World, superuser: asyncpg.Connection, run: UUID
) -> None:
    keys = [await add_error(superuser, world.alpha_id, run, **NOTE) for _ in range(3)]
    accepted = await accept(world, ids=ids(world, keys[:2]), note=" Clubs have nobody yet. ")
    assert (accepted["count"], accepted["userErrors"]) == (2, [])
    for error in accepted["validationErrors"]:
        assert error["acceptedAt"]
        assert (error["state"], error["acceptedNote"]) == ("ACCEPTED", "Clubs have nobody yet.")
        assert error["acceptedBy"] == {"kind": "TOKEN", "label": error["acceptedBy"]["label"]}
    summary = (await world.alpha.run(OPEN))["tenant"]["subscriptionSummary"]
    assert summary == {"openErrors": 1}
    reopened = await reopen(world, ids=ids(world, keys[:1]))
    assert reopened["validationErrors"] == [
        {"state": "OPEN", "acceptedAt": None, "acceptedNote": None, "acceptedBy": None}
    ]
    assert await states(superuser) == ["OPEN", "ACCEPTED", "OPEN"]
    acts = await superuser.fetch("SELECT action, details FROM audit_log ORDER BY id")
    assert [act["action"] for act in acts] == ["validationErrorAccept", "validationErrorReopen"]
    assert acts[1]["details"] == f'{{"ids": ["{keys[0]}"]}}'


async def test_all_of_a_code_or_of_a_cause_go_together(
    world: World, superuser: asyncpg.Connection, run: UUID
) -> None:
    tenant_id = encode_id("T", world.alpha_id, world.alpha_id)
    for cause in ("GROUP g1", "GROUP g1", "GROUP g2"):
        await add_error(superuser, world.alpha_id, run, cause=cause, **NOTE)
    await add_error(superuser, world.alpha_id, run)
    one = {"tenantId": tenant_id, "code": "CLASS_EMPTY", "cause": "GROUP g1"}
    assert (await accept(world, filter=one))["count"] == 2
    whole = {"tenantId": tenant_id, "code": "CLASS_EMPTY"}
    assert (await accept(world, filter=whole))["count"] == 1
    again = await accept(world, filter=whole)
    assert [error["code"] for error in again["userErrors"]] == ["CONFLICT"]
    assert again["count"] == 0
    assert (await reopen(world, filter=whole))["count"] == 3
    assert await states(superuser) == ["OPEN"] * 4


async def test_errors_cannot_be_accepted_and_nothing_else_is_then(
    world: World, superuser: asyncpg.Connection, run: UUID
) -> None:
    note = await add_error(superuser, world.alpha_id, run, **NOTE)
    error = await add_error(superuser, world.alpha_id, run)
    refused = await accept(world, ids=ids(world, [note, error]))
    [told] = refused["userErrors"]
    assert (told["field"], told["code"]) == (["input", "ids"], "CONFLICT")
    assert told["message"].startswith("USER_NO_SCHOOL is of the severity ERROR")
    by_code = {
        "tenantId": encode_id("T", world.alpha_id, world.alpha_id),
        "code": "USER_NO_SCHOOL",
    }
    [told] = (await accept(world, filter=by_code))["userErrors"]
    assert (told["field"], told["code"]) == (["input", "code"], "CONFLICT")
    assert await states(superuser) == ["OPEN", "OPEN"]
    assert await superuser.fetchval("SELECT count(*) FROM audit_log") == 0


@pytest.mark.parametrize(
    ("state", "is_accepting", "told"),
    [
        ("ACCEPTED", True, "is accepted already"),
        ("RESOLVED", True, "is gone already"),
        ("OPEN", False, "is open already"),
        ("RESOLVED", False, "is gone already"),
    ],
)
async def test_what_is_in_another_state_is_a_conflict(
    world: World,
    superuser: asyncpg.Connection,
    run: UUID,
    *,
    state: str,
    is_accepting: bool,
    told: str,
) -> None:
    key = await add_error(superuser, world.alpha_id, run, state=state, **NOTE)
    act = accept if is_accepting else reopen
    [error] = (await act(world, ids=ids(world, [key])))["userErrors"]
    assert (error["code"], told in error["message"]) == ("CONFLICT", True)
    assert await states(superuser) == [state]


async def test_what_cannot_be_meant_is_refused(
    world: World, superuser: asyncpg.Connection, run: UUID, subtests: pytest.Subtests
) -> None:
    key = await add_error(superuser, world.alpha_id, run, **NOTE)
    own = ids(world, [key])
    tenant = encode_id("T", world.alpha_id, world.alpha_id)
    by_code = {"tenantId": tenant, "code": "CLASS_EMPTY"}
    for given, code in (
        ({}, "INVALID"),
        ({"ids": []}, "INVALID"),
        ({"ids": own, "filter": by_code}, "INVALID"),
        ({"ids": [tenant]}, "INVALID"),
        ({"ids": own, "note": "x" * 501}, "INVALID"),
        ({"ids": ids(world, [new_id() for _ in range(501)])}, "INVALID"),
        ({"ids": [*own, *ids(world, [new_id()])]}, "NOT_FOUND"),
        ({"ids": [encode_id("E", world.beta_id, key)]}, "NOT_FOUND"),
        ({"filter": {**by_code, "tenantId": encode_id("T", *[world.beta_id] * 2)}}, "NOT_FOUND"),
    ):
        with subtests.test(input=str(given)[:80]):
            answer = await accept(world, **given)
            assert [error["code"] for error in answer["userErrors"]] == [code]
    assert await states(superuser) == ["OPEN"]


async def test_accepting_needs_the_right_to_administer(
    app: Starlette, world: World, superuser: asyncpg.Connection, run: UUID
) -> None:
    key = await add_error(superuser, world.alpha_id, run, **NOTE)
    await add_token(superuser, "of-reader", world.alpha_id, scopes=[Scope.ROSTER_READ])
    async with connected(app, "of-reader") as reader:
        for query in (ACCEPT, REOPEN):
            error = await reader.fail(query, input={"ids": ids(world, [key])})
            assert error["extensions"]["code"] == "FORBIDDEN"
