"""Admins and staff by CSV over HTTP: a ticket, the file, a preview, the import, the way back."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx2
import pytest
from starlette.applications import Starlette

from api.graphql import errands
from api.graphql.node import encode_id
from domain.people.callers import Scope
from domain.resources import Resources
from domain.staffing.layouts import HEADER, PeopleKind, template_of
from tests.api.graphql.client import World, connected
from tests.api.graphql.seed import add_integration, add_run, add_school, add_token, add_user
from tests.domain.staffing.files import ADMINS, STAFF
from worker.tasks import WorkerContext, errand

pytestmark = pytest.mark.anyio

TICKET = """mutation ($id: ID!, $purpose: UploadPurpose!) {
    uploadCreate(input: {tenantId: $id, purpose: $purpose}) { upload { id url }
    userErrors { message } } }"""
REPORT = """fragment Told on PeopleImportReport { kind rows wrong isApplied errorCount warnings
    counts { create update restore unchanged archive }
    people { line username action fields } errors { line column message } }"""
IMPORT = """%s mutation ($id: ID!, $upload: ID!, $apply: Boolean! = false,
    $skip: Boolean! = false, $archive: Boolean! = false) {
    done: %sImport(input: {tenantId: $id, uploadId: $upload, apply: $apply, skipErrors: $skip,
    archiveMissing: $archive}) { report { ...Told } errand { id state }
    userErrors { field code message } } }"""
FOLLOW = f"""{REPORT} query ($id: ID!) {{ node(id: $id) {{ ... on Errand {{
    kind state finishedAt legacyImport {{ rows: isApplied }} peopleImport {{ ...Told }} }} }} }}"""
EXPORT = """mutation ($id: ID!, $kind: ExportKind!) {
    exportCreate(input: {tenantId: $id, kind: $kind}) { export { url } userErrors { message } } }"""


def id_of(world: World) -> str:
    return encode_id("T", world.alpha_id, world.alpha_id)


@pytest.fixture
async def plain(app: Starlette) -> AsyncGenerator[httpx2.AsyncClient]:
    """A caller without a token."""
    async with connected(app, None) as client:
        yield client.http


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


async def upload(
    world: World, plain: httpx2.AsyncClient, content: str | bytes, kind: str = "ADMINS"
) -> str:
    asked = await world.alpha.run(TICKET, id=id_of(world), purpose=f"{kind}_IMPORT")
    place = asked["uploadCreate"]["upload"]
    assert (await plain.put(place["url"], content=content)).status_code == 201
    return str(place["id"])


async def ask(world: World, upload_id: str, kind: str = "admins", **choices: bool) -> Any:
    query = IMPORT % (REPORT, kind)
    return (await world.alpha.run(query, id=id_of(world), upload=upload_id, **choices))["done"]


async def seed_schools(world: World, superuser: asyncpg.Connection) -> None:
    for number in ("0410", "0420"):
        await add_school(superuser, world.alpha_id, number=number)


async def test_a_file_is_uploaded_looked_through_and_imported(
    world: World,
    plain: httpx2.AsyncClient,
    worker_resources: Resources,
    superuser: asyncpg.Connection,
) -> None:
    await seed_schools(world, superuser)
    upload_id = await upload(world, plain, ADMINS)
    async with worker(worker_resources):
        shown = await ask(world, upload_id)
        assert await superuser.fetchval("SELECT count(*) FROM users") == 0
        done = await ask(world, upload_id, apply=True)
        staff_id = await upload(world, plain, STAFF, "STAFF")
        staff = await ask(world, staff_id, "staff", apply=True)
        again = await ask(world, await upload(world, plain, ADMINS), apply=True, archive=True)
    assert shown == {
        "errand": None,
        "userErrors": [],
        "report": {
            "kind": "ADMINS", "rows": 2, "wrong": 0, "isApplied": False, "errorCount": 0,
            "warnings": [], "errors": [],
            "counts": {"create": 2, "update": 0, "restore": 0, "unchanged": 0, "archive": 0},
            "people": [
                {"line": 2, "username": "ann.fox", "action": "CREATE", "fields": []},
                {"line": 3, "username": "kim.day", "action": "CREATE", "fields": []},
            ],
        },
    }  # fmt: skip
    assert done == shown | {"report": shown["report"] | {"isApplied": True}}
    assert (staff["report"]["kind"], staff["report"]["counts"]["create"]) == ("STAFF", 1)
    assert again["report"]["counts"] == {
        "create": 0, "update": 0, "restore": 0, "unchanged": 2, "archive": 0,
    }  # fmt: skip
    assert await superuser.fetchval("SELECT count(*) FROM users WHERE origin = 'IMPORT'") == 3
    acts = await superuser.fetch(
        "SELECT action, actor FROM audit_log WHERE action LIKE '%Import' ORDER BY id"
    )
    assert [act["action"] for act in acts] == ["adminsImport", "staffImport", "adminsImport"]
    assert {act["actor"].split()[0] for act in acts} == {"token"}


async def test_errors_are_told_and_nothing_is_imported(
    world: World,
    plain: httpx2.AsyncClient,
    worker_resources: Resources,
    superuser: asyncpg.Connection,
) -> None:
    await seed_schools(world, superuser)
    await add_user(superuser, world.alpha_id, username="ANN.FOX", source_id="u1")
    upload_id = await upload(world, plain, ADMINS)
    async with worker(worker_resources):
        refused = await ask(world, upload_id, apply=True)
        assert await superuser.fetchval("SELECT count(*) FROM users") == 1
        both = await ask(world, upload_id, apply=True, skip=True, archive=True)
        done = await ask(world, upload_id, apply=True, skip=True)
        used = await ask(world, upload_id)
    assert refused["report"]["errors"] == [
        {
            "line": 2,
            "column": "username",
            "message": "Somebody here has the username 'ANN.FOX' already and is rostered by the"
            " provider: change that there, or write another username.",
        }
    ]
    fields = [(a["userErrors"][0]["field"][1], a["userErrors"][0]["code"]) for a in (
        refused, both, used)]  # fmt: skip
    assert fields == [
        ("skipErrors", "CONFLICT"), ("archiveMissing", "INVALID"), ("uploadId", "CONFLICT"),
    ]  # fmt: skip
    assert (done["report"]["isApplied"], done["report"]["wrong"]) == (True, 1)
    assert await superuser.fetchval("SELECT count(*) FROM users") == 2


async def test_a_file_for_admins_is_none_for_staff(
    world: World, plain: httpx2.AsyncClient, worker_resources: Resources
) -> None:
    upload_id = await upload(world, plain, ADMINS)
    async with worker(worker_resources):
        [error] = (await ask(world, upload_id, "staff"))["userErrors"]
        assert (error["field"], error["code"]) == (["input", "uploadId"], "INVALID")
        workbook = await ask(world, await upload(world, plain, b"PK\x03\x04"))
    assert "save the sheet as CSV" in workbook["userErrors"][0]["message"]


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
    upload_id = await upload(world, plain, STAFF, "STAFF")
    async with worker(worker_resources):
        waiting = await ask(world, upload_id, "staff", apply=True)
        assert (waiting["report"], waiting["errand"]["state"]) == (None, "WAITING")
        await superuser.execute("UPDATE sync_runs SET state = 'SUCCEEDED', finished_at = now()")
        async with asyncio.timeout(10):
            while True:
                found = (await world.alpha.run(FOLLOW, id=waiting["errand"]["id"]))["node"]
                if found["finishedAt"]:
                    break
                await asyncio.sleep(0.05)
    assert (found["kind"], found["state"], found["legacyImport"]) == ("PEOPLE_IMPORT", "DONE", None)
    assert found["peopleImport"]["isApplied"] is True
    assert (await world.beta.run(FOLLOW, id=waiting["errand"]["id"]))["node"] is None


async def test_what_is_here_goes_out_and_comes_back_unchanged(
    world: World,
    plain: httpx2.AsyncClient,
    worker_resources: Resources,
    superuser: asyncpg.Connection,
) -> None:
    await seed_schools(world, superuser)
    named = ADMINS.replace("Ann,Fox", "=Ann,'t Fox")
    async with worker(worker_resources):
        await ask(world, await upload(world, plain, named), apply=True)
        made = await world.alpha.run(EXPORT, id=id_of(world), kind="ADMINS")
        assert made["exportCreate"]["userErrors"] == []
        url = made["exportCreate"]["export"]["url"]
        by_link = await plain.get(url)
        by_token = await world.alpha.http.get("/tenants/alpha/admins.csv")
        assert (by_link.status_code, (await plain.get(url)).status_code) == (200, 404)
        assert by_link.content == by_token.content
        assert b'"\'=Ann","\'t Fox"' in by_link.content
        back = await ask(world, await upload(world, plain, by_link.content), archive=True)
    assert back["report"]["counts"]["unchanged"] == 2
    disposition = by_token.headers["content-disposition"]
    assert disposition.startswith('attachment; filename="alpha-admins-20')
    assert (await world.alpha.http.get("/tenants/alpha/staff.csv")).text.count("\n") == 1


async def test_an_export_of_people_needs_a_token_of_the_tenant_that_may_read(
    world: World, app: Starlette, superuser: asyncpg.Connection
) -> None:
    await add_token(superuser, "of-runner", world.alpha_id, scopes=[Scope.SYNC_RUN])
    for secret, status in ((None, 401), ("of-runner", 403), ("of-beta", 404), ("of-alpha", 200)):
        async with connected(app, secret) as client:
            assert (await client.http.get("/tenants/alpha/staff.csv")).status_code == status
    refused = await world.alpha.http.get("/tenants/alpha/staff.csv?role=x")
    assert (refused.status_code, refused.text) == (400, "There is no condition 'role'.")
    query = """mutation ($id: ID!) { exportCreate(input: {tenantId: $id, kind: STAFF,
        errorFilter: {}}) { export { url } userErrors { field } } }"""
    answer = (await world.alpha.run(query, id=id_of(world)))["exportCreate"]
    assert answer == {"export": None, "userErrors": [{"field": ["input", "errorFilter"]}]}


@pytest.mark.parametrize("kind", PeopleKind)
async def test_everybody_may_have_a_template(plain: httpx2.AsyncClient, kind: PeopleKind) -> None:
    name = f"{kind.value.lower()}.csv"
    answer = await plain.get(f"/templates/{name}")
    assert (answer.status_code, answer.content) == (200, template_of(kind))
    assert answer.text.removeprefix("\ufeff").splitlines()[0] == ",".join(HEADER)
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert (await plain.post(f"/templates/{name}")).status_code == 405


async def test_only_a_token_that_administers_imports(
    world: World, app: Starlette, superuser: asyncpg.Connection
) -> None:
    others = [scope for scope in Scope if scope is not Scope.TENANT_ADMIN]
    await add_token(superuser, "of-others", world.alpha_id, scopes=others)
    async with connected(app, "of-others") as client:
        for kind in ("admins", "staff"):
            error = await client.fail(IMPORT % (REPORT, kind), id=id_of(world), upload="x")
            assert error["extensions"]["code"] == "FORBIDDEN"


async def test_another_tenants_upload_is_none(world: World, plain: httpx2.AsyncClient) -> None:
    upload_id = await upload(world, plain, ADMINS)
    beta = encode_id("T", world.beta_id, world.beta_id)
    query = IMPORT % (REPORT, "admins")
    answer = (await world.beta.run(query, id=beta, upload=upload_id))["done"]
    assert (answer["report"], answer["userErrors"][0]["field"]) == (None, ["input", "uploadId"])
