"""WebSockets: where they come from, what they say, who has them, and how many."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from uuid import UUID

import asyncpg
import pytest
from starlette.applications import Starlette
from websockets.exceptions import InvalidStatus

from api.app import create_app
from api.browsers import SESSION_COOKIE
from api.graphql.following import MAX_SUBSCRIPTIONS
from api.graphql.node import encode_id
from api.graphql.socket_talk import MAX_MESSAGE, MAX_SOCKETS
from api.signing_in.site import SignInSettings
from api.web_settings import WebSettings
from domain.people.callers import Scope
from domain.resources import Resources
from tests.api.graphql.client import World
from tests.api.graphql.listening import FOLLOW, Wire, served, streamed, wired
from tests.api.graphql.seed import add_integration, add_run, add_token
from tests.api.graphql.signed_in import add_session, add_super_admin

pytestmark = pytest.mark.anyio

SESSION = "hrs_of-ada"
COOKIE = {"Cookie": f"{SESSION_COOKIE}={SESSION}"}


@pytest.fixture(name="address")
async def fixture_address(app: Starlette) -> AsyncGenerator[str]:
    async with served(app) as address:
        yield address


@pytest.fixture(name="run")
async def fixture_run(world: World, superuser: asyncpg.Connection) -> str:
    """The id of a run of alpha's that never ends."""
    integration = await add_integration(superuser, world.alpha_id)
    key = await add_run(superuser, world.alpha_id, integration, state="FETCHING", finished_at=None)
    return encode_id("R", world.alpha_id, key)


@pytest.fixture(name="session")
async def fixture_session(world: World, superuser: asyncpg.Connection) -> UUID:
    account = await add_super_admin(superuser, world.alpha_id)
    return await add_session(superuser, world.alpha_id, SESSION, account_id=account)


async def code_of(wire: Wire, name: str) -> str:
    """Of the error that a subscription ends with."""
    while (message := await wire.hear())["type"] != "error":
        pass
    assert message["id"] == name
    [error] = message["payload"]
    return str(error["extensions"]["code"])


async def test_e5_a_page_of_another_site_gets_no_socket(address: str, session: UUID) -> None:
    for origin in ("https://evil.example", "null", f"https://{address}", f"http://{address}.evil"):
        with pytest.raises(InvalidStatus) as refused:
            async with wired(address, headers={"Origin": origin, **COOKIE}):
                pass
        assert refused.value.response.status_code == 403
    neighbour = {"Origin": f"http://{address}", "Sec-Fetch-Site": "same-site", **COOKIE}
    with pytest.raises(InvalidStatus):
        async with wired(address, headers=neighbour):
            pass


async def test_e5_a_cookie_counts_with_an_own_page_alone(
    address: str, run: str, session: UUID
) -> None:
    async with wired(address, headers={"Origin": f"http://{address}", **COOKIE}) as wire:
        await wire.begin()
        await wire.subscribe("one", id=run)
        assert (await wire.hear())["type"] == "next"
    for headers in (COOKIE, {**COOKIE, "Sec-Fetch-Site": "same-origin"}):
        async with wired(address, headers=headers) as wire:
            await wire.say({"type": "connection_init"})
            assert await wire.ended() == 4403


async def test_e5_a_frontend_of_another_site_has_a_token_and_no_cookie(
    resources: Resources, run: str, session: UUID
) -> None:
    web = WebSettings(cors_origins=frozenset({"https://front.example"}), is_local=True)
    async with served(create_app(resources, SignInSettings(web=web))) as address:
        headers = {"Origin": "https://front.example", **COOKIE}
        async with wired(address, headers=headers) as wire:
            await wire.say({"type": "connection_init"})
            assert await wire.ended() == 4403
        async with wired(address, headers=headers) as wire:
            await wire.begin(SESSION)


async def test_e5_another_host_gets_no_socket(resources: Resources, world: World) -> None:
    web = WebSettings(public_url="https://homerow.example")
    async with served(create_app(resources, SignInSettings(web=web))) as address:
        with pytest.raises(InvalidStatus) as refused:
            async with wired(address):
                pass
        assert refused.value.response.status_code == 403


async def test_e5_no_other_protocol_is_spoken(address: str) -> None:
    for protocols in (("graphql-ws",), ("chat",)):
        async with wired(address, protocols=protocols) as wire:
            assert await wire.ended() == 4406


async def test_e5_what_comes_before_or_after_its_time_ends_the_socket(
    address: str, world: World, run: str
) -> None:
    async with wired(address) as wire:
        await wire.subscribe("one", id=run)
        assert await wire.ended() == 4401
    async with wired(address) as wire:
        await wire.begin("of-alpha")
        await wire.say({"type": "connection_init"})
        assert await wire.ended() == 4429
    async with wired(address) as wire:
        await wire.begin("of-alpha")
        await wire.subscribe("one", id=run)
        await wire.subscribe("one", id=run)
        assert await wire.ended() == 4409


async def test_e5_who_says_nothing_is_waited_for_five_seconds(address: str) -> None:
    async with wired(address) as wire:
        began = asyncio.get_running_loop().time()
        assert await wire.ended() == 4408
        assert 4.5 < asyncio.get_running_loop().time() - began < 9


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{", 4400),
        ("[]", 4400),
        ('{"type": "start", "id": "1"}', 4400),
        ('{"type": "subscribe", "id": 1, "payload": {}}', 4400),
        ('{"type": "subscribe", "id": "", "payload": {}}', 4400),
        ('{"type": "subscribe", "id": "%s", "payload": {}}' % ("x" * 200), 4400),
        ("x" * (MAX_MESSAGE + 1), 1009),
    ],
)
async def test_e5_what_is_no_message_ends_the_socket(
    message: str, code: int, address: str, world: World
) -> None:
    async with wired(address) as wire:
        await wire.begin("of-alpha")
        await wire.say(message)
        assert await wire.ended() == code


async def test_e5_bytes_are_no_message(address: str, world: World) -> None:
    async with wired(address) as wire:
        await wire.begin("of-alpha")
        await wire.socket.send(b'{"type": "ping"}')
        assert await wire.ended() == 4400


@pytest.mark.parametrize("secret", [None, "hrw_nobodys", "hrs_nobodys"])
async def test_e5_nobody_gets_no_socket(secret: str | None, address: str, world: World) -> None:
    async with wired(address) as wire:
        payload = {"Authorization": f"Bearer {secret}"} if secret else {}
        await wire.say({"type": "connection_init", "payload": payload})
        assert await wire.ended() == 4403


async def test_e5_limits_of_documents_hold_on_sockets(address: str, world: World, run: str) -> None:
    nested = "tenant { syncRuns { nodes { " * 6 + "id" + " } } }" * 6
    for query, code in (
        ("{ viewer { name } }", "BAD_REQUEST"),
        ("mutation { sessionsRevokeAll(input: {}) { userErrors { code } } }", "BAD_REQUEST"),
        ("subscription {", "GRAPHQL_PARSE_FAILED"),
        ("subscription { nothing }", "GRAPHQL_VALIDATION_FAILED"),
        (FOLLOW.replace("state", nested), "GRAPHQL_VALIDATION_FAILED"),
        (
            FOLLOW.replace(
                "state",
                "tenant { users(first: 100) { nodes { memberships(first: 100) { nodes {"
                " group { memberships(first: 100) { nodes { id } } } } } } } }",
            ),
            "MAX_COST_EXCEEDED",
        ),
        (FOLLOW.replace("state", "state " * 2500), "GRAPHQL_PARSE_FAILED"),
    ):
        async with wired(address) as wire:
            await wire.begin("of-alpha")
            await wire.subscribe("one", query, id=run)
            assert await code_of(wire, "one") == code, query[:80]
            await wire.say({"type": "ping"})
            assert await wire.hear() == {"type": "pong"}


async def test_e5_a_caller_has_five_sockets(address: str, world: World) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(MAX_SOCKETS):
            wire = await stack.enter_async_context(wired(address))
            await wire.begin("of-alpha")
        wire = await stack.enter_async_context(wired(address))
        await wire.say({"type": "connection_init", "payload": {"Authorization": "Bearer of-alpha"}})
        assert await wire.ended() == 1013
        other = await stack.enter_async_context(wired(address))
        await other.begin("of-beta")


async def test_e5_a_caller_has_twenty_subscriptions_by_all_ways_together(
    address: str, world: World, run: str
) -> None:
    async with wired(address) as first, wired(address) as second:
        for wire, names in ((first, range(10)), (second, range(10, MAX_SUBSCRIPTIONS))):
            await wire.begin("of-alpha")
            for name in names:
                await wire.subscribe(str(name), id=run)
                assert (await wire.hear())["type"] == "next"
        await second.subscribe("more", id=run)
        assert await code_of(second, "more") == "THROTTLED"
        [(name, answer), end] = [event async for event in streamed(address, "of-alpha", id=run)]
        assert (name, end) == ("next", ("complete", {}))
        assert answer["errors"][0]["extensions"]["code"] == "THROTTLED"
        await first.say({"type": "complete", "id": "0"})
        async with asyncio.timeout(10):
            while True:
                await second.subscribe("again", id=run)
                message = await second.hear()
                if message["type"] == "next":
                    break


async def test_e5_a_session_that_has_ended_hears_no_more(
    address: str, run: str, session: UUID, superuser: asyncpg.Connection
) -> None:
    async with wired(address) as wire, wired(address) as idle:
        await wire.begin(SESSION)
        await idle.begin(SESSION)
        await wire.subscribe("one", id=run)
        assert (await wire.hear())["type"] == "next"
        await superuser.execute("UPDATE sessions SET ended_at = now()")
        assert await wire.ended() == 4403
        assert await idle.ended() == 4403


async def test_e5_a_token_that_was_revoked_hears_no_more(
    address: str, run: str, world: World, superuser: asyncpg.Connection
) -> None:
    events = streamed(address, "of-alpha", id=run)
    assert (await anext(events))[0] == "next"
    await superuser.execute("UPDATE api_tokens SET revoked_at = now()")
    name, answer = await anext(events)
    assert (name, answer["errors"][0]["extensions"]["code"]) == ("next", "UNAUTHENTICATED")
    assert [event async for event in events] == [("complete", {})]


async def test_e5_who_is_demoted_meanwhile_hears_no_more(
    address: str, run: str, world: World, superuser: asyncpg.Connection
) -> None:
    await add_token(superuser, "of-reader", world.alpha_id, scopes=[Scope.ROSTER_READ])
    async with wired(address) as wire:
        await wire.begin("of-reader")
        await wire.subscribe("one", id=run)
        assert (await wire.hear())["type"] == "next"
        await superuser.execute("UPDATE api_tokens SET scopes = '{sync:run}'")
        assert await code_of(wire, "one") == "FORBIDDEN"


async def test_e5_to_listen_keeps_no_session_alive(
    address: str, run: str, session: UUID, superuser: asyncpg.Connection
) -> None:
    await superuser.execute("UPDATE sessions SET last_seen_at = now() - interval '59 seconds'")
    async with wired(address) as wire:
        await wire.begin(SESSION)
        await wire.subscribe("one", id=run)
        assert (await wire.hear())["type"] == "next"
        await superuser.execute("UPDATE sessions SET last_seen_at = now() - interval '14:58'")
        seen = await superuser.fetchval("SELECT last_seen_at FROM sessions")
        assert await wire.ended() == 4403
        assert await superuser.fetchval("SELECT last_seen_at FROM sessions") == seen


async def test_b1_what_goes_wrong_in_a_subscription_is_masked(
    address: str, run: str, world: World, superuser: asyncpg.Connection
) -> None:
    """By both ways, while it is open."""
    events = streamed(address, "of-alpha", id=run)
    async with wired(address) as wire:
        await wire.begin("of-alpha")
        await wire.subscribe("one", id=run)
        assert (await wire.hear())["type"] == "next"
        assert (await anext(events))[0] == "next"
        await superuser.execute("ALTER TABLE sync_runs RENAME TO kept_secret")
        try:
            refused = await wire.hear()
            _, answer = await anext(events)
        finally:
            await superuser.execute("ALTER TABLE kept_secret RENAME TO sync_runs")
    for [error] in (refused["payload"], answer["errors"]):
        del error["extensions"]["requestId"]
        assert error == {
            "message": "Something went wrong here.",
            "extensions": {"code": "INTERNAL_SERVER_ERROR"},
        }
