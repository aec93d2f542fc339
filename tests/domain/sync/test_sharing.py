"""Sharing rules: what they leave out, what they count, and what they are silent about."""

import json

import pytest

from domain.roster.records import RecordType
from domain.sync.models import SyncRun, SyncRunState
from tests.domain.sync.stories import Story, numbers, totals

pytestmark = pytest.mark.anyio

NOTHING = {"created": 0, "updated": 0, "archived": 0, "restored": 0}
LEFT_OUT = ("SCHOOL_NOT_IN_SCOPE", None)
Live = dict[str, list[str]]


async def live(story: Story) -> Live:
    """The source ids of what is live."""
    roster = await story.roster()
    at = {"schools": 4, "groups": 12, "users": 12}
    found = {name: sorted(row[0] for row in roster[name] if not row[n]) for name, n in at.items()}
    memberships = [f"{row[0]}-{row[1]}" for row in roster["memberships"] if not row[3]]
    return found | {"memberships": sorted(memberships)}


def left_out(run: SyncRun) -> dict[tuple[str, str], int]:
    """By subject and type, without the zeros."""
    return {
        (entry["subject"], entry["record_type"]): entry["count"]
        for entry in run.left_out
        if entry["count"]
    }


@pytest.mark.parametrize("value", ["s1", "S1", "17", " NORTH "])
async def test_only_the_named_schools_are_taken_over(story: Story, value: str) -> None:
    await story.share(SCHOOL=[value])
    run = await story.night()
    assert run.state is SyncRunState.SUCCEEDED
    assert await live(story) == {
        "schools": ["s1"],
        "groups": ["g1"],
        "users": ["ann", "bob", "cid"],
        "memberships": ["ann-g1", "bob-g1", "cid-g1"],
    }
    affiliations = (await story.roster())["school_affiliations"]
    assert ("bob", "s1", 1) in affiliations
    assert ("bob", "s2", 1) not in affiliations
    assert await story.errors() == [LEFT_OUT]
    assert left_out(run) == {
        ("SCHOOL", "SCHOOL"): 1, ("SCHOOL", "GROUP"): 1, ("SCHOOL", "USER"): 1,
        ("SCHOOL", "MEMBERSHIP"): 2,
    }  # fmt: skip
    assert totals(await story.night()) == NOTHING


async def test_administrators_of_the_district_stay_whatever_school_is_shared(story: Story) -> None:
    story.district.user("eve", "eve", role="administrator", orgSourcedIds="d1")
    await story.share(SCHOOL=["s1"])
    await story.night()
    assert (await live(story))["users"] == ["ann", "bob", "cid", "eve"]


async def test_a_school_below_one_that_is_left_out_is_no_problem(story: Story) -> None:
    story.district.orgs.change("s1", parentSourcedId="s2")
    await story.share(SCHOOL=["s1"])
    await story.night()
    assert (await story.roster())["schools"] == [("s1", "North", "17", "s2", False, "PROVIDER")]
    assert await story.errors() == [LEFT_OUT]


async def test_who_names_no_known_school_is_wrong_and_not_left_out(story: Story) -> None:
    await story.night()
    await story.share(SCHOOL=["s1"])
    story.district.users.change("ann", orgSourcedIds="s9")
    run = await story.night()
    assert "ann" in (await live(story))["users"]
    assert await story.errors() == [
        LEFT_OUT,
        ("USER_NO_SCHOOL", "ann"),
        ("USER_SCHOOL_MISSING", "ann"),
    ]
    assert numbers(run, RecordType.USER) == {
        "updated": 1, "archived": 1, "unchanged": 1, "rejected": 1,
    }  # fmt: skip


async def test_students_are_chosen_by_their_grades_and_classes_where_they_state_theirs(
    story: Story,
) -> None:
    story.district.group("g3", "Choir", school="s2", grades="10,11")
    story.district.users.change("cid", grades="10")
    story.district.users.change("dee", grades="")
    await story.share(GRADE=["09", "12"])
    run = await story.night()
    assert await live(story) == {
        "schools": ["s1", "s2"],
        "groups": ["g1", "g2"],
        "users": ["ann", "bob"],
        "memberships": ["ann-g1", "bob-g1", "bob-g2"],
    }
    assert left_out(run) == {
        ("GRADE", "GROUP"): 1, ("GRADE", "USER"): 2, ("GRADE", "MEMBERSHIP"): 2,
    }  # fmt: skip
    assert {"subject": "GRADE", "record_type": "GROUP", "count": 1, "unmatched": ["12"]} in (
        run.left_out
    )
    assert await story.errors() == [("CLASS_EMPTY", "g2")]


@pytest.mark.parametrize(
    ("subject", "value"),
    [("COURSE", "c1"), ("COURSE", "math"), ("COURSE", "Mathematics"), ("TERM", "T1"),
     ("TERM", "term t1"), ("SUBJECT", "sums"), ("SUBJECT", "numbers")],
)  # fmt: skip
async def test_classes_are_chosen_by_course_subject_and_term(
    story: Story, subject: str, value: str
) -> None:
    """And with them the students and teachers who are in no class that stays."""
    story.district.classes.change("g1", subjects="Sums")
    story.district.courses.change("c1", subjects="Numbers")
    story.district.user("eve", "eve", role="teacher")
    story.district.user("fay", "fay", role="aide")
    story.district.user("gil", "gil", role="administrator", orgSourcedIds="d1")
    await story.share(**{subject: [value]})
    run = await story.night()
    assert await live(story) == {
        "schools": ["s1", "s2"],
        "groups": ["g1"],
        "users": ["ann", "bob", "cid", "fay", "gil"],
        "memberships": ["ann-g1", "bob-g1", "cid-g1"],
    }
    assert left_out(run) == {
        (subject, "GROUP"): 1, (subject, "USER"): 2, (subject, "MEMBERSHIP"): 2,
    }  # fmt: skip
    assert await story.errors() == []


async def test_a_record_that_several_rules_leave_out_counts_for_the_first(story: Story) -> None:
    story.district.group("g3", "Choir", school="s1", termSourcedIds="t1")
    story.district.user("eve", "eve", grades="12")
    story.district.user("fay", "fay")
    story.district.enroll("e6", "fay", "g3")
    await story.share(SCHOOL=["s1"], GRADE=["09"], COURSE=["c1"], TERM=["t9"])
    run = await story.night()
    assert left_out(run) == {
        ("SCHOOL", "SCHOOL"): 1, ("SCHOOL", "GROUP"): 1, ("SCHOOL", "USER"): 1,
        ("SCHOOL", "MEMBERSHIP"): 2,
        ("GRADE", "USER"): 1,
        ("COURSE", "GROUP"): 1, ("COURSE", "USER"): 1, ("COURSE", "MEMBERSHIP"): 1,
        ("TERM", "GROUP"): 1, ("TERM", "USER"): 3, ("TERM", "MEMBERSHIP"): 3,
    }  # fmt: skip
    assert [entry for entry in run.left_out if "unmatched" in entry] == [
        {"subject": "TERM", "record_type": "GROUP", "count": 1, "unmatched": ["t9"]}
    ]


async def test_nobody_is_told_of_problems_in_what_is_left_out(story: Story) -> None:
    story.district.user("dee", "other", orgSourcedIds="s2")
    story.district.users.change("dee", grades="99")
    story.district.user("eve", "ann", orgSourcedIds="s2")
    story.district.group("g3", " ", school="s2")
    story.district.enrollments.change("e5", beginDate="2026-12-01", endDate="2026-11-01")
    story.district.enroll("e6", "nobody", "g2")
    await story.share(SCHOOL=["s1"])
    run = await story.night()
    assert await story.errors() == [LEFT_OUT]
    assert totals(run, "rejected") == {"rejected": 0}
    await story.share()
    await story.night()
    assert {code for code, _ in await story.errors()} == {
        "CLASS_NAME_MISSING", "DATES_REVERSED", "ENR_USER_MISSING", "ID_DUPLICATE",
        "USER_GRADE_MISSING", "USER_GRADE_UNMAPPED", "USER_LOGIN_TAKEN",
    }  # fmt: skip


async def test_who_is_left_out_takes_no_username(story: Story) -> None:
    story.district.user("eve", "ANN", orgSourcedIds="s2")
    await story.share(SCHOOL=["s2"])
    await story.night()
    assert (await live(story))["users"] == ["bob", "dee", "eve"]


async def test_rules_that_change_archive_and_restore(story: Story) -> None:
    await story.night()
    whole = await story.roster()
    await story.share(SCHOOL=["s1"])
    narrowed = await story.night()
    assert numbers(narrowed, RecordType.USER) == {"updated": 1, "archived": 1, "unchanged": 2}
    assert numbers(narrowed, RecordType.MEMBERSHIP) == {"archived": 2, "unchanged": 3}
    await story.share()
    widened = await story.night()
    assert totals(widened) == {"created": 0, "updated": 1, "archived": 0, "restored": 5}
    assert await story.roster() == whole
    assert widened.left_out == []


async def test_a_delta_resurrects_nothing_and_loses_nothing(story: Story) -> None:
    for row in story.district.orgs:
        row["parentSourcedId"] = ""
    await story.share(SCHOOL=["s1"])
    await story.night()
    before = await story.roster()
    full = {name: [dict(row) for row in file] for name, file in story.district.files.items()}
    named = {"status": "active", "dateLastModified": "2026-11-01T00:00:00.000Z"}
    story.district.users.rows = [
        row | named for row in full["users"] if row["sourcedId"] in {"ann", "dee", "bob"}
    ]
    story.district.classes.rows = [full["classes"][1] | named]
    story.district.enrollments.rows = [full["enrollments"][4] | named]
    run = await story.night(users="delta", classes="delta", enrollments="delta")
    assert totals(run) == NOTHING
    assert await story.roster() == before
    assert left_out(run) == {
        ("SCHOOL", "SCHOOL"): 1, ("SCHOOL", "GROUP"): 1, ("SCHOOL", "USER"): 1,
        ("SCHOOL", "MEMBERSHIP"): 1,
    }  # fmt: skip
    lone = await story.night(enrollments="delta")
    assert (totals(lone), numbers(lone, RecordType.MEMBERSHIP)["ignored"]) == (NOTHING, 1)
    assert await story.errors() == [LEFT_OUT]


async def test_who_moves_to_a_school_that_is_not_shared_goes_with_a_delta(story: Story) -> None:
    for row in story.district.orgs:
        row["parentSourcedId"] = ""
    await story.share(SCHOOL=["s1"])
    await story.night()
    moved = dict(story.district.users["ann"])
    story.district.users.rows = [
        moved | {"status": "active", "dateLastModified": "2026-11-01T00:00:00.000Z",
                 "orgSourcedIds": "s2"}
    ]  # fmt: skip
    run = await story.night(users="delta")
    assert (await live(story))["users"] == ["bob", "cid"]
    assert numbers(run, RecordType.MEMBERSHIP) == {"archived": 1, "unchanged": 2}


async def test_rules_that_change_before_a_delta_archive_what_they_leave_out(story: Story) -> None:
    for row in story.district.orgs:
        row["parentSourcedId"] = ""
    await story.night()
    await story.share(GRADE=["12"])
    story.district.users.rows = []
    run = await story.night(users="delta")
    assert numbers(run, RecordType.USER) == {"archived": 3}
    assert left_out(run) == {("GRADE", "USER"): 3, ("GRADE", "GROUP"): 1,
                             ("GRADE", "MEMBERSHIP"): 4}  # fmt: skip


async def test_a_rule_without_values_is_none(story: Story) -> None:
    await story.share(SCHOOL=[], TERM=[])
    run = await story.night()
    assert totals(run, "created") == {"created": 15}
    assert run.left_out == []


async def test_a_school_that_is_not_there_makes_the_run_wait_and_is_named(story: Story) -> None:
    await story.night()
    before = await story.roster()
    await story.share(SCHOOL=["s1", "Nroth", "s8"])
    run = await story.night()
    assert run.state is SyncRunState.HELD
    assert await story.roster() == before
    [reasons] = await story.see.fetchrow("SELECT reasons FROM holds")
    assert json.loads(reasons) == [
        {"code": "CONN_SCHOOL_NOT_FOUND", "record_type": "SCHOOL", "count": 1, "of": 2,
         "value": value}
        for value in ("Nroth", "s8")
    ]  # fmt: skip


async def test_a_delta_cannot_tell_that_a_school_is_not_there(story: Story) -> None:
    for row in story.district.orgs:
        row["parentSourcedId"] = ""
    await story.night()
    await story.share(SCHOOL=["s1", "s2", "s8"])
    story.district.orgs.rows = []
    run = await story.night(orgs="delta")
    assert run.state is SyncRunState.SUCCEEDED
    assert totals(run) == NOTHING
