"""Cancelling a run: it stops in whatever phase it is, and leaves everything as it was."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import NamedTuple
from uuid import UUID

import pytest

from domain.clock import new_id, utc_now
from domain.errors import Conflict, NotFound
from domain.people.callers import Caller
from domain.sync.cancelling import cancel_run
from domain.sync.models import SyncMode, SyncRun, SyncRunState
from domain.sync.run import work
from tests.domain.sync.stories import Story, read_places
from tests.sources import open_source
from tests.worker.processes import GATE, age_lease, build_gate, closed, until_waiting

pytestmark = pytest.mark.anyio

ADMINISTRATOR = Caller(actor="token of Ada", name="Ada")


async def cancel(story: Story, run_id: UUID) -> SyncRun:
    async with story.api.transaction(story.tenant_id) as session:
        return await cancel_run(
            session, tenant_id=story.tenant_id, run_id=run_id, caller=ADMINISTRATOR, now=utc_now()
        )


async def set_run(story: Story, run_id: UUID, *, state: str, counts: str = "{}") -> None:
    await story.see.execute(
        "UPDATE sync_runs SET state = $2, counts = $3, started_at = now() WHERE id = $1",
        run_id,
        state,
        counts,
    )


async def second_night(story: Story) -> UUID:
    """The first night is over; in the second somebody has come, gone and changed."""
    await story.night()
    users = story.district.users
    renamed, gone = users.rows[-1], users.rows[-2]
    users.add("new", **{**renamed, "sourcedId": "new", "username": "new.comer"})
    renamed["givenName"] = "Renamed"
    users.take(gone["sourcedId"])
    story.district.write(story.folder)
    return (await story.request()).run.id


@asynccontextmanager
async def working(story: Story) -> AsyncGenerator["asyncio.Task[UUID | None]"]:
    task = asyncio.create_task(work(story.worker, open_source, story.keys))
    try:
        yield task
    finally:
        await asyncio.wait_for(task, 30)


async def require_untouched(story: Story, run_id: UUID, places: object) -> SyncRun:
    """It has ended as cancelled, and nothing says that anything was done or waits."""
    run = await story.read_run(run_id)
    assert (run.state, run.cancelled_by) == (SyncRunState.CANCELLED, "token of Ada")
    assert run.finished_at is not None
    assert run.cancel_requested_at is not None
    assert await read_places(story.see) == places
    for table in ("sync_changes", "holds", "preflight_items"):
        left = f"SELECT count(*) FROM {table} WHERE run_id = $1"  # noqa: S608 - our own table
        assert (table, await story.see.fetchval(left, run_id)) == (table, 0)
    assert {
        number
        for numbers in run.counts.values()
        for name, number in numbers.items()
        if name in {"created", "updated", "archived", "restored", "held"}
    } <= {0}
    staged = await story.see.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'staging'")
    assert staged == 0
    return run


async def test_a_run_that_waits_is_cancelled_at_once(story: Story) -> None:
    places = await read_places(story.see)
    run_id = (await story.request()).run.id
    answer = await cancel(story, run_id)
    assert (answer.state, answer.finished_at) == (SyncRunState.CANCELLED, answer.finished_at)
    run = await require_untouched(story, run_id, places)
    assert (run.started_at, run.attempts) == (None, 0)
    assert await work(story.worker, open_source, story.keys) is None
    assert await story.see.fetchval(
        "SELECT details::text FROM audit_log WHERE action = 'syncRunCancel' AND actor = $1"
        " AND target = $2",
        "token of Ada",
        str(run_id),
    ) == '{"mode": "FULL"}'  # fmt: skip


class Moment(NamedTuple):
    """Where a run is made to wait: by which lock, in which statement, and in which state."""

    lock: str
    statement: str
    state: str


MOMENTS = {
    "in the middle of a COPY": Moment(f"SELECT pg_advisory_xact_lock({GATE})", "^COPY", "FETCHING"),
    "while it looks for matches": Moment(
        "LOCK TABLE match_candidates IN ACCESS EXCLUSIVE MODE", "match_candidates", "VALIDATING"
    ),
    "while it compares": Moment(
        "LOCK TABLE memberships IN ACCESS EXCLUSIVE MODE", "memberships", "PLANNING"
    ),
    "before the first change": Moment(
        "LOCK TABLE schools, terms, courses, groups, users IN SHARE MODE",
        "^(UPDATE|INSERT)",
        "APPLYING",
    ),
    "before the last changes": Moment(
        "LOCK TABLE school_affiliations IN SHARE MODE", "school_affiliations", "APPLYING"
    ),
}


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS.keys())
async def test_a_run_under_way_stops_within_seconds_wherever_it_is(
    story: Story, owner_dsn: str, moment: Moment
) -> None:
    run_id = await second_night(story)
    await build_gate(story.see)
    places = await read_places(story.see)
    async with closed(owner_dsn, moment.lock), working(story) as task:
        await until_waiting(story.see, run_id, moment.statement)
        assert (await cancel(story, run_id)).state.value == moment.state
        # The gate is still closed: nobody waits for what the run has begun.
        assert await asyncio.wait_for(asyncio.shield(task), 10) == run_id
    run = await require_untouched(story, run_id, places)
    assert moment.state in run.phases
    assert (await story.run()).state is SyncRunState.SUCCEEDED


async def test_a_phase_that_ends_before_it_can_be_stopped_is_rolled_back(
    story: Story, owner_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("domain.sync.lease._INTERVAL", 60.0)
    run_id = await second_night(story)
    places = await read_places(story.see)
    lock = MOMENTS["before the last changes"].lock
    async with closed(owner_dsn, lock) as release, working(story):
        await until_waiting(story.see, run_id, "school_affiliations")
        await cancel(story, run_id)
        await release()
    await require_untouched(story, run_id, places)


async def test_the_run_of_a_dead_worker_is_ended_by_whoever_claims_it(story: Story) -> None:
    run_id = await second_night(story)
    places = await read_places(story.see)
    for state in ("FETCHING", "APPLYING"):
        await set_run(story, run_id, state=state)
        await cancel(story, run_id)
        await age_lease(story.see, run_id)
        assert await work(story.worker, open_source, story.keys) == run_id
        await require_untouched(story, run_id, places)
        run_id = (await story.request()).run.id


async def test_the_run_that_ten_workers_began_can_be_cancelled(story: Story) -> None:
    run_id = (await story.request()).run.id
    await set_run(story, run_id, state="FETCHING")
    await story.see.execute("UPDATE sync_runs SET attempts = 10")
    await cancel(story, run_id)
    await work(story.worker, open_source, story.keys)
    assert (await story.read_run(run_id)).state is SyncRunState.CANCELLED


async def test_what_was_applied_already_is_not_cancelled(story: Story) -> None:
    run_id = await second_night(story)
    await set_run(story, run_id, state="SUMMARISING", counts='{"USER": {"created": 1}}')
    with pytest.raises(Conflict, match="has been applied already; use syncRunRevert"):
        await cancel(story, run_id)
    run = await story.read_run(run_id)
    assert (run.state, run.cancel_requested_at) == (SyncRunState.SUMMARISING, None)


@pytest.mark.parametrize(
    ("mode", "counts"),
    [(SyncMode.PREFLIGHT, '{"USER": {"created": 1}}'), (SyncMode.FULL, '{"USER": {"created": 0}}')],
    ids=["a preflight", "a run that changes nothing"],
)
async def test_what_applies_nothing_can_be_cancelled_in_its_last_phase(
    story: Story, mode: SyncMode, counts: str
) -> None:
    await story.night()
    places = await read_places(story.see)
    run_id = (await story.request(mode)).run.id
    await set_run(story, run_id, state="SUMMARISING", counts=counts)
    await cancel(story, run_id)
    assert await work(story.worker, open_source, story.keys) == run_id
    await require_untouched(story, run_id, places)


async def test_a_run_that_is_over_is_not_cancelled(story: Story) -> None:
    run = await story.night()
    with pytest.raises(Conflict, match="it has ended SUCCEEDED"):
        await cancel(story, run.id)
    with pytest.raises(NotFound):
        await cancel(story, new_id())
    cancelled = (await story.request()).run.id
    await cancel(story, cancelled)
    with pytest.raises(Conflict, match="it has ended CANCELLED"):
        await cancel(story, cancelled)


async def test_asking_twice_is_asking_once(story: Story) -> None:
    run_id = (await story.request()).run.id
    await set_run(story, run_id, state="FETCHING")
    first, second = await cancel(story, run_id), await cancel(story, run_id)
    assert first.cancel_requested_at == second.cancel_requested_at
    acts = "SELECT count(*) FROM audit_log WHERE action = 'syncRunCancel'"
    assert await story.see.fetchval(acts) == 1


async def test_what_waits_behind_a_cancelled_run_is_started(story: Story, owner_dsn: str) -> None:
    run_id = await second_night(story)
    async with closed(owner_dsn, MOMENTS["before the first change"].lock) as release:
        async with working(story):
            await until_waiting(story.see, run_id, "^(UPDATE|INSERT)")
            waiting = (await story.request(SyncMode.PREFLIGHT)).run.id
            await cancel(story, run_id)
        await release()
    assert await work(story.worker, open_source, story.keys) == waiting
    assert (await story.read_run(waiting)).state is SyncRunState.SUCCEEDED
