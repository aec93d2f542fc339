"""Existing accounts: the policy is chosen once for all, shown, and asked for before a sync."""

import json
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from api.graphql.node import encode_id
from tests.api.graphql.client import Client, World
from tests.api.graphql.seed import add_integration, add_user

pytestmark = pytest.mark.anyio

SET = """mutation ($input: ExistingAccountsSetInput!) { existingAccountsSet(input: $input) {
    integration { existingAccounts matchKeys formerProvider }
    userErrors { field code message } } }"""
SHOW = """{ tenant(slug: "alpha") { integration { existingAccounts matchKeys formerProvider } } }"""
START = """mutation ($input: SyncRunStartInput!) { syncRunStart(input: $input) {
    syncRun { id } userErrors { field code message } } }"""


def gid(tenant_id: UUID) -> str:
    return encode_id("T", tenant_id, tenant_id)


async def choose(client: Client, tenant: str, policy: str, **values: Any) -> Any:
    answer = await client.run(SET, input={"tenantId": tenant, "policy": policy} | values)
    return answer["existingAccountsSet"]


async def test_a_policy_is_chosen_and_shown(world: World, superuser: asyncpg.Connection) -> None:
    await add_integration(superuser, world.alpha_id, former_provider="CLEVER")
    assert (await world.alpha.run(SHOW))["tenant"]["integration"] == {
        "existingAccounts": None, "matchKeys": ["NUMBER", "EMAIL"], "formerProvider": "CLEVER",
    }  # fmt: skip
    chosen = await choose(
        world.alpha, gid(world.alpha_id), "MATCH_KEYS", matchKeys=["EMAIL", "NUMBER"]
    )
    assert chosen == {
        "integration": {
            "existingAccounts": "MATCH_KEYS", "matchKeys": ["EMAIL", "NUMBER"],
            "formerProvider": "CLEVER",
        },
        "userErrors": [],
    }  # fmt: skip
    again = await choose(world.alpha, gid(world.alpha_id), "REPLACE")
    assert again["integration"]["matchKeys"] == ["NUMBER", "EMAIL"]
    told = await superuser.fetchval(
        "SELECT details FROM audit_log WHERE action = 'existingAccountsSet' ORDER BY id LIMIT 1"
    )
    assert json.loads(told) == {"policy": "MATCH_KEYS", "match_keys": ["email", "number"]}


@pytest.mark.parametrize(
    ("policy", "match_keys"),
    [("MATCH_USERNAME", ["NUMBER"]), ("MATCH_KEYS", []), ("MATCH_KEYS", ["EMAIL", "EMAIL"])],
)
async def test_keys_that_do_not_go_with_the_policy_are_refused(
    world: World, superuser: asyncpg.Connection, policy: str, match_keys: list[str]
) -> None:
    await add_integration(superuser, world.alpha_id)
    answer = await choose(world.alpha, gid(world.alpha_id), policy, matchKeys=match_keys)
    assert answer["integration"] is None
    assert [error["field"] for error in answer["userErrors"]] == [["input", "matchKeys"]]
    assert await superuser.fetchval("SELECT existing_accounts FROM integrations") is None


async def test_another_tenants_policy_is_not_chosen(
    world: World, superuser: asyncpg.Connection
) -> None:
    await add_integration(superuser, world.beta_id)
    answer = await choose(world.alpha, gid(world.beta_id), "REPLACE")
    assert [error["code"] for error in answer["userErrors"]] == ["NOT_FOUND"]
    assert await superuser.fetchval("SELECT existing_accounts FROM integrations") is None


async def test_a_sync_says_what_has_to_be_chosen_first(
    world: World, superuser: asyncpg.Connection
) -> None:
    await add_integration(superuser, world.alpha_id)
    await add_user(superuser, world.alpha_id, origin="LEGACY")
    answer = await world.alpha.run(
        START, input={"tenantId": gid(world.alpha_id), "mode": "PREFLIGHT"}
    )
    [error] = answer["syncRunStart"]["userErrors"]
    assert (error["field"], error["code"]) == (["input", "existingAccounts"], "CONFLICT")
    await choose(world.alpha, gid(world.alpha_id), "REPLACE")
    answer = await world.alpha.run(
        START, input={"tenantId": gid(world.alpha_id), "mode": "PREFLIGHT"}
    )
    assert answer["syncRunStart"]["userErrors"] == []
