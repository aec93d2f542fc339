"""Sessions: people see where they are signed in, and end it."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

import asyncpg
import pytest
from starlette.applications import Starlette

from api.graphql.node import encode_id
from domain.clock import utc_now
from tests.api.graphql.client import Client, World, connected
from tests.api.graphql.seed import add_school, add_user
from tests.api.graphql.signed_in import add_session, add_super_admin

pytestmark = pytest.mark.anyio

OWN = """{ viewer { sessions { id method client isCurrent } } }"""
VIEWER = """{ viewer { name roles isOperator scopes actor { kind label } tenant { slug }
    user { id givenName } session { method client isCurrent } sessions { isCurrent } } }"""
REVOKE = """mutation ($id: ID!) { sessionRevoke(input: {sessionId: $id}) {
    sessions { client } userErrors { field code message } } }"""
REVOKE_ALL = """mutation ($id: ID) { sessionsRevokeAll(input: {userId: $id}) {
    revoked userErrors { field code message } } }"""


class People(NamedTuple):
    teacher: Client
    teacher_id: UUID
    other_id: UUID
    phone_id: UUID
    others_session_id: UUID


@pytest.fixture
async def people(
    world: World, app: Starlette, superuser: asyncpg.Connection
) -> AsyncGenerator[People]:
    """A teacher with two sessions that are good and three that are not, and another teacher."""
    school = await add_school(superuser, world.alpha_id)
    ids = [
        await add_user(superuser, world.alpha_id, roles=["TEACHER"], schools=[school])
        for _ in range(2)
    ]
    now = utc_now()
    add = add_session
    alpha = world.alpha_id
    await add(superuser, alpha, "hrs_laptop", user_id=ids[0], client="Laptop", method="GOOGLE")
    phone = await add(superuser, alpha, "hrs_phone", user_id=ids[0], client="Phone")
    await add(superuser, alpha, "hrs_1", user_id=ids[0], client="Ended", ended_at=now)
    await add(superuser, alpha, "hrs_2", user_id=ids[0], client="Over", expires_at=now)
    unused = now - timedelta(minutes=121)
    await add(superuser, alpha, "hrs_3", user_id=ids[0], client="Unused", last_seen_at=unused)
    others = await add(superuser, alpha, "hrs_other", user_id=ids[1], client="Other")
    async with connected(app, "hrs_laptop") as teacher:
        yield People(teacher, ids[0], ids[1], phone, others)


async def is_signed_in(app: Starlette, secret: str) -> bool:
    async with connected(app, secret) as person:
        return (await person.post("{ viewer { name } }")).status_code == 200


async def test_a_viewer_who_is_a_person_is_told_who_they_are(world: World, people: People) -> None:
    user = encode_id("U", world.alpha_id, people.teacher_id)
    assert (await people.teacher.run(VIEWER))["viewer"] == {
        "name": "Mia Lee",
        "roles": ["TEACHER"],
        "isOperator": False,
        "scopes": ["ROSTER_READ"],
        "actor": {"kind": "USER", "label": f"user {people.teacher_id}"},
        "tenant": {"slug": "alpha"},
        "user": {"id": user, "givenName": "Mia"},
        "session": {"method": "GOOGLE", "client": "Laptop", "isCurrent": True},
        "sessions": [{"isCurrent": False}, {"isCurrent": True}],
    }


async def test_a_viewer_who_is_a_token_has_no_session(
    world: World, superuser: asyncpg.Connection
) -> None:
    query = "{ viewer { roles user { id } session { id } sessions { id } } }"
    nothing = {"user": None, "session": None, "sessions": []}
    assert (await world.alpha.run(query))["viewer"] == {"roles": ["MACHINE"], **nothing}
    assert (await world.operator.run(query))["viewer"] == {"roles": ["OPERATOR"], **nothing}


async def test_people_see_their_own_sessions_that_are_good(people: People) -> None:
    sessions = (await people.teacher.run(OWN))["viewer"]["sessions"]
    assert [(each["client"], each["method"], each["isCurrent"]) for each in sessions] == [
        ("Phone", "PASSWORD", False),
        ("Laptop", "GOOGLE", True),
    ]


async def test_a_session_that_was_ended_is_not_signed_in_any_more(
    world: World, people: People, app: Starlette, superuser: asyncpg.Connection
) -> None:
    phone = encode_id("W", world.alpha_id, people.phone_id)
    assert await is_signed_in(app, "hrs_phone")
    expected = {"sessions": [{"client": "Laptop"}], "userErrors": []}
    for _ in range(2):
        assert (await people.teacher.run(REVOKE, id=phone))["sessionRevoke"] == expected
    assert not await is_signed_in(app, "hrs_phone")
    [act] = await superuser.fetch("SELECT actor, action, target FROM audit_log")
    assert tuple(act) == (f"user {people.teacher_id}", "sessionRevoke", str(people.phone_id))


async def test_somebody_elses_session_is_not_there(
    world: World, people: People, app: Starlette, superuser: asyncpg.Connection
) -> None:
    for tenant_id, key, code in (
        (world.alpha_id, people.others_session_id, "NOT_FOUND"),
        (world.beta_id, people.others_session_id, "NOT_FOUND"),
        (world.beta_id, people.phone_id, "NOT_FOUND"),
    ):
        answer = await people.teacher.run(REVOKE, id=encode_id("W", tenant_id, key))
        assert answer["sessionRevoke"]["sessions"] == []
        assert [each["code"] for each in answer["sessionRevoke"]["userErrors"]] == [code]
    user = encode_id("U", world.alpha_id, people.other_id)
    [error] = (await people.teacher.run(REVOKE, id=user))["sessionRevoke"]["userErrors"]
    assert (error["field"], error["code"]) == (["input", "sessionId"], "INVALID")
    assert await is_signed_in(app, "hrs_other")
    assert await is_signed_in(app, "hrs_phone")
    assert await superuser.fetchval("SELECT count(*) FROM audit_log") == 0


async def test_people_end_all_their_other_sessions(
    people: People, app: Starlette, superuser: asyncpg.Connection
) -> None:
    answer = (await people.teacher.run(REVOKE_ALL))["sessionsRevokeAll"]
    assert answer == {"revoked": 2, "userErrors": []}
    assert await is_signed_in(app, "hrs_laptop")
    assert not await is_signed_in(app, "hrs_phone")
    assert await is_signed_in(app, "hrs_other")
    [act] = await superuser.fetch("SELECT action, target, details FROM audit_log")
    assert tuple(act) == ("sessionsRevokeAll", str(people.teacher_id), '{"ended": 2}')


async def test_administrators_end_all_sessions_of_a_person(
    world: World, people: People, app: Starlette, superuser: asyncpg.Connection
) -> None:
    root = await add_super_admin(superuser, world.alpha_id)
    await add_session(superuser, world.alpha_id, "hrs_root", account_id=root)
    await add_session(superuser, world.alpha_id, "hrs_root_2", account_id=root)
    user = encode_id("U", world.alpha_id, people.other_id)
    error = await people.teacher.fail(REVOKE_ALL, id=user)
    assert error["extensions"]["code"] == "FORBIDDEN"
    async with connected(app, "hrs_root") as admin:
        answer = (await admin.run(REVOKE_ALL, id=user))["sessionsRevokeAll"]
        assert answer == {"revoked": 1, "userErrors": []}
        assert not await is_signed_in(app, "hrs_other")
        answer = (await admin.run(REVOKE_ALL))["sessionsRevokeAll"]
        assert answer == {"revoked": 1, "userErrors": []}
    assert await is_signed_in(app, "hrs_root")
    assert not await is_signed_in(app, "hrs_root_2")
    assert await is_signed_in(app, "hrs_laptop")
    answer = await world.operator.run(
        REVOKE_ALL, id=encode_id("U", world.alpha_id, people.teacher_id)
    )
    assert answer["sessionsRevokeAll"]["revoked"] == 3
    assert not await is_signed_in(app, "hrs_laptop")


async def test_whoever_has_no_sessions_is_told_so(world: World, people: People) -> None:
    for client in (world.alpha, world.operator):
        [error] = (await client.run(REVOKE_ALL))["sessionsRevokeAll"]["userErrors"]
        assert (error["field"], error["code"]) == (["input", "userId"], "INVALID")
    for tenant_id in (world.alpha_id, world.beta_id):
        absent = encode_id("U", tenant_id, people.phone_id)
        [error] = (await world.alpha.run(REVOKE_ALL, id=absent))["sessionsRevokeAll"]["userErrors"]
        assert error["code"] == "NOT_FOUND"
