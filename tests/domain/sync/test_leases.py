"""A worker that is overtaken, or cut off from the database, is in nobody's way."""

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs
from typing_extensions import override

from domain.sync import lease
from domain.sync import run as sync_run
from domain.sync.context import RunContext
from domain.sync.lease import _end_connection
from domain.sync.models import SyncRunState
from domain.sync.run import work
from domain.sync.staging import Staging
from tests.domain.sync.stories import Story
from tests.sources import open_source
from tests.worker.processes import until

pytestmark = pytest.mark.anyio

SILENCE = "UPDATE sync_leases SET heartbeat_at = now() - interval '1 minute'"


async def test_who_is_overtaken_while_making_tables_leaves_none(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    story.district.write(story.folder)
    await story.request()
    create = Staging.create

    async def create_too_slowly(staging: Staging, connection: asyncpg.Connection) -> None:
        await create(staging, connection)
        # Whoever took the run over could not end this connection in time.
        await story.see.execute("UPDATE sync_leases SET token = token + 1")

    monkeypatch.setattr(Staging, "create", create_too_slowly)
    with capture_logs() as logs:
        await work(story.worker, open_source, story.keys)
    assert [entry["event"] for entry in logs] == ["phase_started", "lease_lost"]
    made = "SELECT count(*) FROM pg_tables WHERE schemaname = 'staging'"
    assert await story.see.fetchval(made) == 0


@pytest.mark.parametrize("phase", ["validate", "plan", "apply", "summarise"])
async def test_what_an_overtaken_worker_has_done_in_a_phase_does_not_count(
    story: Story, monkeypatch: pytest.MonkeyPatch, phase: str
) -> None:
    """Also where its connection was not ended in time."""
    story.district.write(story.folder)
    run_id = (await story.request()).run.id
    do, seen = getattr(sync_run, phase), []

    async def do_too_slowly(context: RunContext) -> None:
        seen.append((context.state, await story.roster()))
        await story.see.execute("UPDATE sync_leases SET token = token + 1")
        await do(context)

    monkeypatch.setattr(sync_run, phase, do_too_slowly)
    with capture_logs() as logs:
        await work(story.worker, open_source, story.keys)
    assert logs[-1]["event"] == "lease_lost"
    assert [((await story.read_run(run_id)).state, await story.roster())] == seen


async def test_a_heartbeat_whose_connection_is_gone_ends_quietly(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    story.district.write(story.folder)
    closed = []

    async def close(connection: asyncpg.Connection, *, timeout: float) -> None:  # noqa: ASYNC109 - asyncpg's
        connection.terminate()
        closed.append(timeout)
        raise BrokenPipeError

    with monkeypatch.context() as patched:
        patched.setattr(lease, "_INTERVAL", 0.01)
        patched.setattr(asyncpg.Connection, "close", close)
        assert (await story.run()).state is SyncRunState.SUCCEEDED
    assert closed == [2]


async def test_a_heartbeat_that_was_cut_off_goes_on_with_a_new_connection(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    await story.request()
    claimed = await lease.claim_run(story.worker)
    assert claimed is not None
    await story.see.execute(SILENCE)
    pids = []

    class CutOffOnce(lease.Heartbeat):
        @override
        async def _renew(self, connection: asyncpg.Connection) -> bool | None:
            pids.append(connection.get_server_pid())
            if len(set(pids)) == 1:
                raise asyncpg.InternalClientError
            return await super()._renew(connection)

    async def is_heard_of() -> bool:
        heard = "SELECT heartbeat_at > now() - interval '30 seconds' FROM sync_leases"
        return bool(await story.see.fetchval(heard))

    monkeypatch.setattr(lease, "_INTERVAL", 0.01)
    with CutOffOnce(story.worker, claimed, lambda: None):
        await until(is_heard_of, "the lease is kept alive")


@pytest.mark.parametrize("error", [asyncpg.DeadlockDetectedError, asyncpg.InternalClientError])
async def test_what_is_no_fault_of_the_runs_does_not_end_it(
    story: Story, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    story.district.write(story.folder)
    run_id = (await story.request()).run.id

    async def fail(*_: object) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(sync_run, "apply", fail)
        await work(story.worker, open_source, story.keys)
    assert (await story.read_run(run_id)).state is SyncRunState.APPLYING
    await story.see.execute(SILENCE)
    await work(story.worker, open_source, story.keys)
    assert (await story.read_run(run_id)).state is SyncRunState.SUCCEEDED


async def test_who_claims_notices_that_it_is_cut_off_while_it_ends_the_former_connection(
    story: Story,
) -> None:
    async def end_while_cut_off() -> None:
        async with story.worker.transaction() as session:
            own = await session.scalar(text("SELECT pg_backend_pid()"))
            await story.see.execute("SELECT pg_terminate_backend($1)", own)
            await _end_connection(session, 1, "nobody's")

    with pytest.raises(DBAPIError):
        await end_while_cut_off()
