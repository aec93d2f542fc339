"""What the worker does when it is woken, and that it can be woken at all."""

import asyncio
from datetime import timedelta

import pytest

from domain.clock import utc_now
from domain.jobs import WAKE
from domain.resources import Resources
from tests.domain.sync.stories import Story
from worker.main import create_worker
from worker.tasks import WorkerContext, clean, tick, wake

pytestmark = pytest.mark.anyio


async def states(story: Story) -> list[str]:
    rows = await story.see.fetch("SELECT state FROM sync_runs ORDER BY id")
    return [row["state"] for row in rows]


def context_of(resources: Resources) -> dict[str, object]:
    return {"homerow": WorkerContext(resources)}


async def test_a_woken_worker_works_until_there_is_nothing_left(
    story: Story, worker_resources: Resources
) -> None:
    await story.request()
    await wake(context_of(worker_resources))
    assert await states(story) == ["SUCCEEDED", "SUCCEEDED_WITH_ERRORS"]
    await wake(context_of(worker_resources))
    assert len(await states(story)) == 2


async def test_the_clock_starts_what_is_due_and_what_was_forgotten(
    story: Story, worker_resources: Resources
) -> None:
    await tick(context_of(worker_resources))
    assert await states(story) == ["SUCCEEDED"]
    await story.see.execute(
        "UPDATE sync_schedules SET next_due_at = $1", utc_now() - timedelta(minutes=1)
    )
    await asyncio.gather(*(tick(context_of(worker_resources)) for _ in range(3)))
    assert await states(story) == ["SUCCEEDED", "SUCCEEDED_WITH_ERRORS"]


async def test_cleaning_drops_what_is_left_in_staging(
    story: Story, worker_resources: Resources
) -> None:
    connection = await worker_resources.database.connect("homerow test")
    try:
        await connection.execute(f"CREATE TABLE staging.run_{'0' * 32}_users (n int)")
    finally:
        await connection.close()
    await clean(context_of(worker_resources))
    left = await story.see.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'staging'")
    assert left == 0


async def test_the_worker_reads_what_the_queue_wrote(resources: Resources) -> None:
    redis = resources.queue.redis
    before = set(await redis.keys("arq:job:*"))
    await resources.queue.put(WAKE)
    [key] = set(await redis.keys("arq:job:*")) - before
    worker = create_worker(resources)
    assert worker.job_deserializer is not None
    assert worker.job_deserializer(await redis.get(key))["f"] == WAKE.name
    assert WAKE.name in worker.functions
