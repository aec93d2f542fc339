"""Asking for runs: who joins, who waits, who is refused, and what is started by the clock."""

import asyncio
import json
from datetime import UTC, date, datetime, time, timedelta

import pytest

from domain.clock import utc_now
from domain.errors import Conflict, InvalidInput, NotFound
from domain.integrations.schedules import pause, resume
from domain.people.callers import COMMAND_LINE, SYSTEM
from domain.sync.due import start_due_runs
from domain.sync.models import SyncMode, SyncRunState, SyncTrigger
from domain.sync.run import reap, work
from domain.sync.service import request_run
from tests.domain.sync.conftest import TellStory
from tests.domain.sync.stories import Story
from tests.sources import open_source

pytestmark = pytest.mark.anyio


async def runs(story: Story) -> list[tuple[object, ...]]:
    rows = await story.see.fetch(
        "SELECT mode, trigger, state, requested_by FROM sync_runs WHERE tenant_id = $1 ORDER BY id",
        story.tenant_id,
    )
    return [tuple(row) for row in rows]


async def set_state(story: Story, state: str) -> None:
    await story.see.execute("UPDATE sync_runs SET state = $1", state)


async def test_a_request_joins_the_run_of_its_mode_that_waits(story: Story) -> None:
    first, second = await story.request(), await story.request()
    assert (first.joined, second.joined) == (False, True)
    assert second.run.id == first.run.id
    assert await runs(story) == [("FULL", "MANUAL", "QUEUED", "command line")]


async def test_a_request_joins_the_run_of_its_mode_that_is_under_way(story: Story) -> None:
    first = await story.request()
    await set_state(story, "APPLYING")
    second = await story.request()
    assert (second.joined, second.run.id) == (True, first.run.id)


async def test_another_mode_waits_behind_a_run_and_a_third_request_is_refused(
    story: Story,
) -> None:
    first = await story.request(SyncMode.DELTA)
    with pytest.raises(Conflict, match="mode DELTA is already waiting"):
        await story.request(SyncMode.FULL)
    await set_state(story, "FETCHING")
    second = await story.request(SyncMode.FULL)
    assert (second.joined, second.run.id != first.run.id) == (False, True)
    assert (await story.request(SyncMode.DELTA)).run.id == first.run.id
    assert [row[2] for row in await runs(story)] == ["FETCHING", "QUEUED"]


async def test_two_requests_at_once_are_one_run(story: Story) -> None:
    both = await asyncio.gather(*(story.request() for _ in range(6)))
    assert sorted(requested.joined for requested in both) == [False] + [True] * 5
    assert len({requested.run.id for requested in both}) == 1


async def test_a_mode_that_is_not_offered_cannot_be_started(story: Story) -> None:
    for mode in (SyncMode.REVALIDATION, SyncMode.SINGLE_USER):
        with pytest.raises(InvalidInput):
            await story.request(mode)
    assert await runs(story) == []


async def test_a_paused_integration_runs_nothing(story: Story) -> None:
    await story.see.execute("UPDATE integrations SET status = 'PAUSED'")
    with pytest.raises(Conflict, match="paused"):
        await story.request()
    await story.see.execute("UPDATE integrations SET status = 'DISCONNECTED'")
    with pytest.raises(NotFound):
        await story.request()


async def test_acts_are_in_the_audit_log_without_values(story: Story) -> None:
    requested = await story.request()
    await story.request()
    rows = await story.see.fetch(
        "SELECT actor, action, target, details FROM audit_log WHERE tenant_id = $1 ORDER BY id",
        story.tenant_id,
    )
    integration = str(await story.see.fetchval("SELECT id FROM integrations"))
    assert [(*row[:3], json.loads(row[3])) for row in rows] == [
        ("command line", "tenantCreate", None, {"slug": "alpha"}),
        ("command line", "integrationConfigure", integration,
         {"provider": "ONEROSTER_CSV", "settings": ["path"]}),
        ("command line", "syncRunStart", str(requested.run.id), {"mode": "FULL"}),
        ("command line", "syncRunStart", str(requested.run.id), {"mode": "FULL", "joined": True}),
    ]  # fmt: skip


async def test_a_due_schedule_starts_one_run_and_moves_on(story: Story) -> None:
    await story.see.execute(
        "UPDATE sync_schedules SET local_time = $1, first_on = $2, next_due_at = $3,"
        " every_days = 2, spread_minutes = 0",
        time(2, 0),
        date(2026, 11, 1),
        datetime(2026, 11, 21, 7, 0, tzinfo=UTC),
    )
    early = datetime(2026, 11, 21, 6, 59, tzinfo=UTC)
    assert await start_due_runs(story.worker, now=early) == 0
    now = datetime(2026, 11, 21, 7, 0, tzinfo=UTC)
    assert await start_due_runs(story.worker, now=now) == 1
    assert await runs(story) == [("FULL", "SCHEDULE", "QUEUED", "system")]
    due = await story.see.fetchval("SELECT next_due_at FROM sync_schedules")
    assert due == datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
    assert await start_due_runs(story.worker, now=now) == 0


async def test_two_workers_start_what_is_due_once(story: Story, tell: TellStory) -> None:
    await tell("beta")
    now = datetime(2030, 1, 1, tzinfo=UTC)
    await asyncio.gather(*(start_due_runs(story.worker, now=now) for _ in range(4)))
    assert await story.see.fetchval("SELECT count(*) FROM sync_runs") == 2
    assert await story.see.fetchval("SELECT count(DISTINCT tenant_id) FROM sync_runs") == 2
    assert await story.see.fetchval("SELECT min(next_due_at) FROM sync_schedules") > now


async def test_nothing_is_due_of_a_paused_tenant_or_integration(
    story: Story, tell: TellStory
) -> None:
    paused = await tell("paused")
    await story.see.execute("UPDATE integrations SET status = 'PAUSED' WHERE tenant_id = $1",
                            story.tenant_id)  # fmt: skip
    await story.see.execute("UPDATE tenants SET status = 'PAUSED' WHERE id = $1", paused.tenant_id)
    assert await start_due_runs(story.worker, now=datetime(2030, 1, 1, tzinfo=UTC)) == 0
    assert await runs(story) == []


async def test_a_due_run_joins_one_that_is_waiting(story: Story) -> None:
    await story.request()
    assert await start_due_runs(story.worker, now=datetime(2030, 1, 1, tzinfo=UTC)) == 1
    assert await runs(story) == [("FULL", "SCHEDULE", "QUEUED", "command line")]


async def test_what_waits_of_a_paused_integration_begins_when_it_is_resumed(story: Story) -> None:
    story.district.write(story.folder)
    await story.request()
    async with story.api.transaction(story.tenant_id) as session:
        await pause(session, tenant_id=story.tenant_id, caller=COMMAND_LINE)
    assert await work(story.worker, open_source, story.keys) is None
    async with story.api.transaction(story.tenant_id) as session:
        await resume(session, tenant_id=story.tenant_id, caller=COMMAND_LINE, now=utc_now())
    assert await work(story.worker, open_source, story.keys) is not None


async def test_a_due_run_comes_soon_after_one_of_another_mode_that_waits(story: Story) -> None:
    await story.request(SyncMode.PREFLIGHT)
    now = datetime(2030, 1, 1, tzinfo=UTC)
    assert await start_due_runs(story.worker, now=now) == 0
    assert [row[0] for row in await runs(story)] == ["PREFLIGHT"]
    soon = await story.see.fetchval("SELECT next_due_at FROM sync_schedules")
    assert soon - now == timedelta(minutes=5)
    await work(story.worker, open_source, story.keys)
    assert await start_due_runs(story.worker, now=soon) == 1
    assert [row[0] for row in await runs(story)] == ["PREFLIGHT", "FULL"]


async def test_a_due_run_that_cannot_start_is_left_out_that_night(story: Story) -> None:
    await story.see.execute(
        "UPDATE sync_schedules SET local_time = '02:00', spread_minutes = 0, first_on = $1",
        date(2026, 11, 1),
    )
    await story.night()
    await story.see.execute(
        "UPDATE users SET origin = 'LEGACY', source_id = NULL, content_hash = NULL"
    )
    now = datetime(2030, 1, 1, 7, 0, tzinfo=UTC)
    assert await start_due_runs(story.worker, now=now) == 0
    due = await story.see.fetchval("SELECT next_due_at FROM sync_schedules")
    assert due == datetime(2030, 1, 2, 7, 0, tzinfo=UTC)


async def test_without_a_request_there_is_no_work(story: Story) -> None:
    assert await work(story.worker, open_source, story.keys) is None
    await story.night()
    assert await work(story.worker, open_source, story.keys) is None


async def test_small_runs_come_before_large_ones_that_were_asked_for_a_little_earlier(
    tell: TellStory,
) -> None:
    large, small = await tell("large"), await tell("small")
    for story in (large, small):
        story.district.write(story.folder)
        await story.request()
    await large.see.execute(
        "UPDATE sync_runs SET size_class = 7, requested_at = requested_at - interval '5 minutes'"
        " WHERE tenant_id = $1",
        large.tenant_id,
    )
    first, second = [await work(large.worker, open_source, large.keys) for _ in range(2)]
    assert (await small.see.fetchval(
        "SELECT tenant_id FROM sync_runs WHERE id = $1", first) == small.tenant_id)  # fmt: skip
    assert second is not None


async def test_a_run_that_ten_workers_began_fails_with_the_eleventh(story: Story) -> None:
    story.district.write(story.folder)
    requested = await story.request()
    await story.see.execute("UPDATE sync_runs SET attempts = 10")
    await work(story.worker, open_source, story.keys)
    run = await story.read_run(requested.run.id)
    assert (run.state, run.failure_code) == (SyncRunState.FAILED, "RUN_INTERNAL")
    assert (await story.night()).state is SyncRunState.SUCCEEDED


async def test_the_reaper_drops_only_what_finished_runs_left(story: Story) -> None:
    requested = await story.request()
    await story.see.execute(
        f"CREATE TABLE staging.run_{requested.run.id.hex}_users (n int);"
        f"CREATE TABLE staging.run_{'0' * 32}_users (n int);"
        f"CREATE TABLE staging.run_{'0' * 32}_marker (n int);"
        " ALTER SCHEMA staging OWNER TO CURRENT_USER"
    )
    for table in (f"run_{requested.run.id.hex}_users", f"run_{'0' * 32}_users",
                  f"run_{'0' * 32}_marker"):  # fmt: skip
        await story.see.execute(f"ALTER TABLE staging.{table} OWNER TO homerow_worker")
    assert await reap(story.worker) == 1
    assert [row[0] for row in await story.see.fetch(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'staging'"
    )] == [f"run_{requested.run.id.hex}_users"]  # fmt: skip
    assert await reap(story.worker) == 0


async def test_a_request_expects_as_much_as_the_last_run_read(story: Story) -> None:
    await story.night()
    requested = await story.request()
    progress = dict(requested.run.progress)
    usual = progress.pop("usual")
    assert progress == {"read": 0, "expected": 16}
    assert list(usual) == ["FETCHING", "VALIDATING", "PLANNING", "APPLYING", "SUMMARISING"]
    assert all(seconds > 0 for seconds in usual.values())
    assert requested.run.size_class == 2


async def test_the_system_asks_in_its_own_name(story: Story) -> None:
    assert (SYSTEM.actor, COMMAND_LINE.actor) == ("system", "command line")
    async with story.worker.transaction(story.tenant_id) as session:
        requested = await request_run(
            session,
            tenant_id=story.tenant_id,
            mode=SyncMode.FULL,
            trigger=SyncTrigger.SCHEDULE,
            caller=SYSTEM,
            now=utc_now(),
        )
    assert requested.run.requested_by == "system"
