"""Why somebody cannot sign in: what administrators are told, and who is told it."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from starlette.applications import Starlette

from api.graphql.node import encode_id
from domain.clock import utc_now
from domain.people.callers import Scope
from tests.api.graphql.client import World, connected
from tests.api.graphql.seed import add_integration, add_school, add_token, add_user, insert
from tests.api.graphql.signed_in import add_session

pytestmark = pytest.mark.anyio

WHY = """{ tenant(slug: "alpha") { users(filter: {search: "mia.lee", archived: null}) { nodes {
    signIn { canSignIn findings { check isOk } identities { method }
        attempts { method outcome reason message } } } } } }"""
ONE = "query ($id: ID!) { node(id: $id) { ... on User { signIn { canSignIn } } } }"
ALL_IS_WELL = {"ROSTER": True, "ACCOUNT": True, "ROLE": True, "GO_LIVE": True, "METHOD": True}


async def add_mia(superuser: asyncpg.Connection, world: World, **values: Any) -> UUID:
    """A teacher of Clever's."""
    await add_integration(
        superuser, world.alpha_id, provider="CLEVER", settings={"district_id": "d-1"}
    )
    row = {"username": "mia.lee", "source_id": "u1", "roles": ["TEACHER"]}
    return await add_user(superuser, world.alpha_id, **row | values)


async def ask(world: World) -> dict[str, Any]:
    [user] = (await world.alpha.run(WHY))["tenant"]["users"]["nodes"]
    help_: dict[str, Any] = user["signIn"]
    return help_


def found(answer: dict[str, Any]) -> dict[str, bool]:
    return {finding["check"]: finding["isOk"] for finding in answer["findings"]}


async def test_whoever_gets_in_is_said_to(world: World, superuser: asyncpg.Connection) -> None:
    await add_mia(superuser, world)
    answer = await ask(world)
    assert answer["canSignIn"] is True
    assert found(answer) == ALL_IS_WELL
    assert (answer["attempts"], answer["identities"]) == ([], [])


async def test_everything_that_stands_in_the_way_is_named(
    world: World, superuser: asyncpg.Connection
) -> None:
    await add_mia(
        superuser,
        world,
        roles=["STUDENT"],
        is_enabled=False,
        is_eligible=False,
        archived_at=utc_now(),
    )
    await superuser.execute("UPDATE subscriptions SET go_live_on = '2999-01-01'")
    await insert(
        superuser,
        "sign_in_methods",
        tenant_id=world.alpha_id,
        method="CLEVER",
        is_enabled=False,
    )
    answer = await ask(world)
    assert answer["canSignIn"] is False
    assert found(answer) == {
        "ROSTER": False,
        "ACCOUNT": False,
        "ROLE": True,
        "LICENCE": True,
        "ELIGIBILITY": False,
        "GO_LIVE": False,
        "METHOD": False,
    }


async def test_the_latest_tries_are_told_with_their_reasons(
    world: World, superuser: asyncpg.Connection
) -> None:
    mia = await add_mia(superuser, world)
    other = await add_user(superuser, world.alpha_id)
    now = utc_now()
    for number in range(11):
        await insert(
            superuser,
            "sign_in_attempts",
            tenant_id=world.alpha_id,
            user_id=mia,
            method="GOOGLE",
            outcome="REFUSED",
            reason="OTHER_SUBJECT",
            created_at=now - timedelta(hours=number + 1),
        )
    tries = {"tenant_id": world.alpha_id, "method": "CLEVER", "outcome": "SIGNED_IN"}
    await insert(superuser, "sign_in_attempts", **tries, user_id=mia, created_at=now)
    await insert(superuser, "sign_in_attempts", **tries, user_id=other, created_at=now)
    pinned = {"tenant_id": world.alpha_id, "method": "GOOGLE", "subject": "s"}
    await insert(superuser, "identities", **pinned, user_id=mia)
    answer = await ask(world)
    assert answer["identities"] == [{"method": "GOOGLE"}]
    assert len(answer["attempts"]) == 10
    assert answer["attempts"][0] == {
        "method": "CLEVER",
        "outcome": "SIGNED_IN",
        "reason": None,
        "message": None,
    }
    refused = answer["attempts"][1]
    assert (refused["method"], refused["outcome"]) == ("GOOGLE", "REFUSED")
    assert refused["reason"] == "OTHER_SUBJECT"
    assert "identityForget" in refused["message"]


async def test_a_school_admin_is_told_the_same_of_the_schools_people_and_nothing_of_others(
    world: World, app: Starlette, superuser: asyncpg.Connection
) -> None:
    north = await add_school(superuser, world.alpha_id)
    south = await add_school(superuser, world.alpha_id)
    mia = await add_mia(superuser, world, schools=[north], origin="IMPORT", source_id=None)
    tries = {"tenant_id": world.alpha_id, "method": "PASSWORD", "outcome": "REFUSED"}
    await insert(superuser, "sign_in_attempts", **tries, user_id=mia, reason="WRONG_PASSWORD")
    account = {"tenant_id": world.alpha_id, "user_id": mia, "created_by": "system"}
    await insert(superuser, "accounts", **account, password_changed_at=utc_now())
    expected = await ask(world)
    assert (expected["canSignIn"], len(expected["attempts"])) == (True, 1)
    for school, name in ((north, "hrs_north"), (south, "hrs_south")):
        admin = await add_user(superuser, world.alpha_id, roles=["SCHOOL_ADMIN"], schools=[school])
        await add_session(superuser, world.alpha_id, name, user_id=admin)
    user = encode_id("U", world.alpha_id, mia)
    async with connected(app, "hrs_north") as person:
        [answer] = (await person.run(WHY))["tenant"]["users"]["nodes"]
        assert answer["signIn"] == expected
        assert await person.run(ONE, id=user) == {"node": {"signIn": {"canSignIn": True}}}
    async with connected(app, "hrs_south") as person:
        assert (await person.run(WHY))["tenant"]["users"]["nodes"] == []
        assert await person.run(ONE, id=user) == {"node": None}


async def test_others_are_not_told_even_of_themselves(
    world: World, app: Starlette, superuser: asyncpg.Connection, subtests: pytest.Subtests
) -> None:
    school = await add_school(superuser, world.alpha_id)
    for role in ("TEACHER", "STAFF", "STUDENT"):
        user = await add_user(superuser, world.alpha_id, roles=[role], schools=[school])
        await add_session(superuser, world.alpha_id, f"hrs_{role}", user_id=user)
        with subtests.test(role=role):
            async with connected(app, f"hrs_{role}") as person:
                error = await person.fail(ONE, id=encode_id("U", world.alpha_id, user))
                assert error["extensions"]["code"] == "FORBIDDEN"
    await add_token(superuser, "of-starter", world.alpha_id, scopes=[Scope.SYNC_RUN])
    async with connected(app, "of-starter") as starter:
        error = await starter.fail(
            "{ viewer { tenant { users { nodes { signIn { canSignIn } } } } } }"
        )
        assert error["extensions"]["code"] == "FORBIDDEN"
