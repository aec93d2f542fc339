"""Changing what a tenant is about, and its licences."""

from datetime import UTC, date, datetime, time
from typing import Any

import asyncpg
import pytest

from api.graphql.node import encode_id
from domain.clock import utc_now
from tests.api.graphql.client import World
from tests.api.graphql.seed import add_integration, add_run, add_school

pytestmark = pytest.mark.anyio

UPDATE = """mutation ($input: TenantUpdateInput!) { tenantUpdate(input: $input) {
    tenant { name displayName timeZone status subscriptionSummary { goLiveOn kind } }
    userErrors { field code message } } }"""
LICENCES = """mutation ($input: LicencesSetInput!) { licencesSet(input: $input) {
    tenant { subscriptionSummary { licences { limit order schoolIds } } }
    userErrors { field code } } }"""
FORECAST = """{ tenant(slug: "alpha") { subscriptionSummary {
    licences { limit used forecast order schoolIds } } } }"""


def tenant_id(world: World) -> str:
    return encode_id("T", world.alpha_id, world.alpha_id)


async def update(world: World, **values: Any) -> Any:
    given = {"tenantId": tenant_id(world)} | values
    return (await world.alpha.run(UPDATE, input=given))["tenantUpdate"]


async def set_licences(world: World, *, by_operator: bool = True, **values: Any) -> Any:
    client = world.operator if by_operator else world.alpha
    given = {"tenantId": tenant_id(world)} | values
    return (await client.run(LICENCES, input=given))["licencesSet"]


async def test_what_is_given_is_changed_and_the_rest_stays(
    world: World, superuser: asyncpg.Connection
) -> None:
    answer = await update(world, displayName=" Alpha USD - Springfield ", goLiveOn="2026-12-01")
    assert answer == {
        "tenant": {
            "name": "Alpha",
            "displayName": "Alpha USD - Springfield",
            "timeZone": "America/Chicago",
            "status": "ACTIVE",
            "subscriptionSummary": {"goLiveOn": "2026-12-01", "kind": "PAID"},
        },
        "userErrors": [],
    }
    answer = await update(world, name="Alpha District", removeGoLiveOn=True)
    assert answer["tenant"]["name"] == "Alpha District"
    assert answer["tenant"]["displayName"] == "Alpha USD - Springfield"
    assert answer["tenant"]["subscriptionSummary"]["goLiveOn"] is None
    acts = await superuser.fetch("SELECT action, details::text FROM audit_log ORDER BY id")
    assert [tuple(act) for act in acts] == [
        ("tenantUpdate", '{"go_live_on": "2026-12-01", "display_name": true}'),
        ("tenantUpdate", '{"name": true, "removes": ["go_live_on"]}'),
    ]


async def test_the_schedule_moves_with_the_time_zone(
    world: World, superuser: asyncpg.Connection
) -> None:
    integration_id = await add_integration(superuser, world.alpha_id)
    await superuser.execute(
        "INSERT INTO sync_schedules (tenant_id, integration_id, local_time, every_days, first_on,"
        " spread_minutes, next_due_at) VALUES ($1, $2, $3, 1, $4, 0, now())",
        world.alpha_id,
        integration_id,
        time(2, 0),
        date(2026, 1, 1),
    )
    await update(world, timeZone="UTC")
    due: datetime = await superuser.fetchval("SELECT next_due_at FROM sync_schedules")
    assert due.astimezone(UTC).time() == time(2, 0)
    assert due > utc_now()


async def test_what_cannot_be_is_refused_and_nothing_is_changed(
    world: World, superuser: asyncpg.Connection, subtests: pytest.Subtests
) -> None:
    await superuser.execute("UPDATE subscriptions SET starts_on = '2026-08-01'")
    for values, field in (
        ({"name": " "}, "name"),
        ({"displayName": "x" * 201}, "displayName"),
        ({"timeZone": "Springfield"}, "timeZone"),
        ({"goLiveOn": "2026-07-31"}, "goLiveOn"),
        ({"goLiveOn": "2026-09-01", "removeGoLiveOn": True}, "goLiveOn"),
        ({"goLiveOn": "2026-09-01", "startsOn": "2026-10-01"}, "goLiveOn"),
    ):
        with subtests.test(str(values)[:40]):
            answer = await update(world, **values)
            assert answer["tenant"] is None
            [error] = answer["userErrors"]
            assert (error["field"], error["code"]) == (["input", field], "INVALID")
    assert await superuser.fetchval("SELECT count(*) FROM audit_log") == 0
    assert await superuser.fetchval("SELECT count(go_live_on) FROM subscriptions") == 0


async def test_a_tenant_is_listed_until_it_asks_not_to_be(
    world: World, superuser: asyncpg.Connection
) -> None:
    listed = '{ tenant(slug: "alpha") { isListed } tenants { nodes { isListed } } }'
    told = []
    for values in ({}, {"isListed": False}, {"name": "Alpha"}, {"isListed": True}):
        await update(world, **values)
        answer = await world.alpha.run(listed)
        assert answer["tenants"]["nodes"] == [answer["tenant"]]
        told.append(answer["tenant"]["isListed"])
    assert told == [True, False, False, True]
    acts = await superuser.fetch("SELECT details::text FROM audit_log ORDER BY id")
    assert [act["details"] for act in acts] == [
        "{}",
        '{"is_listed": false}',
        '{"name": true}',
        '{"is_listed": true}',
    ]


async def test_status_and_kind_are_the_operators(world: World) -> None:
    given = {"tenantId": tenant_id(world), "status": "PAUSED", "kind": "DEMO"}
    error = await world.alpha.fail(UPDATE, input=given)
    assert error["extensions"]["code"] == "FORBIDDEN"
    answer = (await world.operator.run(UPDATE, input=given))["tenantUpdate"]
    assert answer["tenant"]["status"] == "PAUSED"
    assert answer["tenant"]["subscriptionSummary"]["kind"] == "DEMO"


async def test_another_tenant_cannot_be_changed(world: World) -> None:
    given = {"tenantId": tenant_id(world), "name": "Mine"}
    answer = (await world.beta.run(UPDATE, input=given))["tenantUpdate"]
    assert answer["userErrors"][0]["code"] == "NOT_FOUND"


async def test_the_limit_is_the_operators_and_the_order_the_tenants(
    world: World, superuser: asyncpg.Connection
) -> None:
    schools = [
        encode_id("S", world.alpha_id, await add_school(superuser, world.alpha_id))
        for _ in range(2)
    ]
    error = await world.alpha.fail(LICENCES, input={"tenantId": tenant_id(world), "limit": 9})
    assert error["extensions"]["code"] == "FORBIDDEN"
    answer = await set_licences(
        world, by_operator=False, order="SCHOOL_PRIORITY", schoolIds=schools[::-1]
    )
    ordered = {"order": "SCHOOL_PRIORITY", "schoolIds": schools[::-1]}
    assert answer["tenant"]["subscriptionSummary"]["licences"] == {"limit": 500} | ordered
    answer = await set_licences(world, limit=20)
    assert answer["tenant"]["subscriptionSummary"]["licences"] == {"limit": 20} | ordered
    answer = await set_licences(world, removeLimit=True, order="CREATED")
    assert answer["tenant"]["subscriptionSummary"]["licences"] == {
        "limit": None,
        "order": "CREATED",
        "schoolIds": [],
    }


async def test_licences_that_cannot_be_are_refused(
    world: World, superuser: asyncpg.Connection, subtests: pytest.Subtests
) -> None:
    foreign = encode_id("S", world.beta_id, await add_school(superuser, world.beta_id))
    own = encode_id("S", world.alpha_id, await add_school(superuser, world.alpha_id))
    for values, field in (
        ({"limit": -1}, "limit"),
        ({"limit": 1, "removeLimit": True}, "removeLimit"),
        ({"order": "SCHOOL_PRIORITY"}, "schoolIds"),
        ({"order": "SCHOOL_PRIORITY", "schoolIds": [foreign]}, "schoolIds"),
        ({"order": "SCHOOL_PRIORITY", "schoolIds": [own, own]}, "schoolIds"),
        ({"order": "CREATED", "schoolIds": [own]}, "schoolIds"),
    ):
        with subtests.test(str(values)[:40]):
            answer = await set_licences(world, **values)
            assert answer == {
                "tenant": None,
                "userErrors": [{"field": ["input", field], "code": "INVALID"}],
            }
    assert await superuser.fetchval("SELECT min(licence_limit) FROM subscriptions") == 500


async def test_the_forecast_is_the_last_preflight_s_until_a_sync_is_applied(
    world: World, superuser: asyncpg.Connection
) -> None:
    integration_id = await add_integration(superuser, world.alpha_id)

    async def forecast() -> int | None:
        data = await world.alpha.run(FORECAST)
        found: int | None = data["tenant"]["subscriptionSummary"]["licences"]["forecast"]
        return found

    assert await forecast() is None
    for needed in (12, 15):
        await add_run(
            superuser,
            world.alpha_id,
            integration_id,
            mode="PREFLIGHT",
            report={"licences": {"needed": needed}},
        )
        assert await forecast() == needed
    await add_run(superuser, world.alpha_id, integration_id, state="FAILED")
    await add_run(
        superuser,
        world.alpha_id,
        integration_id,
        mode="PREFLIGHT",
        report={"licences": {"needed": 1}},
        sharing_rules={"GRADE": ["01"]},
    )
    assert await forecast() == 15
    await add_run(superuser, world.alpha_id, integration_id)
    assert await forecast() is None
