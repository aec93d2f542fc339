"""Integrations: connecting a tenant, keeping its secrets, trying the connection."""

from datetime import date
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from api.graphql.node import encode_id
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
TEST = """mutation ($id: ID!) { integrationTest(input: {tenantId: $id}) {
    steps { name ok message advice } userErrors { field code message } } }"""


def of_alpha(world: World, **values: Any) -> dict[str, Any]:
    tenant_id = encode_id("T", world.alpha_id, world.alpha_id)
    return {"tenantId": tenant_id, "provider": "ONEROSTER_CSV", "path": "/srv/roster"} | values


async def test_a_tenant_is_connected_and_syncs_every_night(
    world: World, superuser: asyncpg.Connection
) -> None:
    data = await world.operator.run(CONFIGURE, input=of_alpha(world))
    integration = data["integrationConfigure"]["integration"]
    assert integration["schedule"].pop("nextDueAt").endswith(":00:00+00:00")
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
    secret = {"key": "the-key", "secret": "the-secret"}
    response = await world.operator.post(CONFIGURE, input=of_alpha(world, credentials=secret))
    answer = response.json()["data"]["integrationConfigure"]
    assert answer["integration"]["hasCredentials"] is True
    assert "the-secret" not in response.text
    row = await superuser.fetchrow("SELECT * FROM integration_credentials")
    assert b"the-secret" not in row["sealed"]
    context = f"{row['tenant_id']}|integration_credentials|{row['integration_id']}"
    opened = keys.open(row["sealed"], context=context)
    assert opened == b'{"key": "the-key", "secret": "the-secret"}'
    # Without new ones the stored ones stay.
    data = await world.operator.run(CONFIGURE, input=of_alpha(world))
    assert data["integrationConfigure"]["integration"]["hasCredentials"] is True
    assert await superuser.fetchval("SELECT sealed FROM integration_credentials") == row["sealed"]
    assert "the-secret" not in str(await superuser.fetch("SELECT * FROM audit_log"))


async def test_what_cannot_be_connected_is_said_of_its_field(
    world: World, superuser: asyncpg.Connection, subtests: pytest.Subtests
) -> None:
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("path", {"path": None}),
        ("path", {"path": ""}),
        ("path", {"path": "relative/folder"}),
        ("provider", {"provider": "CLEVER"}),
        ("secret", {"credentials": {"secret": "x" * 4001}}),
        ("groupLeadDays", {"groupLeadDays": -1}),
        ("groupLeadDays", {"groupLeadDays": 366}),
    ]
    for field, values in wrong:
        with subtests.test(values=str(values)[:60]):
            data = await world.operator.run(CONFIGURE, input=of_alpha(world, **values))
            answer = data["integrationConfigure"]
            assert answer["integration"] is None
            [error] = answer["userErrors"]
            assert (error["field"], error["code"]) == (["input", field], "INVALID")
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


async def test_another_provider_does_not_take_the_place(
    world: World, superuser: asyncpg.Connection
) -> None:
    await add_integration(superuser, world.alpha_id, provider="CLEVER")
    data = await world.operator.run(CONFIGURE, input=of_alpha(world))
    [error] = data["integrationConfigure"]["userErrors"]
    assert (error["field"], error["code"]) == (["input", "provider"], "CONFLICT")


async def test_a_connection_is_tried_step_by_step_and_audited(
    world: World, superuser: asyncpg.Connection, tmp_path: Path
) -> None:
    integration_id = await add_integration(
        superuser, world.alpha_id, settings={"path": str(tmp_path / "nothing")}
    )
    global_id = encode_id("T", world.alpha_id, world.alpha_id)
    answer = (await world.alpha.run(TEST, id=global_id))["integrationTest"]
    assert answer["userErrors"] == []
    assert [step["ok"] for step in answer["steps"]] == [False]
    assert answer["steps"][0]["message"]
    assert answer["steps"][0]["advice"]
    [act] = await superuser.fetch("SELECT action, target, actor, tenant_id FROM audit_log")
    assert (act["action"], act["target"]) == ("integrationTest", str(integration_id))
    assert act["actor"].startswith("token ")
    assert act["tenant_id"] == world.alpha_id


async def test_nothing_is_tried_where_nothing_is_connected(
    world: World, superuser: asyncpg.Connection
) -> None:
    global_id = encode_id("T", world.alpha_id, world.alpha_id)
    answer = (await world.alpha.run(TEST, id=global_id))["integrationTest"]
    assert answer["steps"] == []
    assert [error["code"] for error in answer["userErrors"]] == ["NOT_FOUND"]
    await add_integration(superuser, world.alpha_id, provider="CLEVER", settings={})
    answer = (await world.alpha.run(TEST, id=global_id))["integrationTest"]
    assert [error["code"] for error in answer["userErrors"]] == ["INVALID"]
    assert await superuser.fetchval("SELECT count(*) FROM audit_log") == 0


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
