"""Records that cannot be taken: what is stored of them stays, and what hangs on them is told."""

import pytest

from domain.roster.records import RecordType
from domain.sync.models import SyncRunState
from tests.domain.sync.stories import Story, numbers, totals

pytestmark = pytest.mark.anyio

CAUSES = ("code", "source_id", "cause")


async def test_a_broken_record_of_a_known_person_leaves_everything_as_it_was(story: Story) -> None:
    await story.night()
    before = await story.roster()
    story.district.users.change("ann", givenName="", familyName=" ", username="changed")
    run = await story.night()
    assert run.state is SyncRunState.SUCCEEDED_WITH_ERRORS
    assert numbers(run, RecordType.USER) == {"unchanged": 3, "rejected": 1}
    assert numbers(run, RecordType.MEMBERSHIP) == {"unchanged": 5}
    assert await story.roster() == before
    assert await story.errors() == [("USER_NAME_MISSING", "ann")]


async def test_a_broken_record_of_a_newcomer_is_not_stored_and_causes_its_enrollments(
    story: Story,
) -> None:
    story.district.group("g3", "Choir", school="s1")
    story.district.user("eve", "")
    for number, group in enumerate(("g1", "g2", "g3"), 6):
        story.district.enroll(f"e{number}", "eve", group)
    run = await story.night()
    assert numbers(run, RecordType.USER) == {"created": 4, "rejected": 1}
    assert numbers(run, RecordType.MEMBERSHIP) == {"created": 5, "rejected": 3}
    assert await story.errors(*CAUSES) == [
        ("CLASS_NO_TEACHER", "g3", "GROUP g3"),
        ("ENR_USER_MISSING", "e6", "USER eve"),
        ("ENR_USER_MISSING", "e7", "USER eve"),
        ("ENR_USER_MISSING", "e8", "USER eve"),
        ("USER_LOGIN_MISSING", "eve", "USER eve"),
    ]
    expected = await story.errors("source_id", "expected", "found")
    assert ("e6", "a user that is valid", "eve") in expected


async def test_enrollments_of_a_missing_class_have_one_cause(story: Story) -> None:
    story.district.enroll("e6", "ann", "gone")
    story.district.enroll("e7", "bob", "gone", role="teacher")
    story.district.enroll("e8", "nobody", "gone")
    run = await story.night()
    assert run.state is SyncRunState.SUCCEEDED
    assert numbers(run, RecordType.MEMBERSHIP) == {"created": 5, "rejected": 3}
    assert await story.errors(*CAUSES, "expected") == [
        ("ENR_CLASS_MISSING", "e6", "GROUP gone", "a group of the feed"),
        ("ENR_CLASS_MISSING", "e7", "GROUP gone", "a group of the feed"),
        ("ENR_USER_MISSING", "e8", "USER nobody", "a user of the feed"),
        ("STUDENT_MULTI_GROUP", "s1", "SCHOOL s1", "students in one class each"),
    ]


async def test_a_class_of_a_missing_school_is_refused_with_its_enrollments(story: Story) -> None:
    story.district.group("g3", "Choir", school="s9")
    story.district.enroll("e6", "ann", "g3")
    run = await story.night()
    assert numbers(run, RecordType.GROUP) == {"created": 2, "rejected": 1}
    assert await story.errors(*CAUSES) == [
        ("CLASS_SCHOOL_MISSING", "g3", "SCHOOL s9"),
        ("ENR_CLASS_MISSING", "e6", "GROUP g3"),
        ("STUDENT_MULTI_GROUP", "s1", "SCHOOL s1"),
    ]


async def test_a_class_of_the_district_itself_is_refused(story: Story) -> None:
    story.district.group("g3", "Choir", school="d1")
    run = await story.night()
    assert numbers(run, RecordType.GROUP) == {"created": 2, "rejected": 1}
    assert await story.errors() == [("ORG_TYPE_WRONG", "g3")]


async def test_a_known_class_whose_school_vanishes_stays_where_it_was(story: Story) -> None:
    await story.night()
    story.district.orgs.take("s2")
    story.district.users.change("bob", orgSourcedIds="s1")
    story.district.users.change("dee", orgSourcedIds="s1")
    run = await story.approve(await story.night())
    assert numbers(run, RecordType.SCHOOL) == {"archived": 1, "unchanged": 1, "ignored": 1}
    assert numbers(run, RecordType.GROUP) == {"unchanged": 1, "rejected": 1}
    assert numbers(run, RecordType.MEMBERSHIP) == {"unchanged": 5}
    roster = await story.roster()
    assert [row[:2] for row in roster["groups"]] == [("g1", "s1"), ("g2", "s2")]
    again = await story.night()
    assert totals(again) == {"created": 0, "updated": 0, "archived": 0, "restored": 0}


async def test_a_class_without_a_name_is_refused_and_a_known_one_keeps_its_name(
    story: Story,
) -> None:
    await story.night()
    story.district.classes.change("g1", title="  ", schoolSourcedId="s2")
    story.district.group("g3", "", school="s1")
    run = await story.night()
    assert numbers(run, RecordType.GROUP) == {"unchanged": 1, "rejected": 2}
    assert [row[:4] for row in (await story.roster())["groups"]] == [
        ("g1", "s1", "c1", "Algebra"),
        ("g2", "s2", None, "Biology"),
    ]
    assert await story.errors() == [("CLASS_NAME_MISSING", "g1"), ("CLASS_NAME_MISSING", "g3")]


async def test_a_person_without_one_of_two_schools_is_taken_with_the_other(story: Story) -> None:
    story.district.users.change("bob", orgSourcedIds="s9,s1,s8")
    run = await story.night()
    assert run.state is SyncRunState.SUCCEEDED
    assert numbers(run, RecordType.USER) == {"created": 4}
    affiliations = (await story.roster())["school_affiliations"]
    assert [row for row in affiliations if row[0] == "bob"] == [("bob", "s1", 1)]
    assert await story.errors(*CAUSES) == [
        ("CLASS_TEACHER_OTHER_SCHOOL", "g2", "GROUP g2"),
        ("USER_SCHOOL_MISSING", "bob", "SCHOOL s8"),
        ("USER_SCHOOL_MISSING", "bob", "SCHOOL s9"),
    ]


async def test_a_person_of_no_school_is_refused_unless_of_the_whole_district(
    story: Story,
) -> None:
    story.district.users.change("cid", orgSourcedIds="s9")
    story.district.user("eve", "eve", orgSourcedIds="")
    story.district.user("fay", "fay", orgSourcedIds="d1", role="administrator")
    story.district.user("gil", "gil", orgSourcedIds="d1", role="teacher")
    run = await story.night()
    assert numbers(run, RecordType.USER) == {"created": 4, "rejected": 3}
    assert await story.errors() == [
        ("ENR_USER_MISSING", "e3"),
        ("USER_NO_SCHOOL", "cid"),
        ("USER_NO_SCHOOL", "eve"),
        ("USER_NO_SCHOOL", "gil"),
        ("USER_SCHOOL_MISSING", "cid"),
    ]
    assert (await story.user("fay"))["roles"] == ["DISTRICT_ADMIN"]


async def test_a_known_person_of_no_school_any_more_stays_with_the_last_one(story: Story) -> None:
    await story.night()
    before = await story.roster()
    story.district.users.change("cid", orgSourcedIds="s9", familyName="Changed")
    run = await story.night()
    assert numbers(run, RecordType.USER) == {"unchanged": 3, "rejected": 1}
    assert await story.roster() == before


async def test_a_class_without_its_course_or_term_is_taken_without_them(story: Story) -> None:
    story.district.classes.change("g1", courseSourcedId="c9", termSourcedIds="t9,t1")
    story.district.orgs.change("s2", parentSourcedId="d9")
    run = await story.night()
    assert run.state is SyncRunState.SUCCEEDED
    [g1, _] = (await story.roster())["groups"]
    assert (g1[2], g1[4]) == (None, ["t1"])
    assert (await story.roster())["schools"][1][3] is None
    assert await story.errors(*CAUSES, "found") == [
        ("COURSE_REF_MISSING", "g1", "COURSE c9", "c9"),
        ("ORG_PARENT_MISSING", "s2", "SCHOOL d9", "d9"),
        ("TERM_MISSING", "g1", "TERM t9", "t9"),
    ]
    again = await story.night()
    assert totals(again) == {"created": 0, "updated": 0, "archived": 0, "restored": 0}


async def test_of_two_records_with_one_id_the_first_is_taken(story: Story) -> None:
    story.district.user("ann", "second", familyName="Second")
    story.district.user("ann", "third", familyName="Third")
    story.district.school("s1", "Another North")
    story.district.group("g1", "Another Algebra", school="s2")
    story.district.term("t1", "2026-01-01", "2026-02-01")
    story.district.course("c1", "Another course")
    story.district.enroll("e1", "cid", "g2")
    run = await story.night()
    assert totals(run, "created", "rejected") == {"created": 15, "rejected": 7}
    assert (await story.user("ann"))["family_name"] == "Archer"
    errors = await story.errors("record_type", "source_id", "code")
    assert [error[:2] for error in errors if error[2] == "ID_DUPLICATE"] == [
        ("COURSE", "c1"), ("GROUP", "g1"), ("MEMBERSHIP", "e1"), ("SCHOOL", "s1"),
        ("TERM", "t1"), ("USER", "ann"), ("USER", "ann"),
    ]  # fmt: skip


async def test_the_second_of_one_id_is_taken_where_the_first_is_broken(story: Story) -> None:
    story.district.users.change("ann", username="")
    story.district.user("ann", "second")
    run = await story.night()
    assert numbers(run, RecordType.USER) == {"created": 4, "rejected": 1}
    assert (await story.user("ann"))["username"] == "second"
    assert await story.errors() == [("USER_LOGIN_MISSING", "ann")]


async def test_an_enrollment_with_an_unknown_role_leaves_its_membership(story: Story) -> None:
    await story.night()
    before = await story.roster()
    story.district.enrollments.change("e1", role="captain", endDate="2027-01-01")
    story.district.enroll("e6", "dee", "g1", role="captain")
    run = await story.night()
    assert numbers(run, RecordType.MEMBERSHIP) == {"unchanged": 5, "rejected": 2}
    assert await story.roster() == before
    assert await story.errors() == [("ENR_ROLE_INVALID", "e1"), ("ENR_ROLE_INVALID", "e6")]


async def test_a_person_with_an_unknown_role_stays_as_they_were(story: Story) -> None:
    await story.night()
    before = await story.roster()
    story.district.users.change("ann", role="wizard")
    run = await story.night()
    assert run.state is SyncRunState.SUCCEEDED
    assert numbers(run, RecordType.USER) == {"unchanged": 3, "rejected": 1}
    assert await story.roster() == before


async def test_notes_about_classes_and_addresses_change_nothing(story: Story) -> None:
    story.district.group("g3", "Biology", school="s2")
    story.district.users.change("bob", enabledUser="false", grades="9,99")
    story.district.user("eve", "eve", role="teacher", email="BOB@example.org", orgSourcedIds="s1")
    run = await story.night()
    assert run.state is SyncRunState.SUCCEEDED
    assert totals(run, "rejected") == {"rejected": 0}
    assert await story.errors() == [
        ("CLASS_EMPTY", "g3"),
        ("CLASS_NAME_DUPLICATE", "g3"),
        ("CLASS_NO_TEACHER", "g3"),
        ("USER_DISABLED", "bob"),
        ("USER_EMAIL_DUPLICATE", "bob"),
        ("USER_EMAIL_DUPLICATE", "eve"),
        ("USER_GRADE_UNMAPPED", "bob"),
    ]
    assert (await story.user("bob"))["is_enabled"] is False


async def test_errors_hold_nothing_of_a_student_that_is_not_mapped(story: Story) -> None:
    unmapped = {"email": "ann@example.org", "password": "hunter2", "sms": "555-0100"}
    story.district.users.change("ann", username="", **unmapped)
    await story.night()
    (record,), *_ = await story.errors("record::text")
    for secret in unmapped.values():
        assert secret not in record
