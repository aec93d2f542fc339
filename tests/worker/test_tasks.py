"""What the worker does when it is woken, and that it can be woken at all."""

import asyncio
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from domain.clock import new_id, utc_now
from domain.errands.models import ErrandKind
from domain.errands.service import request_errand
from domain.integrations.checks import request_check
from domain.jobs import CHECK, ERRAND, WAKE
from domain.people.callers import COMMAND_LINE
from domain.resources import Resources
from tests.domain.sync.stories import Story
from worker.clock import HANDS
from worker.main import create_worker
from worker.places import RUNS_AT_ONCE
from worker.tasks import WorkerContext, check, clean, errand, start, tick, wake
from worker.watch import watch

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
    for hand in (start, tick):
        await hand(context_of(worker_resources))
    assert await states(story) == ["SUCCEEDED"]
    await story.see.execute(
        "UPDATE sync_schedules SET next_due_at = $1", utc_now() - timedelta(minutes=1)
    )
    await asyncio.gather(*(start(context_of(worker_resources)) for _ in range(3)))
    assert await states(story) == ["SUCCEEDED", "QUEUED"]
    await asyncio.gather(*(tick(context_of(worker_resources)) for _ in range(3)))
    assert await states(story) == ["SUCCEEDED", "SUCCEEDED_WITH_ERRORS"]


async def test_the_clock_needs_no_queue() -> None:
    assert [hand.work for hand in HANDS] == [start, tick, watch]
    assert all(hand.seconds <= 20 for hand in HANDS)


async def test_a_connection_is_tried_by_whoever_is_woken_and_by_the_clock(
    story: Story, worker_resources: Resources
) -> None:
    await story.see.execute("DELETE FROM sync_schedules")
    for number, task in enumerate((check, tick), 1):
        async with story.api.transaction(story.tenant_id) as session:
            await request_check(
                session, tenant_id=story.tenant_id, caller=COMMAND_LINE, now=utc_now()
            )
        await task(context_of(worker_resources))
        rows = await story.see.fetch(
            "SELECT state, steps::text, finished_at > requested_at AS is_later"
            " FROM integration_checks"
        )
        assert [(row["state"], row["is_later"]) for row in rows] == [("DONE", True)] * number
        assert all('"is_ok": true' in row["steps"] for row in rows)


async def test_an_errand_is_run_by_whoever_is_woken_and_by_the_clock(
    story: Story, worker_resources: Resources
) -> None:
    await story.see.execute("DELETE FROM sync_schedules")
    for number, task in enumerate((errand, tick), 1):
        async with story.api.transaction(story.tenant_id) as session:
            await request_errand(
                session,
                tenant_id=story.tenant_id,
                kind=ErrandKind.LEGACY_IMPORT,
                asked={"upload_id": str(new_id()), "apply": False, "skip_errors": False},
                caller=COMMAND_LINE,
            )
        await task(context_of(worker_resources))
        rows = await story.see.fetch("SELECT state FROM errands")
        assert [row["state"] for row in rows] == ["REFUSED"] * number


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
    worker = create_worker(WorkerContext(resources))
    assert worker.job_deserializer is not None
    assert worker.job_deserializer(await redis.get(key))["f"] == WAKE.name
    assert {WAKE.name, CHECK.name, ERRAND.name} <= set(worker.functions)
    assert worker.max_jobs > RUNS_AT_ONCE


async def test_what_has_ended_is_told(story: Story, worker_resources: Resources) -> None:
    await story.see.execute(
        "INSERT INTO contacts (tenant_id, name, email, summary_mail)"
        " VALUES ($1, 'Dana', 'data@story.example', 'ALWAYS')",
        story.tenant_id,
    )
    for _ in range(2):
        await watch(context_of(worker_resources))
    subjects = await story.see.fetch("SELECT subject FROM mail_outbox")
    assert len(subjects) == 1
    assert await story.see.fetchval("SELECT told_as FROM sync_runs") == "SUMMARY"


async def test_what_goes_wrong_with_one_look_keeps_nobody_from_the_others(
    story: Story, worker_resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = []

    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError

    async def look(*_: object, **__: object) -> None:
        looked.append(1)

    monkeypatch.setattr("worker.watch.tell_of_late", fail)
    monkeypatch.setattr("worker.watch.give_up_mails", look)
    with capture_logs() as logs:
        await watch(context_of(worker_resources))
    assert looked == [1]
    assert [(entry["look"], entry["error"]) for entry in logs if "look" in entry] == [
        ("late", "RuntimeError")
    ]
