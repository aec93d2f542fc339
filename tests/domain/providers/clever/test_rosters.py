"""Clever's schools, terms, courses and sections as records."""

import json
from datetime import date
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.providers.clever import objects
from domain.providers.clever.decoding import decode_list
from domain.providers.clever.mapping import map_course, map_school, map_term
from domain.providers.clever.rows import Draft, row_reader, take_row
from domain.providers.clever.sections import (
    MEMBERS_PER_PAGE,
    map_section,
    read_groups,
    read_members,
    with_members,
)
from domain.providers.http.answer import Answer
from domain.roster.records import Course, Enrollment, Group, RecordType, School, Term
from domain.validation.codes import Code
from tests.domain.providers.clever.replay import envelope, hex_id, section


def decoded(kind, *items):
    return decode_list(Answer(200, {}, json.dumps(envelope(items, "x")).encode(), ""), kind).rows


def read(kind, record_type, map_row, item):
    return row_reader(record_type, map_row)(decoded(kind, {"id": "i1", **item}))


read_school = partial(read, objects.School, RecordType.SCHOOL, map_school)
read_term = partial(read, objects.Term, RecordType.TERM, map_term)
read_course = partial(read, objects.Course, RecordType.COURSE, map_course)


def members(*items):
    drafts = [read_members(portion) for portion in with_members(decoded(objects.Section, *items))]
    return [record for draft in drafts for record in draft.records]


def test_a_school_is_taken_over():
    item = {"name": "First", "school_number": "17", "sis_id": "9", "phone": "555", "state_id": "8"}
    assert read_school(item).records == [School("i1", "First", "17", None, ("sis_id:9",))]


@pytest.mark.parametrize("name", ["", None, " "])
def test_a_school_without_a_name_is_rejected(name):
    draft = read_school({"name": name})
    [problem] = draft.problems
    assert (problem.code, problem.field, problem.place, problem.rejects) == (
        Code.FIELD_REQUIRED,
        "name",
        "/v3.0/schools/i1",
        True,
    )
    assert draft.read == 1


def test_a_term_ends_on_the_day_after_its_last_one():
    item = {"name": "S1", "start_date": "2012-08-01", "end_date": "2012-12-01"}
    assert read_term(item).records == [
        Term("i1", "S1", "term", date(2012, 8, 1), date(2012, 12, 2))
    ]


def test_a_term_may_have_times_and_last_one_day():
    item = {
        "name": "S1",
        "start_date": "2012-08-01T00:00:00.000Z",
        "end_date": "2012-08-01T23:59:59Z",
    }
    assert read_term(item).records == [Term("i1", "S1", "term", date(2012, 8, 1), date(2012, 8, 2))]


@pytest.mark.parametrize(
    ("item", "name"),
    [
        ({"start_date": "2012-08-01", "end_date": "2012-12-01"}, "2012-08-01 to 2012-12-01"),
        ({"name": " ", "start_date": "2012-08-01"}, "2012-08-01"),
        ({"name": None}, "i1"),
    ],
)
def test_a_term_without_a_name_is_called_by_its_days(item, name):
    assert read_term(item).records[0].name == name


def test_a_term_that_ends_before_it_begins_has_no_dates():
    draft = read_term({"name": "S1", "start_date": "2012-08-01", "end_date": "2012-07-31"})
    assert draft.records == [Term("i1", "S1", "term")]
    [problem] = draft.problems
    assert (problem.code, problem.field, problem.found) == (
        Code.DATES_REVERSED,
        "end_date",
        "2012-07-31",
    )


@pytest.mark.parametrize("text", ["8/1/2012", "2012-13-01", "soon"])
def test_a_date_that_is_none_is_left_out_with_a_warning(text):
    draft = read_term({"name": "S1", "end_date": text})
    assert draft.records == [Term("i1", "S1", "term")]
    assert [(p.code, p.field, p.found) for p in draft.problems] == [
        (Code.FIELD_TYPE, "end_date", text)
    ]


def test_the_last_day_of_all_is_no_end():
    assert read_term({"name": "S1", "end_date": "9999-12-31"}).records == [Term("i1", "S1", "term")]


@pytest.mark.parametrize(
    ("item", "course"),
    [
        ({"name": "Typing", "number": "T1"}, Course("i1", "Typing", "T1")),
        ({"name": "", "number": "T1"}, Course("i1", "T1", "T1")),
        ({"name": None, "number": None}, Course("i1", "i1")),
    ],
)
def test_a_course_is_taken_over(item, course):
    assert read_course(item).records == [course]


def test_a_section_is_a_group():
    item = {
        "id": "g1",
        "name": "Sixth Grade - Madison - 4",
        "school": "s1",
        "course": "c1",
        "term_id": "t1",
        "section_number": "12",
        "period": "4",
        "grade": "6",
        "subject": "math",
        "sis_id": "587",
        "students": ["u1"],
        "ext": {"classroom": "A1"},
    }
    assert read_groups(decoded(objects.Section, item)).records == [
        Group(
            source_id="g1",
            name="Sixth Grade - Madison - 4",
            school_source_id="s1",
            course_source_id="c1",
            term_source_ids=("t1",),
            code="12",
            period="4",
            grades=("06",),
            subjects=("math",),
            keys=("sis_id:587",),
        )
    ]


def test_blank_values_of_a_section_are_missing_ones():
    blank = dict.fromkeys(
        ("course", "term_id", "section_number", "period", "grade", "subject", "sis_id"), ""
    )
    for item in (blank, dict.fromkeys(blank), {}):
        draft = read_groups(decoded(objects.Section, {"id": "g1", "school": "s1", **item}))
        assert draft.records == [Group("g1", "", "s1")]


def test_a_section_of_the_homeroom_is_one():
    item = section(1, subject="homeroom/advisory")
    [group] = read_groups(decoded(objects.Section, item)).records
    assert (group.kind, group.subjects) == ("homeroom", ("homeroom/advisory",))


def test_a_section_without_a_school_is_rejected_and_keeps_its_members():
    item = section(1, school="", students=["u1"])
    draft = read_groups(decoded(objects.Section, item))
    [problem] = draft.problems
    assert (problem.code, problem.field, problem.rejects) == (Code.FIELD_REQUIRED, "school", True)
    assert problem.record == {"id": hex_id(1), "name": "Section 1"}
    assert [enrollment.user_source_id for enrollment in members(item)] == ["u1"]


def test_an_unknown_grade_of_a_section_is_left_out_with_a_warning():
    draft = read_groups(decoded(objects.Section, section(1, grade="Senior")))
    assert draft.records[0].grades == ()
    assert [(p.code, p.field) for p in draft.problems] == [(Code.CLASS_GRADE_UNMAPPED, "grade")]


TEXTS = st.sampled_from(
    ["", None, "a", " a", "|", "x" * 256, "é", "a\tb", "7", "homeroom/advisory"]
)


@given(
    st.fixed_dictionaries(
        {"id": st.sampled_from(["g1", "", " g", "x" * 256])},
        optional=dict.fromkeys(
            (
                "name", "school", "course", "term_id", "section_number", "period", "grade",
                "subject", "sis_id",
            ),
            TEXTS,
        ),
    )
)  # fmt: skip
def test_the_short_way_leads_where_the_long_one_leads(item):
    rows = decoded(objects.Section, item)
    short, long = read_groups(rows), Draft()
    take_row(long, rows[0], RecordType.GROUP, map_section)
    assert (short.records, short.problems) == (long.records, long.problems)


def test_students_and_teachers_are_members_once_each():
    item = section(1, students=["u1", "u2", "u1"], teacher="t2", teachers=["t1", "t2", "t1"])
    group = hex_id(1)
    assert members(item) == [
        Enrollment(f"{group}/u1/student", "u1", group, "STUDENT"),
        Enrollment(f"{group}/u2/student", "u2", group, "STUDENT"),
        Enrollment(f"{group}/t1/teacher", "t1", group, "TEACHER"),
        Enrollment(f"{group}/t2/teacher", "t2", group, "TEACHER", is_primary=True),
    ]


def test_the_teacher_is_a_member_also_when_the_list_of_teachers_lacks_them():
    group = hex_id(1)
    expected = [Enrollment(f"{group}/t1/teacher", "t1", group, "TEACHER", is_primary=True)]
    for teachers in ([], None, [""]):
        assert members(section(1, students=None, teacher="t1", teachers=teachers)) == expected


@pytest.mark.parametrize("teacher", [None, ""])
def test_a_section_may_have_no_primary_teacher(teacher):
    found = members(section(1, teacher=teacher, teachers=["t1"]))
    assert [(one.user_source_id, one.is_primary) for one in found] == [("t1", False)]


def test_somebody_may_be_student_and_teacher_of_a_section():
    found = members(section(1, students=["u1"], teachers=["u1"]))
    assert [one.role for one in found] == ["STUDENT", "TEACHER"]


def test_members_with_odd_ids_are_trimmed_left_out_or_told():
    item = section(1, students=[" u1", "", "u1", "a\x07b"], teacher=" t1 ", teachers=["t1"])
    group = hex_id(1)
    [draft] = [read_members(portion) for portion in with_members(decoded(objects.Section, item))]
    assert draft.records == [
        Enrollment(f"{group}/u1/student", "u1", group, "STUDENT"),
        Enrollment(f"{group}/t1/teacher", "t1", group, "TEACHER", is_primary=True),
    ]
    [problem] = draft.problems
    assert (problem.code, problem.record_type, problem.source_id, problem.field) == (
        Code.ID_INVALID,
        RecordType.MEMBERSHIP,
        None,
        "students",
    )
    assert draft.read == 3


def test_a_section_without_a_usable_id_has_no_members():
    assert members(section(1, id=" ", students=["u1"])) == []


def test_members_come_in_portions_of_whole_sections():
    students = [f"u{number}" for number in range(MEMBERS_PER_PAGE // 2)]
    rows = decoded(objects.Section, *(section(number, students=students) for number in range(5)))
    portions = list(with_members(rows))
    assert [[one.id for one in portion] for portion in portions] == [
        [hex_id(0), hex_id(1)],
        [hex_id(2), hex_id(3)],
        [hex_id(4)],
    ]
    assert list(with_members([])) == [[]]
