"""The recorded answers of real servers, replayed as if they were the whole."""

import json
from pathlib import Path
from typing import Any

import pytest

from domain.roster.records import RecordType
from tests.domain.providers.oneroster_rest.servers import records_of, telling

RECORDED = Path(__file__).parents[5] / "shared" / "data" / "oneroster"
REFERENCE = RECORDED / "or-ri-v1p1-capture"
CLASSLINK = RECORDED / "classlink-capture"

pytestmark = pytest.mark.skipif(
    not RECORDED.is_dir(), reason="the recorded answers are not beside the repository"
)


def _body(name: str, of: Path = REFERENCE) -> bytes:
    return (of / f"{name}.json").read_bytes()


def _rows(name: str, key: str, of: Path = REFERENCE) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(_body(name, of))[key]
    return found


@pytest.fixture(scope="module")
def reference() -> Any:
    """All of the Reference Implementation: students and teachers are its users."""
    users = [*_rows("getAllStudents", "users"), *_rows("getAllTeachers", "users")]
    with telling(
        {
            "orgs": _body("getAllOrgs"),
            "academicSessions": _body("getAllAcademicSessions"),
            "courses": _body("getAllCourses"),
            "classes": _body("getAllClasses"),
            "users": users,
            "enrollments": _body("getAllEnrollments"),
        }
    ) as server:
        return server.read()


def test_every_record_of_the_reference_implementation_is_read(reference):
    counts = {record_type: len(records_of(reference, record_type)) for record_type in RecordType}
    assert counts == {
        RecordType.SCHOOL: len(_rows("getAllSchools", "orgs")),
        RecordType.TERM: len(_rows("getAllAcademicSessions", "academicSessions")),
        RecordType.COURSE: len(_rows("getAllCourses", "courses")),
        RecordType.GROUP: len(_rows("getAllClasses", "classes")),
        RecordType.USER: len(_rows("getAllStudents", "users"))
        + len(_rows("getAllTeachers", "users")),
        RecordType.MEMBERSHIP: len(_rows("getAllEnrollments", "enrollments")),
    }


def test_all_that_is_wrong_with_the_reference_implementation_is_its_dates(reference):
    """Its sessions end on the day on which they begin, and ends are exclusive."""
    told = {(problem.code.value, problem.field) for page in reference for problem in page.problems}
    assert told <= {("DATES_REVERSED", "endDate")}


def test_its_sloppy_types_are_understood(reference):
    (school,) = records_of(reference, RecordType.SCHOOL)
    assert school.parent_source_id == "d99a483e-57d5-11ea-9f27-3a6d5a0778e8"
    assert {course.subjects for course in records_of(reference, RecordType.COURSE)} == {
        ("chemistry",)
    }
    group = records_of(reference, RecordType.GROUP)[0]
    assert (group.grades, group.period) == (("PR", "09", "10"), "1, 3, 5")
    assert group.school_source_id == school.source_id
    found = {page.modified for page in reference if page.record_type is RecordType.USER}
    assert found == {"2020-02-25T13:50:58.000Z", None}


def test_its_users_have_no_organisations_and_are_kept(reference):
    users = records_of(reference, RecordType.USER)
    assert {user.school_source_ids for user in users} == {()}
    assert {user.roles for user in users} == {("STUDENT",), ("TEACHER",)}


def test_nothing_that_is_not_mapped_is_kept(reference):
    kept = repr(reference)
    student = _rows("getAllStudents", "users")[0]
    assert student["username"] in kept
    for field in ("password", "phone", "sms", "middleName", "email"):
        assert student[field] not in kept


@pytest.mark.parametrize(
    ("name", "collection"),
    [
        ("getAllGradingPeriods", "academicSessions"),
        ("getAllTerms", "academicSessions"),
        ("getAllSchools", "orgs"),
        ("getAllStudents", "users"),
        ("getAllTeachers", "users"),
    ],
)
def test_the_answers_of_the_narrower_endpoints_are_of_the_same_kind(name, collection):
    with telling({collection: _body(name)}) as server:
        pages = server.read()
    read = sum(page.read for page in pages)
    assert read == len(_rows(name, collection))
    assert len([record for page in pages for record in page.records]) == read


def test_what_classlink_sends_is_read():
    answers = {
        "users": [
            *_rows("class-students", "users", CLASSLINK),
            *_rows("class-teachers", "users", CLASSLINK),
        ],
        "classes": _body("teacher-classes", CLASSLINK),
    }
    with telling(answers) as server:
        pages = server.read()
    student, teacher = records_of(pages, RecordType.USER)
    assert (student.roles, student.school_source_ids, student.keys) == (
        ("STUDENT",),
        ("2",),
        ("Fed:12345",),
    )
    assert (teacher.number, teacher.email) == ("32", "baz.bat@example.com")
    (group,) = records_of(pages, RecordType.GROUP)
    assert (group.code, group.grades, group.term_source_ids) == (
        None,
        ("05", "11", "10", "12"),
        ("FY",),
    )
    assert [problem.code.value for page in pages for problem in page.problems] == ["CONN_EMPTY"] * 4
