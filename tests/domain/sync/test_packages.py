"""Whole packages: empty ones, broken ones, deltas, and a real one."""

import json
from datetime import date
from pathlib import Path
from zipfile import ZipFile

import pytest

from domain.roster.records import RecordType
from domain.sync.models import SyncRunState
from tests.builders import named
from tests.domain.sync.stories import Story, numbers, read_places, totals

pytestmark = pytest.mark.anyio

UNTOUCHED = {"created": 0, "updated": 0, "archived": 0, "restored": 0}


async def staging_tables(story: Story) -> int:
    count = await story.see.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'staging'")
    return int(count)


async def add_crowd(story: Story) -> None:
    """More people than a type may lose at once."""
    for number in range(20):
        story.district.user(f"p{number:02}", f"p{number:02}")
        story.district.enroll(f"m{number:02}", f"p{number:02}", "g1")


async def test_a_night_without_people_is_held_and_the_next_good_one_runs(story: Story) -> None:
    await add_crowd(story)
    await story.night()
    places = await read_places(story.see)
    users, enrollments = story.district.users.rows, story.district.enrollments.rows
    story.district.users.rows, story.district.enrollments.rows = [], []
    story.district.orgs.change("s1", name="Renamed")
    held = await story.night()
    assert held.state is SyncRunState.SUCCEEDED_WITH_HOLD
    assert held.finished_at is not None
    assert totals(held) == {**UNTOUCHED, "updated": 1}
    after = await read_places(story.see)
    assert {**after, "schools": []} == {**places, "schools": []}
    reasons = await story.see.fetchval("SELECT reasons FROM holds WHERE run_id = $1", held.id)
    assert json.loads(reasons) == [
        {"code": "HOLD_TYPE_EMPTY", "record_type": "USER", "count": 24, "of": 24},
        {
            "code": "HOLD_TYPE_EMPTY",
            "record_type": "MEMBERSHIP",
            "count": 25,
            "of": 25,
        },
    ]
    assert await staging_tables(story) == 0
    story.district.users.rows, story.district.enrollments.rows = users, enrollments
    good = await story.night()
    assert good.state is SyncRunState.SUCCEEDED
    assert totals(good) == UNTOUCHED
    assert await story.see.fetchval("SELECT ended_by FROM holds") == f"run {good.id}"


async def test_a_class_of_few_may_end(story: Story) -> None:
    await story.night()
    story.district.classes.rows, story.district.enrollments.rows = [], []
    run = await story.night()
    assert run.state is SyncRunState.SUCCEEDED
    assert totals(run) == {**UNTOUCHED, "archived": 7}


async def test_all_others_instead_wait(story: Story) -> None:
    await add_crowd(story)
    await story.night()
    for row in story.district.users:
        row |= {"sourcedId": f"new-{row['sourcedId']}", "username": f"new-{row['username']}"}
        row |= {"givenName": "Somebody", "familyName": f"Else {row['sourcedId']}"}
        row |= {"email": "", "identifier": ""}
    for row in story.district.enrollments:
        row["userSourcedId"] = f"new-{row['userSourcedId']}"
    run = await story.night()
    assert run.state is SyncRunState.SUCCEEDED_WITH_HOLD
    assert numbers(run, RecordType.USER) == {"created": 24}
    assert numbers(run, RecordType.MEMBERSHIP) == {"created": 25}
    assert run.counts["USER"]["held"] == 24
    approved = await story.approve(run)
    assert approved.state is SyncRunState.SUCCEEDED
    assert numbers(approved, RecordType.USER) == {"archived": 24, "unchanged": 24}


async def test_the_same_people_under_other_ids_wait_as_a_whole(story: Story) -> None:
    await add_crowd(story)
    await story.night()
    story.district.users.rows = [
        row | {"sourcedId": f"new-{row['sourcedId']}"} for row in story.district.users
    ]
    story.district.enrollments.rows = [
        row | {"userSourcedId": f"new-{row['userSourcedId']}"} for row in story.district.enrollments
    ]
    run = await story.night()
    assert run.state is SyncRunState.HELD
    assert totals(run) == UNTOUCHED
    ids = await story.see.fetch("SELECT id FROM users ORDER BY id")
    approved = await story.approve(run)
    assert approved.state is SyncRunState.SUCCEEDED
    assert numbers(approved, RecordType.USER) == {"updated": 24}
    assert await story.see.fetch("SELECT id FROM users ORDER BY id") == ids


async def test_a_missing_file_fails_the_run_and_leaves_the_roster(story: Story) -> None:
    await story.night()
    places = await read_places(story.see)
    story.district.users.take("ann")
    story.district.write(story.folder)
    (story.folder / "users.csv").unlink()
    run = await story.run()
    assert (run.state, run.failure_code) == (SyncRunState.FAILED, "FILE_MISSING")
    assert run.failure_message is not None
    assert "users.csv" in run.failure_message
    assert run.finished_at is not None
    assert await read_places(story.see) == places
    assert await staging_tables(story) == 0
    assert (await story.night()).state is SyncRunState.SUCCEEDED


async def test_a_file_that_breaks_off_in_the_middle_fails_the_run(story: Story) -> None:
    await story.night()
    places = await read_places(story.see)
    story.district.write(story.folder)
    with (story.folder / "enrollments.csv").open("ab") as file:
        file.write(b'e9,,,"g1')
    run = await story.run()
    assert (run.state, run.failure_code) == (SyncRunState.FAILED, "FILE_MALFORMED_CSV")
    assert await read_places(story.see) == places
    assert await staging_tables(story) == 0


async def test_a_delta_changes_only_what_it_names(story: Story) -> None:
    await story.night()
    before = await story.roster()
    full_users, full_enrollments = story.district.users.rows, story.district.enrollments.rows
    ann = named(**story.district.users["ann"]) | named(familyName="Baker")
    dee = named(**story.district.users["dee"]) | named(status="tobedeleted")
    story.district.users.rows, story.district.enrollments.rows = [ann, dee], []
    story.district.enroll("e6", "cid", "g2", **named())
    run = await story.night(users="delta", enrollments="delta")
    assert run.state is SyncRunState.SUCCEEDED
    assert numbers(run, RecordType.USER) == {"updated": 1, "archived": 1}
    assert numbers(run, RecordType.MEMBERSHIP) == {"created": 1, "archived": 1, "unchanged": 4}
    assert totals(run, "fetched") == {"fetched": 3}
    after = await story.roster()
    for table in ("schools", "terms", "courses", "groups"):
        assert after[table] == before[table]
    assert [row for row in before["users"] if row[0] in ("bob", "cid")] == [
        row for row in after["users"] if row[0] in ("bob", "cid")
    ]
    assert (await story.user("ann"))["family_name"] == "Baker"
    assert ("cid", "g2", "STUDENT", False) in after["memberships"]
    assert ("dee", "g2", "STUDENT", True) in after["memberships"]
    story.district.users.rows = full_users
    story.district.users.change("ann", familyName="Baker")
    story.district.users.take("dee")
    story.district.enrollments.rows = full_enrollments
    story.district.enrollments.take("e5")
    story.district.enroll("e6", "cid", "g2")
    assert totals(await story.night()) == UNTOUCHED


async def test_a_delta_takes_one_span_of_two(story: Story) -> None:
    story.district.enroll("e6", "ann", "g1", beginDate="2027-01-04")
    await story.night()
    story.district.enrollments.rows = []
    story.district.enroll("e1", "ann", "g1", **named(status="tobedeleted"))
    run = await story.night(enrollments="delta")
    assert numbers(run, RecordType.MEMBERSHIP) == {"updated": 1, "unchanged": 4}
    spans = [row for row in (await story.roster())["membership_spans"] if row[0] == "ann"]
    assert spans == [("ann", "g1", "STUDENT", "e6", date(2027, 1, 4), None, False)]


async def test_usernames_are_swapped_by_a_delta_and_not_taken_by_one(story: Story) -> None:
    await story.night()
    rows = {row["sourcedId"]: row for row in story.district.users}
    story.district.users.rows = [
        rows["ann"] | named(username="cid"),
        rows["cid"] | named(username="ann"),
        rows["dee"] | named(username="BOB"),
    ]
    run = await story.night(users="delta")
    assert numbers(run, RecordType.USER) == {"updated": 2, "rejected": 1}
    assert await story.errors() == [("USER_LOGIN_CASE_CLASH", "dee")]
    assert [(await story.user(name))["username"] for name in ("ann", "bob", "cid", "dee")] == [
        "cid", "bob", "ann", "dee",
    ]  # fmt: skip


async def test_a_bulk_file_beside_absent_ones_is_compared_alone(story: Story) -> None:
    await story.night()
    story.district.enrollments.take("e3")
    run = await story.night(enrollments="bulk")
    assert numbers(run, RecordType.MEMBERSHIP) == {"archived": 1, "unchanged": 4}
    assert totals(run) == {**UNTOUCHED, "archived": 1}


@pytest.mark.parametrize("is_zipped", [False, True])
async def test_a_real_package_is_taken_over_whole(
    story: Story, shared_data: Path, tmp_path: Path, is_zipped: bool
) -> None:
    package = shared_data / "oneroster" / "edfi-lms-toolkit-v1p1"
    if is_zipped:
        with ZipFile(tmp_path / "package.zip", "w") as archive:
            for file in package.iterdir():
                archive.write(file, file.name)
        package = tmp_path / "package.zip"
    await story.configure(package.resolve())
    run = await story.run()
    assert (run.state, run.failure_message) == (SyncRunState.SUCCEEDED, None)
    roster = await story.roster()
    assert {table: len(rows) for table, rows in roster.items()} == {
        "schools": 1,
        "terms": 3,
        "courses": 2,
        "groups": 2,
        "users": 10,
        "school_affiliations": 10,
        "memberships": 12,
        "membership_spans": 24,
    }
    assert totals(await story.run()) == UNTOUCHED
