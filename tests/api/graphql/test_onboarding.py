"""Operators see which districts share with the product, and which of them are connected."""

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from starlette.applications import Starlette

from domain.people.callers import Scope
from domain.resources import Resources
from tests.api.graphql.client import World, connected, counted_statements
from tests.api.graphql.seed import add_integration, add_token, insert

pytestmark = pytest.mark.anyio

MONDAY = datetime(2026, 8, 3, 6, 23, tzinfo=UTC)
QUERY = """query ($first: Int, $after: String, $filter: OnboardingRequestFilter) {
    onboardingRequests(first: $first, after: $after, filter: $filter) {
        totalCount
        nodes { externalId }
        pageInfo { hasNextPage endCursor }
    }
}"""


async def add_request(
    superuser: asyncpg.Connection, external_id: str, *, day: int = 0, **values: Any
) -> None:
    row = {
        "provider": "CLEVER",
        "name": f"District {external_id}",
        "first_seen_at": MONDAY + timedelta(days=day),
        "last_seen_at": MONDAY + timedelta(days=7),
        "is_shared": True,
    }
    await insert(superuser, "onboarding_requests", external_id=external_id, **row | values)


async def connect_alpha(superuser: asyncpg.Connection, world: World) -> None:
    await add_integration(
        superuser, world.alpha_id, provider="CLASSLINK", settings={"tenant_id": "1001"}
    )


async def test_an_operator_sees_who_shares_and_who_is_connected(
    world: World, superuser: asyncpg.Connection
) -> None:
    await add_request(superuser, "d1", is_shared=False)
    await add_request(superuser, "1001", day=1, provider="CLASSLINK")
    await connect_alpha(superuser, world)
    query = """{ onboardingRequests { nodes {
        provider externalId name firstSeenAt lastSeenAt isShared tenant { slug }
    } } }"""
    assert (await world.operator.run(query))["onboardingRequests"]["nodes"] == [
        {
            "provider": "CLASSLINK",
            "externalId": "1001",
            "name": "District 1001",
            "firstSeenAt": "2026-08-04T06:23:00+00:00",
            "lastSeenAt": "2026-08-10T06:23:00+00:00",
            "isShared": True,
            "tenant": {"slug": "alpha"},
        },
        {
            "provider": "CLEVER",
            "externalId": "d1",
            "name": "District d1",
            "firstSeenAt": "2026-08-03T06:23:00+00:00",
            "lastSeenAt": "2026-08-10T06:23:00+00:00",
            "isShared": False,
            "tenant": None,
        },
    ]


async def test_the_latest_come_first_page_by_page(
    world: World, superuser: asyncpg.Connection
) -> None:
    for number in range(5):
        await add_request(superuser, f"d{number}", day=number)
    found: list[str] = []
    after, has_next = None, True
    while has_next:
        data = await world.operator.run(QUERY, first=2, after=after)
        page = data["onboardingRequests"]
        assert page["totalCount"] == 5
        found += [node["externalId"] for node in page["nodes"]]
        after, has_next = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    assert found == ["d4", "d3", "d2", "d1", "d0"]


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ({"provider": "CLASSLINK"}, ["1002", "1001"]),
        ({"isShared": False}, ["1002"]),
        ({"isShared": True}, ["1001", "d1"]),
        ({"isConnected": True}, ["1001"]),
        ({"isConnected": False}, ["1002", "d1"]),
        ({"isConnected": False, "isShared": True}, ["d1"]),
    ],
)
async def test_a_filter_leaves_the_others_out(
    filter: dict[str, Any], expected: list[str], world: World, superuser: asyncpg.Connection
) -> None:
    await add_request(superuser, "d1")
    await add_request(superuser, "1001", day=1, provider="CLASSLINK")
    await add_request(superuser, "1002", day=2, provider="CLASSLINK", is_shared=False)
    await connect_alpha(superuser, world)
    page = (await world.operator.run(QUERY, filter=filter))["onboardingRequests"]
    assert [node["externalId"] for node in page["nodes"]] == expected
    assert page["totalCount"] == len(expected)


async def test_the_tenants_of_a_page_are_read_at_once(
    world: World, superuser: asyncpg.Connection, resources: Resources
) -> None:
    await add_request(superuser, "1001", provider="CLASSLINK")
    await add_request(superuser, "d1")
    await connect_alpha(superuser, world)
    await add_integration(
        superuser, world.beta_id, provider="CLEVER", settings={"district_id": "d1"}
    )
    query = "{ onboardingRequests { nodes { tenant { slug } } } }"
    with counted_statements(resources.database.engine.sync_engine) as statements:
        data = await world.operator.run(query)
    assert sorted(node["tenant"]["slug"] for node in data["onboardingRequests"]["nodes"]) == [
        "alpha",
        "beta",
    ]
    assert len([one for one in statements if "set_config" not in one]) == 3  # with the token's


async def test_a_tenant_is_not_told_who_shares(world: World, superuser: asyncpg.Connection) -> None:
    await add_request(superuser, "1001", provider="CLASSLINK")
    await connect_alpha(superuser, world)
    for client in (world.alpha, world.beta):
        error = await client.fail(QUERY)
        assert error["extensions"]["code"] == "FORBIDDEN"
        assert error["message"] == "Only an operator may do this."


@pytest.mark.parametrize("scope", [Scope.ROSTER_READ, Scope.SYNC_RUN])
async def test_an_operator_needs_the_scope_for_administering(
    scope: Scope, world: World, app: Starlette, superuser: asyncpg.Connection
) -> None:
    await add_token(superuser, "of-reader", scopes=[scope])
    async with connected(app, "of-reader") as reader:
        error = await reader.fail(QUERY)
    assert error["extensions"]["code"] == "FORBIDDEN"
    assert error["message"] == "This needs a token with the scope tenant:admin."
