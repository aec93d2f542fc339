"""Exports while they are read: whoever goes away, whoever waits, and what is written meanwhile."""

import asyncio
from uuid import UUID

import asyncpg
import pytest
from starlette.applications import Starlette
from starlette.types import Message

from api.exports import AT_ONCE
from tests.api.graphql.client import World
from tests.api.graphql.test_exports import a_run, alpha_node, create, read

pytestmark = pytest.mark.anyio


async def many_errors(superuser: asyncpg.Connection, tenant_id: UUID, number: int) -> None:
    run_id = await a_run(superuser, tenant_id)
    await superuser.execute(
        "INSERT INTO validation_errors (tenant_id, fingerprint, state, code, severity,"
        " record_type, source_id, cause, first_seen_run_id, first_seen_at, last_seen_run_id,"
        " last_seen_at, runs) SELECT $1, uuidv4(), 'OPEN', 'USER_NO_SCHOOL', 'ERROR', 'USER',"
        " n::text, 'USER ' || n, $2, now(), $2, now(), 1 FROM generate_series(1, $3::int) n",
        tenant_id,
        run_id,
        number,
    )


class Reader:
    """A client that takes so many pieces of an answer and then is gone, or stays and waits."""

    def __init__(self, pieces: int) -> None:
        self.left = pieces
        self.taken = asyncio.Event()
        self.is_over = asyncio.Event()
        self.status = 0

    async def receive(self) -> Message:
        await self.is_over.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.status = message.get("status", self.status)
        if message["type"] == "http.response.body":
            self.left -= 1
            if self.left == 0:
                self.taken.set()
                await asyncio.Event().wait()

    async def ask(self, app: Starlette) -> None:
        scope = {
            "type": "http", "asgi": {"spec_version": "2.3"}, "http_version": "1.1",
            "method": "GET", "path": "/tenants/alpha/validation-errors.csv", "query_string": b"",
            "headers": [(b"authorization", b"Bearer of-alpha")],
        }  # fmt: skip
        await app(scope, self.receive, self.send)


async def transactions(superuser: asyncpg.Connection) -> int:
    return int(
        await superuser.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name = 'homerow api' AND state = 'idle in transaction'"
        )
    )


async def test_a_client_that_goes_away_ends_the_reading(
    world: World, superuser: asyncpg.Connection, app: Starlette
) -> None:
    await many_errors(superuser, world.alpha_id, 2000)
    reader = Reader(pieces=2)
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(reader.ask(app))
        await reader.taken.wait()
        assert await transactions(superuser) == 1
        reader.is_over.set()
        await asking
    for _ in range(100):
        if not await transactions(superuser):
            break
        await asyncio.sleep(0.02)
    assert await transactions(superuser) == 0


async def test_downloads_leave_connections_for_everybody_else(
    world: World, superuser: asyncpg.Connection, app: Starlette
) -> None:
    await many_errors(superuser, world.alpha_id, 2000)
    readers = [Reader(pieces=1) for _ in range(AT_ONCE)]
    made = await create(world.alpha, tenantId=alpha_node(world), kind="VALIDATION_ERRORS")
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        for reader in readers:
            tasks.create_task(reader.ask(app))
            await reader.taken.wait()
        refused = await world.alpha.http.get(made["export"]["url"])
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "10")
        assert (await world.alpha.run("{ viewer { name } }"))["viewer"]["name"] == "token of-alpha"
        for reader in readers:
            reader.is_over.set()
    # The link was not used up by being refused.
    assert len(read(await world.alpha.http.get(made["export"]["url"]))) == 2001


async def test_a_sheet_shows_one_moment_whatever_is_written_meanwhile(
    world: World, superuser: asyncpg.Connection
) -> None:
    await many_errors(superuser, world.alpha_id, 3000)
    path = "/tenants/alpha/validation-errors.csv"
    downloading = asyncio.create_task(world.alpha.http.get(path))
    states = set()
    while not downloading.done():
        await superuser.execute(
            "UPDATE validation_errors SET state = CASE state WHEN 'OPEN' THEN 'RESOLVED'"
            " ELSE 'OPEN' END"
        )
    for row in read(await downloading)[1:]:
        states.add(row[3])
    assert len(states) == 1
