"""What is remembered of the districts that share with us."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from domain.integrations.onboarding import (
    Onboarding,
    Seen,
    Share,
    list_onboarding,
    record_shares,
)
from domain.resources import Resources
from domain.roster.source import Provider
from tests.api.graphql.seed import add_integration, add_tenant

pytestmark = pytest.mark.anyio

MONDAY = datetime(2026, 8, 3, 6, 23, tzinfo=UTC)
TUESDAY = MONDAY + timedelta(days=1)


async def record(
    worker: Resources,
    *shares: Share,
    provider: Provider = Provider.CLEVER,
    now: datetime = MONDAY,
) -> Seen:
    async with worker.database.transaction() as session:
        return await record_shares(session, provider=provider, shares=shares, now=now)


async def listed(resources: Resources) -> Sequence[Onboarding]:
    async with resources.database.read() as session:
        return await list_onboarding(session)


async def test_a_district_is_requested_once(
    worker_resources: Resources, resources: Resources
) -> None:
    shares = Share("d1", "Hickory"), Share("d2", "Aspen")
    assert await record(worker_resources, *shares) == Seen(requested=("d1", "d2"))
    renamed = Share("d1", "Hickory Valley"), Share("d2", "Aspen")
    assert await record(worker_resources, *renamed, now=TUESDAY) == Seen()
    assert {one.external_id: one[2:6] for one in await listed(resources)} == {
        "d1": ("Hickory Valley", MONDAY, TUESDAY, True),
        "d2": ("Aspen", MONDAY, TUESDAY, True),
    }


async def test_a_district_that_ends_its_sharing_is_kept_as_withdrawn_until_it_shares_again(
    worker_resources: Resources, resources: Resources
) -> None:
    stays, goes = Share("d1", "Hickory"), Share("d2", "Aspen")
    await record(worker_resources, stays, goes)
    assert await record(worker_resources, stays, now=TUESDAY) == Seen(withdrawn=("d2",))
    assert await record(worker_resources, stays, now=TUESDAY) == Seen()
    assert {
        one.external_id: (one.last_seen_at, one.is_shared) for one in await listed(resources)
    } == {
        "d1": (TUESDAY, True),
        "d2": (MONDAY, False),
    }
    assert await record(worker_resources, stays, goes, now=TUESDAY) == Seen(renewed=("d2",))
    assert {one.external_id: one.is_shared for one in await listed(resources)} == {
        "d1": True,
        "d2": True,
    }


async def test_an_empty_list_changes_nothing(
    worker_resources: Resources, resources: Resources
) -> None:
    await record(worker_resources, Share("d1", "Hickory"))
    before = await listed(resources)
    assert await record(worker_resources, now=TUESDAY) == Seen()
    assert await listed(resources) == before


async def test_the_same_id_at_two_providers_is_two_districts(
    worker_resources: Resources, resources: Resources
) -> None:
    await record(worker_resources, Share("7", "Hickory"))
    seen = await record(worker_resources, Share("7", "Aspen"), provider=Provider.CLASSLINK)
    assert seen == Seen(requested=("7",))
    await record(worker_resources, Share("8", "Oak"), provider=Provider.CLASSLINK, now=TUESDAY)
    assert {(one.provider, one.name): one.is_shared for one in await listed(resources)} == {
        (Provider.CLEVER, "Hickory"): True,
        (Provider.CLASSLINK, "Aspen"): False,
        (Provider.CLASSLINK, "Oak"): True,
    }


async def test_a_name_that_is_not_told_now_stays_as_it_was_told(
    worker_resources: Resources, resources: Resources
) -> None:
    await record(worker_resources, Share("d1", "Hickory"), Share("d2", None))
    await record(worker_resources, Share("d1", None), Share("d2", None), now=TUESDAY)
    assert {one.external_id: one.name for one in await listed(resources)} == {
        "d1": "Hickory",
        "d2": "d2",
    }


async def test_the_tenant_that_is_connected_is_shown_until_it_disconnects(
    worker_resources: Resources, resources: Resources, superuser: asyncpg.Connection
) -> None:
    await record(worker_resources, Share("d1", "Hickory"))
    await record(worker_resources, Share("1001", "Oak"), provider=Provider.CLASSLINK)
    hickory, oak = await add_tenant(superuser, "hickory"), await add_tenant(superuser, "oak")
    await add_integration(superuser, hickory, provider="CLEVER", settings={"district_id": "d1"})
    await add_integration(superuser, oak, provider="CLASSLINK", settings={"tenant_id": "1001"})
    assert {
        one.external_id: (one.tenant_slug, one.tenant_id) for one in await listed(resources)
    } == {
        "d1": ("hickory", hickory),
        "1001": ("oak", oak),
    }
    await superuser.execute("UPDATE integrations SET status = 'DISCONNECTED'")
    assert {one.external_id: one.tenant_slug for one in await listed(resources)} == {
        "d1": None,
        "1001": None,
    }


async def test_the_latest_comes_first(worker_resources: Resources, resources: Resources) -> None:
    await record(worker_resources, Share("d1", "Hickory"))
    await record(worker_resources, Share("d1", "Hickory"), Share("d2", "Aspen"), now=TUESDAY)
    assert [one.external_id for one in await listed(resources)] == ["d2", "d1"]
