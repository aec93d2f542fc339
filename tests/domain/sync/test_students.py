"""Students: of one school, in any number of classes; and whose schools their classes tell."""

import pytest

from domain.roster.records import RecordType
from domain.sync.models import SyncRunState
from tests.domain.sync.stories import Story, numbers, totals

pytestmark = pytest.mark.anyio

NOTHING = {"created": 0, "updated": 0, "archived": 0, "restored": 0}


async def schools_of(story: Story, user: str) -> list[str]:
    rows = (await story.roster())["school_affiliations"]
    return [school for _, school in sorted((n, s) for u, s, n in rows if u == user)]


async def test_a_student_keeps_the_first_of_several_schools(story: Story) -> None:
    story.district.users.change("ann", orgSourcedIds="s2,s1")
    story.district.users.change("cid", orgSourcedIds="s9,s1")
    run = await story.night()
    assert run.state is SyncRunState.SUCCEEDED
    assert await schools_of(story, "ann") == ["s2"]
    assert await schools_of(story, "cid") == ["s1"]
    assert await schools_of(story, "bob") == ["s2", "s1"]
    assert await story.errors("code", "source_id", "found", "cause") == [
        ("STUDENT_MULTI_SCHOOL", "ann", "2 schools: s2, s1", "USER ann"),
        ("USER_SCHOOL_MISSING", "cid", "s9", "SCHOOL s9"),
    ]
    assert totals(await story.night()) == NOTHING
    story.district.users.change("ann", orgSourcedIds="s1,s2")
    assert numbers(await story.night(), RecordType.USER) == {"updated": 1, "unchanged": 3}
    assert await schools_of(story, "ann") == ["s1"]


async def test_a_school_that_is_not_shared_makes_no_second_school(story: Story) -> None:
    story.district.users.change("ann", orgSourcedIds="s2,s1")
    await story.share(SCHOOL=["s1"])
    await story.night()
    assert await schools_of(story, "ann") == ["s1"]
    assert await story.errors() == [("SCHOOL_NOT_IN_SCOPE", None)]


async def test_students_of_several_classes_are_told_once_for_each_school(story: Story) -> None:
    story.district.group("g3", "Choir", school="s2")
    story.district.enroll("e6", "ann", "g3")
    story.district.enroll("e7", "cid", "g3")
    story.district.enroll("e8", "dee", "g3")
    story.district.enroll("e9", "bob", "g3", role="teacher")
    await story.night()
    columns = ("code", "record_type", "source_id", "found", "cause", "runs")
    elsewhere = ("ENR_SCHOOL_MISMATCH", "GROUP", "g3")
    assert await story.errors(*columns) == [
        (*elsewhere, "2 students of other schools", "GROUP g3", 1),
        ("STUDENT_MULTI_GROUP", "SCHOOL", "s1", "2 students", "SCHOOL s1", 1),
        ("STUDENT_MULTI_GROUP", "SCHOOL", "s2", "1 student", "SCHOOL s2", 1),
    ]
    story.district.enrollments.take("e7")
    await story.night()
    assert await story.errors(*columns) == [
        (*elsewhere, "1 student of another school", "GROUP g3", 2),
        ("STUDENT_MULTI_GROUP", "SCHOOL", "s1", "1 student", "SCHOOL s1", 2),
        ("STUDENT_MULTI_GROUP", "SCHOOL", "s2", "1 student", "SCHOOL s2", 2),
    ]
    story.district.enrollments.take("e6")
    await story.night()
    assert await story.errors() == [("STUDENT_MULTI_GROUP", "s2")]


async def test_two_stays_in_one_class_are_one_class(story: Story) -> None:
    story.district.enroll("e6", "ann", "g1", beginDate="2027-01-01")
    await story.night()
    assert await story.errors() == []


async def test_who_names_no_school_is_of_the_schools_of_their_classes(story: Story) -> None:
    story.district.group("g3", "Choir", school="s2")
    story.district.group("g4", "Lost", school="s9")
    story.district.users.change("bob", orgSourcedIds="")
    story.district.users.change("cid", orgSourcedIds="")
    story.district.enroll("e6", "bob", "g3", role="teacher")
    story.district.enroll("e7", "bob", "g4", role="teacher")
    await story.night()
    assert await schools_of(story, "bob") == ["s2", "s1"]
    assert await schools_of(story, "cid") == ["s1"]
    codes = {code for code, _ in await story.errors()}
    assert not codes & {"USER_NO_SCHOOL", "USER_SCHOOL_MISSING", "STUDENT_MULTI_SCHOOL"}
    assert totals(await story.night()) == NOTHING
    story.district.users.change("cid", orgSourcedIds="s9")
    await story.night()
    assert ("USER_NO_SCHOOL", "cid") in await story.errors()


async def test_schools_of_classes_are_known_to_a_delta_that_does_not_name_them(
    story: Story,
) -> None:
    await story.night()
    named = {"status": "active", "dateLastModified": "2026-11-01T00:00:00.000Z"}
    row = dict(story.district.users["ann"])
    story.district.users.rows = [row | named | {"orgSourcedIds": "", "familyName": "Baker"}]
    run = await story.night(users="delta")
    assert numbers(run, RecordType.USER) == {"updated": 1}
    assert await schools_of(story, "ann") == ["s1"]


async def test_rules_about_schools_know_the_schools_of_classes(story: Story) -> None:
    story.district.users.change("cid", orgSourcedIds="")
    story.district.users.change("dee", orgSourcedIds="")
    await story.share(SCHOOL=["s1"])
    await story.night()
    assert [row[0] for row in (await story.roster())["users"]] == ["ann", "bob", "cid"]
