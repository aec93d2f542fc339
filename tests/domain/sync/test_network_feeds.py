"""What only a server does: pages that overlap, collections that come out empty, cursors."""

import json
from collections.abc import AsyncIterator

import asyncpg
import pytest

from domain.errors import InvalidInput
from domain.roster.records import RECORD_CLASSES, Enrollment, RecordType, User
from domain.roster.source import Checkpoint, Page, Provider
from domain.sync import fetch as fetching
from domain.sync.models import SyncMode, SyncRun, SyncRunState
from domain.sync.run import work
from tests.domain.sync.feeds import Feed, small_feed, student
from tests.domain.sync.stories import Story, numbers, read_places, totals

pytestmark = pytest.mark.anyio

NOTHING = {"created": 0, "updated": 0, "archived": 0, "restored": 0}


@pytest.fixture
async def clever(story: Story) -> Story:
    await story.connect_to(Provider.CLEVER)
    return story


async def pull(story: Story, feed: Feed, mode: SyncMode = SyncMode.FULL) -> SyncRun:
    return await story.run(mode, opener=feed.open)


async def test_pages_that_overlap_say_nothing(clever: Story) -> None:
    feed = small_feed()
    once = await pull(clever, feed)
    roster, places = await clever.roster(), await read_places(clever.see)
    feed.records += [*feed.records, *feed.records[:9]]
    again = await pull(clever, feed)
    assert (once.state, again.state) == (SyncRunState.SUCCEEDED, SyncRunState.SUCCEEDED)
    assert totals(again, *NOTHING, "rejected") == NOTHING | {"rejected": 0}
    assert await clever.roster() == roster
    assert await read_places(clever.see) == places


async def test_a_first_pull_of_overlapping_pages_is_as_good(clever: Story) -> None:
    feed = small_feed()
    feed.records += feed.records
    run = await pull(clever, feed)
    assert totals(run, "created", "rejected") == {"created": 19, "rejected": 0}
    assert await clever.errors() == [("CLASS_EMPTY", "g3")]


async def test_of_copies_that_differ_the_first_is_taken_and_it_is_said(clever: Story) -> None:
    feed = small_feed()
    feed.records += [
        student("ann", family_name="Baker"), student("ann", keys=("sis_id:1", "student_number:1")),
        Enrollment("e1", "ann", "g1", "STUDENT", is_primary=True),
        Enrollment("e1", "ann", "g1", "STUDENT"),
    ]  # fmt: skip
    run = await pull(clever, feed)
    assert totals(run, "created", "rejected") == {"created": 19, "rejected": 2}
    assert (await clever.user("ann"))["family_name"] == "Archer"
    errors = await clever.errors("code", "record_type", "source_id")
    assert errors[1:] == [("ID_DUPLICATE", "MEMBERSHIP", "e1"), ("ID_DUPLICATE", "USER", "ann")]


@pytest.mark.parametrize("copies", [2, 3])
async def test_a_new_enrollment_that_comes_several_times_is_taken(
    clever: Story, copies: int
) -> None:
    """The hashes of two equal ones cancel each other out: their number tells."""
    feed = small_feed()
    await pull(clever, feed)
    feed.records += [Enrollment("e4", "dee", "g1", "STUDENT")] * copies
    run = await pull(clever, feed)
    assert numbers(run, RecordType.MEMBERSHIP) == {"created": 1, "unchanged": 6}
    again = await pull(clever, feed)
    assert numbers(again, RecordType.MEMBERSHIP) == {"unchanged": 7}
    gone = await pull(clever, small_feed())
    assert numbers(gone, RecordType.MEMBERSHIP) == {"archived": 1, "unchanged": 6}


async def test_a_row_of_a_file_that_is_there_several_times_is_told_every_night(
    story: Story,
) -> None:
    await story.night()
    for _ in range(3):
        story.district.enroll("e6", "dee", "g1")
    first, second = await story.night(), await story.night()
    assert numbers(first, RecordType.MEMBERSHIP) == {"created": 1, "unchanged": 5, "rejected": 2}
    assert numbers(second, RecordType.MEMBERSHIP) == {"unchanged": 6, "rejected": 2}
    assert ("ID_DUPLICATE", "e6") in await story.errors()


@pytest.mark.parametrize("record_type", list(RecordType))
async def test_an_empty_answer_waits_whatever_the_number(
    clever: Story, record_type: RecordType
) -> None:
    await pull(clever, small_feed())
    before = await clever.roster()
    feed, kind = small_feed(), RECORD_CLASSES[record_type]
    feed.records = [record for record in feed.records if not isinstance(record, kind)]
    held = await pull(clever, feed)
    assert held.state is SyncRunState.HELD
    assert await clever.roster() == before
    [reasons] = await clever.see.fetchrow("SELECT reasons FROM holds")
    told = [(reason["code"], reason["record_type"]) for reason in json.loads(reasons)]
    assert ("HOLD_TYPE_EMPTY", record_type.value) in told


async def test_an_empty_answer_where_nothing_is_stored_is_only_told(clever: Story) -> None:
    feed = small_feed().without("t1", "t2", "c1", "c2")
    for group in ("g1", "g2", "g3"):
        feed.change(group, course_source_id=None, term_source_ids=())
    run = await pull(clever, feed)
    assert run.state is SyncRunState.SUCCEEDED
    assert [error for error in await clever.errors("code", "cause") if "CONN" in error[0]] == [
        ("CONN_EMPTY", "COURSE"),
        ("CONN_EMPTY", "TERM"),
    ]


async def cursors(story: Story) -> dict[str, str]:
    found: dict[str, str] = json.loads(await story.see.fetchval("SELECT cursors FROM integrations"))
    return found


async def test_a_good_run_leaves_where_the_next_delta_begins(story: Story) -> None:
    await story.connect_to(Provider.ONEROSTER)
    feed = small_feed()
    feed.modified = {RecordType.USER: "2026-11-01T10:00:00.000Z", RecordType.GROUP: "2026-10-01"}
    await pull(story, feed)
    assert await cursors(story) == {"USER": "2026-11-01T10:00:00.000Z", "GROUP": "2026-10-01"}
    delta = Feed([student("ann", family_name="Baker", keys=("sis_id:1",))], set(RecordType))
    delta.modified = {RecordType.USER: "2026-11-02T10:00:00.000Z"}
    run = await pull(story, delta, SyncMode.DELTA)
    assert numbers(run, RecordType.USER) == {"updated": 1}
    assert await cursors(story) == {"USER": "2026-11-02T10:00:00.000Z", "GROUP": "2026-10-01"}


async def test_a_held_run_and_a_preflight_move_no_cursor(story: Story) -> None:
    await story.connect_to(Provider.ONEROSTER)
    await pull(story, small_feed())
    feed = small_feed().without("g1", "g2", "g3")
    feed.modified = {RecordType.USER: "2026-11-01"}
    preflight, held = await pull(story, feed, SyncMode.PREFLIGHT), await pull(story, feed)
    assert (preflight.state, held.state) == (SyncRunState.SUCCEEDED, SyncRunState.HELD)
    assert await cursors(story) == {}


async def test_clever_cannot_tell_what_changed(clever: Story) -> None:
    with pytest.raises(InvalidInput, match="Clever cannot tell what changed") as caught:
        await clever.request(SyncMode.DELTA)
    assert caught.value.field == "mode"


async def test_keys_and_eligibility_are_compared_stored_and_shown(clever: Story) -> None:
    feed = small_feed()
    feed.change("g1", keys=("sis_id:9",))
    feed.change("s1", keys=("sis_id:8",))
    await pull(clever, feed)
    assert (await clever.user("ann"))["keys"] == ["sis_id:1", "student_number:1"]
    assert await clever.see.fetchval("SELECT keys FROM groups WHERE source_id = 'g1'") == [
        "sis_id:9"
    ]
    feed.change("ann", keys=("sis_id:1",), is_eligible=False)
    feed.change("s1", keys=())
    run = await pull(clever, feed)
    assert await clever.changes(run) == [
        ("SCHOOL", "s1", "UPDATE", {"keys": ["sis_id:8"]}, {"keys": []}),
        ("USER", "ann", "UPDATE",
         {"keys": ["sis_id:1", "student_number:1"], "is_eligible": True},
         {"keys": ["sis_id:1"], "is_eligible": False}),
    ]  # fmt: skip
    assert (await clever.user("ann"))["is_eligible"] is False
    await pull(clever, feed.without("ann", "e1"))
    restored = await pull(clever, feed)
    assert numbers(restored, RecordType.USER) == {"restored": 1, "unchanged": 3}
    assert (await clever.user("ann"))["is_eligible"] is False


async def test_a_night_that_makes_every_student_ineligible_is_not_believed(clever: Story) -> None:
    """The field is misspelt, or not shared any more: else nobody could sign in tomorrow."""
    feed = small_feed()
    await pull(clever, feed)
    places = await read_places(clever.see)
    students = [
        record.source_id
        for record in feed.records
        if isinstance(record, User) and "STUDENT" in record.roles
    ]
    for source_id in students:
        feed.change(source_id, is_eligible=False)
    run = await pull(clever, feed)
    assert (run.state, run.failure_code) == (SyncRunState.FAILED, "CONN_FORBIDDEN_SCOPE")
    assert await read_places(clever.see) == places
    feed.change(students[0], is_eligible=True)
    assert (await pull(clever, feed)).state is SyncRunState.SUCCEEDED


async def test_a_fetch_that_was_begun_with_other_settings_begins_again(
    clever: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or what was read of one district, or in one way, would be mixed with another."""
    monkeypatch.setattr(fetching, "BATCH", 1)
    feed, asked = small_feed(), []

    class Breaking(Feed):
        async def pages(self, after: Checkpoint | None = None) -> AsyncIterator[Page]:
            asked.append(after is None)
            async for page in super().pages(after):
                yield page
                if len(asked) == 1 and page.record_type is RecordType.COURSE:
                    raise asyncpg.ConnectionDoesNotExistError

    breaking = Breaking(feed.records)
    requested = await clever.request()
    await work(clever.worker, breaking.open, clever.keys)
    await clever.see.execute("UPDATE integrations SET with_student_email = true")
    await clever.see.execute("UPDATE sync_leases SET heartbeat_at = now() - interval '1 minute'")
    await work(clever.worker, breaking.open, clever.keys)
    assert (await clever.read_run(requested.run.id)).state is SyncRunState.SUCCEEDED
    assert asked == [True, True]
