"""Previews of sharing rules, and the holds that a change of rules causes."""

import json
from typing import Any
from uuid import UUID

import pytest

from domain.errors import Conflict, InvalidInput
from domain.integrations.models import SharingSubject
from domain.roster.records import RecordType
from domain.sync.models import SyncMode, SyncRunState
from tests.domain.sync.stories import Story, numbers, read_places, totals

pytestmark = pytest.mark.anyio

NORTH = {SharingSubject.SCHOOL: ["s1"]}
SOUTH = {SharingSubject.SCHOOL: ["s2"]}


@pytest.fixture
async def crowded(story: Story) -> Story:
    """The small district with twenty more students at s2, in its class g2; synced once."""
    for number in range(20):
        story.district.user(f"p{number:02}", f"p{number:02}", orgSourcedIds="s2")
        story.district.enroll(f"x{number:02}", f"p{number:02}", "g2")
    await story.night()
    return story


async def holds(story: Story) -> list[dict[str, Any]]:
    """The reasons that still wait."""
    rows = await story.see.fetch("SELECT reasons FROM holds WHERE ended_at IS NULL ORDER BY id")
    return [reason for row in rows for reason in json.loads(row[0])]


async def accept(story: Story, run_id: UUID) -> None:
    await story.see.execute("UPDATE integrations SET sharing_preview_run_id = $1", run_id)


async def test_a_change_of_rules_that_would_archive_many_waits(crowded: Story) -> None:
    before = await crowded.roster()
    await crowded.share(SCHOOL=["s1"])
    run = await crowded.night()
    assert run.state is SyncRunState.SUCCEEDED_WITH_HOLD
    assert totals(run) == {"created": 0, "updated": 1, "archived": 0, "restored": 0}
    after = await crowded.roster()
    assert {**after, "school_affiliations": []} == {**before, "school_affiliations": []}
    # The teacher of both schools is of the shared one only.
    assert [row for row in before["school_affiliations"] if row not in after["school_affiliations"]]
    assert await holds(crowded) == [
        {"code": "HOLD_SHARING_CHANGE", "record_type": name, "count": count, "of": of}
        for name, count, of in (("USER", 21, 24), ("MEMBERSHIP", 22, 25))
    ]
    await crowded.share()
    assert (await crowded.night()).state is SyncRunState.SUCCEEDED
    assert await holds(crowded) == []


async def test_what_the_accepted_preview_showed_goes(crowded: Story) -> None:
    preview = await crowded.preview(NORTH)
    await crowded.share(SCHOOL=["s1"])
    await accept(crowded, preview.id)
    run = await crowded.night()
    assert run.state is SyncRunState.SUCCEEDED
    assert numbers(run, RecordType.USER) == {"updated": 1, "archived": 21, "unchanged": 2}


async def test_what_goes_beyond_the_preview_waits(crowded: Story) -> None:
    for number in range(11):
        crowded.district.user(f"q{number:02}", f"q{number:02}")
    await crowded.night()
    preview = await crowded.preview(NORTH)
    for number in range(11):
        crowded.district.users.change(f"q{number:02}", orgSourcedIds="s2")
    await crowded.share(SCHOOL=["s1"])
    await accept(crowded, preview.id)
    held = await crowded.night()
    assert held.state is SyncRunState.SUCCEEDED_WITH_HOLD
    assert numbers(held, RecordType.USER) == {"updated": 1, "archived": 21, "unchanged": 2}
    assert held.counts["USER"]["held"] == 11
    assert await holds(crowded) == [
        {"code": "HOLD_SHARING_CHANGE", "record_type": "USER", "count": 11, "of": 35}
    ]
    crowded.district.users.change("q00", orgSourcedIds="s1")
    assert (await crowded.night()).state is SyncRunState.SUCCEEDED


async def test_a_preview_shows_everything_and_changes_nothing(crowded: Story) -> None:
    crowded.district.users.change("ann", username="")
    await crowded.night()
    held = crowded.district.users.rows
    crowded.district.users.rows = []
    assert (await crowded.night()).state is SyncRunState.HELD
    crowded.district.users.rows = held
    before, places, waiting = (
        await crowded.roster(), await read_places(crowded.see), await holds(crowded)
    )  # fmt: skip
    errors = await crowded.errors("code", "source_id", "runs", "last_seen_run_id")
    crowded.district.users.change("cid", username="")
    crowded.district.user("eve", "eve")
    preview = await crowded.preview(NORTH)
    assert (preview.state, preview.mode) == (SyncRunState.SUCCEEDED, SyncMode.PREFLIGHT)
    assert preview.finished_at is not None
    assert numbers(preview, RecordType.USER) == {
        "created": 1, "updated": 1, "archived": 21, "rejected": 2,
    }  # fmt: skip
    assert preview.left_out[:3] == [
        {"subject": "SCHOOL", "record_type": "SCHOOL", "count": 1},
        {"subject": "SCHOOL", "record_type": "GROUP", "count": 1},
        {"subject": "SCHOOL", "record_type": "USER", "count": 21},
    ]
    archives = [change[:2] for change in await crowded.changes(preview) if change[2] == "ARCHIVE"]
    assert ("USER", "dee") in archives
    assert ("GROUP", "g2") in archives
    assert ("SCHOOL", "s2") in archives
    assert len(archives) == 1 + 1 + 21 + 22
    assert await crowded.roster() == before
    assert await read_places(crowded.see) == places
    assert await holds(crowded) == waiting
    assert await crowded.errors("code", "source_id", "runs", "last_seen_run_id") == errors
    staged = await crowded.see.fetchval(
        "SELECT count(*) FROM pg_tables WHERE schemaname = 'staging'"
    )
    assert staged == 0


async def test_a_preview_goes_by_its_own_rules_and_else_by_the_saved_ones(story: Story) -> None:
    await story.share(SCHOOL=["s1"])
    assert numbers(await story.preview(SOUTH), RecordType.USER) == {"created": 2}
    assert numbers(await story.preview(), RecordType.USER) == {"created": 3}
    assert numbers(await story.preview({}), RecordType.USER) == {"created": 4}


async def test_a_preview_names_the_schools_that_are_not_there_and_does_not_wait(
    story: Story,
) -> None:
    preview = await story.preview({SharingSubject.SCHOOL: ["s1", "Nroth"]})
    assert preview.state is SyncRunState.SUCCEEDED
    assert preview.left_out[0]["unmatched"] == ["Nroth"]
    assert await holds(story) == []


async def test_a_preview_joins_only_a_preview_of_the_same_rules(story: Story) -> None:
    first = await story.request(SyncMode.PREFLIGHT, sharing_rules=NORTH)
    again = await story.request(SyncMode.PREFLIGHT, sharing_rules=NORTH)
    assert (again.joined, again.run.id) == (True, first.run.id)
    for others in (SOUTH, None, {}):
        with pytest.raises(Conflict, match="preview of other sharing rules is under way"):
            await story.request(SyncMode.PREFLIGHT, sharing_rules=others)
    await story.see.execute("UPDATE sync_runs SET state = 'FETCHING'")
    with pytest.raises(Conflict, match="preview of other sharing rules"):
        await story.request(SyncMode.PREFLIGHT, sharing_rules=SOUTH)
    waiting = await story.request(SyncMode.FULL)
    assert waiting.joined is False


async def test_only_a_preflight_tries_rules_out(story: Story) -> None:
    with pytest.raises(InvalidInput, match="tried out by a preflight only"):
        await story.request(SyncMode.FULL, sharing_rules=NORTH)


async def test_the_size_of_a_preflight_is_not_the_tenants(story: Story) -> None:
    await story.night()
    for number in range(20):
        story.district.user(f"p{number:02}", f"p{number:02}")
    await story.preview(NORTH)
    assert (await story.request()).run.progress["expected"] == 16


async def test_a_preflight_that_cannot_read_the_roster_fails(story: Story) -> None:
    await story.night()
    before = await story.roster()
    (story.folder / "users.csv").write_text("nothing\n", encoding="utf-8")
    run = await story.run(SyncMode.PREFLIGHT)
    assert (run.state, run.failure_code) == (SyncRunState.FAILED, "FILE_HEADER_MISSING")
    assert await story.roster() == before


async def test_a_preview_of_a_first_sync_counts_what_would_come(story: Story) -> None:
    preview = await story.preview(NORTH)
    assert totals(preview, "created") == {"created": 1 + 1 + 1 + 1 + 3 + 3}
    created = [change[:3] for change in await story.changes(preview)]
    assert sorted(created) == [
        ("COURSE", "c1", "CREATE"), ("GROUP", "g1", "CREATE"), ("SCHOOL", "s1", "CREATE"),
        ("TERM", "t1", "CREATE"), ("USER", "ann", "CREATE"), ("USER", "bob", "CREATE"),
        ("USER", "cid", "CREATE"),
    ]  # fmt: skip
    assert totals(await story.night(), "created") == {"created": 15}
