"""Tenants: finding, listing, summing up and creating them."""

from datetime import date, timedelta
from typing import Any

import asyncpg
import pytest

from domain.clock import utc_now
from tests.api.graphql.client import World
from tests.api.graphql.seed import (
    add_error,
    add_integration,
    add_run,
    add_tenant,
    add_user,
)

pytestmark = pytest.mark.anyio

CREATE = """mutation ($input: TenantCreateInput!) { tenantCreate(input: $input) {
    tenant { slug name displayName timeZone status subscriptionSummary { kind } }
    userErrors { field code message }
} }"""
LIST = """query ($filter: TenantFilter, $order: TenantOrder) {
    tenants(filter: $filter, orderBy: $order) { totalCount nodes { slug } } }"""


async def test_the_viewer_is_the_token(world: World) -> None:
    query = "{ viewer { name isOperator scopes tenant { slug timeZone } } }"
    assert await world.alpha.run(query) == {
        "viewer": {
            "name": "token of-alpha",
            "isOperator": False,
            "scopes": [
                "PROGRESS_WRITE",
                "ROSTER_READ",
                "SYNC_RUN",
                "TENANT_ADMIN",
                "TRAINING_READ",
                "TRAINING_WRITE",
            ],
            "tenant": {"slug": "alpha", "timeZone": "America/Chicago"},
        }
    }


async def test_a_tenant_is_found_by_its_id_or_its_slug(world: World) -> None:
    data = await world.alpha.run('{ tenant(slug: "alpha") { id slug name createdAt } }')
    by_id = await world.alpha.run(
        "query ($id: ID) { tenant(id: $id) { id slug name createdAt } }", id=data["tenant"]["id"]
    )
    assert by_id == data
    assert data["tenant"]["name"] == "Alpha"
    assert await world.operator.run('{ tenant(slug: "none") { id } }') == {"tenant": None}
    for arguments in ("", '(id: "x", slug: "y")'):
        error = await world.alpha.fail(f"{{ tenant{arguments} {{ id }} }}")
        assert error["message"] == "Give either `id` or `slug`."
        assert error["extensions"]["code"] == "BAD_USER_INPUT"


async def test_operators_list_and_filter_tenants(
    world: World, superuser: asyncpg.Connection
) -> None:
    await add_tenant(superuser, "gamma", name="Alphabet City", status="PAUSED")

    async def slugs(**variables: Any) -> list[str]:
        data = await world.operator.run(LIST, **variables)
        assert data["tenants"]["totalCount"] == len(data["tenants"]["nodes"])
        return [node["slug"] for node in data["tenants"]["nodes"]]

    assert await slugs() == ["alpha", "gamma", "beta"]
    assert await slugs(order={"field": "SLUG"}) == ["alpha", "beta", "gamma"]
    assert await slugs(order={"field": "SLUG", "direction": "DESC"}) == ["gamma", "beta", "alpha"]
    assert await slugs(filter={"search": "ALPHA"}) == ["alpha", "gamma"]
    assert await slugs(filter={"search": "%"}) == []
    assert await slugs(filter={"status": "PAUSED"}) == ["gamma"]
    assert await slugs(filter={"status": "CLOSED"}) == []


async def test_the_summary_says_how_a_tenant_is_doing(
    world: World, superuser: asyncpg.Connection
) -> None:
    tenant_id, now = world.alpha_id, utc_now()
    await add_user(superuser, tenant_id)
    await add_user(superuser, tenant_id, is_enabled=False)
    await add_user(superuser, tenant_id, archived_at=now)
    await add_user(superuser, tenant_id, roles=["TEACHER"])
    integration = await add_integration(superuser, tenant_id)
    await superuser.execute("UPDATE subscriptions SET go_live_on = $1", date(2027, 1, 11))
    await superuser.execute(
        "INSERT INTO sync_schedules (tenant_id, integration_id, local_time, every_days, first_on,"
        " next_due_at) VALUES ($1, $2, '02:00', 1, '2026-11-01', '2026-11-23 08:00+00')",
        tenant_id,
        integration,
    )
    await add_run(superuser, tenant_id, integration, mode="PREFLIGHT")
    good = await add_run(superuser, tenant_id, integration)
    failed = await add_run(
        superuser,
        tenant_id,
        integration,
        id=good.__class__(int=good.int + (1 << 80)),
        state="FAILED",
        failure_code="FILE_MISSING",
        failure_message="users.csv is missing.",
    )
    await add_error(superuser, tenant_id, failed)
    await add_error(superuser, tenant_id, failed, state="RESOLVED")
    query = """{ tenants { nodes { slug subscriptionSummary {
        kind licences { used limit } nextSyncAt goLiveOn openErrors
        lastSync { state failure { code message title owner remedy } }
        lastSuccessfulSync { state mode }
    } } } }"""
    data = await world.operator.run(query)
    alpha, beta = [node["subscriptionSummary"] for node in data["tenants"]["nodes"]]
    assert alpha == {
        "kind": "PAID",
        "licences": {"used": 1, "limit": 500},
        "nextSyncAt": "2026-11-23T08:00:00+00:00",
        "goLiveOn": "2027-01-11",
        "openErrors": 1,
        "lastSync": {
            "state": "FAILED",
            "failure": {
                "code": "FILE_MISSING",
                "message": "users.csv is missing.",
                "title": "A required file is missing",
                "owner": "DISTRICT",
                "remedy": "Put the file into the package (and into its manifest) and sync again.",
            },
        },
        "lastSuccessfulSync": {"state": "SUCCEEDED", "mode": "FULL"},
    }
    assert beta["licences"] == {"used": 0, "limit": 500}
    assert beta["lastSync"] is None
    assert beta["openErrors"] == 0


async def test_an_operator_creates_a_tenant(world: World, superuser: asyncpg.Connection) -> None:
    given = {"slug": "delta-2", "name": " Delta USD ", "timeZone": "America/Denver"}
    data = await world.operator.run(CREATE, input=given)
    assert data["tenantCreate"] == {
        "tenant": {
            "slug": "delta-2",
            "name": "Delta USD",
            "displayName": "Delta USD",
            "timeZone": "America/Denver",
            "status": "ACTIVE",
            "subscriptionSummary": {"kind": "TRIAL"},
        },
        "userErrors": [],
    }
    data = await world.operator.run(
        CREATE, input={"slug": "e", "name": "E", "displayName": "Echo (KS)"}
    )
    assert data["tenantCreate"]["tenant"]["displayName"] == "Echo (KS)"
    assert data["tenantCreate"]["tenant"]["timeZone"] == "America/New_York"
    acts = await superuser.fetch("SELECT action, details FROM audit_log ORDER BY id")
    assert [(row["action"], row["details"]) for row in acts] == [
        ("tenantCreate", '{"slug": "delta-2"}'),
        ("tenantCreate", '{"slug": "e"}'),
    ]


async def test_a_slug_is_taken_once(world: World, superuser: asyncpg.Connection) -> None:
    data = await world.operator.run(CREATE, input={"slug": "alpha", "name": "Another"})
    assert data["tenantCreate"] == {
        "tenant": None,
        "userErrors": [
            {
                "field": ["input", "slug"],
                "code": "CONFLICT",
                "message": "The slug 'alpha' is taken.",
            }
        ],
    }
    assert await superuser.fetchval("SELECT count(*) FROM tenants") == 2
    assert await superuser.fetchval("SELECT count(*) FROM audit_log") == 0


async def test_what_is_wrong_with_a_new_tenant_is_said_of_its_field(
    world: World, subtests: pytest.Subtests
) -> None:
    wrong: list[tuple[str, dict[str, str]]] = [
        ("slug", {"slug": "Not A Slug", "name": "A"}),
        ("slug", {"slug": "", "name": "A"}),
        ("slug", {"slug": "a" * 64, "name": "A"}),
        ("name", {"slug": "a", "name": " "}),
        ("name", {"slug": "a", "name": "A" * 201}),
        ("displayName", {"slug": "a", "name": "A", "displayName": "A" * 201}),
        ("timeZone", {"slug": "a", "name": "A", "timeZone": "Mars/Olympus"}),
        ("timeZone", {"slug": "a", "name": "A", "timeZone": "../../etc/passwd"}),
    ]
    for field, given in wrong:
        with subtests.test(given=given):
            data = await world.operator.run(CREATE, input=given)
            assert data["tenantCreate"]["tenant"] is None
            [error] = data["tenantCreate"]["userErrors"]
            assert (error["field"], error["code"]) == (["input", field], "INVALID")


async def test_several_tenants_are_created_one_after_another(
    world: World, superuser: asyncpg.Connection
) -> None:
    """A refused one does not stop the rest, and each sees what the one before did."""
    once = 'tenantCreate(input: {slug: "twice", name: "T"}) { tenant { slug } userErrors { code } }'
    data = await world.operator.run(f"mutation {{ a: {once} b: {once} }}")
    assert data == {
        "a": {"tenant": {"slug": "twice"}, "userErrors": []},
        "b": {"tenant": None, "userErrors": [{"code": "CONFLICT"}]},
    }
    assert await superuser.fetchval("SELECT count(*) FROM tenants") == 3


async def test_last_sync_is_the_one_that_was_asked_for_last(
    world: World, superuser: asyncpg.Connection
) -> None:
    integration = await add_integration(superuser, world.alpha_id)
    earlier = utc_now() - timedelta(days=1)
    await add_run(superuser, world.alpha_id, integration, requested_at=earlier)
    query = """{ tenant(slug: "alpha") {
        subscriptionSummary { lastSync { id } }
        syncRuns(first: 1) { nodes { id } }
    } }"""
    tenant = (await world.alpha.run(query))["tenant"]
    assert tenant["syncRuns"]["nodes"] == [tenant["subscriptionSummary"]["lastSync"]]
