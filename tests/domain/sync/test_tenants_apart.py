"""Tenants side by side, and a roster that changes under a plan."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from typing_extensions import override

from domain.roster.records import RecordType
from domain.roster.source import Checkpoint, Page, Picks, RosterSource
from domain.sync import run as sync_run
from domain.sync.apply import apply
from domain.sync.context import RunContext
from domain.sync.models import SyncRun, SyncRunState
from domain.sync.run import work
from tests.domain.sync.conftest import TellStory
from tests.domain.sync.stories import Story, numbers, totals
from tests.sources import open_source

pytestmark = pytest.mark.anyio

G2 = """
    CREATE FUNCTION g2() RETURNS uuid LANGUAGE sql AS
    $$ SELECT id FROM groups WHERE source_id = 'g2' $$
"""


async def test_two_tenants_with_the_same_ids_do_not_touch_each_other(tell: TellStory) -> None:
    alpha, beta = await tell("alpha"), await tell("beta")
    beta.district.users.change("ann", familyName="Baker")
    await alpha.night()
    first = await alpha.roster()
    run = await beta.night()
    assert totals(run, "created", "rejected") == {"created": 15, "rejected": 0}
    assert await alpha.roster() == first
    of_beta = await beta.roster()
    assert {table: len(rows) for table, rows in of_beta.items()} == {
        table: len(rows) for table, rows in first.items()
    }
    alpha_ids, beta_ids = await alpha.ids("users"), await beta.ids("users")
    assert alpha_ids.keys() == beta_ids.keys()
    assert not set(alpha_ids.values()) & set(beta_ids.values())
    beta.district.classes.rows, beta.district.enrollments.rows = [], []
    beta.district.users.take("dee")
    await beta.night()
    assert await alpha.roster() == first
    alpha.district.users.change("ann", username="bob", familyName="Changed")
    alpha.district.users.change("bob", username="ann")
    archived = await beta.roster()
    await alpha.night()
    assert await beta.roster() == archived


async def test_runs_of_two_tenants_go_on_at_the_same_time(tell: TellStory) -> None:
    stories = [await tell(f"tenant-{number}") for number in range(4)]
    for story in stories:
        story.district.write(story.folder)
    requested = [await story.request() for story in stories]
    done: list[Any] = []

    async def work_all() -> None:
        while run_id := await work(stories[0].worker, open_source, stories[0].keys):
            done.append(run_id)

    await asyncio.gather(work_all(), work_all())
    assert sorted(done) == sorted(item.run.id for item in requested)
    for story in stories:
        assert len((await story.roster())["memberships"]) == 5


async def run_with(story: Story, monkeypatch: pytest.MonkeyPatch, *statements: str) -> SyncRun:
    """Sync the district; one statement of somebody else comes between each plan and its apply."""
    waiting = list(statements)

    async def meddle(context: RunContext) -> None:
        if waiting:
            await story.see.execute(waiting.pop(0))
        await apply(context)

    monkeypatch.setattr(sync_run, "apply", meddle)
    run = await story.night()
    assert waiting == []
    return run


async def test_a_person_who_changed_since_the_plan_is_planned_again(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    await story.night()
    story.district.users.change("ann", familyName="Baker")
    story.district.users.take("dee")
    story.district.enrollments.take("e5")
    run = await run_with(
        story,
        monkeypatch,
        "UPDATE users SET content_hash = 1, family_name = 'Other' WHERE source_id = 'ann'",
    )
    assert run.state is SyncRunState.SUCCEEDED
    assert numbers(run, RecordType.USER) == {"updated": 1, "archived": 1, "unchanged": 2}
    assert (await story.user("ann"))["family_name"] == "Baker"
    assert [change[:3] for change in await story.changes(run)] == [
        ("MEMBERSHIP", None, "ARCHIVE"),
        ("USER", "ann", "UPDATE"),
        ("USER", "dee", "ARCHIVE"),
    ]
    assert totals(await story.night()) == {
        "created": 0, "updated": 0, "archived": 0, "restored": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE users SET archived_at = now() WHERE source_id = 'dee'",
        "UPDATE memberships SET archived_at = now() WHERE role = 'STUDENT' AND group_id = g2()",
        "UPDATE memberships SET content_hash = 1 WHERE role = 'STUDENT' AND group_id = g2()",
    ],
    ids=["person archived", "membership archived", "membership changed"],
)
async def test_an_archive_that_is_no_longer_due_is_planned_again(
    story: Story, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    await story.night()
    await story.see.execute(G2)
    story.district.users.take("dee")
    story.district.enrollments.take("e5")
    run = await run_with(story, monkeypatch, statement)
    assert run.state is SyncRunState.SUCCEEDED
    assert (await story.user("dee"))["archived_at"] is not None
    assert ("dee", "g2", "STUDENT", True) in (await story.roster())["memberships"]
    phases = run.phases
    assert phases.keys() == {"FETCHING", "VALIDATING", "PLANNING", "APPLYING", "SUMMARISING"}


async def test_a_plan_may_turn_out_stale_twice(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    await story.night()
    story.district.users.change("ann", familyName="Baker")
    run = await run_with(
        story,
        monkeypatch,
        "UPDATE users SET content_hash = 1 WHERE source_id = 'ann'",
        "UPDATE users SET content_hash = 2 WHERE source_id = 'ann'",
    )
    assert run.state is SyncRunState.SUCCEEDED
    assert numbers(run, RecordType.USER) == {"updated": 1, "unchanged": 3}


async def test_a_run_whose_staging_was_emptied_by_a_crash_fetches_again(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run ends in the middle; the unlogged tables are empty when it goes on."""
    story.district.write(story.folder)
    requested = await story.request()
    opened = 0

    def count_and_open(*arguments: Any, **options: Any) -> RosterSource:
        nonlocal opened
        opened += 1
        return open_source(*arguments, **options)

    async def crash(_context: RunContext) -> None:
        raise asyncpg.ConnectionDoesNotExistError

    with monkeypatch.context() as patched:
        patched.setattr(sync_run, "apply", crash)
        await work(story.worker, count_and_open, story.keys)
    run = await story.read_run(requested.run.id)
    assert (run.state, run.finished_at) == (SyncRunState.APPLYING, None)
    await story.see.execute(f"TRUNCATE staging.run_{run.id.hex}_marker")
    assert await work(story.worker, count_and_open, story.keys) is None
    await story.see.execute("UPDATE sync_leases SET heartbeat_at = now() - interval '1 minute'")
    assert await work(story.worker, count_and_open, story.keys) == run.id
    assert (await story.read_run(run.id)).state is SyncRunState.SUCCEEDED
    assert opened == 2
    assert len((await story.roster())["memberships"]) == 5


class Interrupted(RosterSource):
    """A source that breaks off as if the process died, after some pages."""

    def __init__(self, source: RosterSource, *, pages: int) -> None:
        self._source = source
        self._left = pages

    @override
    async def check(self) -> Any:
        return await self._source.check()

    @override
    async def fingerprint(self) -> str:
        return await self._source.fingerprint()

    @override
    async def pages(self, after: Checkpoint | None = None) -> AsyncIterator[Page]:
        async for page in self._source.pages(after):
            if not self._left:
                raise asyncpg.ConnectionDoesNotExistError
            self._left -= 1
            yield page

    @override
    def pick(self, picks: Picks) -> AsyncIterator[Page]:
        return self._source.pick(picks)


@pytest.mark.parametrize("pages", range(7))
async def test_a_fetch_goes_on_where_it_broke_off(story: Story, pages: int) -> None:
    story.district.users.change("cid", username="")
    story.district.write(story.folder)
    requested = await story.request()

    def open_interrupted(*arguments: Any, **options: Any) -> RosterSource:
        return Interrupted(open_source(*arguments, **options), pages=pages)

    await work(story.worker, open_interrupted, story.keys)
    await story.see.execute("UPDATE sync_leases SET heartbeat_at = now() - interval '1 minute'")
    await work(story.worker, open_source, story.keys)
    run = await story.read_run(requested.run.id)
    assert (run.state, run.attempts) == (SyncRunState.SUCCEEDED_WITH_ERRORS, 1 + (pages < 6))
    assert totals(run, "fetched", "created", "rejected") == {
        "fetched": 16, "created": 13, "rejected": 2,
    }  # fmt: skip
    assert await story.errors() == [
        ("ENR_USER_MISSING", "e3"),
        ("USER_LOGIN_MISSING", "cid"),
    ]
