"""Which run is claimed for which place: by its size, and by who else asks its provider."""

import asyncio
import json
from datetime import timedelta

import asyncpg
import pytest
from sqlalchemy import text

from domain.clock import utc_now
from domain.roster.source import Provider
from domain.sync.lease import Lease, Place, claim_run, give_back
from tests.domain.sync.conftest import TellStory
from tests.domain.sync.stories import Story

pytestmark = pytest.mark.anyio


async def waits(tell: TellStory, slug: str, **columns: object) -> Story:
    """A tenant whose run waits."""
    story = await tell(slug)
    await story.request()
    for column, value in columns.items():
        await story.see.execute(
            f"UPDATE sync_runs SET {column} = $2 WHERE tenant_id = $1",  # noqa: S608
            story.tenant_id,
            value,
        )
    return story


async def asks(story: Story, provider: Provider, base_url: str | None = None) -> None:
    await story.connect_to(provider)
    if base_url is not None:
        await story.see.execute(
            "UPDATE integrations SET settings = $2 WHERE tenant_id = $1",
            story.tenant_id,
            json.dumps({"base_url": base_url}),
        )


async def silence(see: asyncpg.Connection) -> None:
    await see.execute("UPDATE sync_leases SET heartbeat_at = now() - interval '1 minute'")


async def claimed(story: Story, place: Place) -> Lease:
    lease = await claim_run(story.worker, place)
    assert lease is not None
    return lease


@pytest.mark.parametrize(("size", "largest"), [(5, 5), (6, 6), (0, 6), (9, None), (1, 1)])
async def test_a_place_takes_runs_up_to_its_size(
    tell: TellStory, size: int, largest: int | None
) -> None:
    story = await waits(tell, "alpha", size_class=size)
    if largest is not None:
        assert await claim_run(story.worker, Place(waiting=largest - 1)) is None
    assert (await claimed(story, Place(waiting=largest))).tenant_id == story.tenant_id


async def test_a_small_run_is_claimed_past_a_large_one_that_waits_for_longer(
    tell: TellStory,
) -> None:
    long_ago = utc_now() - timedelta(hours=1)
    large = await waits(tell, "large", size_class=7, requested_at=long_ago)
    small = await waits(tell, "small", size_class=4)
    assert (await claimed(small, Place(waiting=5))).tenant_id == small.tenant_id
    assert (await claimed(small, Place())).tenant_id == large.tenant_id


async def test_what_a_dead_worker_left_has_a_limit_of_its_own(tell: TellStory) -> None:
    story = await waits(tell, "alpha", size_class=7)
    first = await claimed(story, Place())
    await silence(story.see)
    assert await claim_run(story.worker, Place(waiting=9, left=5)) is None
    assert (await claimed(story, Place(waiting=5))).token == first.token + 1


async def test_no_more_runs_read_from_a_provider_than_may(tell: TellStory) -> None:
    stories = [await waits(tell, f"tenant-{number}") for number in range(4)]
    for story in stories[:3]:
        await asks(story, Provider.CLEVER)
    see, place = stories[0].see, Place(per_provider=2)
    claims = await asyncio.gather(*(claim_run(stories[0].worker, place) for _ in range(4)))
    tenants = {lease.tenant_id for lease in claims if lease is not None}
    assert len(tenants) == 3
    assert stories[3].tenant_id in tenants  # a package is nobody's server
    # Who has read everything leaves room.
    reading = next(lease for lease in claims if lease and lease.tenant_id != stories[3].tenant_id)
    await see.execute("UPDATE sync_runs SET state = 'PLANNING' WHERE id = $1", reading.run_id)
    assert await claim_run(stories[0].worker, place) is not None


async def test_what_a_dead_worker_left_comes_before_what_waits_for_the_same_provider(
    tell: TellStory,
) -> None:
    stories = [await waits(tell, f"tenant-{number}") for number in range(2)]
    for story in stories:
        await asks(story, Provider.CLASSLINK)
    place = Place(per_provider=1)
    first = await claimed(stories[0], place)
    assert await claim_run(stories[0].worker, place) is None
    await silence(stories[0].see)
    assert (await claimed(stories[0], place)).run_id == first.run_id
    assert await claim_run(stories[0].worker, place) is None


async def test_servers_of_oneroster_are_told_apart_by_their_hosts(tell: TellStory) -> None:
    stories = [await waits(tell, f"tenant-{number}") for number in range(3)]
    for story, url in zip(
        stories,
        ("https://one.example/a", "https://ONE.example/b", "https://two.example/a"),
        strict=True,
    ):
        await asks(story, Provider.ONEROSTER, url)
    claims = [await claim_run(stories[0].worker, Place(per_provider=1)) for _ in range(3)]
    assert {lease.tenant_id for lease in claims if lease} == {
        stories[0].tenant_id,
        stories[2].tenant_id,
    }


async def test_a_run_that_is_given_back_is_claimed_at_once_and_was_not_begun(
    tell: TellStory,
) -> None:
    story = await waits(tell, "alpha")
    lease = await claimed(story, Place())
    assert await claim_run(story.worker) is None
    await give_back(story.worker, lease)
    assert await story.see.fetchval("SELECT attempts FROM sync_runs") == 0
    again = await claimed(story, Place())
    assert (again.run_id, again.token) == (lease.run_id, lease.token + 1)
    # Whoever lost it in the meantime gives nothing back.
    await give_back(story.worker, lease)
    assert await claim_run(story.worker) is None
    assert await story.see.fetchval("SELECT attempts FROM sync_runs") == 1


async def test_whoever_is_stopped_while_claiming_keeps_the_others_waiting_for_seconds(
    tell: TellStory,
) -> None:
    story = await waits(tell, "alpha")
    async with story.worker.transaction() as session:
        connection = await session.connection()
        await connection.exec_driver_sql("SELECT * FROM claim_sync_run('1 minute')")
        timeout = "SELECT current_setting('idle_in_transaction_session_timeout')"
        assert await session.scalar(text(timeout)) == "5s"


async def test_a_size_is_known_from_the_last_run_that_read_everything(tell: TellStory) -> None:
    story = await tell("alpha")
    assert (await story.request()).run.size_class == 0
    await story.see.execute("DELETE FROM sync_runs")
    assert (await story.preview()).size_class == 0
    first = await story.night()
    assert first.size_class == 2
    await story.see.execute(
        """UPDATE sync_runs SET state = 'FAILED', progress = '{"read": 1}' WHERE id = $1""",
        first.id,
    )
    assert (await story.request()).run.size_class == 2
