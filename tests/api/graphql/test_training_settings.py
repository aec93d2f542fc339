"""Training settings over GraphQL: what counts and why, who may set it, and many people at once."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import asyncpg
import pytest
from starlette.applications import Starlette

from api.graphql.errands import run_errand
from api.graphql.node import encode_id
from domain.clock import new_id
from domain.errands.perform import perform_errand
from domain.people.callers import ALL_SCOPES, Scope
from domain.resources import Resources
from tests.api.graphql.client import World, connected, counted_statements
from tests.api.graphql.seed import add_group, add_membership, add_school, add_token, add_user

pytestmark = pytest.mark.anyio

SPEED = "trainingSettings { speedTarget { value level node { id } } own { speedTarget version } }"
EVERYTHING = """trainingSettings {
    speedTarget { value level } accuracyTarget { value level } keyboardLayout { value level }
    hasAvatars { value level } ageGroup { value level }
    own { speedTarget version updatedAt updatedBy { label } } }"""
READ = f"""query ($id: ID!) {{ node(id: $id) {{
    ... on Tenant {{ {SPEED} }} ... on School {{ {SPEED} }}
    ... on Group {{ {SPEED} }} ... on User {{ {SPEED} }} }} }}"""
SET = """mutation ($input: TrainingSettingsSetInput!) { done: trainingSettingsSet(input: $input) {
    settings { speedTarget accuracyTarget keyboardLayout hasAvatars ageGroup version }
    node { id } userErrors { field code message } } }"""
RESET = """mutation ($input: TrainingSettingsResetInput!) {
  done: trainingSettingsReset(input: $input) {
    settings { speedTarget accuracyTarget hasAvatars version }
    userErrors { field code message } } }"""
BULK = """mutation ($input: TrainingSettingsSetBulkInput!) {
  done: trainingSettingsSetBulk(input: $input) {
    matchedCount changedCount errand { id state } userErrors { field code message } } }"""
FOLLOW = """query ($id: ID!) { node(id: $id) { ... on Errand {
    kind state progress { done total } settingsBulk { matchedCount changedCount } } } }"""
IN_GROUP = """query ($id: ID!, $group: ID) { node(id: $id) { ... on User {
    trainingSettings(group: $group) { speedTarget { value level } ageGroup { value } } } } }"""
PAGE = f"""query ($first: Int) {{ tenant(slug: "alpha") {{ users(first: $first) {{
    nodes {{ username {EVERYTHING} }} }} }} }}"""
SOURCES = f"""query ($first: Int) {{ tenant(slug: "alpha") {{ users(first: $first) {{ nodes {{
    username {SPEED} groups {{ name {SPEED} }} school {{ name {SPEED} }} }} }} }} }}"""


@pytest.fixture
async def places(world: World, superuser: asyncpg.Connection) -> dict[str, Any]:
    """Global ids of the tenant, a school, a group and a student who is in it, nearest last."""
    alpha = world.alpha_id
    school = await add_school(superuser, alpha)
    group = await add_group(superuser, alpha, school)
    user = await add_user(superuser, alpha, schools=[school], grades=["03"])
    await add_membership(superuser, alpha, user, group)
    keys = {"T": alpha, "S": school, "G": group, "U": user}
    return {code: encode_id(code, alpha, key) for code, key in keys.items()}


@pytest.fixture(name="working")
async def fixture_working(worker_resources: Resources) -> AsyncGenerator[None]:
    """A worker that runs errands."""

    async def work() -> None:
        while True:
            if not await perform_errand(worker_resources.database):
                await asyncio.sleep(0.02)

    working = asyncio.create_task(work())
    yield
    working.cancel()
    await asyncio.wait([working])


async def put(world: World, query: str = SET, **given: Any) -> Any:
    return (await world.alpha.run(query, input=given))["done"]


async def test_the_nearest_level_counts_and_is_named(world: World, places: dict[str, Any]) -> None:
    ids, levels = list(places.values()), ("TENANT", "SCHOOL", "GROUP", "USER")
    for number, (node_id, level) in enumerate(zip(ids, levels, strict=True), 1):
        answer = await put(world, id=node_id, speedTarget=number * 10)
        assert answer["userErrors"] == []
        assert (answer["node"], answer["settings"]["version"]) == ({"id": node_id}, 1)
        for place in ids[number - 1 :]:
            found = (await world.alpha.run(READ, id=place))["node"]["trainingSettings"]
            counts = {"value": number * 10, "level": level, "node": {"id": node_id}}
            assert found["speedTarget"] == counts
    own = (await world.alpha.run(READ, id=places["S"]))["node"]["trainingSettings"]["own"]
    assert own == {"speedTarget": 20, "version": 1}


async def test_where_nothing_is_set_that_is_said(world: World, places: dict[str, Any]) -> None:
    for node_id in places.values():
        assert (await world.alpha.run(READ, id=node_id))["node"]["trainingSettings"] == {
            "speedTarget": {"value": None, "level": "DEFAULT", "node": None},
            "own": {"speedTarget": None, "version": 0},
        }


async def test_what_is_left_out_stays_and_null_takes_away(
    world: World, places: dict[str, Any]
) -> None:
    values: dict[str, Any] = {
        "accuracyTarget": 95,
        "keyboardLayout": "US(Dvorak)",
        "hasAvatars": False,
    }
    await put(world, id=places["G"], speedTarget=30, ageGroup="EARLY", **values)
    answer = await put(world, id=places["G"], speedTarget=None, version=1)
    assert answer["settings"] == {
        "speedTarget": None,
        "ageGroup": "EARLY",
        "version": 2,
        **values,
        "keyboardLayout": "us(dvorak)",
    }
    answer = await put(world, RESET, id=places["G"], fields=["ACCURACY_TARGET"])
    assert answer["settings"] == {
        "speedTarget": None, "accuracyTarget": None, "hasAvatars": False, "version": 3,
    }  # fmt: skip
    answer = await put(world, RESET, id=places["G"], version=3)
    assert answer["settings"] == {
        "speedTarget": None, "accuracyTarget": None, "hasAvatars": None, "version": 4,
    }  # fmt: skip


async def test_another_group_than_the_one_they_land_in_may_be_asked_for(
    world: World, superuser: asyncpg.Connection, places: dict[str, Any]
) -> None:
    alpha = world.alpha_id
    other = await add_group(superuser, alpha, await add_school(superuser, alpha))
    other_id = encode_id("G", alpha, other)
    await put(world, id=places["G"], speedTarget=30, ageGroup="HIGH")
    await put(world, id=other_id, speedTarget=40)
    for group, speed, age_group in (
        (None, 30, "HIGH"),
        (places["G"], 30, "HIGH"),
        (other_id, 40, None),
    ):
        found = await world.alpha.run(IN_GROUP, id=places["U"], group=group)
        assert found["node"]["trainingSettings"] == {
            "speedTarget": {"value": speed, "level": "GROUP"},
            "ageGroup": {"value": age_group},
        }
    theirs = await add_group(superuser, world.beta_id, await add_school(superuser, world.beta_id))
    for strange in (
        encode_id("G", world.beta_id, theirs),
        encode_id("G", alpha, theirs),
        encode_id("G", alpha, new_id()),
        places["S"],
        "x",
    ):
        error = await world.alpha.fail(IN_GROUP, id=places["U"], group=strange)
        assert error["extensions"]["reason"] == "INVALID_ID"


@pytest.mark.parametrize(
    ("code", "given", "field"),
    [
        ("U", {"speedTarget": 251}, "speedTarget"),
        ("S", {"accuracyTarget": 101}, "accuracyTarget"),
        ("T", {"keyboardLayout": "us(dvorac)"}, "keyboardLayout"),
        ("U", {"ageGroup": "HIGH"}, "ageGroup"),
    ],
)
async def test_what_cannot_be_is_refused_with_its_field(
    code: str, given: dict[str, Any], field: str, world: World, places: dict[str, Any]
) -> None:
    answer = await put(world, id=places[code], **given)
    [error] = answer.pop("userErrors")
    assert (error["field"], error["code"]) == (["input", field], "INVALID")
    assert answer == {"settings": None, "node": None}


async def test_a_stale_version_is_a_conflict_that_names_who_was_first(
    world: World, places: dict[str, Any], superuser: asyncpg.Connection
) -> None:
    await put(world, id=places["S"], speedTarget=20, version=0)
    answer = await put(world, id=places["S"], speedTarget=30, version=0)
    [error] = answer["userErrors"]
    token_id = await superuser.fetchval("SELECT id FROM api_tokens WHERE name = 'token of-alpha'")
    assert (error["field"], error["code"]) == (["input", "version"], "CONFLICT")
    assert f"token {token_id} changed them at" in error["message"]
    assert answer["settings"] is None


async def test_two_at_once_and_one_is_told(world: World, places: dict[str, Any]) -> None:
    answers = await asyncio.gather(
        *(put(world, id=places["T"], speedTarget=speed, version=0) for speed in (20, 30))
    )
    told = sorted(error["code"] for answer in answers for error in answer["userErrors"])
    assert told == ["CONFLICT"]


async def test_another_tenants_and_what_is_not_there_is_not_found(
    world: World, superuser: asyncpg.Connection
) -> None:
    beta = world.beta_id
    theirs = await add_school(superuser, beta)
    for node_id in (
        encode_id("S", beta, theirs),
        encode_id("S", world.alpha_id, theirs),
        encode_id("T", beta, beta),
        encode_id("U", world.alpha_id, new_id()),
    ):
        for query, given in ((SET, {"speedTarget": 30}), (RESET, {})):
            [error] = (await put(world, query, id=node_id, **given))["userErrors"]
            assert error["code"] == "NOT_FOUND"
    for other in ("x", encode_id("M", world.alpha_id, new_id())):
        [error] = (await put(world, id=other, speedTarget=30))["userErrors"]
        assert (error["field"], error["code"]) == (["input", "id"], "INVALID")
    absent = new_id()
    answer = await world.operator.run(
        SET, input={"id": encode_id("T", absent, absent), "speedTarget": 30}
    )
    assert answer["done"]["userErrors"][0]["code"] == "NOT_FOUND"
    assert await superuser.fetchval("SELECT count(*) FROM training_settings") == 0


async def test_only_administrators_set_and_a_payload_leads_no_further(
    world: World, app: Starlette, superuser: asyncpg.Connection, places: dict[str, Any]
) -> None:
    others = [scope for scope in ALL_SCOPES if scope is not Scope.TENANT_ADMIN]
    await add_token(superuser, "of-reader", world.alpha_id, scopes=others)
    await add_token(superuser, "of-setter", world.alpha_id, scopes=[Scope.TENANT_ADMIN])
    async with connected(app, "of-reader") as reader:
        for query, given in (
            (SET, {"id": places["U"], "speedTarget": 30}),
            (RESET, {"id": places["U"]}),
            (BULK, {"tenantId": places["T"], "filter": {"grade": "03"}, "speedTarget": 30}),
        ):
            error = await reader.fail(query, input=given)
            assert error["extensions"]["code"] == "FORBIDDEN"
    async with connected(app, "of-setter") as setter:
        given = {"id": places["U"], "speedTarget": 30}
        assert (await setter.fail(SET, input=given))["extensions"]["code"] == "FORBIDDEN"
        answer = await setter.run(SET.replace("node { id }", ""), input=given)
        assert answer["done"]["settings"]["speedTarget"] == 30


async def test_the_layouts_are_listed(world: World) -> None:
    listed = (await world.alpha.run("{ keyboardLayouts { id name shape } }"))["keyboardLayouts"]
    assert {"id": "us", "name": "English (US)", "shape": "QWERTY"} in listed
    assert {layout["shape"] for layout in listed} >= {"AZERTY", "QWERTZ", "DVORAK", "COLEMAK"}


async def test_many_people_are_set_at_once(
    world: World, places: dict[str, Any], working: None
) -> None:
    whose = {"schoolId": places["S"], "groupId": places["G"], "grade": "03"}
    given = {"tenantId": places["T"], "filter": whose, "speedTarget": 30, "hasAvatars": None}
    answer = await put(world, BULK, **given)
    errand = answer["errand"]
    assert errand["state"] == "DONE"
    assert answer == {"matchedCount": 1, "changedCount": 1, "errand": errand, "userErrors": []}
    assert (await put(world, BULK, **given))["changedCount"] == 0
    assert (await world.alpha.run(FOLLOW, id=errand["id"]))["node"] == {
        "kind": "SETTINGS_BULK",
        "state": "DONE",
        "progress": {"done": 1, "total": 1},
        "settingsBulk": {"matchedCount": 1, "changedCount": 1},
    }


async def test_a_bulk_that_cannot_be_is_refused_before_anybody_waits(
    world: World, superuser: asyncpg.Connection, places: dict[str, Any]
) -> None:
    theirs = await add_school(superuser, world.beta_id)
    for given, field in (
        ({"filter": {"grade": "03"}, "speedTarget": 0}, ["input", "speedTarget"]),
        ({"filter": {"schoolId": encode_id("S", world.beta_id, theirs)}, "speedTarget": 9},
         ["input", "filter", "schoolId"]),
        ({"filter": {"groupId": places["S"]}, "speedTarget": 9}, ["input", "filter", "groupId"]),
        ({"filter": {"grade": ""}, "speedTarget": 9}, ["input", "filter", "grade"]),
    ):  # fmt: skip
        [error] = (await put(world, BULK, tenantId=places["T"], **given))["userErrors"]
        assert (error["field"], error["code"]) == (field, "INVALID")
    for unknown in (
        encode_id("S", world.alpha_id, theirs),
        encode_id("S", world.alpha_id, new_id()),
    ):
        given = {"filter": {"schoolId": unknown}, "speedTarget": 9}
        [error] = (await put(world, BULK, tenantId=places["T"], **given))["userErrors"]
        assert error["code"] == "NOT_FOUND"
    assert await superuser.fetchval("SELECT count(*) FROM errands") == 0


async def test_several_thousand_are_followed_by_the_errand(
    world: World,
    superuser: asyncpg.Connection,
    places: dict[str, Any],
    worker_resources: Resources,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await superuser.execute(
        "INSERT INTO users (tenant_id, username, given_name, family_name, origin, roles, grades,"
        " is_enabled) SELECT $1, 'many-' || n, 'A', 'B', 'PROVIDER', '{STUDENT}', '{07}', true"
        " FROM generate_series(1, 6000) AS n",
        world.alpha_id,
    )
    monkeypatch.setattr(run_errand, "__kwdefaults__", {"seconds": 0.1})
    given = {"tenantId": places["T"], "filter": {"grade": "07"}, "speedTarget": 30}
    answer = await put(world, BULK, **given)
    assert (answer["matchedCount"], answer["errand"]["state"]) == (None, "WAITING")
    follow = {"id": answer["errand"]["id"]}
    assert (await world.alpha.run(FOLLOW, **follow))["node"]["progress"] is None
    working = asyncio.create_task(perform_errand(worker_resources.database))
    seen: list[Any] = []
    while not working.done():
        node = (await world.alpha.run(FOLLOW, **follow))["node"]
        seen.append((node["state"], node["progress"]))
    assert await working
    assert ("RUNNING", {"done": 5_000, "total": 6_000}) in seen
    assert (await world.alpha.run(FOLLOW, **follow))["node"] == {
        "kind": "SETTINGS_BULK",
        "state": "DONE",
        "progress": {"done": 6_000, "total": 6_000},
        "settingsBulk": {"matchedCount": 6_000, "changedCount": 6_000},
    }


async def test_a_page_of_a_hundred_takes_as_many_statements_as_a_page_of_two(
    world: World, superuser: asyncpg.Connection, resources: Resources, places: dict[str, Any]
) -> None:
    alpha = world.alpha_id
    schools = [await add_school(superuser, alpha) for _ in range(2)]
    groups = [await add_group(superuser, alpha, schools[number % 2]) for number in range(5)]
    for number in range(100):
        user = await add_user(superuser, alpha, schools=schools[number % 2 :])
        for group in groups[number % 4 : number % 4 + 2]:
            await add_membership(superuser, alpha, user, group)
    await put(world, id=places["T"], speedTarget=30)
    for group in groups:
        await put(world, id=encode_id("G", alpha, group), speedTarget=40)
    counts = []
    for query, first in ((PAGE, 2), (PAGE, 100), (SOURCES, 100)):
        with counted_statements(resources.database.engine.sync_engine) as statements:
            data = await world.alpha.run(query, first=first)
        counts.append(len(statements))
        assert len(data["tenant"]["users"]["nodes"]) == first
    # The token, the slug, the tenant, the people, what counts, what is set: each in a transaction.
    assert counts[:2] == [12, 12]
    # Loads of one kind at different depths may meet or not; there are never more than this.
    assert counts[2] <= 40
