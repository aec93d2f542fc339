"""What one row of users.csv becomes."""

from functools import partial

import pytest

from domain.providers.vocabulary import DEFAULT_ROLE_MAP
from domain.roster.records import RecordType, Role
from domain.roster.source import Ignored
from domain.validation.codes import Code
from tests.domain.providers.oneroster_packages import (
    changed_page,
    folder,
    only_problem,
    package,
    read,
    records,
    with_cells,
    with_text,
)


@pytest.fixture
def page_with(tmp_path):
    return partial(changed_page, tmp_path)


def test_a_person_without_any_name_is_rejected(page_with):
    problem = only_problem(page_with("users.csv", {"givenName": "", "familyName": " "}))
    assert (problem.code, problem.source_id, problem.rejects) == (
        Code.USER_NAME_MISSING,
        "u1",
        True,
    )


@pytest.mark.parametrize("column", ["givenName", "familyName"])
def test_one_name_is_enough(page_with, column):
    page = page_with("users.csv", {column: ""})
    assert (len(page.records), page.problems) == (2, [])


@pytest.mark.parametrize("text", ["true", "TRUE", "1", "", " "])
def test_a_person_is_enabled_unless_it_says_otherwise(page_with, text):
    page = page_with("users.csv", {"enabledUser": text})
    assert (page.records[0].is_enabled, page.problems) == (True, [])


@pytest.mark.parametrize("text", ["false", "FALSE", "0"])
def test_a_disabled_person_is_kept_with_a_note(page_with, text):
    page = page_with("users.csv", {"enabledUser": text})
    assert page.records[0].is_enabled is False
    assert (only_problem(page).code, only_problem(page).rejects) == (Code.USER_DISABLED, False)


def test_an_unreadable_switch_leaves_a_person_enabled(page_with):
    page = page_with("users.csv", {"enabledUser": "yes"})
    assert page.records[0].is_enabled is True
    assert (only_problem(page).code, only_problem(page).found) == (Code.FIELD_TYPE, "yes")


def test_an_unknown_grade_is_left_out(page_with):
    page = page_with("users.csv", {"grades": "Gr9, 10"})
    assert page.records[0].grades == ("10",)
    assert (only_problem(page).code, only_problem(page).found) == (Code.USER_GRADE_UNMAPPED, "Gr9")


@pytest.mark.parametrize("email", ["bob", "bob at example.org", "b ob@example.org"])
def test_an_invalid_email_is_left_out(page_with, email):
    page = page_with("users.csv", {"email": email}, row=1)
    assert page.records[1].email is None
    assert (only_problem(page).code, only_problem(page).found) == (Code.USER_EMAIL_INVALID, email)


def test_a_students_email_is_dropped_silently_even_if_it_is_invalid(page_with):
    page = page_with("users.csv", {"email": "nonsense"})
    assert (page.records[0].email, page.problems) == (None, [])


def test_a_students_email_is_taken_where_the_tenant_asked(page_with):
    page = page_with("users.csv", {"middleName": "M"}, with_student_email=True)
    assert page.records[0].email == "ann@example.org"


@pytest.mark.parametrize(
    ("word", "orgs", "role", "schools"),
    [
        ("Student", "s1", "STUDENT", ("s1",)),
        ("aide", "s1", "STAFF", ("s1",)),
        ("proctor", "", "STAFF", ()),
        ("counselor", "s2,s2, s1", "STAFF", ("s2", "s1")),
        ("administrator", "s1", "SCHOOL_ADMIN", ("s1",)),
        ("administrator", "d1", "DISTRICT_ADMIN", ()),
        ("administrator", "d1,s1", "SCHOOL_ADMIN", ("s1",)),
        ("administrator", "", "SCHOOL_ADMIN", ()),
        ("administrator", "s9", "SCHOOL_ADMIN", ("s9",)),
        ("principal", "s1", "SCHOOL_ADMIN", ("s1",)),
        ("teacher", "d1,s9", "TEACHER", ("s9",)),
    ],
)
def test_a_role_and_organisations_become_ours(page_with, word, orgs, role, schools):
    page = page_with("users.csv", {"role": word, "orgSourcedIds": orgs})
    assert (page.records[0].roles, page.records[0].school_source_ids) == ((role,), schools)
    assert page.problems == []


@pytest.mark.parametrize("word", ["guardian", "Parent", "relative"])
def test_a_guardian_is_ignored_before_anything_is_asked_of_them(page_with, word):
    page = page_with("users.csv", {"role": word, "username": ""})
    assert page.ignored == [Ignored("u1", word.lower())]
    assert (page.problems, page.read) == ([], 2)


@pytest.mark.parametrize("word", ["janitor", "ext:coach"])
def test_an_unknown_role_leaves_the_person_out_and_present(page_with, word):
    page = page_with("users.csv", {"role": word})
    assert (only_problem(page).code, only_problem(page).found, only_problem(page).rejects) == (
        Code.USER_ROLE_UNKNOWN,
        word,
        True,
    )
    assert (only_problem(page).source_id, len(page.records), page.read) == ("u1", 1, 2)


def test_a_tenant_can_change_the_role_map(page_with):
    role_map = {**DEFAULT_ROLE_MAP, "ext:Coach": Role.STAFF, "teacher": None}
    page = page_with("users.csv", {"role": "EXT:coach"}, role_map=role_map)
    assert page.records[0].roles == ("STAFF",)
    assert page.ignored == [Ignored("u2", "teacher")]


def test_a_preferred_name_is_taken(tmp_path):
    pages = read(
        folder(tmp_path, with_text(package(), "users.csv", "middleName", "preferredGivenName"))
    )
    assert records(pages, RecordType.USER)[0].preferred_given_name is None
    files = with_cells(package("1.2"), "users.csv", {"preferredFamilyName": "A."})
    user = records(read(folder(tmp_path / "b", files)), RecordType.USER)[0]
    assert (user.preferred_given_name, user.preferred_family_name) == ("Annie", "A.")
