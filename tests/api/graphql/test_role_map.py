"""Role maps: the provider's words with ours, and what a tenant changes of them."""

from typing import Any

import asyncpg
import pytest

from api.graphql.node import encode_id
from domain.providers import default_role_map
from domain.roster.source import Provider
from tests.api.graphql.client import World
from tests.api.graphql.seed import add_integration

pytestmark = pytest.mark.anyio

SET = """mutation ($input: RoleMapSetInput!) { roleMapSet(input: $input) {
    entries { providerRole role isChanged } userErrors { field code message } } }"""
SHOW = """{ tenant(slug: "alpha") { integration { roleMap { providerRole role isChanged } } } }"""
USUAL = {word: (role, False) for word, role in default_role_map(Provider.ONEROSTER_CSV).items()}


def given(world: World, *entries: dict[str, Any]) -> dict[str, Any]:
    tenant_id = encode_id("T", world.alpha_id, world.alpha_id)
    return {"tenantId": tenant_id, "entries": list(entries)}


def as_map(entries: list[dict[str, Any]]) -> dict[str, tuple[str | None, bool]]:
    return {each["providerRole"]: (each["role"], each["isChanged"]) for each in entries}


async def test_changes_take_the_place_of_the_former_ones(
    world: World, superuser: asyncpg.Connection
) -> None:
    integration_id = await add_integration(superuser, world.alpha_id, cursors={"USER": "2026"})
    aide = {"providerRole": "Aide", "role": "TEACHER"}
    coach = {"providerRole": "ext:coach", "role": "STAFF"}
    proctor = {"providerRole": "proctor"}
    without_aide = {word: entry for word, entry in USUAL.items() if word != "aide"}
    for entries, expected in (
        ((), USUAL),
        ((aide, coach), without_aide | {"Aide": ("TEACHER", True), "ext:coach": ("STAFF", True)}),
        ((proctor,), USUAL | {"proctor": (None, True)}),
    ):
        answer = (await world.alpha.run(SET, input=given(world, *entries)))["roleMapSet"]
        assert answer["userErrors"] == []
        assert as_map(answer["entries"]) == expected
        shown = (await world.alpha.run(SHOW))["tenant"]["integration"]["roleMap"]
        assert shown == answer["entries"]
        words = [each["providerRole"].casefold() for each in shown]
        assert words == sorted(words)
    assert await superuser.fetchval("SELECT cursors FROM integrations") == "{}"
    act = await superuser.fetchrow("SELECT * FROM audit_log ORDER BY id DESC")
    assert (act["action"], act["target"]) == ("roleMapSet", str(integration_id))
    assert act["details"] == '{"roles": {"proctor": null}}'


async def test_a_map_that_is_none_is_refused(
    world: World, superuser: asyncpg.Connection, subtests: pytest.Subtests
) -> None:
    await add_integration(superuser, world.alpha_id)
    many = [{"providerRole": f"word {number}"} for number in range(101)]
    for entries in (
        [{"providerRole": "aide"}, {"providerRole": "Aide"}],
        [{"providerRole": " "}],
        [{"providerRole": "x" * 256}],
        [{"providerRole": "a\nb"}],
        many,
    ):
        with subtests.test(entries=str(entries)[:60]):
            answer = (await world.alpha.run(SET, input=given(world, *entries)))["roleMapSet"]
            assert answer["entries"] == []
            [error] = answer["userErrors"]
            assert (error["field"], error["code"]) == (["input", "entries"], "INVALID")
    assert await superuser.fetchval("SELECT count(*) FROM role_maps") == 0


async def test_another_tenants_map_is_not_there(
    world: World, superuser: asyncpg.Connection
) -> None:
    await add_integration(superuser, world.alpha_id)
    answer = (await world.beta.run(SET, input=given(world)))["roleMapSet"]
    assert [error["code"] for error in answer["userErrors"]] == ["NOT_FOUND"]
    assert (await world.beta.run(SHOW))["tenant"] is None
