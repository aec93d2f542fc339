"""What an operation costs and what is left of the caller's points, in answers and in refusals."""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest
from structlog.testing import capture_logs

from api.app import create_app
from api.graphql.errors import ErrorCode, Refused
from api.graphql.throttling import CAPACITY, PER_SECOND, Throttling
from api.signing_in.site import SignInSettings
from domain.clock import new_id
from domain.people.callers import Caller
from domain.resources import Resources
from domain.throttle import Throttle, open_redis
from tests.api.graphql.client import World, connected

pytestmark = pytest.mark.anyio

VIEWER = "{ viewer { name } }"
USERS = 'query ($n: Int) { tenant(slug: "alpha") { users(first: $n) { nodes { id } } } }'


def cost_of(response: httpx2.Response) -> Any:
    return response.json()["extensions"]["cost"]


async def test_an_answer_says_what_it_cost_and_what_is_left(world: World) -> None:
    cost = cost_of(await world.alpha.post(USERS, n=60))
    assert cost["requestedQueryCost"] == 61
    status = cost["throttleStatus"]
    assert (status["maximumAvailable"], status["restoreRate"]) == (CAPACITY, PER_SECOND)
    assert CAPACITY - 61 <= status["currentlyAvailable"] <= CAPACITY


async def test_what_brings_no_objects_costs_a_point(world: World) -> None:
    assert cost_of(await world.alpha.post("{ __typename }"))["requestedQueryCost"] == 1


async def test_an_answer_with_errors_says_its_cost_too(world: World) -> None:
    response = await world.alpha.post(
        '{ tenant(slug: "alpha") { users(first: 0) { totalCount } } }'
    )
    assert response.json()["errors"]
    assert cost_of(response)["requestedQueryCost"] == 1


async def test_what_is_not_executed_has_no_cost(world: World) -> None:
    response = await world.alpha.post("{ nothing }")
    assert "extensions" not in response.json()


async def test_who_asks_too_much_is_told_when_to_return(
    resources: Resources, caller: Caller
) -> None:
    throttling = Throttling(resources.throttle)
    extensions = await throttling.spend(caller, CAPACITY)
    assert extensions["cost"]["requestedQueryCost"] == CAPACITY
    with pytest.raises(Refused) as caught:
        await throttling.spend(caller, CAPACITY)
    refused = caught.value
    assert (refused.status, refused.code) == (429, ErrorCode.THROTTLED)
    assert 1 <= int(refused.headers["Retry-After"]) <= CAPACITY // PER_SECOND
    assert re.fullmatch(
        rf"This costs {CAPACITY} points and \d+ are left; {PER_SECOND} come back in a second.",
        str(refused),
    )


async def test_other_doors_take_from_the_same_bucket(
    resources: Resources, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.graphql.throttling.PER_SECOND", 0.001)
    throttling = Throttling(resources.throttle)
    await throttling.spend(caller, CAPACITY - 1)
    await throttling.spend_least(caller)
    with pytest.raises(Refused, match="This costs 1 points and 0 are left"):
        await throttling.spend_least(caller)


async def test_a_refusal_by_http_is_a_429(
    world: World, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.graphql.throttling.PER_SECOND", 0.001)
    monkeypatch.setattr("api.graphql.throttling.CAPACITY", 100)
    assert (await world.alpha.post(USERS, n=60)).status_code == 200
    response = await world.alpha.post(USERS, n=60)
    assert response.status_code == 429
    assert 0 < int(response.headers["retry-after"]) <= 22_000
    [error] = response.json()["errors"]
    assert error["extensions"]["code"] == "THROTTLED"
    assert "data" not in response.json()
    assert (await world.beta.post(VIEWER)).status_code == 200


async def test_without_valkey_it_goes_on_and_says_so_once(
    resources: Resources, caller: Caller, tmp_path: Path
) -> None:
    async with open_redis(f"unix://{tmp_path}/nothing.sock") as redis:
        throttling = Throttling(Throttle(redis))
        with capture_logs() as logs:
            answers = [await throttling.spend(caller, 10**9) for _ in range(3)]
            await throttling.spend_least(caller)
    assert events(logs) == ["throttle_unreachable"]
    cost = {"requestedQueryCost": 10**9, "throttleStatus": None}
    assert answers == [{"cost": cost}] * 3


async def test_without_valkey_queries_are_answered(
    world: World, resources: Resources, tmp_path: Path
) -> None:
    async with open_redis(f"unix://{tmp_path}/nothing.sock") as redis:
        without = dataclasses.replace(resources, throttle=Throttle(redis))
        app = create_app(without, SignInSettings())
        async with connected(app, "of-alpha") as alpha:
            assert await alpha.run(VIEWER) == {"viewer": {"name": "token of-alpha"}}


def events(logs: Sequence[Any]) -> list[str]:
    return [entry["event"] for entry in logs]


@pytest.fixture(name="caller")
def fixture_caller() -> Caller:
    return Caller(actor=f"token {new_id()}", name="somebody", tenant_id=new_id())
