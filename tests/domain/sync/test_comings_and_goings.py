"""What leaves is archived, what comes back is the same as before, and all of it is told."""

from datetime import date

import pytest

from domain.roster.records import RecordType
from domain.sync.models import SyncRunState
from tests.domain.sync.stories import Story, numbers, read_places, totals

pytestmark = pytest.mark.anyio


async def test_the_first_night_stores_the_district_as_it_is(story: Story) -> None:
    run = await story.night()
    assert run.state is SyncRunState.SUCCEEDED
    assert totals(run, "fetched", "created") == {"fetched": 16, "created": 15}
    assert {name: numbers(run, name) for name in RecordType} == {
        RecordType.SCHOOL: {"created": 2, "ignored": 1},
        RecordType.TERM: {"created": 1},
        RecordType.COURSE: {"created": 1},
        RecordType.GROUP: {"created": 2},
        RecordType.USER: {"created": 4},
        RecordType.MEMBERSHIP: {"created": 5},
    }
    begin, end = date(2026, 8, 17), date(2026, 12, 19)
    names = ("Archer", None, None)
    assert await story.roster() == {
        "schools": [
            ("s1", "North", "17", "d1", False, "PROVIDER"),
            ("s2", "South", None, "d1", False, "PROVIDER"),
        ],
        "terms": [("t1", "Term t1", "term", begin, end, None, False)],
        "courses": [("c1", "Mathematics", "MATH", [], False)],
        "groups": [
            ("g1", "s1", "c1", "Algebra", ["t1"], begin, end, None, None, None, ["09"], [], False),
            ("g2", "s2", None, "Biology", [], None, None, None, None, None, [], [], False),
        ],
        "users": [
            ("ann", "ann", "ann", "Ann", *names, None, "100", ["STUDENT"], ["09"], True, False,
             "PROVIDER"),
            ("bob", "bob", "bob", "Bob", *names, "bob@example.org", None, ["TEACHER"], [], True,
             False, "PROVIDER"),
            ("cid", "cid", "cid", "Cid", *names, None, None, ["STUDENT"], ["09"], True, False,
             "PROVIDER"),
            ("dee", "dee", "dee", "Dee", *names, None, None, ["STUDENT"], ["09"], True, False,
             "PROVIDER"),
        ],
        "school_affiliations": [
            ("ann", "s1", 1), ("bob", "s1", 2), ("bob", "s2", 1), ("cid", "s1", 1), ("dee", "s2", 1)
        ],
        "memberships": [
            ("ann", "g1", "STUDENT", False),
            ("bob", "g1", "TEACHER", False),
            ("bob", "g2", "TEACHER", False),
            ("cid", "g1", "STUDENT", False),
            ("dee", "g2", "STUDENT", False),
        ],
        "membership_spans": [
            ("ann", "g1", "STUDENT", "e1", begin, end, False),
            ("bob", "g1", "TEACHER", "e2", None, None, True),
            ("bob", "g2", "TEACHER", "e4", None, None, False),
            ("cid", "g1", "STUDENT", "e3", None, None, False),
            ("dee", "g2", "STUDENT", "e5", None, None, False),
        ],
    }  # fmt: skip
    assert await story.errors() == []
    assert await story.changes(run) == []


async def test_the_same_night_again_writes_nothing(story: Story) -> None:
    await story.night()
    before = await read_places(story.see)
    run = await story.night()
    assert totals(run, "created", "updated", "archived", "restored", "unchanged") == {
        "created": 0, "updated": 0, "archived": 0, "restored": 0, "unchanged": 15,
    }  # fmt: skip
    assert await read_places(story.see) == before


async def test_a_class_that_was_away_comes_back_with_its_ids_members_and_spans(
    story: Story,
) -> None:
    await story.night()
    before, groups, members = (
        await story.roster(), await story.ids("groups"), await story.membership_ids()
    )  # fmt: skip
    group = story.district.classes.take("g1")
    enrolled = story.district.enrollments.take_where(classSourcedId="g1")
    away = await story.night()
    assert numbers(away, RecordType.GROUP) == {"archived": 1, "unchanged": 1}
    assert numbers(away, RecordType.MEMBERSHIP) == {"archived": 3, "unchanged": 2}
    assert [row for row in (await story.roster())["memberships"] if row[3]] == [
        ("ann", "g1", "STUDENT", True),
        ("bob", "g1", "TEACHER", True),
        ("cid", "g1", "STUDENT", True),
    ]
    story.district.classes.put(group)
    story.district.enrollments.put(*enrolled)
    back = await story.night()
    assert numbers(back, RecordType.GROUP) == {"restored": 1, "unchanged": 1}
    assert numbers(back, RecordType.MEMBERSHIP) == {"restored": 3, "unchanged": 2}
    assert totals(back) == {"created": 0, "updated": 0, "archived": 0, "restored": 4}
    assert await story.roster() == before
    assert await story.ids("groups") == groups
    assert await story.membership_ids() == members


async def test_a_student_who_was_away_keeps_settings_and_progress(story: Story) -> None:
    await story.night()
    before, users, members = (
        await story.roster(), await story.ids("users"), await story.membership_ids()
    )  # fmt: skip
    groups = await story.ids("groups")
    await story.see.execute(
        "INSERT INTO training_settings (tenant_id, user_id, speed_target, has_avatars)"
        " VALUES ($1, $2, 33, true)",
        story.tenant_id,
        users["ann"],
    )
    await story.see.execute(
        "INSERT INTO progress (tenant_id, user_id, group_id, school_year, lessons, seconds,"
        " best_speed) VALUES ($1, $2, $3, 2026, 12, 3456, 41)",
        story.tenant_id,
        users["ann"],
        groups["g1"],
    )
    local = "SELECT 1, ctid::text, xmin::text, t::text FROM training_settings t UNION ALL SELECT 2,"
    local += " ctid::text, xmin::text, p::text FROM progress p ORDER BY 1"
    kept = await story.see.fetch(local)
    ann = story.district.users.take("ann")
    [enrolled] = story.district.enrollments.take_where(userSourcedId="ann")
    away = await story.night()
    assert numbers(away, RecordType.USER) == {"archived": 1, "unchanged": 3}
    assert (await story.user("ann"))["username_key"] is None
    assert (await story.user("ann"))["archived_by_run_id"] == away.id
    assert await story.see.fetch(local) == kept
    story.district.users.put(ann)
    story.district.enrollments.put(enrolled)
    back = await story.night()
    assert numbers(back, RecordType.USER) == {"restored": 1, "unchanged": 3}
    assert numbers(back, RecordType.MEMBERSHIP) == {"restored": 1, "unchanged": 4}
    assert await story.roster() == before
    assert await story.ids("users") == users
    assert await story.membership_ids() == members
    assert (await story.user("ann"))["archived_by_run_id"] is None
    assert await story.see.fetch(local) == kept


async def test_a_student_leaves_and_the_enrollments_stay_in_the_files(story: Story) -> None:
    await story.night()
    story.district.users.take("ann")
    run = await story.night()
    assert numbers(run, RecordType.USER) == {"archived": 1, "unchanged": 3}
    assert numbers(run, RecordType.MEMBERSHIP) == {"archived": 1, "unchanged": 4, "rejected": 1}
    assert await story.errors() == [("ENR_USER_MISSING", "e1")]
    again = await story.night()
    assert totals(again) == {"created": 0, "updated": 0, "archived": 0, "restored": 0}


async def test_changes_tell_old_and_new_values(story: Story) -> None:
    await story.night()
    story.district.users.change("ann", familyName="Baker")
    story.district.users.change("bob", orgSourcedIds="s1")
    story.district.classes.change("g1", schoolSourcedId="s2")
    story.district.users.take("dee")
    story.district.enrollments.take("e5")
    run = await story.night()
    assert totals(run) == {"created": 0, "updated": 3, "archived": 2, "restored": 0}
    gone = ({"archived": False}, {"archived": True})
    assert await story.changes(run) == [
        ("GROUP", "g1", "UPDATE", {"school_source_id": "s1"}, {"school_source_id": "s2"}),
        ("MEMBERSHIP", None, "ARCHIVE", *gone),
        ("USER", "ann", "UPDATE", {"family_name": "Archer"}, {"family_name": "Baker"}),
        ("USER", "bob", "UPDATE", {"school_source_ids": ["s2", "s1"]},
         {"school_source_ids": ["s1"]}),
        ("USER", "dee", "ARCHIVE", *gone),
    ]  # fmt: skip
    story.district.user("dee", "dee", orgSourcedIds="s2", familyName="Drake")
    story.district.enroll("e9", "dee", "g2")
    back = await story.night()
    span = {"begins_on": None, "ends_on": None, "is_primary": False}
    assert await story.changes(back) == [
        ("MEMBERSHIP", None, "RESTORE", {"spans": [{**span, "source_id": "e5"}]},
         {"spans": [{**span, "source_id": "e9"}]}),
        ("USER", "dee", "RESTORE", {"family_name": "Archer"}, {"family_name": "Drake"}),
    ]  # fmt: skip


async def test_what_a_school_is_called_here_outlives_a_new_name(story: Story) -> None:
    await story.night()
    await story.see.execute("UPDATE schools SET display_name = 'Ours' WHERE source_id = 's1'")
    story.district.orgs.change("s1", name="North High")
    run = await story.night()
    assert numbers(run, RecordType.SCHOOL) == {"updated": 1, "unchanged": 1, "ignored": 1}
    row = await story.see.fetchrow("SELECT name, display_name FROM schools WHERE source_id = 's1'")
    assert tuple(row) == ("North High", "Ours")


async def test_a_moved_term_moves_its_groups(story: Story) -> None:
    story.district.term("t2", "2027-01-04", "2027-05-28")
    story.district.classes.change("g1", termSourcedIds="t1,t2")
    await story.night()
    story.district.terms.change("t2", endDate="2027-06-04")
    run = await story.night()
    assert numbers(run, RecordType.TERM) == {"updated": 1, "unchanged": 1}
    assert numbers(run, RecordType.GROUP) == {"updated": 1, "unchanged": 1}
    assert await story.changes(run) == [
        ("GROUP", "g1", "UPDATE", {"ends_on": "2027-05-28"}, {"ends_on": "2027-06-04"}),
        ("TERM", "t2", "UPDATE", {"ends_on": "2027-05-28"}, {"ends_on": "2027-06-04"}),
    ]
    story.district.terms.take("t2")
    await story.night()
    [g1, _] = (await story.roster())["groups"]
    assert g1[4:7] == (["t1"], date(2026, 8, 17), date(2026, 12, 19))
    assert await story.errors("code", "found", "cause") == [("TERM_MISSING", "t2", "TERM t2")]


async def test_people_who_are_left_out_on_purpose_are_counted_and_no_error(story: Story) -> None:
    story.district.user("eve", "eve", role="guardian")
    story.district.user("fay", "", role="parent", givenName="", familyName="")
    story.district.enroll("e6", "eve", "g1")
    story.district.enroll("e7", "ann", "g1", role="guardian")
    run = await story.night()
    assert numbers(run, RecordType.USER) == {"created": 4, "ignored": 2}
    assert numbers(run, RecordType.MEMBERSHIP) == {"created": 5, "ignored": 2}
    assert await story.errors() == []
    assert run.state is SyncRunState.SUCCEEDED


async def test_a_student_who_becomes_a_guardian_is_archived(story: Story) -> None:
    await story.night()
    story.district.users.change("dee", role="guardian")
    run = await story.night()
    assert numbers(run, RecordType.USER) == {"archived": 1, "unchanged": 3, "ignored": 1}
    assert numbers(run, RecordType.MEMBERSHIP) == {"archived": 1, "unchanged": 4, "ignored": 1}
    assert [row for row in await story.errors() if row[0] != "CLASS_EMPTY"] == []
