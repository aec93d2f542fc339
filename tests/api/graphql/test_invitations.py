"""Invitations: imported people set a password, and nobody else does."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from starlette.applications import Starlette

from api.graphql.node import encode_id
from domain.clock import utc_now
from domain.people.callers import Scope
from domain.people.tokens import hash_token
from tests.api.graphql.client import World, connected
from tests.api.graphql.seed import add_integration, add_token, add_user, insert

pytestmark = pytest.mark.anyio

SEND = """mutation ($input: InvitationSendInput!) { invitationSend(input: $input) {
    users { id } userErrors { field code message } } }"""


def ids(world: World, *keys: UUID) -> list[str]:
    return [encode_id("U", world.alpha_id, key) for key in keys]


async def imported(superuser: asyncpg.Connection, world: World, **values: Any) -> UUID:
    row = {"origin": "IMPORT", "roles": ["TEACHER"], "email": "mia@example.org"}
    return await add_user(superuser, world.alpha_id, **row | values)


async def send(world: World, users: list[str], **values: Any) -> Any:
    given = {"userIds": users} | values
    return (await world.alpha.run(SEND, input=given))["invitationSend"]


async def test_a_link_is_mailed_to_each_and_a_former_one_is_void(
    world: World, superuser: asyncpg.Connection
) -> None:
    mia = await imported(superuser, world)
    ben = await imported(superuser, world, email="ben@example.org")
    both = ids(world, mia, ben)
    assert await send(world, [*both, both[0]]) == {
        "users": [{"id": both[0]}, {"id": both[1]}],
        "userErrors": [],
    }
    mails = await superuser.fetch("SELECT * FROM mail_outbox ORDER BY id")
    assert [mail["recipient"] for mail in mails] == ["mia@example.org", "ben@example.org"]
    links = await superuser.fetch("SELECT * FROM account_links ORDER BY id")
    assert [link["kind"] for link in links] == ["INVITATION", "INVITATION"]
    for mail, link in zip(mails, links, strict=True):
        _, _, rest = mail["body_text"].partition("http://homerow.test/account-links/")
        assert hash_token(rest.split()[0]) == link["token_hash"]
        assert timedelta(days=6) < link["expires_at"] - utc_now() <= timedelta(days=7)
    await send(world, both[:1])
    used = await superuser.fetch("SELECT used_at FROM account_links ORDER BY id")
    assert [each["used_at"] is None for each in used] == [False, True, True]
    acts = await superuser.fetch("SELECT action, target, details FROM audit_log ORDER BY id")
    assert [tuple(act) for act in acts] == [
        ("invitationSend", str(key), "{}") for key in (mia, ben, mia)
    ]
    assert await superuser.fetchval("SELECT count(*) FROM accounts") == 2


async def test_an_address_may_be_given_for_one_person(
    world: World, superuser: asyncpg.Connection
) -> None:
    mia = await imported(superuser, world, email=None)
    answer = await send(world, ids(world, mia), email="mia@home.example")
    assert answer["userErrors"] == []
    assert await superuser.fetchval("SELECT recipient FROM mail_outbox") == "mia@home.example"
    assert await superuser.fetchval("SELECT email FROM users") is None
    assert await superuser.fetchval("SELECT email FROM accounts") is None


async def test_who_cannot_be_invited_is_named_with_the_reason_and_the_others_are_invited(
    world: World, superuser: asyncpg.Connection
) -> None:
    await add_integration(superuser, world.alpha_id, provider="CLEVER")
    rostered = await add_user(superuser, world.alpha_id, source_id="s1", email="s1@example.org")
    admin = await add_user(
        superuser, world.alpha_id, roles=["DISTRICT_ADMIN"], source_id="a1", email="a@example.org"
    )
    silent = await imported(superuser, world, email=None)
    gone = await imported(superuser, world, archived_at=utc_now())
    nameless = await imported(superuser, world, username=None)
    known = await imported(superuser, world)
    account = {"tenant_id": world.alpha_id, "user_id": known, "created_by": "system"}
    await insert(superuser, "accounts", **account, password_changed_at=utc_now())
    good = await imported(superuser, world, email="good@example.org")
    asked = ids(world, rostered, admin, silent, gone, nameless, known, good)
    answer = await send(world, asked)
    assert answer["users"] == [{"id": asked[6]}]
    assert [(each["field"], each["code"]) for each in answer["userErrors"]] == [
        (["input", "userIds", "0"], "CONFLICT"),
        (["input", "userIds", "1"], "CONFLICT"),
        (["input", "userIds", "2"], "INVALID"),
        (["input", "userIds", "3"], "CONFLICT"),
        (["input", "userIds", "4"], "CONFLICT"),
        (["input", "userIds", "5"], "CONFLICT"),
    ]
    words = [each["message"] for each in answer["userErrors"]]
    assert "signs in with it" in words[0]
    assert "must use it" in words[1]
    assert "no mail address" in words[2]
    assert "archived" in words[3]
    assert "no username" in words[4]
    assert "has a password already" in words[5]
    recipients = await superuser.fetchval("SELECT array_agg(recipient) FROM mail_outbox")
    assert recipients == ["good@example.org"]
    assert await superuser.fetchval("SELECT count(*) FROM accounts") == 2
    assert await superuser.fetchval("SELECT count(*) FROM audit_log") == 1


async def test_what_names_nobody_or_too_many_is_refused(
    world: World, superuser: asyncpg.Connection, subtests: pytest.Subtests
) -> None:
    mia, ben = await imported(superuser, world), await imported(superuser, world)
    both = ids(world, mia, ben)
    foreign = encode_id("U", world.beta_id, mia)
    for given, field, code in (
        ({"userIds": []}, ["input", "userIds"], "INVALID"),
        ({"userIds": both * 51}, ["input", "userIds"], "INVALID"),
        ({"userIds": both, "email": "x@example.org"}, ["input", "email"], "INVALID"),
        ({"userIds": both[:1], "email": "x"}, ["input", "email"], "INVALID"),
        ({"userIds": [both[0], "x"]}, ["input", "userIds", "1"], "INVALID"),
        ({"userIds": [foreign]}, None, "NOT_FOUND"),
        ({"userIds": [both[0], foreign]}, None, "NOT_FOUND"),
    ):
        with subtests.test(given=given):
            answer = (await world.alpha.run(SEND, input=given))["invitationSend"]
            assert answer["users"] == []
            [error] = answer["userErrors"]
            assert (error["field"], error["code"]) == (field, code)
    absent = encode_id("U", world.alpha_id, world.beta_id)
    [error] = (await send(world, [absent]))["userErrors"]
    assert (error["field"], error["code"]) == (["input", "userIds", "0"], "NOT_FOUND")
    for table in ("accounts", "account_links", "mail_outbox", "audit_log"):
        assert await superuser.fetchval(f"SELECT count(*) FROM {table}") == 0  # noqa: S608


async def test_a_token_without_the_scope_invites_nobody(
    world: World, app: Starlette, superuser: asyncpg.Connection
) -> None:
    mia = await imported(superuser, world)
    await add_token(superuser, "of-reader", world.alpha_id, scopes=[Scope.ROSTER_READ])
    async with connected(app, "of-reader") as reader:
        error = await reader.fail(SEND, input={"userIds": ids(world, mia)})
    assert error["extensions"]["code"] == "FORBIDDEN"
