"""Integrations: connecting a tenant, keeping its secrets, trying the connection."""

import json
from datetime import date, datetime
from typing import Any

import asyncpg
import pytest

from api.graphql.node import encode_id
from domain.clock import utc_now
from domain.integrations.schedule import DEFAULT_SPREAD, spread_of
from domain.secrets import KeyRing
from tests.api.graphql.client import World
from tests.api.graphql.seed import add_group, add_integration, add_school

pytestmark = pytest.mark.anyio

CONFIGURE = """mutation ($input: IntegrationConfigureInput!) { integrationConfigure(input: $input) {
    integration {
        provider status hasCredentials settings { path }
        schedule { localTime everyDays timeZone nextDueAt }
    }
    userErrors { field code message }
} }"""
SETTINGS = """mutation ($input: IntegrationConfigureInput!) { integrationConfigure(input: $input) {
    integration {
        provider hasCredentials studentEmails eligibility { field values }
        settings {
            path clever { districtId } classLink { tenantId applicationId baseUrl }
            oneRoster { baseUrl version auth tokenUrl scopes }
        }
    }
    userErrors { field code message }
} }"""
SERVER = "https://sis.example.org/ims/oneroster/v1p1"
OAUTH2 = {"baseUrl": SERVER, "tokenUrl": "https://sis.example.org/token"}
SECRET = {"key": "the-key", "secret": "the-secret"}


def of_alpha(world: World, **values: Any) -> dict[str, Any]:
    tenant_id = encode_id("T", world.alpha_id, world.alpha_id)
    return {"tenantId": tenant_id, "provider": "ONEROSTER_CSV", "path": "/srv/roster"} | values


def rest_of_alpha(world: World, **values: Any) -> dict[str, Any]:
    given = {"provider": "ONEROSTER", "path": None, "oneRoster": OAUTH2, "credentials": SECRET}
    return of_alpha(world, **given | values)


async def test_a_tenant_is_connected_and_syncs_every_night(
    world: World, superuser: asyncpg.Connection
) -> None:
    data = await world.operator.run(CONFIGURE, input=of_alpha(world))
    integration = data["integrationConfigure"]["integration"]
    due = datetime.fromisoformat(integration["schedule"].pop("nextDueAt"))
    spread = spread_of(world.alpha_id, DEFAULT_SPREAD)
    assert ((due - spread).minute, (due - spread).second) == (0, 0)
    assert data["integrationConfigure"] == {
        "integration": {
            "provider": "ONEROSTER_CSV",
            "status": "ACTIVE",
            "hasCredentials": False,
            "settings": {"path": "/srv/roster"},
            "schedule": {
                "localTime": "02:00:00",
                "everyDays": 1,
                "timeZone": "America/Chicago",
            },
        },
        "userErrors": [],
    }
    data = await world.operator.run(CONFIGURE, input=of_alpha(world, path="/srv/other.zip"))
    integration = data["integrationConfigure"]["integration"]
    assert integration["settings"] == {"path": "/srv/other.zip"}
    assert await superuser.fetchval("SELECT count(*) FROM integrations") == 1
    acts = await superuser.fetch("SELECT action, details::text FROM audit_log")
    details = '{"provider": "ONEROSTER_CSV", "settings": ["path"]}'
    assert [tuple(row) for row in acts] == [("integrationConfigure", details)] * 2


async def test_credentials_are_sealed_and_never_shown(
    world: World, superuser: asyncpg.Connection, keys: KeyRing
) -> None:
    response = await world.alpha.post(CONFIGURE, input=rest_of_alpha(world))
    answer = response.json()["data"]["integrationConfigure"]
    assert answer["integration"]["hasCredentials"] is True
    assert "the-secret" not in response.text
    row = await superuser.fetchrow("SELECT * FROM integration_credentials")
    assert b"the-secret" not in row["sealed"]
    context = f"{row['tenant_id']}|integration_credentials|{row['integration_id']}"
    opened = keys.open(row["sealed"], context=context)
    assert opened == b'{"key": "the-key", "secret": "the-secret"}'
    # Without new ones the stored ones stay.
    data = await world.alpha.run(CONFIGURE, input=rest_of_alpha(world, credentials=None))
    assert data["integrationConfigure"]["integration"]["hasCredentials"] is True
    assert await superuser.fetchval("SELECT sealed FROM integration_credentials") == row["sealed"]
    acts = await superuser.fetch("SELECT details::text FROM audit_log ORDER BY id")
    told = '{"provider": "ONEROSTER", "settings": ["auth", "base_url", "token_url"]'
    assert [act["details"] for act in acts] == [
        told + ', "credentials": ["key", "secret"]}',
        told + "}",
    ]


async def test_what_cannot_be_connected_is_said_of_its_field(
    world: World, superuser: asyncpg.Connection, subtests: pytest.Subtests
) -> None:
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("path", {"path": None}),
        ("path", {"path": ""}),
        ("path", {"path": "relative/folder"}),
        ("path", {"provider": "CLEVER"}),
        ("clever", {"clever": {"districtId": "1"}}),
        ("oneRoster", {"oneRoster": OAUTH2}),
        ("credentials", {"credentials": SECRET}),
        ("credentials", {"provider": "CLEVER", "path": None}),
        ("credentials.secret", {"credentials": {"secret": "x" * 4001}}),
        ("groupLeadDays", {"groupLeadDays": -1}),
        ("groupLeadDays", {"groupLeadDays": 366}),
        ("eligibility.values", {"eligibility": {"field": "typing", "values": []}}),
        (
            "oneRoster.tokenUrl",
            {"provider": "ONEROSTER", "path": None, "oneRoster": {"baseUrl": SERVER}},
        ),
    ]
    for field, values in wrong:
        with subtests.test(values=str(values)[:60]):
            data = await world.operator.run(CONFIGURE, input=of_alpha(world, **values))
            answer = data["integrationConfigure"]
            assert answer["integration"] is None
            [error] = answer["userErrors"]
            assert error["field"] == ["input", *field.split(".")]
            assert error["code"] == "INVALID"
    assert await superuser.fetchval("SELECT count(*) FROM integrations") == 0
    assert await superuser.fetchval("SELECT count(*) FROM audit_log") == 0


async def test_a_tenant_does_not_choose_a_folder_of_the_server(world: World) -> None:
    data = await world.alpha.run(CONFIGURE, input=of_alpha(world))
    assert data["integrationConfigure"]["userErrors"] == [
        {
            "field": ["input", "path"],
            "code": "INVALID",
            "message": "Only an operator may choose a folder of the server.",
        }
    ]


async def test_another_provider_takes_the_place(
    world: World, superuser: asyncpg.Connection
) -> None:
    integration_id = await add_integration(
        superuser, world.alpha_id, provider="CLEVER", rostered_at=utc_now()
    )
    data = await world.operator.run(CONFIGURE, input=of_alpha(world))
    assert data["integrationConfigure"]["userErrors"] == []
    [row] = await superuser.fetch("SELECT id, provider, former_provider FROM integrations")
    assert tuple(row) == (integration_id, "ONEROSTER_CSV", "CLEVER")
    told = await superuser.fetchval("SELECT details FROM audit_log")
    assert json.loads(told)["former_provider"] == "CLEVER"


async def test_each_provider_shows_what_it_is_set_to(
    world: World, superuser: asyncpg.Connection, subtests: pytest.Subtests
) -> None:
    nothing = {"path": None, "clever": None, "classLink": None, "oneRoster": None}
    one_roster = {**OAUTH2, "version": "V1_1", "auth": "OAUTH2_BODY", "scopes": ["a", "b"]}
    class_link = {"tenantId": "7", "applicationId": "%2FgVa%43"}
    ways: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
        ("CLEVER", {"clever": {"districtId": "58da"}}, SECRET, {}),
        ("CLEVER", {"clever": {}}, {"token": "t"}, {"clever": {"districtId": None}}),
        (
            "CLASSLINK",
            {"classLink": class_link},
            {"token": "t"},
            {"classLink": class_link | {"baseUrl": None}},
        ),
        ("ONEROSTER", {"oneRoster": one_roster}, SECRET, {}),
        (
            "ONEROSTER",
            {"oneRoster": {"baseUrl": SERVER, "auth": "BEARER"}},
            {"token": "t"},
            {
                "oneRoster": {
                    "baseUrl": SERVER,
                    "auth": "BEARER",
                    "tokenUrl": None,
                    "version": None,
                    "scopes": None,
                }
            },
        ),
    ]
    for provider, settings, credentials, shown in ways:
        with subtests.test(provider=provider, settings=settings):
            given = {"provider": provider, "path": None, "credentials": credentials, **settings}
            data = await world.alpha.run(SETTINGS, input=of_alpha(world, **given))
            answer = data["integrationConfigure"]
            assert answer["userErrors"] == []
            assert answer["integration"]["settings"] == nothing | settings | shown
            await superuser.execute("UPDATE integrations SET status = 'DISCONNECTED'")


async def test_emails_and_eligibility_are_turned_on_and_off_by_themselves(world: World) -> None:
    given = {"provider": "ONEROSTER"} | {"tenantId": of_alpha(world)["tenantId"]}
    await world.alpha.run(SETTINGS, input=rest_of_alpha(world))
    rule = {"field": "typing", "values": ["yes", "1"]}
    for values, emails, eligibility in (
        ({}, False, None),
        ({"studentEmails": True}, True, None),
        ({"eligibility": rule}, True, rule),
        ({"studentEmails": False}, False, rule),
        ({"removeEligibility": True}, False, None),
    ):
        data = await world.alpha.run(SETTINGS, input=given | values)
        answer = data["integrationConfigure"]
        assert answer["userErrors"] == []
        found = answer["integration"]
        assert (found["studentEmails"], found["eligibility"]) == (emails, eligibility)
        assert found["settings"]["oneRoster"]["baseUrl"] == SERVER


async def test_another_tenants_integration_is_not_there(world: World) -> None:
    data = await world.beta.run(SETTINGS, input=rest_of_alpha(world))
    [error] = data["integrationConfigure"]["userErrors"]
    assert (error["field"], error["code"]) == (["input", "tenantId"], "NOT_FOUND")


async def test_a_disconnected_integration_is_not_the_tenants_any_more(
    world: World, superuser: asyncpg.Connection
) -> None:
    query = '{ tenant(slug: "alpha") { integration { status provider schedule { everyDays } } } }'
    assert await world.alpha.run(query) == {"tenant": {"integration": None}}
    await add_integration(superuser, world.alpha_id, status="DISCONNECTED", provider="CLEVER")
    await add_integration(superuser, world.alpha_id, status="PAUSED")
    assert await world.alpha.run(query) == {
        "tenant": {
            "integration": {"status": "PAUSED", "provider": "ONEROSTER_CSV", "schedule": None}
        }
    }


async def test_groups_are_visible_some_days_before_they_start(
    world: World, superuser: asyncpg.Connection
) -> None:
    school = await add_school(superuser, world.alpha_id)
    await add_group(superuser, world.alpha_id, school, starts_on=date(2026, 8, 17))
    seen = '{ tenant(slug: "alpha") { groups { nodes { startsOn visibleOn } } } }'
    configured = '{ tenant(slug: "alpha") { integration { groupLeadDays } } }'
    for given, days, visible_on in ((None, 14, "2026-08-03"), (30, 30, "2026-07-18")):
        await world.operator.run(CONFIGURE, input=of_alpha(world, groupLeadDays=given))
        data = await world.alpha.run(configured)
        assert data["tenant"]["integration"]["groupLeadDays"] == days
        groups = (await world.alpha.run(seen))["tenant"]["groups"]["nodes"]
        assert groups == [{"startsOn": "2026-08-17", "visibleOn": visible_on}]


QUARANTINE = """{ tenant(slug: "alpha") { integration { quarantine {
    since reason failures nextTryAt isOff message } } } }"""


async def test_a_quarantine_says_since_when_why_and_how_to_leave(
    world: World, superuser: asyncpg.Connection
) -> None:
    await world.operator.run(CONFIGURE, input=of_alpha(world))
    due = "2027-03-01T08:00:00+00:00"
    await superuser.execute(
        "UPDATE sync_schedules SET next_due_at = $1::text::timestamptz WHERE tenant_id = $2",
        due,
        world.alpha_id,
    )
    await superuser.execute(
        "UPDATE sync_standings SET failures = 1, first_failed_at = '2027-02-01T08:00:00Z',"
        " last_code = 'CONN_AUTH_REJECTED' WHERE tenant_id = $1",
        world.alpha_id,
    )
    answer = await world.alpha.run(QUARANTINE)
    assert answer["tenant"]["integration"]["quarantine"] is None
    await superuser.execute("UPDATE sync_standings SET failures = 5")
    answer = await world.alpha.run(QUARANTINE)
    found = answer["tenant"]["integration"]["quarantine"]
    assert found.pop("message") == (
        "5 scheduled syncs in a row have failed. Enter current credentials in the integration,"
        " then test it. It is tried again, less and less often. Once it is mended, start a sync:"
        " one that succeeds brings the usual schedule back."
    )
    assert found == {
        "since": "2027-02-01T08:00:00+00:00",
        "reason": "CONN_AUTH_REJECTED",
        "failures": 5,
        "nextTryAt": due,
        "isOff": False,
    }
    await superuser.execute("UPDATE sync_standings SET is_off = true")
    answer = await world.alpha.run(QUARANTINE)
    found = answer["tenant"]["integration"]["quarantine"]
    assert (found["nextTryAt"], found["isOff"]) == (None, True)
    assert "No sync starts by itself any more." in found["message"]
