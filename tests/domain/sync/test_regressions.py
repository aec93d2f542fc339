"""What once went wrong. Each test names what should be."""

import base64
from datetime import UTC, datetime

import asyncpg
import pytest

from domain.resources import Resources
from domain.roster.records import RecordType
from domain.secrets import KeyRing, SecretUnreadable
from domain.sync import run as sync_run
from domain.sync.context import RunContext
from domain.sync.due import start_due_runs
from domain.sync.models import SyncRun, SyncRunState
from domain.sync.run import work
from tests.builders import named
from tests.domain.sync.conftest import TellStory
from tests.domain.sync.stories import Story, numbers, totals
from tests.sources import open_source

pytestmark = pytest.mark.anyio

NOTHING = {"created": 0, "updated": 0, "archived": 0, "restored": 0}


async def test_a_delta_without_organisations_leaves_schools_alone(story: Story) -> None:
    await story.night()
    before = await story.roster()
    story.district.users.rows = []
    run = await story.night(users="delta")
    assert totals(run) == NOTHING
    assert await story.errors() == []
    assert await story.roster() == before


async def test_a_delta_does_not_resolve_errors_of_records_it_does_not_name(
    story: Story,
) -> None:
    for row in story.district.orgs:
        row["parentSourcedId"] = ""
    story.district.users.change("ann", username="")
    await story.night()
    story.district.users.rows = []
    await story.night(users="delta")
    assert ("USER_LOGIN_MISSING", "ann") in await story.errors()


async def test_planning_again_counts_what_dangles_once(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    story.district.enroll("e6", "nobody", "g1")
    story.district.user("gus", "gus", role="guardian")
    story.district.enroll("e7", "gus", "g1")
    await story.night()
    story.district.users.change("ann", familyName="Baker")
    apply, meddled = sync_run.apply, []

    async def meddle(context: RunContext) -> None:
        if not meddled:
            meddled.append(1)
            await story.see.execute("UPDATE users SET content_hash = 1 WHERE source_id = 'ann'")
        await apply(context)

    monkeypatch.setattr(sync_run, "apply", meddle)
    run = await story.night()
    counts = numbers(run, RecordType.MEMBERSHIP)
    assert (counts["rejected"], counts["ignored"]) == (1, 1)


async def held_story(story: Story) -> None:
    for number in range(20):
        story.district.user(f"p{number:02}", f"p{number:02}")
    await story.night()
    story.district.users.rows = []


async def crash_before_the_summary(story: Story, monkeypatch: pytest.MonkeyPatch) -> SyncRun:
    """A night that ends as another worker finds it."""
    story.district.write(story.folder)
    run_id = (await story.request()).run.id

    async def crash(*_: object, **__: object) -> None:
        raise asyncpg.ConnectionDoesNotExistError

    with monkeypatch.context() as patched:
        patched.setattr(sync_run, "summarise", crash)
        await work(story.worker, open_source, story.keys)
    assert (await story.read_run(run_id)).state is SyncRunState.SUMMARISING
    await story.see.execute(f"TRUNCATE staging.run_{run_id.hex}_marker")
    await story.see.execute("UPDATE sync_leases SET heartbeat_at = now() - interval '1 minute'")
    await work(story.worker, open_source, story.keys)
    left = await story.see.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'staging'")
    assert left == 0
    return await story.read_run(run_id)


async def test_a_held_run_stays_held_when_the_database_crashes_before_its_summary(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    await held_story(story)
    held = await crash_before_the_summary(story, monkeypatch)
    assert held.state is SyncRunState.HELD


async def test_a_hold_ends_also_where_the_database_crashes_before_the_summary(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    await held_story(story)
    assert (await story.night()).state is SyncRunState.HELD
    for number in range(20):
        story.district.user(f"p{number:02}", f"p{number:02}")
    run = await crash_before_the_summary(story, monkeypatch)
    assert run.state is SyncRunState.SUCCEEDED
    assert await story.see.fetchval("SELECT ended_at FROM holds") is not None


async def test_a_good_night_ends_the_hold(story: Story) -> None:
    await held_story(story)
    rows = [dict(row) for row in story.district.users]
    held = await story.night()
    assert held.state is SyncRunState.HELD
    story.district.users.rows = rows
    for number in range(20):
        story.district.user(f"p{number:02}", f"p{number:02}")
    await story.night()
    assert await story.see.fetchval("SELECT ended_at FROM holds") is not None


async def test_the_first_in_the_feed_gets_a_new_username(story: Story) -> None:
    story.district.user("eve", "same", orgSourcedIds="s9,s1")
    story.district.user("fay", "same", orgSourcedIds="s1")
    await story.night()
    assert ("USER_LOGIN_TAKEN", "fay") in await story.errors()


def test_a_key_ring_does_not_show_its_keys() -> None:
    text = base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
    assert "0123456789abcdef" not in repr(KeyRing.parse(f"k:{text}"))


def test_a_cut_off_sealed_value_is_unreadable(keys: KeyRing) -> None:
    sealed = keys.seal(b"secret", context="x")
    for length in range(len(sealed)):
        with pytest.raises(SecretUnreadable):
            keys.open(sealed[:length], context="x")


async def test_the_port_of_the_url_is_used(
    worker_resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The embedded server's URL says ?host=…&port=5432; Database.connect leaves the port out."""
    monkeypatch.setenv("PGPORT", "1")
    connection = await worker_resources.database.connect("homerow test")
    await connection.close()


async def test_a_broken_record_leaves_the_schools_of_its_person(story: Story) -> None:
    await story.night()
    before = (await story.roster())["school_affiliations"]
    story.district.orgs.take("s2")
    story.district.users.change("dee", username="")
    story.district.users.change("bob", orgSourcedIds="s1")
    run = await story.night()
    assert numbers(run, RecordType.USER) == {"updated": 1, "unchanged": 2, "rejected": 1}
    after = (await story.roster())["school_affiliations"]
    assert [row for row in after if row[0] == "dee"] == [row for row in before if row[0] == "dee"]


async def test_a_guardian_who_is_there_twice_is_one_reason_for_one_enrollment(
    story: Story,
) -> None:
    story.district.user("gus", "gus", role="guardian")
    story.district.user("gus", "gus", role="guardian")
    story.district.enroll("e7", "gus", "g1")
    run = await story.night()
    assert numbers(run, RecordType.MEMBERSHIP) == {"created": 5, "ignored": 1}


async def test_one_tenant_that_cannot_start_does_not_stop_the_others(
    story: Story, tell: TellStory
) -> None:
    other = await tell("other")
    await story.see.execute(
        "UPDATE tenants SET time_zone = 'No/Where' WHERE id = $1", story.tenant_id
    )
    for item in (story, other):
        await item.see.execute(
            "UPDATE sync_schedules SET next_due_at = $2 WHERE tenant_id = $1",
            item.tenant_id,
            datetime(2026, 1, 1, tzinfo=UTC),
        )
    try:
        await start_due_runs(story.worker, now=datetime(2026, 1, 2, tzinfo=UTC))
    finally:
        rows = await story.see.fetch("SELECT tenant_id FROM sync_runs")
        assert [row[0] for row in rows] == [other.tenant_id]


async def test_a_held_run_resolves_no_errors(story: Story) -> None:
    story.district.users.change("ann", username="")
    await held_story(story)
    held = await story.night()
    assert held.state is SyncRunState.HELD
    assert ("USER_LOGIN_MISSING", "ann") in await story.errors()


async def test_a_person_who_returns_by_a_delta_is_in_their_classes_again(
    story: Story,
) -> None:
    for row in story.district.orgs:
        row["parentSourcedId"] = ""
    await story.night()
    ann = dict(story.district.users["ann"])
    story.district.users.rows = [ann | named(status="tobedeleted")]
    await story.night(users="delta")
    story.district.users.rows = [ann | named()]
    await story.night(users="delta")
    assert ("ann", "g1", "STUDENT", False) in (await story.roster())["memberships"]
