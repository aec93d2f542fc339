"""Schedules by GraphQL: seeing the next runs before saving, blackouts, pausing, on demand."""

from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest

from api.graphql.node import encode_id
from domain.clock import utc_now
from tests.api.graphql.client import World
from tests.api.graphql.seed import add_integration

pytestmark = pytest.mark.anyio

SET = """mutation ($input: SyncScheduleSetInput!) { syncScheduleSet(input: $input) {
    schedule { localTime timeZone everyDays firstOn spreadMinutes nextDueAt nextRuns
        blackouts { startsOn endsOn reason } }
    userErrors { field code message }
} }"""
READ = """query ($id: ID!) { tenant(id: $id) { integration { status onDemand cooldownMinutes
    schedule { localTime timeZone everyDays spreadMinutes nextDueAt nextRuns
        blackouts { startsOn endsOn reason } } } } }"""
START = """mutation ($id: ID!) { syncRunStart(input: {tenantId: $id}) {
    joined syncRun { id } userErrors { field code message } } }"""


@pytest.fixture
async def connected(world: World, superuser: asyncpg.Connection) -> str:
    integration_id = await add_integration(superuser, world.alpha_id)
    await superuser.execute(
        "INSERT INTO sync_schedules (tenant_id, integration_id, local_time, every_days, first_on,"
        " next_due_at) VALUES ($1, $2, '02:00', 1, '2026-01-01', now())",
        world.alpha_id,
        integration_id,
    )
    return encode_id("T", world.alpha_id, world.alpha_id)


async def put(world: World, tenant: str, **setting: Any) -> dict[str, Any]:
    answer = await world.alpha.run(SET, input={"tenantId": tenant, **setting})
    found: dict[str, Any] = answer["syncScheduleSet"]
    return found


async def refusal(world: World, tenant: str, **setting: Any) -> tuple[list[str], str]:
    answer = await put(world, tenant, **setting)
    assert answer["schedule"] is None
    [error] = answer["userErrors"]
    assert error["code"] == "INVALID"
    return error["field"], error["message"]


async def read(world: World, tenant: str) -> dict[str, Any]:
    answer = await world.alpha.run(READ, id=tenant)
    found: dict[str, Any] = answer["tenant"]["integration"]
    return found


async def test_the_next_runs_are_seen_before_anything_is_saved(
    world: World, connected: str
) -> None:
    before = await read(world, connected)
    wanted = {"preset": "LOS_ANGELES_21", "everyDays": 7, "spreadMinutes": 0}
    shown = (await put(world, connected, preview=True, **wanted))["schedule"]
    assert (shown["localTime"], shown["timeZone"]) == ("21:00:00", "America/Los_Angeles")
    runs = [datetime.fromisoformat(run) for run in shown["nextRuns"]]
    assert [later.date() - runs[0].date() for later in runs] == [
        timedelta(days=days) for days in (0, 7, 14)
    ]
    assert shown["nextDueAt"] == shown["nextRuns"][0]
    assert await read(world, connected) == before
    assert (await put(world, connected, **wanted))["schedule"] == shown
    assert (await read(world, connected))["schedule"]["nextRuns"] == shown["nextRuns"]


async def test_what_is_left_out_stays_and_a_preset_gives_way(world: World, connected: str) -> None:
    await put(world, connected, everyDays=3, spreadMinutes=0)
    found = (await put(world, connected, preset="NIGHT_UTC_MINUS_5", localTime="03:30:00"))[
        "schedule"
    ]
    assert (found["localTime"], found["timeZone"]) == ("03:30:00", "Etc/GMT+5")
    assert (found["everyDays"], found["spreadMinutes"]) == (3, 0)
    assert all(run.endswith("T08:30:00+00:00") for run in found["nextRuns"])
    back = (await put(world, connected, timeZone=""))["schedule"]
    assert back["timeZone"] == "America/Chicago"


async def test_nothing_starts_in_a_blackout(world: World, connected: str) -> None:
    today = utc_now().date()
    blackout = {
        "startsOn": (today - timedelta(days=2)).isoformat(),
        "endsOn": (today + timedelta(days=9)).isoformat(),
        "reason": "winter",
    }
    found = (await put(world, connected, timeZone="UTC", blackouts=[blackout]))["schedule"]
    assert found["blackouts"] == [blackout]
    due = datetime.fromisoformat(found["nextDueAt"])
    assert due.date() == today + timedelta(days=10)
    assert (await read(world, connected))["schedule"]["blackouts"] == [blackout]
    assert (await put(world, connected, blackouts=[]))["schedule"]["blackouts"] == []


@pytest.mark.parametrize(
    ("setting", "field", "words"),
    [
        ({"timeZone": "Mars/Olympus"}, ["input", "timeZone"], "no IANA time zone"),
        ({"timeZone": "localtime"}, ["input", "timeZone"], "no IANA time zone"),
        ({"timeZone": "posix/America/Chicago"}, ["input", "timeZone"], "no IANA time zone"),
        ({"firstOn": "9999-12-31"}, ["input", "firstOn"], "366 days from now"),
        ({"firstOn": "0001-01-01"}, ["input", "firstOn"], "2000-01-01 at the earliest"),
        ({"everyDays": 0}, ["input", "everyDays"], "every 1 to 29 days"),
        ({"everyDays": 30}, ["input", "everyDays"], "a month old lets in who has left"),
        ({"spreadMinutes": 241}, ["input", "spreadMinutes"], "0 to 240 minutes"),
        ({"localTime": "02:00:30"}, ["input", "localTime"], "hours and minutes"),
        (
            {"blackouts": [{"startsOn": "2026-12-02", "endsOn": "2026-12-01"}]},
            ["input", "blackouts", "0", "endsOn"],
            "before it begins",
        ),
        (
            {
                "blackouts": [
                    {"startsOn": "2026-12-01", "endsOn": "2026-12-05"},
                    {"startsOn": "2026-12-05", "endsOn": "2026-12-06"},
                ]
            },
            ["input", "blackouts"],
            "have days in common",
        ),
        (
            {
                "blackouts": [
                    {"startsOn": f"{year}-01-01", "endsOn": f"{year}-12-31"}
                    for year in range(2026, 2030)
                ]
            },
            ["input", "blackouts"],
            "no night within 400 days",
        ),
    ],
)
async def test_what_cannot_be_is_refused_with_the_reason(
    world: World, connected: str, setting: dict[str, Any], field: list[str], words: str
) -> None:
    before = await read(world, connected)
    named, message = await refusal(world, connected, **setting)
    assert named == field
    assert words in message
    assert await read(world, connected) == before


async def test_a_paused_integration_has_no_next_run_until_it_is_resumed(
    world: World, connected: str
) -> None:
    act = "mutation ($id: ID!) { found: %s(input: {tenantId: $id}) { integration { status schedule"
    act += " { nextDueAt nextRuns } } userErrors { code message } } }"
    paused = (await world.alpha.run(act % "integrationPause", id=connected))["found"]
    assert paused["integration"] == {
        "status": "PAUSED",
        "schedule": {"nextDueAt": None, "nextRuns": []},
    }
    again = (await world.alpha.run(act % "integrationPause", id=connected))["found"]
    assert [error["code"] for error in again["userErrors"]] == ["CONFLICT"]
    assert (await put(world, connected, everyDays=2))["schedule"]["nextDueAt"] is None
    resumed = (await world.alpha.run(act % "integrationResume", id=connected))["found"]
    assert resumed["integration"]["status"] == "ACTIVE"
    assert datetime.fromisoformat(resumed["integration"]["schedule"]["nextDueAt"]) > utc_now()
    assert len(resumed["integration"]["schedule"]["nextRuns"]) == 3


async def test_a_tenant_is_disconnected_and_connected_again(world: World, connected: str) -> None:
    act = "mutation ($id: ID!) { found: %s(input: {tenantId: $id}) { integration { status schedule"
    act += " { nextDueAt } } userErrors { field code message } } }"
    left = (await world.alpha.run(act % "integrationDisconnect", id=connected))["found"]
    assert left["integration"] == {"status": "DISCONNECTED", "schedule": {"nextDueAt": None}}
    assert (await world.alpha.run(READ, id=connected))["tenant"]["integration"] is None
    [error] = (await world.alpha.run(START, id=connected))["syncRunStart"]["userErrors"]
    assert error["code"] == "NOT_FOUND"
    back = (await world.alpha.run(act % "integrationActivate", id=connected))["found"]
    assert back["integration"]["status"] == "ACTIVE"
    assert datetime.fromisoformat(back["integration"]["schedule"]["nextDueAt"]) > utc_now()
    same = (await world.alpha.run(act % "integrationActivate", id=connected))["found"]
    assert same == back


async def end_run(superuser: asyncpg.Connection) -> None:
    await superuser.execute("UPDATE sync_runs SET state = 'SUCCEEDED', finished_at = now()")


async def test_the_cooldown_tells_how_long_it_lasts(
    world: World, connected: str, superuser: asyncpg.Connection
) -> None:
    first = (await world.alpha.run(START, id=connected))["syncRunStart"]
    joined = (await world.alpha.run(START, id=connected))["syncRunStart"]
    assert (joined["joined"], joined["syncRun"]) == (True, first["syncRun"])
    await end_run(superuser)
    refused = (await world.alpha.run(START, id=connected))["syncRunStart"]
    [error] = refused["userErrors"]
    assert (error["field"], error["code"]) == (["input", "mode"], "CONFLICT")
    assert "can be asked for in 10 minutes, at " in error["message"]
    assert (await world.operator.run(START, id=connected))["syncRunStart"]["syncRun"] is not None
    await end_run(superuser)
    await superuser.execute("UPDATE sync_runs SET finished_at = now() - interval '11 minutes'")
    assert (await world.alpha.run(START, id=connected))["syncRunStart"]["syncRun"] is not None


async def test_who_may_ask_for_syncs_is_the_operators_to_say(world: World, connected: str) -> None:
    act = """mutation ($id: ID!) { onDemandSet(input: {tenantId: $id, policy: NOBODY,
        cooldownMinutes: 0}) {
            integration { onDemand cooldownMinutes } userErrors { message } } }"""
    refused = (await world.alpha.run(act, id=connected))["onDemandSet"]
    assert refused["integration"] is None
    assert [error["message"] for error in refused["userErrors"]] == [
        "Only an operator of the product says who may ask for syncs: ask them."
    ]
    found = (await world.operator.run(act, id=connected))["onDemandSet"]["integration"]
    assert found == {"onDemand": "NOBODY", "cooldownMinutes": 0}
    error = await world.alpha.fail(START, id=connected)
    assert error["extensions"]["code"] == "FORBIDDEN"
    assert "syncs by its schedule alone" in error["message"]
    assert (await world.operator.run(START, id=connected))["syncRunStart"]["syncRun"] is not None
