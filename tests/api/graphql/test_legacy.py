"""Uploads and legacy imports: a ticket, the file by plain HTTP, a preview, and the import."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from api.graphql import errands
from api.graphql.node import encode_id
from api.uploads import Uploads
from domain.clock import new_id
from domain.resources import Resources
from tests.api.graphql.client import World
from tests.api.graphql.seed import add_integration, add_run
from tests.domain.legacy.files import SMALL, zipped
from worker.tasks import WorkerContext, errand

pytestmark = pytest.mark.anyio

TICKET = """mutation ($id: ID!) { uploadCreate(input: {tenantId: $id, purpose: LEGACY_IMPORT}) {
    upload { id url expiresAt } userErrors { field code message } } }"""
REPORT = """fragment Told on LegacyImportReport {
    files { name rows new existing changed errors samples }
    errors { file line column message } errorCount warnings settings progress isApplied }"""
IMPORT = f"""{REPORT}
    mutation ($id: ID!, $upload: ID!, $apply: Boolean! = false, $skip: Boolean! = false) {{
    legacyImport(input: {{tenantId: $id, uploadId: $upload, apply: $apply, skipErrors: $skip}}) {{
    report {{ ...Told }} errand {{ id state }} userErrors {{ field code message }} }} }}"""
FOLLOW = f"""{REPORT}
    query ($id: ID!) {{ node(id: $id) {{ ... on Errand {{ kind state message finishedAt
    legacyImport {{ ...Told }} }} }} }}"""


def id_of(world: World) -> str:
    return encode_id("T", world.alpha_id, world.alpha_id)


@pytest.fixture
async def plain(app: Starlette) -> AsyncGenerator[httpx2.AsyncClient]:
    """A caller without a token."""
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://homerow.test"
    ) as http:
        yield http


@asynccontextmanager
async def worker(resources: Resources) -> AsyncGenerator[None]:
    """Works on errands meanwhile."""

    async def work() -> None:
        while True:
            await errand({"homerow": WorkerContext(resources)})
            await asyncio.sleep(0.02)

    task = asyncio.create_task(work())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def ticket(world: World) -> Any:
    return (await world.alpha.run(TICKET, id=id_of(world)))["uploadCreate"]["upload"]


async def upload(world: World, plain: httpx2.AsyncClient, content: bytes) -> str:
    place = await ticket(world)
    answer = await plain.put(place["url"], content=content)
    assert (answer.status_code, answer.json()) == (201, {"bytes": len(content)})
    return str(place["id"])


async def ask(world: World, upload_id: str, **choices: bool) -> Any:
    answer = await world.alpha.run(IMPORT, id=id_of(world), upload=upload_id, **choices)
    return answer["legacyImport"]


async def test_a_file_is_uploaded_looked_through_and_imported(
    world: World, plain: httpx2.AsyncClient, worker_resources: Resources, superuser: Any
) -> None:
    upload_id = await upload(world, plain, zipped(SMALL))
    async with worker(worker_resources):
        shown = await ask(world, upload_id)
        done = await ask(world, upload_id, apply=True)
    assert (shown["userErrors"], shown["errand"]) == ([], None)
    assert shown["report"]["files"][2] == {
        "name": "people.csv", "rows": 3, "new": 3, "existing": 0, "changed": 0, "errors": 0,
        "samples": shown["report"]["files"][2]["samples"],
    }  # fmt: skip
    assert shown["report"]["files"][2]["samples"][0].startswith("p1, mia.lee, Mia, Lee, STUDENT")
    assert done == shown | {"report": shown["report"] | {"isApplied": True}}
    assert await superuser.fetchval("SELECT count(*) FROM users WHERE origin = 'LEGACY'") == 3
    acts = await superuser.fetch("SELECT action, actor FROM audit_log ORDER BY id")
    assert [act["action"] for act in acts] == ["uploadCreate", "legacyImport"]
    assert {act["actor"].split()[0] for act in acts} == {"token"}


async def test_errors_are_told_and_nothing_is_imported(
    world: World, plain: httpx2.AsyncClient, worker_resources: Resources, superuser: Any
) -> None:
    upload_id = await upload(world, plain, b"id,name\ns1,North\ns2,\n")
    async with worker(worker_resources):
        refused = await ask(world, upload_id, apply=True)
        assert await superuser.fetchval("SELECT count(*) FROM schools") == 0
        done = await ask(world, upload_id, apply=True, skip=True)
    assert refused["report"]["errors"] == [
        {"file": "schools.csv", "line": 3, "column": "name",
         "message": "There is nothing here, and there has to be."}
    ]  # fmt: skip
    [error] = refused["userErrors"]
    assert (error["field"], error["code"]) == (["input", "skipErrors"], "CONFLICT")
    assert (done["report"]["isApplied"], done["userErrors"]) == (True, [])
    assert await superuser.fetchval("SELECT count(*) FROM schools") == 1


async def test_what_cannot_be_read_is_a_user_error(
    world: World, plain: httpx2.AsyncClient, worker_resources: Resources
) -> None:
    async with worker(worker_resources):
        answers = [
            await ask(world, await upload(world, plain, b"PK broken")),
            await ask(world, (await ticket(world))["id"]),
            await ask(world, encode_id("F", world.alpha_id, new_id())),
        ]
    codes = [
        (a["report"], a["userErrors"][0]["field"], a["userErrors"][0]["code"]) for a in answers
    ]
    field = ["input", "uploadId"]
    assert codes == [(None, field, "INVALID"), (None, field, "CONFLICT"), (None, field, "INVALID")]
    assert "not a zip file" in answers[0]["userErrors"][0]["message"]


async def test_what_waits_for_a_sync_can_be_followed(
    world: World,
    plain: httpx2.AsyncClient,
    worker_resources: Resources,
    superuser: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(errands.run_errand, "__kwdefaults__", {"seconds": 0.2})
    integration_id = await add_integration(superuser, world.alpha_id)
    await add_run(superuser, world.alpha_id, integration_id, state="FETCHING", finished_at=None)
    upload_id = await upload(world, plain, zipped(SMALL))
    async with worker(worker_resources):
        waiting = await ask(world, upload_id, apply=True)
        assert (waiting["report"], waiting["userErrors"]) == (None, [])
        assert waiting["errand"]["state"] == "WAITING"
        await superuser.execute("UPDATE sync_runs SET state = 'SUCCEEDED', finished_at = now()")
        async with asyncio.timeout(10):
            while True:
                found = (await world.alpha.run(FOLLOW, id=waiting["errand"]["id"]))["node"]
                if found["finishedAt"]:
                    break
                await asyncio.sleep(0.05)
    assert (found["kind"], found["state"], found["message"]) == ("LEGACY_IMPORT", "DONE", None)
    assert found["legacyImport"]["isApplied"] is True
    assert (await world.beta.run(FOLLOW, id=waiting["errand"]["id"]))["node"] is None


async def test_another_tenants_token_can_neither_ask_nor_name_an_upload(
    world: World, plain: httpx2.AsyncClient
) -> None:
    answer = (await world.beta.run(TICKET, id=id_of(world)))["uploadCreate"]
    assert (answer["upload"], answer["userErrors"][0]["code"]) == (None, "NOT_FOUND")
    upload_id = await upload(world, plain, zipped(SMALL))
    beta = encode_id("T", world.beta_id, world.beta_id)
    answer = (await world.beta.run(IMPORT, id=beta, upload=upload_id))["legacyImport"]
    assert answer["userErrors"][0]["field"] == ["input", "uploadId"]
    assert answer["report"] is None


async def test_a_ticket_is_good_for_one_file(
    world: World, plain: httpx2.AsyncClient, superuser: asyncpg.Connection
) -> None:
    place = await ticket(world)
    empty = await plain.put(place["url"], content=b"")
    assert empty.status_code == 400
    first = await plain.post(place["url"], content=b"one")
    assert first.status_code == 201
    second = await plain.put(place["url"], content=b"two")
    unknown = await plain.put("/uploads/never-given-out", content=b"two")
    late = await ticket(world)
    await superuser.execute("UPDATE uploads SET expires_at = now() WHERE received_at IS NULL")
    expired = await plain.put(late["url"], content=b"two")
    for answer in (second, unknown, expired):
        [error] = answer.json()["errors"]
        assert answer.status_code == 404
        assert error["message"].startswith("This address has been used, or its hour is over.")
        assert error["extensions"]["code"] == "NOT_FOUND"
        assert error["extensions"]["requestId"] == answer.headers["x-request-id"]
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert await superuser.fetchval("SELECT content FROM uploads ORDER BY id LIMIT 1") == b"one"


async def test_of_two_files_at_once_one_is_stored(world: World, plain: httpx2.AsyncClient) -> None:
    place = await ticket(world)
    answers = await asyncio.gather(
        *(plain.put(place["url"], content=content) for content in (b"one", b"two", b"six"))
    )
    assert sorted(answer.status_code for answer in answers) == [201, 404, 404]


async def test_a_file_that_is_too_large_or_wrapped_is_refused(
    world: World, resources: Resources
) -> None:
    uploads = Uploads(resources.database, most_bytes=1000)
    route = Route("/uploads/{token}", uploads.respond, methods=["PUT"])
    transport = httpx2.ASGITransport(Starlette(routes=[route]))
    place = await ticket(world)

    async def endless() -> AsyncGenerator[bytes]:
        for _ in range(11):
            yield b"x" * 100

    async with httpx2.AsyncClient(transport=transport, base_url="http://homerow.test") as http:
        answers = [
            await http.put(place["url"], content=b"x" * 1001),
            await http.put(place["url"], content=endless()),
            await http.put(place["url"], files={"file": b"x"}),
            await http.put(place["url"], content=b"x", headers={"Content-Encoding": "gzip"}),
            await http.put(place["url"], content=b"x" * 1000),
        ]
    assert [answer.status_code for answer in answers] == [413, 413, 415, 415, 201]
    assert answers[0].json()["errors"][0]["message"] == "A file has at most 1000 bytes."


async def test_other_methods_are_refused(plain: httpx2.AsyncClient) -> None:
    assert (await plain.get("/uploads/x")).status_code == 405
