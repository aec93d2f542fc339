"""OneRoster 1.2: people with the roles of roles.csv."""

import pytest

from domain.roster.records import RecordType, User
from domain.roster.source import Ignored
from domain.validation.codes import Code
from tests.domain.providers.oneroster_packages import (
    ROLES_HEADER,
    TODAY,
    USERS_1_2_HEADER,
    folder,
    lines_of,
    package,
    problems,
    read,
    read_type,
)

USER = "u1,,,true,ann,,Ann,Archer,,,ann@example.org,,,,,,,,,,,"


@pytest.fixture
def page_of(tmp_path):
    """The page of one user with these rows of roles.csv."""

    def page(*roles, user=USER, **options):
        files = package("1.2")
        files["users.csv"] = lines_of(USERS_1_2_HEADER, [user])
        files["roles.csv"] = lines_of(ROLES_HEADER, roles)
        return read_type(read(folder(tmp_path, files), **options), RecordType.USER)

    return page


def only(page):
    (problem,) = page.problems
    return problem


def test_people_have_their_roles_whatever_the_order(tmp_path):
    page = read_type(read(folder(tmp_path, package("1.2"))), RecordType.USER)
    assert page.problems == []
    assert page.records == [
        User(
            "u1",
            "ann",
            "Ann",
            "Archer",
            ("STUDENT",),
            ("s1",),
            preferred_given_name="Annie",
            number="S1",
            grades=("09",),
        ),
        User(
            "u2",
            "bob",
            "Bob",
            "Baker",
            ("STAFF", "TEACHER"),
            ("s2", "s1"),
            email="bob@example.org",
        ),
    ]


def test_the_primary_organisation_comes_first(page_of):
    user = USER[: -len(",")] + "s9,"
    page = page_of("r1,,,u1,primary,teacher,,,s1,", "r2,,,u1,secondary,aide,,,d1,", user=user)
    assert page.records[0].school_source_ids == ("s9", "s1")
    single = page_of("r1,,,u1,primary,teacher,,,s1,", user=user)
    assert single.records[0].school_source_ids == ("s9", "s1")


@pytest.mark.parametrize(
    ("begin", "end", "holds"),
    [
        ("", "", True),
        ("2026-11-22", "2026-11-23", True),
        ("2026-11-23", "", False),
        ("", "2026-11-22", False),
        ("2026-01-01 00:00:00", "2027-01-01", True),
    ],
)
def test_a_role_holds_from_its_first_day_until_before_its_end(page_of, begin, end, holds):
    assert TODAY.isoformat() == "2026-11-22"
    page = page_of(f"r1,,,u1,primary,teacher,{begin},{end},s1,")
    assert len(page.records) == holds
    assert page.ignored == ([] if holds else [Ignored("u1", "no role today")])
    page = page_of(f"r1,,,u1,primary,teacher,{begin},{end},s1,", "r2,,,u1,secondary,aide,,,s1,")
    assert page.records[0].roles == (("STAFF", "TEACHER") if holds else ("STAFF",))


def test_a_past_role_needs_no_place_in_the_role_map(page_of):
    page = page_of("r1,,,u1,primary,ext:x,,2020-01-01,s1,", "r2,,,u1,primary,aide,,,s1,")
    assert (page.records[0].roles, page.problems) == (("STAFF",), [])


def test_a_role_with_an_unreadable_date_holds_with_a_warning(page_of):
    page = page_of("r1,,,u1,primary,teacher,1/05/2026,,s1,")
    assert page.records[0].roles == ("TEACHER",)
    assert (only(page).code, only(page).field, only(page).place, only(page).rejects) == (
        Code.FIELD_TYPE,
        "beginDate",
        "roles.csv line 2",
        False,
    )


def test_somebody_with_only_ignored_roles_is_ignored(page_of):
    page = page_of("r1,,,u1,primary,parent,,,s1,", "r2,,,u1,secondary,guardian,,,s2,")
    assert (page.ignored, page.problems, page.read) == ([Ignored("u1", "parent")], [], 1)


def test_a_parent_who_teaches_belongs_where_they_teach(page_of):
    page = page_of("r1,,,u1,primary,parent,,,s1,", "r2,,,u1,secondary,teacher,,,s2,")
    assert (page.records[0].roles, page.records[0].school_source_ids) == (("TEACHER",), ("s2",))


def test_somebody_without_any_role_is_rejected(page_of):
    page = page_of("r1,,,u9,primary,teacher,,,s1,")
    assert (only(page).code, only(page).field, only(page).source_id, only(page).rejects) == (
        Code.FIELD_REQUIRED,
        "role",
        "u1",
        True,
    )


def test_an_unknown_role_leaves_a_person_as_they_were(page_of):
    page = page_of("r1,,,u1,primary,teacher,,,s1,", "r2,,,u1,secondary,ext:coach,,,s1,")
    assert (only(page).code, only(page).found, only(page).place, only(page).rejects) == (
        Code.USER_ROLE_UNKNOWN,
        "ext:coach",
        "roles.csv line 3",
        True,
    )
    assert page.records == []


def test_a_blank_role_rejects_the_person(page_of):
    assert only(page_of("r1,,,u1,primary,,,,s1,")).code is Code.FIELD_REQUIRED


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("r2,gone,,u1,secondary,aide,,,s1,", Code.STATUS_INVALID),
        ("r2,,,u1,secondary,aide", Code.FILE_ROW_WIDTH),
    ],
)
def test_a_broken_row_leaves_its_person_as_they_were(page_of, row, code):
    page = page_of("r1,,,u1,primary,teacher,,,s1,", row)
    rejecting = [problem for problem in page.problems if problem.rejects]
    assert [(problem.code, problem.source_id) for problem in rejecting] == [(code, "u1")]
    assert (page.records, page.read) == ([], 1)


def test_rows_that_belong_to_nobody_are_one_warning_for_each_kind(page_of):
    rows = ["r1,,,u1,primary,teacher,,,s1,", "r2,,,,primary,aide,,,s1,", "r3,,,,primary,aide,,,s1,"]
    page = page_of(*rows, "r4", "r5,tobedeleted,,u1,secondary,ext:x,,,s1,")
    assert [
        (problem.code, problem.found, problem.place, problem.source_id, problem.rejects)
        for problem in page.problems
    ] == [
        (Code.FIELD_REQUIRED, "2 rows", "roles.csv line 3", None, False),
        (Code.FILE_ROW_WIDTH, None, "roles.csv line 5", None, False),
        (Code.BULK_FIELD_FORBIDDEN, None, "roles.csv line 6", None, False),
    ]
    assert page.records[0].roles == ("TEACHER",)


def test_an_administrator_without_a_kind_is_narrowed_by_the_organisation(page_of):
    page = page_of("r1,,,u1,primary,administrator,,,d1,")
    assert (page.records[0].roles, page.records[0].school_source_ids) == (("DISTRICT_ADMIN",), ())
    page = page_of("r1,,,u1,primary,administrator,,,s1,", "r2,,,u1,primary,administrator,,,d1,")
    assert page.records[0].roles == ("DISTRICT_ADMIN", "SCHOOL_ADMIN")


def test_the_email_of_a_student_who_also_assists_is_a_students(page_of):
    page = page_of("r1,,,u1,primary,student,,,s1,", "r2,,,u1,secondary,aide,,,s1,")
    assert (page.records[0].roles, page.records[0].email) == (("STAFF", "STUDENT"), None)


def test_an_empty_roles_file_is_remarked_upon(tmp_path):
    files = {**package("1.2"), "roles.csv": ROLES_HEADER}
    page = read_type(read(folder(tmp_path, files)), RecordType.USER)
    assert (page.problems[0].code, page.problems[0].place) == (Code.FILE_EMPTY, "roles.csv")
    assert [problem.code for problem in page.problems[1:]] == [Code.FIELD_REQUIRED] * 2


def test_a_delta_of_people_and_roles_is_read(tmp_path):
    pages = read(folder(tmp_path, package("1.2", mode="delta")))
    page = read_type(pages, RecordType.USER)
    assert [user.roles for user in page.records] == [("STUDENT",), ("STAFF", "TEACHER")]
    assert problems(pages) == []


def test_a_delta_role_without_its_date_leaves_the_person_as_they_were(tmp_path):
    files = package("1.2", mode="delta")
    files["roles.csv"] = str(files["roles.csv"]).replace("2026-11-01T00:00:00.000Z,u1", ",u1")
    page = read_type(read(folder(tmp_path, files)), RecordType.USER)
    assert (only(page).code, only(page).source_id) == (Code.DELTA_FIELD_REQUIRED, "u1")
