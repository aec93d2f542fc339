"""Rules over schools, files and dates; what stands for many records, told once and told again."""

import json
from datetime import timedelta

import pytest

from domain.clock import utc_now
from domain.sync.models import SyncMode
from tests.builders import named
from tests.domain.sync.stories import Story, totals

pytestmark = pytest.mark.anyio

NOTHING = {"created": 0, "updated": 0, "archived": 0, "restored": 0}
TOLD = ("code", "source_id", "found", "runs")


async def test_schools_that_are_above_one_another_are_above_none(story: Story) -> None:
    for number, above in ((3, 4), (4, 5), (5, 3), (6, 3), (7, 7)):
        story.district.school(f"s{number}", f"School {number}", parentSourcedId=f"s{above}")
    await story.night()
    parents = {row[0]: row[3] for row in (await story.roster())["schools"]}
    assert parents == {
        "s1": "d1", "s2": "d1", "s3": None, "s4": None, "s5": None, "s6": "s3", "s7": None,
    }  # fmt: skip
    assert await story.errors("code", "source_id", "found") == [
        ("ORG_CYCLE", "s3", "s4"),
        ("ORG_CYCLE", "s4", "s5"),
        ("ORG_CYCLE", "s5", "s3"),
        ("ORG_CYCLE", "s7", "s7"),
    ]
    assert totals(await story.night()) == NOTHING


async def test_schools_that_are_not_shared_are_told_together(story: Story) -> None:
    for number in range(3, 15):
        story.district.school(f"s{number:02}", f"School {number}")
    await story.share(SCHOOL=["s1"])
    await story.night()
    [(code, found, cause, record)] = await story.errors("code", "found", "cause", "record::text")
    assert (code, found, cause) == ("SCHOOL_NOT_IN_SCOPE", "13 schools", "SHARING RULES")
    said = json.loads(record)
    assert said["concerned"] == 13
    assert said["examples"] == [f"s{number:02}" for number in range(3, 13)]


async def test_a_file_that_came_before_is_missed_and_takes_nothing_along(story: Story) -> None:
    await story.night()
    before = await story.roster()
    kept = ("orgs", "classes", "users", "enrollments", "courses")
    await story.night(**dict.fromkeys(kept, "bulk"))
    assert await story.errors("code", "record_type", "place") == [
        ("FILE_SET_CHANGED", "TERM", "academicSessions.csv")
    ]
    assert await story.roster() == before
    await story.night()
    assert await story.errors() == []
    story.district.users.rows = [story.district.users["ann"] | named()]
    await story.night(users="delta")
    assert await story.errors() == []


async def test_a_file_that_never_came_is_not_missed(story: Story) -> None:
    story.district.courses.rows.clear()
    story.district.classes.change("g1", courseSourcedId="")
    kept = ("orgs", "academicSessions", "classes", "users", "enrollments")
    await story.night(**dict.fromkeys(kept, "bulk"))
    assert await story.errors() == []


async def test_people_of_other_schools_are_told_once_for_each_class(story: Story) -> None:
    story.district.users.change("bob", orgSourcedIds="s1")
    for number, name in enumerate(("eve", "fay"), 6):
        story.district.user(name, name)
        story.district.enroll(f"e{number}", name, "g2")
    await story.night()
    first = [
        ("CLASS_TEACHER_OTHER_SCHOOL", "g2", "1 teacher of another school", 1),
        ("ENR_SCHOOL_MISMATCH", "g2", "2 students of other schools", 1),
    ]
    assert await story.errors(*TOLD) == first
    [(record,)] = [row for row in await story.errors("record::text") if "eve" in row[0]]
    assert json.loads(record) == {"concerned": 2, "examples": ["eve", "fay"]}
    # A night without a change tells the same again.
    assert totals(await story.night()) == NOTHING
    assert await story.errors(*TOLD) == [(*row[:3], 2) for row in first]
    # One of them moves to the school, and nobody's enrollment is another.
    story.district.users.change("fay", orgSourcedIds="s2")
    story.district.users.change("bob", orgSourcedIds="s1,s2")
    await story.night()
    assert await story.errors(*TOLD) == [
        ("ENR_SCHOOL_MISMATCH", "g2", "1 student of another school", 3)
    ]
    # The class moves to the school of the other one.
    story.district.classes.change("g2", schoolSourcedId="s1")
    story.district.users.change("dee", orgSourcedIds="s1")
    await story.night()
    assert await story.errors(*TOLD) == [
        ("ENR_SCHOOL_MISMATCH", "g2", "1 student of another school", 4)
    ]
    story.district.enrollments.take("e7")
    await story.night()
    assert await story.errors() == []


async def test_a_student_of_several_schools_is_told_as_such_alone(story: Story) -> None:
    story.district.users.change("ann", orgSourcedIds="s2,s1")
    await story.night()
    assert await story.errors() == [("STUDENT_MULTI_SCHOOL", "ann")]
    story.district.enrollments.take("e3")
    await story.night()
    assert await story.errors() == [("STUDENT_MULTI_SCHOOL", "ann")]


async def test_students_with_one_number_are_told_until_one_has_another(story: Story) -> None:
    story.district.users.change("cid", identifier="100")
    story.district.users.change("bob", identifier="100")
    await story.night()
    columns = ("code", "source_id", "found", "cause")
    both = [("USER_SECOND_ID_TAKEN", name, "100", "NUMBER 100") for name in ("ann", "cid")]
    assert await story.errors(*columns) == both
    await story.night()
    assert await story.errors(*columns) == both
    story.district.users.change("cid", identifier="101")
    await story.night()
    assert await story.errors() == []


async def test_who_is_in_a_class_outside_the_dates_is_counted_by_class(story: Story) -> None:
    today = utc_now().date()
    past, future = str(today - timedelta(days=40)), str(today + timedelta(days=40))
    story.district.terms.change("t1", startDate=past, endDate=future)
    story.district.enrollments.change("e1", beginDate="2020-01-01", endDate="2020-02-01")
    story.district.enrollments.change("e3", beginDate=future, endDate="")
    story.district.enrollments.change("e5", beginDate="2020-01-01", endDate="2020-02-01")
    # dee has another stay in g2, of today.
    story.district.enroll("e6", "dee", "g2", beginDate=past)
    await story.night()
    told = [("ENR_OUTSIDE_DATES", "g1", "1 have ended, 1 begin later")]
    assert await story.errors(*TOLD[:3]) == told
    [(record,)] = await story.errors("record::text")
    assert json.loads(record) == {"concerned": 2, "examples": ["ann", "cid"], "later": 1}
    assert totals(await story.night()) == NOTHING
    assert await story.errors(*TOLD[:3]) == told
    # As if the day had come: nothing else is another.
    await story.see.execute(
        "UPDATE membership_spans SET begins_on = '2020-01-01' WHERE source_id = 'e3'"
    )
    await story.night()
    told = [("ENR_OUTSIDE_DATES", "g1", "1 have ended, 0 begin later")]
    assert await story.errors(*TOLD[:3]) == told
    await story.night()
    assert await story.errors(*TOLD) == [(*told[0], 4)]
    # With the class itself it has ended all the same, and is no news.
    story.district.terms.change("t1", startDate="2020-01-01", endDate="2020-06-01")
    await story.night()
    assert await story.errors() == []


async def test_what_is_accepted_stays_quiet_until_its_value_changes(story: Story) -> None:
    story.district.users.change("ann", grades="98")
    story.district.users.change("bob", orgSourcedIds="s1")
    await story.night()
    await story.see.execute(
        "UPDATE validation_errors SET state = 'ACCEPTED', accepted_at = now(), accepted_by = 'x'"
    )
    story.district.user("eve", "eve", orgSourcedIds="s1")
    story.district.enroll("e6", "eve", "g2")
    story.district.user("fay", "fay", role="teacher")
    story.district.enroll("e7", "fay", "g2", role="teacher")
    await story.night()
    # One teacher more of another school is the same problem still.
    assert await story.errors() == [("ENR_SCHOOL_MISMATCH", "g2")]
    accepted = await story.errors("code", "found", "accepted_by", state="ACCEPTED")
    assert accepted == [
        ("CLASS_TEACHER_OTHER_SCHOOL", "2 teachers of other schools", "x"),
        ("USER_GRADE_MISSING", "", "x"),
        ("USER_GRADE_UNMAPPED", "98", "x"),
    ]
    story.district.users.change("ann", grades="99")
    await story.require("GRADE_REQUIRED")
    await story.night()
    # Another value; and what is an error by now cannot stay accepted.
    assert await story.errors("code", "found", "accepted_by") == [
        ("ENR_SCHOOL_MISMATCH", "1 student of another school", None),
        ("USER_GRADE_MISSING", "", None),
        ("USER_GRADE_UNMAPPED", "99", None),
    ]


async def test_a_preflight_tells_nothing(story: Story) -> None:
    story.district.users.change("bob", orgSourcedIds="s1")
    story.district.write(story.folder)
    await story.run(SyncMode.PREFLIGHT)
    assert await story.errors() == []
