"""School years over GraphQL: declared, shown, taken back, tried out."""

from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from api.graphql.node import encode_id
from domain.clock import utc_now
from domain.resources import Resources
from tests.api.graphql.client import World, counted_statements
from tests.api.graphql.seed import add_integration, add_run
from tests.api.reports import REPORT

pytestmark = pytest.mark.anyio

ROLLOVER = """rollsOn state opensOn closesOn archivePercent updatePercent declaredBy { kind }
    cancelledAt cancelledBy { kind }"""
SET = f"""mutation ($input: YearRolloverSetInput!) {{ yearRolloverSet(input: $input) {{
    yearRollover {{ {ROLLOVER} }} userErrors {{ field code message }} }} }}"""
CANCEL = """mutation ($input: YearRolloverCancelInput!) { yearRolloverCancel(input: $input) {
    yearRollover { rollsOn state } userErrors { field code message } } }"""
PREFLIGHT = """mutation ($input: YearRolloverPreflightInput!) {
    yearRolloverPreflight(input: $input) { syncRun { mode state } joined
    userErrors { field code message } } }"""
SHOW = """{ tenant(slug: "alpha") { schoolYear { year startsOn endsOn }
    yearRollovers { rollsOn state } } }"""


def given(world: World, **values: Any) -> dict[str, Any]:
    return {"tenantId": encode_id("T", world.alpha_id, world.alpha_id)} | values


@pytest.fixture
async def today(superuser: asyncpg.Connection) -> date:
    zone = await superuser.fetchval("SELECT time_zone FROM tenants WHERE slug = 'alpha'")
    return utc_now().astimezone(ZoneInfo(zone)).date()


async def test_a_day_is_declared_shown_and_taken_back(
    world: World, superuser: asyncpg.Connection, today: date
) -> None:
    day = today + timedelta(days=20)
    wanted = given(world, rollsOn=day.isoformat(), archivePercent=70)
    answer = (await world.alpha.run(SET, input=wanted))["yearRolloverSet"]
    assert answer == {
        "yearRollover": {
            "rollsOn": day.isoformat(),
            "state": "UPCOMING",
            "opensOn": (day - timedelta(days=14)).isoformat(),
            "closesOn": (day + timedelta(days=30)).isoformat(),
            "archivePercent": 70,
            "updatePercent": 100,
            "declaredBy": {"kind": "TOKEN"},
            "cancelledAt": None,
            "cancelledBy": None,
        },
        "userErrors": [],
    }
    wanted = given(world, rollsOn=day.isoformat(), daysBefore=20)
    answer = (await world.alpha.run(SET, input=wanted))["yearRolloverSet"]
    assert answer["yearRollover"]["state"] == "OPEN"
    found = (await world.alpha.run(SHOW))["tenant"]
    assert found["yearRollovers"] == [{"rollsOn": day.isoformat(), "state": "OPEN"}]
    answer = await world.alpha.run(CANCEL, input=given(world, rollsOn=day.isoformat()))
    assert answer["yearRolloverCancel"] == {
        "yearRollover": {"rollsOn": day.isoformat(), "state": "CANCELLED"},
        "userErrors": [],
    }
    acts = await superuser.fetch("SELECT action FROM audit_log ORDER BY id")
    assert [act["action"] for act in acts] == [
        "yearRolloverSet", "yearRolloverSet", "yearRolloverCancel"
    ]  # fmt: skip


async def test_a_school_year_begins_on_the_declared_day(world: World, today: date) -> None:
    async def year() -> Any:
        return (await world.alpha.run(SHOW))["tenant"]["schoolYear"]

    usual = today.year - (today.month < 7)
    assert await year() == {
        "year": usual, "startsOn": f"{usual}-07-01", "endsOn": f"{usual + 1}-06-30"
    }  # fmt: skip
    await world.alpha.run(SET, input=given(world, rollsOn=today.isoformat()))
    found = await year()
    assert (found["year"], found["startsOn"]) == (today.year, today.isoformat())
    tomorrow = today + timedelta(days=1)
    await world.alpha.run(CANCEL, input=given(world, rollsOn=today.isoformat()))
    await world.alpha.run(SET, input=given(world, rollsOn=tomorrow.isoformat()))
    found = await year()
    assert (found["year"], found["endsOn"]) == (tomorrow.year - 1, today.isoformat())


async def test_what_cannot_be_declared_is_refused_with_the_field(
    world: World, superuser: asyncpg.Connection, today: date, subtests: pytest.Subtests
) -> None:
    day = (today + timedelta(days=100)).isoformat()
    await world.alpha.run(SET, input=given(world, rollsOn=day))
    near = (today + timedelta(days=101)).isoformat()
    for values, field, code in (
        ({"rollsOn": near}, "rollsOn", "CONFLICT"),
        ({"rollsOn": (today + timedelta(days=401)).isoformat()}, "rollsOn", "INVALID"),
        ({"rollsOn": (today - timedelta(days=61)).isoformat()}, "rollsOn", "INVALID"),
        ({"rollsOn": day, "daysBefore": 91}, "daysBefore", "INVALID"),
        ({"rollsOn": day, "daysAfter": -1}, "daysAfter", "INVALID"),
        ({"rollsOn": day, "archivePercent": 101}, "archivePercent", "INVALID"),
        ({"rollsOn": day, "updatePercent": 101}, "updatePercent", "INVALID"),
    ):
        with subtests.test(values=values):
            answer = (await world.alpha.run(SET, input=given(world, **values)))["yearRolloverSet"]
            assert answer["yearRollover"] is None
            [error] = answer["userErrors"]
            assert (error["field"], error["code"]) == (["input", field], code)
    answer = await world.alpha.run(CANCEL, input=given(world, rollsOn=near))
    [error] = answer["yearRolloverCancel"]["userErrors"]
    assert error["code"] == "NOT_FOUND"
    rows = await superuser.fetch("SELECT days_before, archive_percent FROM year_rollovers")
    assert [tuple(row) for row in rows] == [(14, 40)]


async def test_the_new_year_is_tried_out_before_its_day(
    world: World, superuser: asyncpg.Connection, today: date
) -> None:
    async def preflight() -> Any:
        return (await world.alpha.run(PREFLIGHT, input=given(world)))["yearRolloverPreflight"]

    await add_integration(
        superuser, world.alpha_id, rostered_at=utc_now(), existing_accounts="REPLACE"
    )
    answer = await preflight()
    assert answer["syncRun"] is None
    assert [error["code"] for error in answer["userErrors"]] == ["CONFLICT"]
    day = (today + timedelta(days=100)).isoformat()
    await world.alpha.run(SET, input=given(world, rollsOn=day))
    for joined in (False, True):
        assert await preflight() == {
            "syncRun": {"mode": "PREFLIGHT", "state": "QUEUED"},
            "joined": joined,
            "userErrors": [],
        }


async def test_a_report_says_by_which_limits_it_was_judged(
    world: World, superuser: asyncpg.Connection
) -> None:
    integration_id = await add_integration(superuser, world.alpha_id)
    told = {"rolls_on": "2026-08-20", "archive_percent": 60, "update_percent": 100}
    query = """query ($id: ID!) { syncRun(id: $id) { preflight {
        rollover { rollsOn archivePercent updatePercent } } } }"""
    for report, shown in (
        (REPORT, None),
        (REPORT | {"rollover": None}, None),
        (
            REPORT | {"rollover": told},
            {"rollsOn": "2026-08-20", "archivePercent": 60, "updatePercent": 100},
        ),
    ):
        run_id = await add_run(
            superuser, world.alpha_id, integration_id, mode="PREFLIGHT", report=report
        )
        data = await world.alpha.run(query, id=encode_id("R", world.alpha_id, run_id))
        assert data["syncRun"]["preflight"] == {"rollover": shown}


async def test_years_are_read_in_as_many_statements_however_many_there_are(
    world: World, resources: Resources, today: date
) -> None:
    engine = resources.database.engine.sync_engine
    with counted_statements(engine) as without:
        await world.alpha.run(SHOW)
    for days in (-60, 130, 320):
        day = (today + timedelta(days=days)).isoformat()
        await world.alpha.run(SET, input=given(world, rollsOn=day))
    with counted_statements(engine) as with_some:
        await world.alpha.run(SHOW)
    assert len(with_some) == len(without)
