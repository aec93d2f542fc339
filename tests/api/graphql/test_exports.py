"""Exports: CSV by a one-time link and with a token, for whoever may read, while it is read."""

import asyncio
import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx2
import pytest
from starlette.applications import Starlette

from api.graphql.node import encode_id
from domain.clock import new_id, utc_now
from domain.people.callers import Scope
from domain.sync.exports import CHANGE_HEADER, ERROR_HEADER
from domain.validation.codes import RULES, Code
from tests.api.graphql.client import Client, World, connected
from tests.api.graphql.seed import (
    add_error,
    add_group,
    add_integration,
    add_membership,
    add_run,
    add_school,
    add_token,
    add_user,
    insert,
)

pytestmark = pytest.mark.anyio

SEEN_AT = datetime(2026, 11, 1, 2, 3, 4, tzinfo=UTC)
CREATE = """
    mutation ($input: ExportCreateInput!) { exportCreate(input: $input) {
      export { url expiresAt } userErrors { field code message } } }
"""


def read(response: httpx2.Response) -> list[list[str]]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.reader(io.StringIO(response.content.decode("utf-8-sig"), newline="")))


async def create(client: Client, **given: Any) -> Any:
    return (await client.run(CREATE, input=given))["exportCreate"]


def alpha_node(world: World) -> str:
    return encode_id("T", world.alpha_id, world.alpha_id)


async def a_run(superuser: asyncpg.Connection, tenant_id: UUID) -> UUID:
    integration_id = await add_integration(superuser, tenant_id)
    return await add_run(superuser, tenant_id, integration_id)


async def two_errors(superuser: asyncpg.Connection, tenant_id: UUID) -> None:
    run_id = await a_run(superuser, tenant_id)
    await add_error(
        superuser, tenant_id, run_id, source_id="u1", field="orgSourcedIds", expected="a school",
        found="=cmd()", place="users.csv:2", first_seen_at=SEEN_AT, last_seen_at=SEEN_AT, runs=3,
    )  # fmt: skip
    await add_error(
        superuser, tenant_id, run_id, code="USER_EMAIL_INVALID", severity="WARNING",
        state="RESOLVED", cause="USER é", source_id="é", found="-",
    )  # fmt: skip


async def test_errors_come_as_a_sheet_with_a_row_for_each(
    world: World, superuser: asyncpg.Connection
) -> None:
    await two_errors(superuser, world.alpha_id)
    response = await world.alpha.http.get("/tenants/alpha/validation-errors.csv")
    header, first, second = read(response)
    rule = RULES[Code.USER_NO_SCHOOL]
    assert header == list(ERROR_HEADER)
    assert first == [
        "USER_NO_SCHOOL", rule.title, "ERROR", "OPEN", rule.owner.value, "USER", "u1",
        "orgSourcedIds", "a school", "'=cmd()", "users.csv:2", rule.effect, rule.remedy,
        "2026-11-01 02:03:04", "2026-11-01 02:03:04", "3", "USER u1",
    ]  # fmt: skip
    assert [second[i] for i in (0, 2, 3, 6, 9)] == [
        "USER_EMAIL_INVALID", "WARNING", "RESOLVED", "é", "'-",
    ]  # fmt: skip
    assert response.headers["content-disposition"] == (
        f'attachment; filename="alpha-validation-errors-{utc_now():%Y-%m-%d}.csv"'
    )
    assert response.headers["cache-control"] == "no-store"
    assert response.content.startswith(b"\xef\xbb\xbf")


@pytest.mark.parametrize(
    ("conditions", "codes"),
    [
        ("state=OPEN", ["USER_NO_SCHOOL"]),
        ("state=OPEN&state=RESOLVED", ["USER_NO_SCHOOL", "USER_EMAIL_INVALID"]),
        ("severity=WARNING", ["USER_EMAIL_INVALID"]),
        ("code=USER_NO_SCHOOL", ["USER_NO_SCHOOL"]),
        ("cause=USER%20%C3%A9", ["USER_EMAIL_INVALID"]),
        ("recordType=USER", ["USER_NO_SCHOOL", "USER_EMAIL_INVALID"]),
        ("recordType=GROUP", []),
        ("sourceId=u1", ["USER_NO_SCHOOL"]),
        ("sourceId=u1&state=RESOLVED", []),
    ],
)
async def test_a_sheet_has_the_errors_that_were_asked_for(
    world: World, superuser: asyncpg.Connection, conditions: str, codes: list[str]
) -> None:
    await two_errors(superuser, world.alpha_id)
    response = await world.alpha.http.get(f"/tenants/alpha/validation-errors.csv?{conditions}")
    assert [row[0] for row in read(response)[1:]] == codes


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ("state=open", "state cannot be 'open'."),
        ("code=NOPE", "code cannot be 'NOPE'."),
        ("recordType=PERSON", "recordType cannot be 'PERSON'."),
        ("stat=OPEN", "There is no condition 'stat'."),
        ("cause=a&cause=b", "cause is given once."),
        ("cause=%00", "cause has a character that no text has."),
        ("&".join(["state=OPEN"] * 51), "state is given at most 50 times."),
    ],
)
async def test_a_condition_that_makes_no_sense_is_refused(
    world: World, conditions: str, message: str
) -> None:
    response = await world.alpha.http.get(f"/tenants/alpha/validation-errors.csv?{conditions}")
    assert (response.status_code, response.text) == (400, message)


async def a_run_with_changes(superuser: asyncpg.Connection, tenant_id: UUID) -> dict[str, UUID]:
    run_id = await a_run(superuser, tenant_id)
    school_id = await add_school(superuser, tenant_id, source_id="s1")
    group_id = await add_group(superuser, tenant_id, school_id, created_by_run_id=run_id)
    ann = await add_user(superuser, tenant_id, source_id="ann", family_name="=Lee")
    made = await add_user(
        superuser, tenant_id, source_id="bob", given_name="Bob", created_by_run_id=run_id
    )
    membership = await add_membership(superuser, tenant_id, ann, group_id)
    held = new_id()
    for record_type, record_id, source_id, action, old, new, held_by in (
        ("USER", ann, "ann", "UPDATE", {"email": None, "grades": ["9"]},
         {"email": "ann@example.org", "grades": ["9", "10"]}, None),
        ("SCHOOL", school_id, "s1", "ARCHIVE", {"archived": False}, {"archived": True},
         "HOLD_DELETES"),
        ("USER", held, "new", "CREATE", {}, {"given_name": "Cid", "family_name": "Ray"},
         "LICENCE_LIMIT"),
        ("MEMBERSHIP", membership, None, "RESTORE", {"spans": None},
         {"spans": [{"source_id": "e1", "begins_on": "2026-08-17", "ends_on": None,
                     "is_primary": True}]}, None),
    ):  # fmt: skip
        await insert(
            superuser, "sync_changes", tenant_id=tenant_id, run_id=run_id,
            record_type=record_type, record_id=record_id, source_id=source_id, action=action,
            old_values=old, new_values=new, held_by=held_by,
        )  # fmt: skip
    return {
        "run": run_id, "school": school_id, "group": group_id, "ann": ann, "bob": made,
        "membership": membership, "held": held,
    }  # fmt: skip


async def test_changes_come_as_a_sheet_with_a_row_for_each_field(
    world: World, superuser: asyncpg.Connection
) -> None:
    ids = await a_run_with_changes(superuser, world.alpha_id)
    path = f"/tenants/alpha/sync-runs/{ids['run']}/changes.csv"
    response = await world.alpha.http.get(path)
    assert read(response) == [
        list(CHANGE_HEADER),
        ["SCHOOL", str(ids["school"]), "s1", "North School", "ARCHIVE", "HOLD_DELETES",
         "archived", "no", "yes"],
        ["GROUP", str(ids["group"]), "", "Typing 1", "CREATE", "", "", "", ""],
        ["USER", str(ids["ann"]), "ann", "Mia =Lee", "UPDATE", "", "email", "",
         "ann@example.org"],
        ["USER", str(ids["ann"]), "ann", "Mia =Lee", "UPDATE", "", "grades", "9", "9; 10"],
        ["USER", str(ids["held"]), "new", "Cid Ray", "CREATE", "LICENCE_LIMIT", "", "", ""],
        ["USER", str(ids["bob"]), "bob", "Bob Lee", "CREATE", "", "", "", ""],
        ["MEMBERSHIP", str(ids["membership"]), "", "Mia =Lee in Typing 1", "RESTORE", "", "spans",
         "", "begins on 2026-08-17, source id e1, is primary yes"],
    ]  # fmt: skip
    assert response.headers["content-disposition"] == (
        f'attachment; filename="alpha-changes-{ids["run"]}.csv"'
    )
    by_node = encode_id("R", world.alpha_id, ids["run"])
    again = await world.operator.http.get(f"/tenants/alpha/sync-runs/{by_node}/changes.csv")
    assert again.content == response.content


@pytest.mark.parametrize(
    ("conditions", "records"),
    [
        ("isWaiting=true", ["s1", "new"]),
        ("isWaiting=false", ["", "ann", "ann", "bob", ""]),
        ("action=CREATE", ["", "new", "bob"]),
        ("recordType=SCHOOL", ["s1"]),
        ("recordType=USER&action=CREATE&isWaiting=false", ["bob"]),
    ],
)
async def test_a_sheet_has_the_changes_that_were_asked_for(
    world: World, superuser: asyncpg.Connection, conditions: str, records: list[str]
) -> None:
    ids = await a_run_with_changes(superuser, world.alpha_id)
    path = f"/tenants/alpha/sync-runs/{ids['run']}/changes.csv?{conditions}"
    assert [row[2] for row in read(await world.alpha.http.get(path))[1:]] == records


async def test_a_link_is_good_for_one_download(
    world: World, superuser: asyncpg.Connection, app: Starlette
) -> None:
    await two_errors(superuser, world.alpha_id)
    made = await create(
        world.alpha,
        tenantId=alpha_node(world),
        kind="VALIDATION_ERRORS",
        errorFilter={"state": ["OPEN"]},
    )
    assert made["userErrors"] == []
    left = datetime.fromisoformat(made["export"]["expiresAt"]) - utc_now()
    assert timedelta(minutes=9) < left <= timedelta(minutes=10)
    url = made["export"]["url"]
    async with connected(app, None) as nobody:
        # A scanner of links that only looks does not use it up.
        assert (await nobody.http.head(url)).status_code == 405
        assert [row[0] for row in read(await nobody.http.get(url))[1:]] == ["USER_NO_SCHOOL"]
        for used in (url, "/exports/unknown"):
            refused = await nobody.http.get(used)
            assert (refused.status_code, refused.text) == (
                404,
                "This link has been used, or its ten minutes are over. Ask for a new one.",
            )


async def test_a_link_to_changes_has_what_was_chosen(
    world: World, superuser: asyncpg.Connection
) -> None:
    ids = await a_run_with_changes(superuser, world.alpha_id)
    made = await create(
        world.alpha,
        tenantId=alpha_node(world),
        kind="SYNC_CHANGES",
        runId=encode_id("R", world.alpha_id, ids["run"]),
        changeFilter={"recordType": "USER", "isWaiting": True},
    )
    response = await world.alpha.http.get(made["export"]["url"])
    assert [row[2] for row in read(response)[1:]] == ["new"]


async def test_a_link_ends_after_ten_minutes(world: World, superuser: asyncpg.Connection) -> None:
    made = await create(world.alpha, tenantId=alpha_node(world), kind="VALIDATION_ERRORS")
    await superuser.execute("UPDATE exports SET expires_at = now() - interval '1 second'")
    assert (await world.alpha.http.get(made["export"]["url"])).status_code == 404


async def test_of_two_who_use_a_link_at_once_one_gets_the_file(world: World) -> None:
    made = await create(world.alpha, tenantId=alpha_node(world), kind="VALIDATION_ERRORS")
    url = made["export"]["url"]
    answers = await asyncio.gather(world.alpha.http.get(url), world.beta.http.get(url))
    assert sorted(answer.status_code for answer in answers) == [200, 404]


async def test_what_makes_no_sense_gets_no_link(
    world: World, superuser: asyncpg.Connection, subtests: pytest.Subtests
) -> None:
    others = await a_run(superuser, world.beta_id)
    run = {"runId": encode_id("R", world.beta_id, others)}
    gone = {"runId": encode_id("R", world.alpha_id, new_id())}
    changes, errors = {"kind": "SYNC_CHANGES"}, {"kind": "VALIDATION_ERRORS"}
    for given, field, code in (
        (changes, ["input", "runId"], "INVALID"),
        ({**changes, **run}, ["input", "runId"], "INVALID"),
        ({**changes, **gone}, None, "NOT_FOUND"),
        ({**changes, **gone, "errorFilter": {}}, ["input", "errorFilter"], "INVALID"),
        ({**errors, **run}, ["input", "runId"], "INVALID"),
        ({**errors, "changeFilter": {}}, ["input", "changeFilter"], "INVALID"),
        ({**errors, "tenantId": encode_id("T", world.beta_id, world.beta_id)},
         ["input", "tenantId"], "NOT_FOUND"),
    ):  # fmt: skip
        with subtests.test(given=given):
            made = await create(world.alpha, **{"tenantId": alpha_node(world), **given})
            assert made["export"] is None
            [error] = made["userErrors"]
            assert (error["field"], error["code"]) == (field, code)
    assert await superuser.fetchval("SELECT count(*) FROM exports") == 0


async def test_what_is_another_tenants_does_not_exist(
    world: World, superuser: asyncpg.Connection
) -> None:
    run_id = await a_run(superuser, world.alpha_id)
    own = await a_run(superuser, world.beta_id)
    for path, message in (
        ("/tenants/alpha/validation-errors.csv", "There is no tenant 'alpha'."),
        (f"/tenants/alpha/sync-runs/{run_id}/changes.csv", "There is no tenant 'alpha'."),
        ("/tenants/nobody/validation-errors.csv", "There is no tenant 'nobody'."),
        ("/tenants/%00/validation-errors.csv", "There is no tenant '\\x00'."),
        (f"/tenants/beta/sync-runs/{run_id}/changes.csv", f"There is no sync run '{run_id}'."),
        ("/tenants/beta/sync-runs/x/changes.csv", "There is no sync run 'x'."),
    ):
        response = await world.beta.http.get(path)
        assert (response.status_code, response.text) == (404, message)
    assert (
        await world.beta.http.get(f"/tenants/beta/sync-runs/{own}/changes.csv")
    ).status_code == 200
    assert await superuser.fetchval("SELECT count(*) FROM audit_log") == 1


async def test_a_download_needs_a_token_that_may_read(
    world: World, superuser: asyncpg.Connection, app: Starlette
) -> None:
    await add_token(superuser, "of-runner", world.alpha_id, scopes=[Scope.SYNC_RUN])
    for secret, status in ((None, 401), ("unknown", 401), ("of-runner", 403)):
        async with connected(app, secret) as client:
            response = await client.http.get("/tenants/alpha/validation-errors.csv")
            assert response.status_code == status
            error = await client.fail(CREATE, input={"tenantId": "x", "kind": "SYNC_CHANGES"})
            assert error["extensions"]["code"] == {401: "UNAUTHENTICATED", 403: "FORBIDDEN"}[status]


async def test_whoever_takes_something_along_is_noted(
    world: World, superuser: asyncpg.Connection
) -> None:
    run_id = await a_run(superuser, world.alpha_id)
    token = await superuser.fetchval(
        "SELECT id FROM api_tokens WHERE tenant_id = $1", world.alpha_id
    )
    made = await create(
        world.alpha,
        tenantId=alpha_node(world),
        kind="VALIDATION_ERRORS",
        errorFilter={"sourceId": "u1"},
    )
    await world.alpha.http.get(made["export"]["url"])
    await world.operator.http.get(f"/tenants/alpha/sync-runs/{run_id}/changes.csv")
    rows = await superuser.fetch(
        "SELECT actor, action, details FROM audit_log WHERE tenant_id = $1 ORDER BY id",
        world.alpha_id,
    )
    assert [(row[1], row[2]) for row in rows] == [
        ("exportCreate", '{"kind": "VALIDATION_ERRORS", "choice": {"source_id": "u1"}}'),
        ("exportDownload", '{"source_id": "u1"}'),
        ("exportDownload", f'{{"run_id": "{run_id}"}}'),
    ]
    assert [row[0] for row in rows[:2]] == [f"token {token}"] * 2
    assert rows[2][0] != rows[0][0]
