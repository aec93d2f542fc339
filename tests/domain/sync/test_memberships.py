"""A membership is one person in one class with one role, whatever enrollments say so."""

from datetime import date

import pytest

from domain.roster.records import RecordType
from tests.domain.sync.stories import Story, numbers, read_places, totals

pytestmark = pytest.mark.anyio

MEMBERSHIP = RecordType.MEMBERSHIP


async def spans(story: Story, user: str, group: str) -> list[tuple[object, ...]]:
    rows = (await story.roster())["membership_spans"]
    return [row[2:] for row in rows if row[:2] == (user, group)]


async def test_two_enrollments_of_one_person_in_one_class_are_two_spans(story: Story) -> None:
    story.district.enroll("e6", "ann", "g1", beginDate="2027-01-04", endDate="2027-05-28")
    run = await story.night()
    assert numbers(run, MEMBERSHIP) == {"created": 5}
    assert run.counts["MEMBERSHIP"]["fetched"] == 6
    assert await spans(story, "ann", "g1") == [
        ("STUDENT", "e1", date(2026, 8, 17), date(2026, 12, 19), False),
        ("STUDENT", "e6", date(2027, 1, 4), date(2027, 5, 28), False),
    ]
    ids = await story.membership_ids()
    story.district.enrollments.take("e1")
    run = await story.night()
    assert numbers(run, MEMBERSHIP) == {"updated": 1, "unchanged": 4}
    assert [span[1] for span in await spans(story, "ann", "g1")] == ["e6"]
    assert await story.membership_ids() == ids


async def test_the_order_of_enrollments_means_nothing(story: Story) -> None:
    story.district.enroll("e6", "ann", "g1")
    await story.night()
    before = await read_places(story.see)
    story.district.enrollments.rows.reverse()
    story.district.users.rows.reverse()
    story.district.classes.rows.reverse()
    run = await story.night()
    assert numbers(run, MEMBERSHIP) == {"unchanged": 5}
    assert await read_places(story.see) == before


async def test_another_end_date_updates_the_membership(story: Story) -> None:
    await story.night()
    story.district.enrollments.change("e1", endDate="2027-01-15")
    run = await story.night()
    assert totals(run) == {"created": 0, "updated": 1, "archived": 0, "restored": 0}
    span = {"source_id": "e1", "begins_on": "2026-08-17", "is_primary": False}
    assert await story.changes(run) == [
        ("MEMBERSHIP", None, "UPDATE", {"spans": [{**span, "ends_on": "2026-12-19"}]},
         {"spans": [{**span, "ends_on": "2027-01-15"}]}),
    ]  # fmt: skip
    assert await spans(story, "ann", "g1") == [
        ("STUDENT", "e1", date(2026, 8, 17), date(2027, 1, 15), False)
    ]


async def test_another_id_of_the_enrollment_is_the_same_membership(story: Story) -> None:
    await story.night()
    ids = await story.membership_ids()
    story.district.enrollments.change("e3", sourcedId="e33")
    run = await story.night()
    assert numbers(run, MEMBERSHIP) == {"updated": 1, "unchanged": 4}
    assert await story.membership_ids() == ids
    assert [span[1] for span in await spans(story, "cid", "g1")] == ["e33"]


async def test_another_role_is_another_membership(story: Story) -> None:
    await story.night()
    ids = await story.membership_ids()
    story.district.enrollments.change("e3", role="teacher")
    run = await story.night()
    assert numbers(run, MEMBERSHIP) == {"created": 1, "archived": 1, "unchanged": 4}
    after = await story.membership_ids()
    assert {key: after[key] for key in ids} == ids
    assert after.keys() - ids.keys() == {("cid", "g1", "TEACHER")}
    story.district.enrollments.change("e3", role="student")
    run = await story.night()
    assert numbers(run, MEMBERSHIP) == {"restored": 1, "archived": 1, "unchanged": 4}
    assert await story.membership_ids() == after


async def test_one_person_teaches_and_learns_in_one_class(story: Story) -> None:
    story.district.enroll("e6", "bob", "g1", role="student")
    run = await story.night()
    assert numbers(run, MEMBERSHIP) == {"created": 6}
    assert [span[:2] for span in await spans(story, "bob", "g1")] == [
        ("STUDENT", "e6"),
        ("TEACHER", "e2"),
    ]


async def test_an_enrollment_moves_to_another_class(story: Story) -> None:
    await story.night()
    story.district.enrollments.change("e3", classSourcedId="g2")
    run = await story.night()
    assert numbers(run, MEMBERSHIP) == {"created": 1, "archived": 1, "unchanged": 4}
    assert [row[:4] for row in (await story.roster())["memberships"] if row[0] == "cid"] == [
        ("cid", "g1", "STUDENT", True),
        ("cid", "g2", "STUDENT", False),
    ]


async def test_roles_beside_teacher_and_student_are_staff(story: Story) -> None:
    for number, role in enumerate(("aide", "proctor", "administrator"), 6):
        story.district.enroll(f"e{number}", "bob", "g1", role=role)
    run = await story.night()
    assert numbers(run, MEMBERSHIP) == {"created": 6}
    assert [span[:2] for span in await spans(story, "bob", "g1")] == [
        ("STAFF", "e6"), ("STAFF", "e7"), ("STAFF", "e8"), ("TEACHER", "e2"),
    ]  # fmt: skip


async def test_reversed_dates_are_left_out_and_said(story: Story) -> None:
    story.district.enrollments.change("e3", beginDate="2026-12-19", endDate="2026-12-19")
    run = await story.night()
    assert numbers(run, MEMBERSHIP) == {"created": 5}
    assert await spans(story, "cid", "g1") == [("STUDENT", "e3", None, None, False)]
    assert await story.errors() == [("DATES_REVERSED", "e3")]


async def test_a_person_comes_back_into_a_class_that_was_away_too(story: Story) -> None:
    await story.night()
    ids, before = await story.membership_ids(), await story.roster()
    group, person = story.district.classes.take("g2"), story.district.users.take("dee")
    enrolled = story.district.enrollments.take_where(classSourcedId="g2")
    await story.night()
    story.district.classes.put(group)
    story.district.users.put(person)
    story.district.enrollments.put(*enrolled)
    run = await story.night()
    assert totals(run) == {"created": 0, "updated": 0, "archived": 0, "restored": 4}
    assert (await story.membership_ids(), await story.roster()) == (ids, before)
