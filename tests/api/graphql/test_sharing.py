"""Sharing rules: previewed, set, shown, and refused where they are none."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from api.graphql.node import encode_id
from domain.clock import new_id, utc_now
from tests.api.graphql.client import World
from tests.api.graphql.seed import add_integration, add_run

pytestmark = pytest.mark.anyio

PREVIEW = """mutation ($input: SharingRulesPreviewInput!) { sharingRulesPreview(input: $input) {
    syncRun { id mode state leftOut { subject } } userErrors { field code message } } }"""
SET = """mutation ($input: SharingRulesSetInput!) { sharingRulesSet(input: $input) {
    rules { subject values } userErrors { field code message } } }"""
SHOW = '{ tenant(slug: "alpha") { integration { sharingRules { subject values } } } }'
RULES = [{"subject": "SCHOOL", "values": ["s1"]}, {"subject": "GRADE", "values": ["1", "K"]}]
STORED = {"SCHOOL": ["s1"], "GRADE": ["KG", "01"]}
NORMAL = [{"subject": "GRADE", "values": ["01", "KG"]}, {"subject": "SCHOOL", "values": ["s1"]}]


def given(world: World, rules: Any = RULES, **values: Any) -> dict[str, Any]:
    tenant_id = encode_id("T", world.alpha_id, world.alpha_id)
    return {"tenantId": tenant_id, "rules": rules} | values


def run_id(tenant_id: UUID, key: UUID) -> str:
    return encode_id("R", tenant_id, key)


async def refused(world: World, **values: Any) -> tuple[list[str], str]:
    answer = (await world.alpha.run(SET, input=given(world, **values)))["sharingRulesSet"]
    assert answer["rules"] == []
    [error] = answer["userErrors"]
    return error["field"][1:], error["code"]


async def test_rules_are_set_in_the_place_of_the_former_ones(
    world: World, superuser: asyncpg.Connection
) -> None:
    integration_id = await add_integration(superuser, world.alpha_id, cursors={"USER": "2026"})
    for rules, stored in (([], []), (RULES, NORMAL), ([RULES[0]], [RULES[0]]), ([], [])):
        answer = (await world.alpha.run(SET, input=given(world, rules)))["sharingRulesSet"]
        assert answer == {"rules": stored, "userErrors": []}
        data = await world.alpha.run(SHOW)
        assert data["tenant"]["integration"]["sharingRules"] == stored
    # The next delta reads everything: former rules left out what it would not name.
    assert await superuser.fetchval("SELECT cursors FROM integrations") == "{}"
    acts = await superuser.fetch("SELECT action, target, details::text FROM audit_log ORDER BY id")
    assert {(act["action"], act["target"]) for act in acts} == {
        ("sharingRulesSet", str(integration_id))
    }
    assert acts[1]["details"] == '{"values": {"GRADE": 2, "SCHOOL": 1}, "preview_run_id": null}'


async def test_rules_that_are_none_are_refused(
    world: World, superuser: asyncpg.Connection, subtests: pytest.Subtests
) -> None:
    await add_integration(superuser, world.alpha_id)
    many = [str(number) for number in range(1001)]
    for rules in (
        [RULES[0], RULES[0]],
        [{"subject": "SCHOOL", "values": []}],
        [{"subject": "SCHOOL", "values": [" "]}],
        [{"subject": "SCHOOL", "values": ["x" * 256]}],
        [{"subject": "SCHOOL", "values": ["a\nb"]}],
        [{"subject": "SCHOOL", "values": many}],
        [{"subject": "GRADE", "values": ["first"]}],
    ):
        with subtests.test(rules=str(rules)[:60]):
            assert await refused(world, rules=rules) == (["rules"], "INVALID")
            data = await world.alpha.run(PREVIEW, input=given(world, rules))
            assert data["sharingRulesPreview"]["syncRun"] is None
    assert await superuser.fetchval("SELECT count(*) FROM sync_runs") == 0


async def test_a_preview_is_a_preflight_with_the_draft_rules(
    world: World, superuser: asyncpg.Connection
) -> None:
    await add_integration(superuser, world.alpha_id)
    answer = (await world.alpha.run(PREVIEW, input=given(world)))["sharingRulesPreview"]
    assert answer["userErrors"] == []
    run = answer["syncRun"]
    assert (run["mode"], run["state"], run["leftOut"]) == ("PREFLIGHT", "QUEUED", [])
    again = (await world.alpha.run(PREVIEW, input=given(world)))["sharingRulesPreview"]
    assert again["syncRun"]["id"] == run["id"]
    other = await world.alpha.run(PREVIEW, input=given(world, [RULES[0]]))
    [error] = other["sharingRulesPreview"]["userErrors"]
    assert error["code"] == "CONFLICT"
    stored = await superuser.fetchval("SELECT sharing_rules::text FROM sync_runs")
    assert stored == '{"GRADE": ["01", "KG"], "SCHOOL": ["s1"]}'
    assert await superuser.fetchval("SELECT count(*) FROM sharing_rules") == 0


async def test_a_preview_of_exactly_these_rules_can_be_named(
    world: World, superuser: asyncpg.Connection
) -> None:
    integration_id = await add_integration(superuser, world.alpha_id)
    key = await add_run(
        superuser, world.alpha_id, integration_id, mode="PREFLIGHT", sharing_rules=STORED
    )
    named = given(world, previewRunId=run_id(world.alpha_id, key))
    answer = (await world.alpha.run(SET, input=named))["sharingRulesSet"]
    assert answer == {"rules": NORMAL, "userErrors": []}
    assert await superuser.fetchval("SELECT sharing_preview_run_id FROM integrations") == key
    await world.alpha.run(SET, input=given(world))
    assert await superuser.fetchval("SELECT sharing_preview_run_id FROM integrations") is None


async def test_a_preview_that_shows_something_else_is_refused(
    world: World, superuser: asyncpg.Connection, subtests: pytest.Subtests
) -> None:
    own = await add_integration(superuser, world.alpha_id)
    former = await add_integration(superuser, world.alpha_id, status="DISCONNECTED")
    preview = {"mode": "PREFLIGHT", "sharing_rules": STORED}
    long_ago = utc_now() - timedelta(days=7, minutes=1)
    wrong: list[tuple[str, UUID, dict[str, Any], str]] = [
        ("of other rules", own, {"sharing_rules": {"SCHOOL": ["s1"]}}, "INVALID"),
        ("of the rules that are saved", own, {"sharing_rules": None}, "INVALID"),
        ("no preview", own, {"mode": "FULL"}, "INVALID"),
        ("failed", own, {"state": "FAILED"}, "INVALID"),
        ("old", own, {"finished_at": long_ago}, "INVALID"),
        ("of another integration", former, {}, "INVALID"),
        ("under way", own, {"state": "PLANNING", "finished_at": None}, "CONFLICT"),
    ]
    for name, integration_id, values, code in wrong:
        with subtests.test(name):
            key = await add_run(superuser, world.alpha_id, integration_id, **preview | values)
            found = await refused(world, previewRunId=run_id(world.alpha_id, key))
            assert found == (["previewRunId"], code)
    theirs = await add_integration(superuser, world.beta_id)
    key = await add_run(superuser, world.beta_id, theirs, **preview)
    for other in (
        run_id(world.beta_id, key),
        run_id(world.alpha_id, key),
        run_id(world.alpha_id, new_id()),
        encode_id("T", world.alpha_id, world.alpha_id),
        "nonsense",
    ):
        assert await refused(world, previewRunId=other) == (["previewRunId"], "INVALID")
    assert await superuser.fetchval("SELECT count(*) FROM sharing_rules") == 0


async def test_a_run_says_what_each_rule_left_out(
    world: World, superuser: asyncpg.Connection
) -> None:
    integration_id = await add_integration(superuser, world.alpha_id)
    left_out = [
        {"subject": "SCHOOL", "record_type": "SCHOOL", "count": 2, "unmatched": ["s9"]},
        {"subject": "SCHOOL", "record_type": "GROUP", "count": 0},
    ]
    key = await add_run(superuser, world.alpha_id, integration_id, left_out=left_out)
    query = "query ($id: ID!) { syncRun(id: $id) { leftOut {subject recordType count unmatched} } }"
    data = await world.alpha.run(query, id=run_id(world.alpha_id, key))
    assert data["syncRun"]["leftOut"] == [
        {"subject": "SCHOOL", "recordType": "SCHOOL", "count": 2, "unmatched": ["s9"]},
        {"subject": "SCHOOL", "recordType": "GROUP", "count": 0, "unmatched": []},
    ]


async def test_another_tenants_rules_are_not_there(
    world: World, superuser: asyncpg.Connection
) -> None:
    await add_integration(superuser, world.alpha_id)
    for mutation, name in ((SET, "sharingRulesSet"), (PREVIEW, "sharingRulesPreview")):
        answer = (await world.beta.run(mutation, input=given(world)))[name]
        assert [error["code"] for error in answer["userErrors"]] == ["NOT_FOUND"]
    assert await superuser.fetchval("SELECT count(*) FROM audit_log") == 0
