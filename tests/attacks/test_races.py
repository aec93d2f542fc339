"""H: many at once, and servers that go away at the wrong moment."""

import asyncio
from datetime import timedelta
from typing import Final

import asyncpg
import pytest
from redis.asyncio import Redis
from starlette.applications import Starlette

from api.local import LocalServers
from domain.clock import utc_now
from tests.api.graphql.client import World, connected
from tests.api.graphql.roles import Part, add_part
from tests.api.graphql.signed_in import add_session, add_super_admin

pytestmark = pytest.mark.anyio

RECORD: Final = """mutation ($input: ProgressRecordInput!) { progressRecord(input: $input) {
    counted repeated userErrors { code } } }"""
UPDATE: Final = """mutation ($input: TenantUpdateInput!) { tenantUpdate(input: $input) {
    userErrors { code } } }"""


@pytest.fixture
async def part(world: World, superuser: asyncpg.Connection) -> Part:
    return await add_part(superuser, world.alpha_id)


async def test_h1_an_event_that_is_told_twenty_times_at_once_counts_once(
    world: World, part: Part, superuser: asyncpg.Connection
) -> None:
    event = {
        "eventId": "one",
        "userId": part.id("U"),
        "groupId": part.id("G"),
        "occurredAt": (utc_now() - timedelta(hours=1)).isoformat(),
        "lessons": 1,
        "seconds": 60,
    }
    asked = {"tenantId": part.id("T"), "events": [event]}
    answers = await asyncio.gather(*(world.alpha.run(RECORD, input=asked) for _ in range(20)))
    told = [answer["progressRecord"] for answer in answers]
    assert sum(each["counted"] for each in told) == 1
    assert sum(each["repeated"] for each in told) == 19
    assert await superuser.fetchval("SELECT sum(lessons) FROM progress") == 1


async def test_h3_a_mutation_whose_connection_is_cut_has_done_nothing(
    world: World, part: Part, superuser: asyncpg.Connection
) -> None:
    """Its last step waits, and the server ends it there: what it did before is undone."""
    asked = {"tenantId": part.id("T"), "name": "Half"}
    waiting = "SELECT pid FROM pg_locks WHERE NOT granted AND relation = 'audit_log'::regclass"
    async with superuser.transaction():
        await superuser.execute("LOCK TABLE audit_log IN ACCESS EXCLUSIVE MODE")
        request = asyncio.create_task(world.alpha.post(UPDATE, input=asked))
        while not (pids := await superuser.fetch(waiting)):  # noqa: ASYNC110 - another process tells nobody
            await asyncio.sleep(0.01)
        for row in pids:
            await superuser.execute("SELECT pg_terminate_backend($1)", row["pid"])
        [error] = (await request).json()["errors"]
    assert error["message"] == "Something went wrong here."
    assert error["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert await superuser.fetchval("SELECT name FROM tenants WHERE slug = 'alpha'") == "Alpha"
    assert (await world.alpha.run(UPDATE, input=asked)) == {"tenantUpdate": {"userErrors": []}}
    assert await superuser.fetchval("SELECT name FROM tenants WHERE slug = 'alpha'") == "Half"


async def test_h6_a_valkey_that_forgot_everything_ends_no_session_and_doubles_nothing(
    world: World,
    part: Part,
    app: Starlette,
    superuser: asyncpg.Connection,
    local_servers: LocalServers,
) -> None:
    """Sessions and the ids of events lie in PostgreSQL; Valkey has what may be lost."""
    root = await add_super_admin(superuser, world.alpha_id)
    await add_session(superuser, world.alpha_id, "hrs_root", account_id=root)
    event = {
        "eventId": "one",
        "userId": part.id("U"),
        "occurredAt": (utc_now() - timedelta(hours=1)).isoformat(),
        "lessons": 1,
    }
    asked = {"tenantId": part.id("T"), "events": [event]}
    first = (await world.alpha.run(RECORD, input=asked))["progressRecord"]
    async with Redis.from_url(local_servers.redis_url) as valkey:
        await valkey.flushall()
    again = (await world.alpha.run(RECORD, input=asked))["progressRecord"]
    assert (first["counted"], again["counted"], again["repeated"]) == (1, 0, 1)
    async with connected(app, "hrs_root") as person:
        assert (await person.run("{ viewer { roles } }"))["viewer"]["roles"] == ["SUPER_ADMIN"]
