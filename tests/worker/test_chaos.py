"""Workers and servers that die or stop in the middle of a run: the roster ends as it would have."""

import os
import signal
import time
from collections.abc import AsyncGenerator
from functools import partial
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import asyncpg
import pytest
from redis.asyncio import Redis

from api.local import LocalServers, start_postgres
from api.migrate import migrate
from domain.database import DatabaseRole
from domain.jobs import WAKE
from domain.resources import Resources, open_resources
from domain.secrets import KeyRing
from tests.conftest import FAST, dsn
from tests.domain.sync.stories import Story, new_story, read_places
from tests.sources import HOSTS
from tests.worker.calm import require_as_calm
from tests.worker.processes import (
    GATE,
    Workers,
    age_lease,
    build_gate,
    closed,
    open_workers,
    until,
    until_finished,
    until_gone,
    until_waiting,
)

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

FIRST_OF_APPLY = "LOCK TABLE schools, terms, courses, groups, users IN SHARE MODE"
LAST_OF_APPLY = "LOCK TABLE memberships IN SHARE MODE"


async def attempts_of(story: Story, run_id: UUID) -> int:
    return int(await story.see.fetchval("SELECT attempts FROM sync_runs WHERE id = $1", run_id))


class Moment(NamedTuple):
    """Where a run is made to wait: by which lock, in which statement, and in which state."""

    lock: str
    statement: str
    state: str


@pytest.mark.parametrize(
    "moment",
    [
        Moment(f"SELECT pg_advisory_xact_lock({GATE})", "^COPY", "FETCHING"),
        Moment(FIRST_OF_APPLY, "^(UPDATE|INSERT)", "APPLYING"),
        Moment(LAST_OF_APPLY, "memberships", "APPLYING"),
    ],
    ids=["in the middle of a COPY", "before the first change", "before the last changes"],
)
async def test_a_killed_worker_leaves_a_run_that_another_finishes(
    calm: Story, story: Story, workers: Workers, owner_dsn: str, moment: Moment
) -> None:
    await build_gate(story.see)
    before = await story.roster()
    async with closed(owner_dsn, moment.lock) as release:
        run_id = (await story.request()).run.id
        worker = workers.start()
        backend = await until_waiting(story.see, run_id, moment.statement)
        assert (await story.read_run(run_id)).state.value == moment.state
        worker.kill()
        await age_lease(story.see, run_id)
        # The dead worker's connection still waits for the lock, and must not go on with it.
        workers.start()
        await until_gone(story.see, backend)
        assert await story.roster() == before
        await release()
    assert await until_finished(story.see, run_id) == "SUCCEEDED_WITH_ERRORS"
    assert await attempts_of(story, run_id) == 2
    await require_as_calm(story, calm, run_id)


async def test_what_a_dead_worker_had_changed_is_rolled_back_when_its_lock_comes_free(
    calm: Story, story: Story, workers: Workers, owner_dsn: str
) -> None:
    before = await story.roster()
    async with closed(owner_dsn, LAST_OF_APPLY) as release:
        run_id = (await story.request()).run.id
        worker = workers.start()
        backend = await until_waiting(story.see, run_id, "memberships")
        worker.kill()
        await release()
    await until_gone(story.see, backend)
    assert await story.roster() == before
    await age_lease(story.see, run_id)
    workers.start()
    await until_finished(story.see, run_id)
    await require_as_calm(story, calm, run_id)


async def test_a_stopped_worker_is_overtaken_and_does_no_harm_when_it_wakes(
    calm: Story, story: Story, workers: Workers, owner_dsn: str
) -> None:
    async with closed(owner_dsn, LAST_OF_APPLY) as release:
        run_id = (await story.request()).run.id
        slow = workers.start()
        backend = await until_waiting(story.see, run_id, "memberships")
        os.kill(slow.pid, signal.SIGSTOP)
        await age_lease(story.see, run_id)
        fresh = workers.start()
        await until_gone(story.see, backend)
        await release()
    await until_finished(story.see, run_id)
    await require_as_calm(story, calm, run_id)
    places = await read_places(story.see)
    run = await story.read_run(run_id)
    assert fresh.terminate() == 0
    os.kill(slow.pid, signal.SIGCONT)
    await slow.until_it_says("lease_lost", "run_interrupted")
    assert await read_places(story.see) == places
    after = await story.read_run(run_id)
    assert (after.attempts, after.counts, after.finished_at) == (2, run.counts, run.finished_at)
    next_id = (await story.request()).run.id
    assert await until_finished(story.see, next_id) == "SUCCEEDED_WITH_ERRORS"
    assert slow.is_alive
    assert await read_places(story.see) == places
    assert await attempts_of(story, next_id) == 1


async def test_a_lost_wake_up_is_made_good_by_the_clock(
    calm: Story, story: Story, workers: Workers, local_servers: LocalServers
) -> None:
    worker = workers.start()
    await worker.until_it_says("worker_started")
    first = (await story.request()).run.id
    await until_finished(story.see, first)
    os.kill(worker.pid, signal.SIGSTOP)
    second = (await story.request()).run.id
    redis = Redis(unix_socket_path=str(local_servers.valkey.socket))
    try:
        await redis.flushall()
    finally:
        await redis.aclose()
    os.kill(worker.pid, signal.SIGCONT)
    await until_finished(story.see, second)
    assert await attempts_of(story, second) == 1
    await require_two_quiet_nights(story, calm)


async def require_two_quiet_nights(story: Story, calm: Story) -> None:
    assert await story.roster() == await calm.roster()
    """What the second night brought is there for the second time; some was so from the first."""
    errors = await story.errors("code", "source_id", "runs")
    assert {row[2] for row in errors if not row[0].startswith("STUDENT_MULTI")} == {2}


async def test_a_worker_that_is_asked_to_end_gives_its_run_back_and_it_goes_on_elsewhere(
    calm: Story, story: Story, workers: Workers, owner_dsn: str
) -> None:
    async with closed(owner_dsn, LAST_OF_APPLY) as release:
        run_id = (await story.request()).run.id
        worker = workers.start()
        backend = await until_waiting(story.see, run_id, "memberships")
        asked_at = time.monotonic()
        assert worker.terminate() == 0
        assert 9 < time.monotonic() - asked_at < 15
        assert worker.says("run_given_back")
        await until_gone(story.see, backend)
        assert await attempts_of(story, run_id) == 0
        # Without having to be silent first.
        workers.start()
        await until_waiting(story.see, run_id, "memberships")
        await release()
    await until_finished(story.see, run_id)
    assert await attempts_of(story, run_id) == 1
    await require_as_calm(story, calm, run_id)


async def test_a_worker_that_is_asked_to_end_ends_a_run_that_is_nearly_through(
    calm: Story, story: Story, workers: Workers, owner_dsn: str
) -> None:
    async with closed(owner_dsn, LAST_OF_APPLY) as release:
        run_id = (await story.request()).run.id
        worker = workers.start()
        await until_waiting(story.see, run_id, "memberships")
        os.kill(worker.pid, signal.SIGTERM)
        await worker.until_it_says("worker_ending")
        later = new_story(story.api, story.worker, story.see, folder=story.folder, keys=story.keys)
        await later.begin("later")
        later_id = (await later.request()).run.id
        await release()
    assert worker.process.wait(5) == 0
    assert await until_finished(story.see, run_id) == "SUCCEEDED_WITH_ERRORS"
    await require_as_calm(story, calm, run_id)
    # And begins nothing more.
    assert (await later.read_run(later_id)).state.value == "QUEUED"


async def test_a_second_signal_ends_a_worker_at_once(
    story: Story, workers: Workers, owner_dsn: str
) -> None:
    async with closed(owner_dsn, LAST_OF_APPLY):
        run_id = (await story.request()).run.id
        worker = workers.start()
        await until_waiting(story.see, run_id, "memberships")
        os.kill(worker.pid, signal.SIGINT)
        await worker.until_it_says("worker_ending")
        asked_at = time.monotonic()
        os.kill(worker.pid, signal.SIGINT)
        assert worker.process.wait(8) == 0
        assert time.monotonic() - asked_at < 5
        assert worker.says("run_given_back")


@pytest.fixture
async def mortal(
    tmp_path: Path, keys: KeyRing, local_servers: LocalServers
) -> AsyncGenerator[tuple[Resources, Resources, dict[str, str]]]:
    """A PostgreSQL of the test's own: resources of both roles, and its URLs."""
    folder = tmp_path / "postgres"
    server = start_postgres(folder, settings=FAST)
    try:
        urls = {login: server.url(login) for login in ("postgres", *DatabaseRole)}
        await migrate(urls["postgres"])
        open_as = partial(open_resources, redis_url=local_servers.redis_url, keys=keys, hosts=HOSTS)
        async with (
            open_as(database_url=urls[DatabaseRole.API], role=DatabaseRole.API) as api,
            open_as(database_url=urls[DatabaseRole.WORKER], role=DatabaseRole.WORKER) as worker,
        ):
            yield api, worker, urls
    finally:
        start_postgres(folder).stop()


async def test_a_killed_postgres_loses_nothing_but_time(
    mortal: tuple[Resources, Resources, dict[str, str]],
    keys: KeyRing,
    nights: tuple[Path, Path],
    tmp_path: Path,
    local_servers: LocalServers,
) -> None:
    api, worker_resources, urls = mortal
    see = await asyncpg.connect(dsn(urls["postgres"]))
    calm, story = [
        new_story(api.database, worker_resources.database, see, folder=nights[0], keys=keys)
        for _ in range(2)
    ]
    for item, slug in ((calm, "calm"), (story, "story")):
        await item.begin(slug)
        await item.run()
        await item.configure(nights[1])
    await calm.run()
    await build_gate(see)
    with open_workers(urls, local_servers.redis_url, tmp_path) as workers:
        async with closed(dsn(urls["postgres"]), f"SELECT pg_advisory_xact_lock({GATE})"):
            run_id = (await story.request()).run.id
            worker = workers.start()
            await until_waiting(see, run_id, "^COPY")
            os.kill(start_postgres(tmp_path / "postgres").pid, signal.SIGKILL)
        await worker.until_it_says("run_interrupted")
        see.terminate()
        start_postgres(tmp_path / "postgres", settings=FAST)
        see = await asyncpg.connect(dsn(urls["postgres"]))
        calm.see = story.see = see
        try:
            assert not await see.fetchval(
                f"SELECT EXISTS (SELECT FROM staging.run_{run_id.hex}_marker)"  # noqa: S608 - the run's own table
            )
            await age_lease(see, run_id)
            await api.queue.put(WAKE)
            await until_finished(see, run_id)
            assert worker.is_alive
            assert await attempts_of(story, run_id) == 2
            await require_as_calm(story, calm, run_id)
        finally:
            await see.close()


async def test_two_workers_share_the_runs_of_many_tenants(
    resources: Resources,
    worker_resources: Resources,
    superuser: asyncpg.Connection,
    keys: KeyRing,
    nights: tuple[Path, Path],
    workers: Workers,
) -> None:
    stories = []
    for number in range(6):
        story = new_story(
            resources.database, worker_resources.database, superuser, folder=nights[0], keys=keys
        )
        await story.begin(f"tenant-{number}")
        await story.request()
        stories.append(story)
    started = [workers.start() for _ in range(2)]

    async def are_done() -> bool:
        return not await superuser.fetchval(
            "SELECT EXISTS (SELECT FROM sync_runs WHERE finished_at IS NULL)"
        )

    await until(are_done, "all runs end")
    rows = await superuser.fetch("SELECT state, attempts FROM sync_runs")
    assert [tuple(row) for row in rows] == [("SUCCEEDED", 1)] * 6
    first = await stories[0].roster()
    for story in stories[1:]:
        assert await story.roster() == first
    assert not any(worker.says("Traceback") for worker in started)
