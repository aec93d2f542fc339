"""The onboarding: its checklist, what is expected, and approving a preflight."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from api.graphql.node import encode_id
from domain.clock import new_id, utc_now
from domain.resources import Resources
from domain.sync.basis import basis_of
from tests.api.graphql.client import World
from tests.api.graphql.seed import add_integration, add_run, add_user

pytestmark = pytest.mark.anyio

STEPS = """{ tenant(slug: "alpha") { onboarding {
    steps { name state at by { kind label } message }
    nextStep { name } approvalLapsesAt lastPreflight { id } approvedPreflight { id }
} } }"""
APPROVE = """mutation ($input: OnboardingApproveInput!) { onboardingApprove(input: $input) {
    onboarding { nextStep { name } approvedPreflight { mode } }
    userErrors { field code message } } }"""
TICK = """mutation ($input: OnboardingStepSetInput!) { onboardingStepSet(input: $input) {
    onboarding { steps { name state by { label } } } userErrors { field code } } }"""
EXPECT = """mutation ($input: ExpectationsSetInput!) { expectationsSet(input: $input) {
    onboarding { expectations { schools classes licences startsOn } }
    userErrors { field code } } }"""


async def steps(world: World) -> dict[str, Any]:
    data = await world.alpha.run(STEPS)
    return {step["name"]: step for step in data["tenant"]["onboarding"]["steps"]}


async def states(world: World) -> dict[str, str]:
    return {name: step["state"] for name, step in (await steps(world)).items()}


def tenant_id(world: World) -> str:
    return encode_id("T", world.alpha_id, world.alpha_id)


async def add_preflight(
    resources: Resources, see: asyncpg.Connection, world: World, **values: Any
) -> tuple[UUID, UUID]:
    """An integration with a preflight that was made by its present settings."""
    integration_id = await add_integration(see, world.alpha_id)
    async with resources.database.read(world.alpha_id) as session:
        basis = await basis_of(session, tenant_id=world.alpha_id, integration_id=integration_id)
    run = {"mode": "PREFLIGHT", "basis": basis} | values
    return integration_id, await add_run(see, world.alpha_id, integration_id, **run)


async def approve(world: World, run_id: UUID) -> Any:
    given = {"tenantId": tenant_id(world), "syncRunId": encode_id("R", world.alpha_id, run_id)}
    return (await world.alpha.run(APPROVE, input=given))["onboardingApprove"]


async def test_a_new_tenant_begins_with_the_request(world: World) -> None:
    assert await states(world) == dict.fromkeys(
        ("REQUESTED", "CREDENTIALS", "PREFLIGHT", "APPROVED", "LIVE", "TILE"), "OPEN"
    )
    data = await world.alpha.run(STEPS)
    onboarding = data["tenant"]["onboarding"]
    assert onboarding["nextStep"] == {"name": "REQUESTED"}
    assert (onboarding["lastPreflight"], onboarding["approvalLapsesAt"]) == (None, None)
    assert all(step["message"] for step in onboarding["steps"])


async def test_a_district_in_the_provider_s_list_has_asked(
    world: World, superuser: asyncpg.Connection
) -> None:
    await superuser.execute(
        "INSERT INTO onboarding_requests (provider, external_id, name, first_seen_at,"
        " last_seen_at, is_shared) VALUES ('CLEVER', 'd1', 'Aspen', '2026-08-01', now(), true)"
    )
    await add_integration(
        superuser, world.alpha_id, provider="CLEVER", settings={"district_id": "d1"}
    )
    step = (await steps(world))["REQUESTED"]
    assert step["at"] == "2026-08-01T00:00:00+00:00"
    assert (step["state"], step["by"]["kind"]) == ("DONE", "SYSTEM")
    assert (await states(world))["CREDENTIALS"] == "DONE"


async def test_what_happens_elsewhere_is_ticked_and_unticked(
    world: World, superuser: asyncpg.Connection
) -> None:
    for is_done, state, by in (
        (True, "DONE", {"label": "token of-alpha"}),
        (True, "DONE", {"label": "token of-alpha"}),
        (False, "OPEN", None),
    ):
        given = {"tenantId": tenant_id(world), "step": "TILE", "isDone": is_done}
        answer = (await world.alpha.run(TICK, input=given))["onboardingStepSet"]
        assert answer["userErrors"] == []
        [tile] = [step for step in answer["onboarding"]["steps"] if step["name"] == "TILE"]
        assert tile["state"] == state
        assert bool(tile["by"]) == bool(by)
    given = {"tenantId": tenant_id(world), "step": "APPROVED"}
    answer = (await world.alpha.run(TICK, input=given))["onboardingStepSet"]
    assert answer["onboarding"] is None
    assert answer["userErrors"] == [{"field": ["input", "step"], "code": "INVALID"}]
    assert await superuser.fetchval("SELECT count(*) FROM audit_log") == 3


async def test_a_preflight_is_approved_and_the_approval_lapses_with_the_rules(
    world: World, superuser: asyncpg.Connection, resources: Resources
) -> None:
    integration_id, run_id = await add_preflight(resources, superuser, world)
    assert (await states(world))["PREFLIGHT"] == "DONE"
    answer = await approve(world, run_id)
    assert answer == {
        "onboarding": {
            "nextStep": {"name": "LIVE"},
            "approvedPreflight": {"mode": "PREFLIGHT"},
        },
        "userErrors": [],
    }
    step = (await steps(world))["APPROVED"]
    assert step["state"] == "DONE"
    assert step["by"]["label"].startswith("token ")
    again = await approve(world, run_id)
    assert again["userErrors"][0]["code"] == "CONFLICT"
    await superuser.execute(
        "INSERT INTO sharing_rules (tenant_id, integration_id, subject, values)"
        " VALUES ($1, $2, 'GRADE', '{03}')",
        world.alpha_id,
        integration_id,
    )
    lapsed = await steps(world)
    assert (lapsed["PREFLIGHT"]["state"], lapsed["APPROVED"]["state"]) == ("LAPSED", "LAPSED")
    assert lapsed["APPROVED"]["message"].startswith("Rules, policy or credentials have changed")
    refused = await approve(world, run_id)
    [error] = refused["userErrors"]
    assert (error["field"], error["code"]) == (["input", "syncRunId"], "CONFLICT")
    await superuser.execute("DELETE FROM sharing_rules")
    assert (await states(world))["APPROVED"] == "DONE"


async def test_an_approval_lapses_after_seven_days(
    world: World, superuser: asyncpg.Connection, resources: Resources
) -> None:
    _, run_id = await add_preflight(resources, superuser, world)
    await approve(world, run_id)
    await superuser.execute("UPDATE integrations SET approved_at = now() - interval '7 days'")
    step = (await steps(world))["APPROVED"]
    assert step["state"] == "LAPSED"
    assert "older than 7 days" in step["message"]


async def test_only_a_present_preflight_can_be_approved(
    world: World,
    superuser: asyncpg.Connection,
    resources: Resources,
    subtests: pytest.Subtests,
) -> None:
    integration_id, _ = await add_preflight(resources, superuser, world)
    now = utc_now()
    async with resources.database.read(world.alpha_id) as session:
        basis = await basis_of(session, tenant_id=world.alpha_id, integration_id=integration_id)
    current = {"mode": "PREFLIGHT", "basis": basis}
    former = await add_integration(superuser, world.alpha_id, status="DISCONNECTED")
    for said, code, owner, values in (
        ("full", "INVALID", integration_id, current | {"mode": "FULL"}),
        ("of another integration", "INVALID", former, current),
        ("of draft rules", "INVALID", integration_id, current | {"sharing_rules": {"GRADE": []}}),
        ("failed", "INVALID", integration_id, current | {"state": "FAILED"}),
        ("old", "CONFLICT", integration_id, current | {"finished_at": now - timedelta(days=7)}),
        ("of other settings", "CONFLICT", integration_id, current | {"basis": "x"}),
        ("changed meanwhile", "CONFLICT", integration_id, {"mode": "PREFLIGHT"}),
        ("unfinished", "CONFLICT", integration_id,
         current | {"state": "QUEUED", "finished_at": None}),
    ):  # fmt: skip
        with subtests.test(said):
            run_id = await add_run(superuser, world.alpha_id, owner, **values)
            answer = await approve(world, run_id)
            assert answer["onboarding"] is None
            [error] = answer["userErrors"]
            assert (error["code"], error["field"]) == (code, ["input", "syncRunId"])
    gone = await approve(world, new_id())
    assert gone["userErrors"][0]["code"] == "INVALID"
    assert await superuser.fetchval("SELECT count(approved_run_id) FROM integrations") == 0
    assert await superuser.fetchval("SELECT count(*) FROM audit_log") == 0


async def test_people_from_before_need_a_policy_first(
    world: World, superuser: asyncpg.Connection, resources: Resources
) -> None:
    await add_user(superuser, world.alpha_id, origin="LEGACY")
    _, run_id = await add_preflight(resources, superuser, world)
    answer = await approve(world, run_id)
    [error] = answer["userErrors"]
    assert (error["field"], error["code"]) == (["input", "existingAccounts"], "CONFLICT")
    assert "before rostering" in error["message"]


async def test_after_the_first_sync_there_is_nothing_to_approve(
    world: World, superuser: asyncpg.Connection, resources: Resources
) -> None:
    _, run_id = await add_preflight(resources, superuser, world)
    await superuser.execute("UPDATE integrations SET rostered_at = now()")
    assert (await approve(world, run_id))["userErrors"][0]["code"] == "CONFLICT"
    found = await states(world)
    assert (found["PREFLIGHT"], found["APPROVED"], found["LIVE"]) == ("DONE", "DONE", "OPEN")
    for days, state in ((1, "OPEN"), (-1, "DONE")):
        await superuser.execute(
            "UPDATE subscriptions SET go_live_on = $1", utc_now().date() + timedelta(days=days)
        )
        assert (await states(world))["LIVE"] == state


async def test_what_is_expected_is_stored_in_the_place_of_the_former(
    world: World, superuser: asyncpg.Connection
) -> None:
    await add_integration(superuser, world.alpha_id)
    for given, stored in (
        (
            {"schools": ["North", " 17 "], "classes": [], "licences": 40, "startsOn": "2026-09-01"},
            {"schools": ["North", "17"], "classes": [], "licences": 40, "startsOn": "2026-09-01"},
        ),
        ({"licences": 5}, {"schools": None, "classes": None, "licences": 5, "startsOn": None}),
        ({}, None),
    ):
        answer = await world.alpha.run(EXPECT, input={"tenantId": tenant_id(world)} | given)
        assert answer["expectationsSet"] == {
            "onboarding": {"expectations": stored},
            "userErrors": [],
        }
    for field, value in (("schools", [" "]), ("classes", ["x" * 300]), ("licences", -1)):
        answer = await world.alpha.run(EXPECT, input={"tenantId": tenant_id(world), field: value})
        assert answer["expectationsSet"]["userErrors"] == [
            {"field": ["input", field], "code": "INVALID"}
        ]


async def test_another_tenant_s_onboarding_is_not_there(
    world: World, superuser: asyncpg.Connection, resources: Resources
) -> None:
    _, run_id = await add_preflight(resources, superuser, world)
    given = {"tenantId": tenant_id(world), "syncRunId": encode_id("R", world.alpha_id, run_id)}
    answer = (await world.beta.run(APPROVE, input=given))["onboardingApprove"]
    assert answer["userErrors"][0]["code"] == "NOT_FOUND"
    own = {
        "tenantId": encode_id("T", world.beta_id, world.beta_id),
        "syncRunId": given["syncRunId"],
    }
    await add_integration(superuser, world.beta_id)
    answer = (await world.beta.run(APPROVE, input=own))["onboardingApprove"]
    assert answer["userErrors"][0]["code"] == "INVALID"


async def test_a_go_live_day_begins_at_midnight_of_the_tenant(
    world: World, superuser: asyncpg.Connection
) -> None:
    await add_integration(superuser, world.alpha_id, rostered_at=utc_now() - timedelta(days=400))
    await superuser.execute("UPDATE subscriptions SET go_live_on = $1", date(2026, 1, 15))
    step = (await steps(world))["LIVE"]
    assert (step["state"], step["at"]) == ("DONE", "2026-01-15T06:00:00+00:00")
