"""The number of statements of a query does not grow with the rows that it brings."""

from typing import Any

import asyncpg
import pytest

from domain.resources import Resources
from tests.api.graphql.client import World, counted_statements
from tests.api.graphql.seed import (
    add_error,
    add_group,
    add_integration,
    add_membership,
    add_run,
    add_school,
    add_user,
)

pytestmark = pytest.mark.anyio

USERS = """query ($first: Int) { tenant(slug: "alpha") { users(first: $first) {
    totalCount pageInfo { hasNextPage }
    nodes {
        username school { name } schools { name } groups { name school { name } course { name } }
        memberships(first: 3) { totalCount nodes { role spans { sourceId } group { name } } }
    }
} } }"""
GROUPS = """query ($first: Int) { tenant(slug: "alpha") { groups(first: $first) {
    nodes {
        name school { name } course { name } terms { name }
        memberships(first: 3) { totalCount nodes { role user { username school { name } } } }
    }
} } }"""
RUNS = """query ($first: Int) { tenant(slug: "alpha") { syncRuns(first: $first) {
    nodes {
        state tenant { slug } hold { createdAt }
        changes(first: 3) { totalCount nodes { action } }
        validationErrors(first: 3) { totalCount nodes { code } }
    }
} } }"""
ERRORS = """query ($first: Int) { tenant(slug: "alpha") {
    validationErrors(first: $first) { totalCount nodes { code title remedy } }
    validationErrorGroups { code count example { code } }
} }"""
SUMMARIES = """query ($first: Int) { tenants(first: $first) { totalCount nodes {
    slug subscriptionSummary { openErrors lastSync { state } lastSuccessfulSync { state } }
} } }"""


async def count(world: World, resources: Resources, query: str, first: int) -> tuple[int, Any]:
    with counted_statements(resources.database.engine.sync_engine) as statements:
        data = await world.alpha.run(query, first=first)
    return len(statements), data


@pytest.fixture
async def large(world: World, superuser: asyncpg.Connection) -> World:
    tenant_id = world.alpha_id
    schools = [await add_school(superuser, tenant_id) for _ in range(3)]
    integration = await add_integration(superuser, tenant_id)
    groups = []
    for number in range(100):
        groups.append(await add_group(superuser, tenant_id, schools[number % 3]))
        user = await add_user(
            superuser, tenant_id, schools=schools[number % 2 :], family_name=f"Lee {number:03}"
        )
        run = await add_run(superuser, tenant_id, integration)
        await add_error(superuser, tenant_id, run, cause=f"cause {number}")
        for group in groups[-3:]:
            await add_membership(superuser, tenant_id, user, group)
    return world


@pytest.mark.parametrize(
    ("query", "most"),
    [(USERS, 26), (GROUPS, 22), (RUNS, 20), (ERRORS, 14), (SUMMARIES, 12)],
    ids=["users", "groups", "runs", "errors", "summaries"],
)
async def test_a_page_of_a_hundred_takes_as_many_statements_as_a_page_of_two(
    query: str, most: int, large: World, resources: Resources
) -> None:
    few, _ = await count(large, resources, query, 2)
    many, data = await count(large, resources, query, 100)
    assert many == few
    assert many <= most
    assert data


async def test_the_total_is_counted_only_when_it_is_selected(
    world: World, resources: Resources
) -> None:
    query = 'query ($first: Int) { tenant(slug: "alpha") { users(first: $first) { %s } } }'
    without, _ = await count(world, resources, query % "nodes { id }", 1)
    selected, data = await count(world, resources, query % "totalCount nodes { id }", 1)
    assert data == {"tenant": {"users": {"totalCount": 0, "nodes": []}}}
    # The count, and the statement that names its transaction's tenant.
    assert selected == without + 2
