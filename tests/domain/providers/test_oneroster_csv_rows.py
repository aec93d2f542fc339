"""What one row becomes: a record, a problem, something ignored, a deletion."""

from datetime import date
from functools import partial

import pytest

from domain.roster.records import Course, Enrollment, Group, RecordType, School, Term, User
from domain.roster.source import Ignored, Problem
from domain.validation.codes import Code
from tests.domain.providers.oneroster_packages import (
    HEADERS,
    RECORD_TYPES,
    changed_page,
    folder,
    lines_of,
    only_problem,
    package,
    problems,
    read,
    read_type,
    records,
)

FILES = list(RECORD_TYPES.items())
LONG = "x" * 256


@pytest.fixture
def page_with(tmp_path):
    return partial(changed_page, tmp_path)


def test_every_record_is_mapped(tmp_path):
    pages = read(folder(tmp_path, package()))
    assert [record for page in pages for record in page.records] == [
        School("s1", "North", "17", "d1"),
        School("s2", "South", None, "d1"),
        Term("t1", "Autumn", "term", date(2026, 8, 17), date(2026, 12, 19)),
        Course("c1", "Mathematics", "MATH", ("Mathematics",)),
        Group(
            "g1",
            "Algebra",
            "s1",
            "c1",
            ("t1",),
            "ALG",
            "scheduled",
            "1, 2",
            ("09", "10"),
            ("Mathematics", "Logic"),
        ),
        User(
            "u1",
            "ann",
            "Ann",
            "Archer",
            ("STUDENT",),
            ("s1",),
            number="S1",
            grades=("09",),
            keys=("Fed:1",),
        ),
        User("u2", "bob", "Bob", "Baker", ("TEACHER",), ("s2", "s1"), email="bob@example.org"),
        Enrollment("e1", "u1", "g1", "STUDENT", False, date(2026, 8, 17), date(2026, 12, 19)),
        Enrollment("e2", "u2", "g1", "TEACHER", True),
    ]
    assert pages[0].ignored == [Ignored("d1", "district")]


@pytest.mark.parametrize(("file", "record_type"), FILES)
def test_a_record_without_id_is_rejected(page_with, file, record_type):
    problem = only_problem(page_with(file, {"sourcedId": " "}))
    assert problem[:4] == (Code.ID_MISSING, record_type, None, "sourcedId")
    assert (problem.place, problem.rejects) == (f"{file} line 2", True)


@pytest.mark.parametrize(("file", "record_type"), FILES)
@pytest.mark.parametrize("source_id", [LONG, "a\tb", "a\x7fb"])
def test_an_id_that_nobody_can_store_is_rejected(page_with, file, record_type, source_id):
    problem = only_problem(page_with(file, {"sourcedId": source_id}))
    assert problem[:2] == (Code.ID_INVALID, record_type)
    assert problem.source_id == source_id[:255]


@pytest.mark.parametrize("source_id", ["a|b", "{x}", "ä ö", "x" * 255])
def test_an_id_outside_the_standards_characters_is_fine(page_with, source_id):
    page = page_with("enrollments.csv", {"sourcedId": source_id})
    assert (page.problems, page.records[0].source_id) == ([], source_id)


@pytest.mark.parametrize(
    ("file", "column"),
    [
        ("academicSessions.csv", "title"),
        ("courses.csv", "title"),
        ("classes.csv", "schoolSourcedId"),
        ("users.csv", "role"),
        ("enrollments.csv", "userSourcedId"),
        ("enrollments.csv", "classSourcedId"),
    ],
)
def test_a_required_value_that_is_blank_rejects_the_record(page_with, file, column):
    page = page_with(file, {column: " "})
    problem = only_problem(page)
    assert (problem.code, problem.field, problem.rejects) == (Code.FIELD_REQUIRED, column, True)
    assert problem.source_id
    assert problem.record[column] == ""
    assert page.read == len(page.records) + 1


def test_a_school_without_name_or_type_is_rejected(page_with):
    for cells in ({"name": ""}, {"type": ""}):
        problem = only_problem(page_with("orgs.csv", cells, row=1))
        assert (problem.code, problem.source_id) == (Code.FIELD_REQUIRED, "s1")


def test_a_problem_shows_what_is_mapped_and_nothing_else(page_with):
    problem = only_problem(page_with("users.csv", {"username": ""}))
    assert problem == Problem(
        Code.USER_LOGIN_MISSING,
        RecordType.USER,
        source_id="u1",
        field="username",
        expected="a value",
        found="",
        place="users.csv line 2",
        record={
            "sourcedId": "u1",
            "enabledUser": "true",
            "username": "",
            "givenName": "Ann",
            "familyName": "Archer",
            "orgSourcedIds": "s1",
            "role": "student",
            "identifier": "S1",
            "grades": "9",
            "preferredGivenName": "",
            "preferredFamilyName": "",
        },
        rejects=True,
    )


def test_the_email_of_a_teacher_is_shown_in_their_problems(page_with):
    problem = only_problem(page_with("users.csv", {"username": ""}, row=1))
    assert problem.record["email"] == "Bob@Example.org"


# -- statuses


def test_a_bulk_row_may_say_that_it_is_active(page_with):
    for status in ("active", "Active"):
        page = page_with("enrollments.csv", {"status": status})
        assert (len(page.records), page.problems, page.deleted) == (2, [], [])


@pytest.mark.parametrize("status", ["tobedeleted", "ToBeDeleted", "inactive"])
@pytest.mark.parametrize(("file", "record_type"), FILES)
def test_a_bulk_row_marked_as_deleted_is_deleted_with_one_warning(
    tmp_path, file, record_type, status
):
    files = package()
    header, first, *_ = str(files[file]).splitlines()
    rows = [first.replace(",,,", f",{status},,", 1), first.replace(",,,", f"2,{status},,", 1)]
    files[file] = lines_of(header, rows)
    page = read_type(read(folder(tmp_path, files)), record_type)
    first_id = first.partition(",")[0]
    assert (page.deleted, page.records, page.read) == ([first_id, f"{first_id}2"], [], 2)
    problem = only_problem(page)
    assert (problem.code, problem.source_id, problem.rejects, problem.place) == (
        Code.BULK_FIELD_FORBIDDEN,
        None,
        False,
        f"{file} line 2",
    )


@pytest.mark.parametrize(("file", "record_type"), FILES)
def test_a_delta_row_marked_as_deleted_is_deleted(page_with, file, record_type):
    page = page_with(file, {"status": "tobedeleted"}, mode="delta")
    assert (len(page.deleted), page.problems) == (1, [])


@pytest.mark.parametrize(("file", "record_type"), FILES)
@pytest.mark.parametrize("column", ["status", "dateLastModified"])
def test_a_delta_row_without_status_or_date_is_rejected(page_with, file, record_type, column):
    problem = only_problem(page_with(file, {column: " "}, mode="delta"))
    assert (problem.code, problem.field, problem.rejects) == (
        Code.DELTA_FIELD_REQUIRED,
        column,
        True,
    )


@pytest.mark.parametrize(("file", "record_type"), FILES)
def test_another_status_is_rejected(page_with, file, record_type):
    problem = only_problem(page_with(file, {"status": "gone"}))
    assert (problem.code, problem.found, problem.rejects) == (Code.STATUS_INVALID, "gone", True)


# -- lengths


@pytest.mark.parametrize(
    ("file", "column"),
    [
        ("academicSessions.csv", "title"),
        ("courses.csv", "title"),
        ("classes.csv", "title"),
        ("users.csv", "username"),
        ("users.csv", "givenName"),
        ("users.csv", "familyName"),
    ],
)
def test_a_name_that_is_too_long_rejects_the_record(page_with, file, column):
    problem = only_problem(page_with(file, {column: LONG}))
    assert (problem.code, problem.field, problem.found, problem.rejects) == (
        Code.FIELD_TOO_LONG,
        column,
        "256 characters",
        True,
    )


@pytest.mark.parametrize(
    ("file", "column", "field"),
    [
        ("courses.csv", "courseCode", "code"),
        ("classes.csv", "classCode", "code"),
        ("users.csv", "identifier", "number"),
    ],
)
def test_an_optional_value_that_is_too_long_is_left_out(page_with, file, column, field):
    page = page_with(file, {column: LONG})
    assert getattr(page.records[0], field) is None
    assert (only_problem(page).code, only_problem(page).rejects) == (Code.FIELD_TOO_LONG, False)


# -- dates


@pytest.mark.parametrize("file", ["academicSessions.csv", "enrollments.csv"])
@pytest.mark.parametrize("text", ["1/05/2026", "soon", "2026-02-30"])
def test_a_date_that_cannot_be_read_is_left_out(page_with, file, text):
    begin = "startDate" if file == "academicSessions.csv" else "beginDate"
    page = page_with(file, {begin: text})
    record = page.records[0]
    assert (getattr(record, "starts_on", None) or getattr(record, "begins_on", None)) is None
    assert record.ends_on == date(2026, 12, 19)
    assert (only_problem(page).code, only_problem(page).field, only_problem(page).found) == (
        Code.FIELD_TYPE,
        begin,
        text,
    )


@pytest.mark.parametrize(
    "text", ["2026-08-17 08:01:05", "2026-08-17T00:00:00.000Z", " 2026-08-17 "]
)
def test_a_date_with_a_time_is_that_day(page_with, text):
    page = page_with("enrollments.csv", {"beginDate": text})
    assert (page.records[0].begins_on, page.problems) == (date(2026, 8, 17), [])


@pytest.mark.parametrize("file", ["academicSessions.csv", "enrollments.csv"])
@pytest.mark.parametrize("end", ["2026-08-17", "2025-01-01"])
def test_reversed_dates_are_both_left_out(page_with, file, end):
    page = page_with(file, {"endDate": end})
    assert page.records[0].ends_on is None
    assert (getattr(page.records[0], "starts_on", None), page.records[0][5]) == (None, None)
    assert (only_problem(page).code, only_problem(page).rejects) == (Code.DATES_REVERSED, False)


# -- organisations, sessions, classes


@pytest.mark.parametrize("kind", ["department", "local", "national", "State", "ext:campus"])
def test_an_organisation_that_is_no_school_is_ignored(page_with, kind):
    page = page_with("orgs.csv", {"type": kind, "name": ""}, row=1)
    expected = kind if kind.startswith("ext:") else kind.lower()
    assert page.ignored == [Ignored("d1", "district"), Ignored("s1", expected)]
    assert (page.problems, page.read) == ([], 3)


def test_an_organisation_of_an_unknown_type_is_rejected(page_with):
    problem = only_problem(page_with("orgs.csv", {"type": "academy"}, row=1))
    assert (problem.code, problem.found, problem.rejects) == (Code.FIELD_ENUM, "academy", True)


@pytest.mark.parametrize(
    ("word", "kind"),
    [("SCHOOLYEAR", "schoolYear"), ("gradingPeriod", "gradingPeriod"), ("semester", "semester")],
)
def test_the_type_of_a_session_is_compared_without_case(page_with, word, kind):
    page = page_with("academicSessions.csv", {"type": word})
    assert (page.records[0].kind, page.problems) == (kind, [])


def test_a_session_of_an_unknown_type_is_a_term(page_with):
    page = page_with("academicSessions.csv", {"type": "trimester"})
    assert page.records[0].kind == "term"
    assert (only_problem(page).code, only_problem(page).found) == (Code.FIELD_ENUM, "trimester")


def test_a_class_without_title_is_left_to_the_engine(page_with):
    page = page_with("classes.csv", {"title": ""})
    assert (page.records[0].name, page.problems) == ("", [])


def test_a_class_of_a_district_is_rejected(page_with):
    problem = only_problem(page_with("classes.csv", {"schoolSourcedId": "d1"}))
    assert (problem.code, problem.found, problem.rejects) == (
        Code.ORG_TYPE_WRONG,
        "d1 (district)",
        True,
    )


def test_a_class_of_an_unknown_school_is_left_to_the_engine(page_with):
    page = page_with("classes.csv", {"schoolSourcedId": "s9"})
    assert (page.records[0].school_source_id, page.problems) == ("s9", [])


def test_an_unknown_class_type_and_unknown_grades_are_left_out(page_with):
    page = page_with("classes.csv", {"classType": "club", "grades": "9,fifth,K,09"})
    assert (page.records[0].kind, page.records[0].grades) == (None, ("09", "KG"))
    assert [(problem.code, problem.field, problem.found) for problem in page.problems] == [
        (Code.FIELD_ENUM, "classType", "club"),
        (Code.CLASS_GRADE_UNMAPPED, "grades", "fifth"),
    ]


@pytest.mark.parametrize(("word", "kind"), [("Scheduled", "scheduled"), ("ext:lab", "ext:lab")])
def test_a_class_type_is_compared_without_case(page_with, word, kind):
    assert page_with("classes.csv", {"classType": word}).records[0].kind == kind


# -- enrollments


@pytest.mark.parametrize(
    ("word", "role"),
    [
        ("Student", "STUDENT"),
        ("teacher", "TEACHER"),
        ("administrator", "STAFF"),
        ("proctor", "STAFF"),
        ("aide", "STAFF"),
    ],
)
def test_an_enrollment_has_one_of_three_roles(page_with, word, role):
    page = page_with("enrollments.csv", {"role": word, "primary": ""})
    assert (page.records[0].role, page.problems) == (role, [])


@pytest.mark.parametrize("word", ["guardian", "parent"])
def test_a_guardians_enrollment_is_ignored(page_with, word):
    page = page_with("enrollments.csv", {"role": word})
    assert (page.ignored, page.read) == ([Ignored("e1", word)], 2)


@pytest.mark.parametrize("word", ["", "pupil"])
def test_an_enrollment_in_another_role_is_rejected(page_with, word):
    problem = only_problem(page_with("enrollments.csv", {"role": word}))
    assert (problem.code, problem.found, problem.rejects) == (Code.ENR_ROLE_INVALID, word, True)


@pytest.mark.parametrize(
    ("role", "text", "is_primary"),
    [
        ("teacher", "TRUE", True),
        ("teacher", "1", True),
        ("teacher", "false", False),
        ("student", "true", False),
        ("student", "whatever", False),
    ],
)
def test_only_teachers_are_primary(page_with, role, text, is_primary):
    page = page_with("enrollments.csv", {"role": role, "primary": text})
    assert (page.records[0].is_primary, page.problems) == (is_primary, [])


def test_an_unreadable_primary_is_left_out(page_with):
    page = page_with("enrollments.csv", {"primary": "yes"}, row=1)
    assert page.records[1].is_primary is False
    assert (only_problem(page).code, only_problem(page).found) == (Code.FIELD_TYPE, "yes")


def test_the_same_id_twice_is_left_to_the_engine(tmp_path):
    row = "e1,,,g1,s1,u1,student,,,"
    files = {**package(), "enrollments.csv": lines_of(HEADERS["enrollments.csv"], [row, row])}
    pages = read(folder(tmp_path, files))
    assert len(records(pages, RecordType.MEMBERSHIP)) == 2
    assert problems(pages) == []
