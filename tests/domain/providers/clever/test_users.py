"""Clever's users as records: roles, usernames, schools, keys, what is left out and what is odd."""

import json
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.providers.clever.decoding import decode_list
from domain.providers.clever.people import Rules, map_user, type_of
from domain.providers.clever.plain_people import kind_of, user_reader
from domain.providers.clever.rows import Draft, take_row
from domain.providers.http.answer import Answer
from domain.roster.records import RecordType, Role, User
from domain.roster.source import Eligibility, Ignored
from domain.validation.codes import Code
from tests.domain.providers.clever.replay import config, envelope, hex_id, student, user


def decoded(users, kind):
    body = json.dumps(envelope(users, "users")).encode()
    return decode_list(Answer(200, {}, body, ""), kind).rows


def read(*users, pull="student", **changes):
    rules = Rules.of(config(**changes))
    return user_reader(pull, rules)(decoded(users, kind_of(pull, rules)))


def read_one(found, **changes):
    draft = read(found, **changes)
    assert draft.problems == []
    [record] = draft.records
    return record


def test_a_student_is_taken_over_with_mapped_fields_only():
    found = student(
        1,
        credentials={"district_username": "ann"},
        schools=["s1"],
        sis_id="100",
        student_number="200",
        state_id="300",
        dob="1/16/1998",
        ext={"lunch": "free"},
    )
    assert read_one({**found, "email": "ann@example.org"}) == User(
        source_id=hex_id(1),
        username="ann",
        given_name="First1",
        family_name="Last1",
        roles=("STUDENT",),
        school_source_ids=("s1",),
        number="200",
        grades=("03",),
        keys=("sis_id:100",),
    )


def test_a_teacher_is_taken_over_with_email_in_lower_case():
    teacher = {
        "school": "s2",
        "schools": ["s1", "s2"],
        "teacher_number": "T9",
        "legacy_id": "58da",
        "sis_id": "47",
        "credentials": {"district_username": "cleo"},
    }
    found = user(1, email="Cleo@Example.org", teacher=teacher)
    assert read_one(found, pull="teacher") == User(
        source_id=hex_id(1),
        username="cleo",
        given_name="First1",
        family_name="Last1",
        roles=("TEACHER",),
        school_source_ids=("s2", "s1"),
        email="cleo@example.org",
        number="T9",
        keys=("legacy_id:58da", "sis_id:47"),
    )


@pytest.mark.parametrize(
    "missing", [{}, {"district_username": ""}, {"district_username": None}, None]
)
def test_without_a_district_username_the_clever_id_is_the_username(missing):
    assert read_one(student(1, credentials=missing)).username == hex_id(1)


@pytest.mark.parametrize(
    ("roles", "pull"),
    [
        ({"staff": {"credentials": {"district_username": "x"}}}, "staff"),
        ({"district_admin": {"credentials": {"district_username": "x"}}}, "district_admin"),
        ({"teacher": {"credentials": {"district_username": "x"}}, "staff": {}}, "teacher"),
    ],
)
def test_admins_always_have_the_clever_id_as_username(roles, pull):
    assert read_one(user(1, **roles), pull=pull).username == hex_id(1)


def test_the_first_district_username_of_several_roles_counts():
    found = user(
        1,
        teacher={"credentials": {"district_username": " "}},
        staff={"credentials": {"district_username": "of.staff"}},
    )
    record = read_one(found, pull="teacher", role_map={"staff": Role.STAFF})
    assert (record.username, record.roles) == ("of.staff", ("STAFF", "TEACHER"))


def test_a_person_with_several_roles_has_all_of_them():
    found = user(
        1,
        teacher={"school": "s2", "schools": ["s3", "s2"], "teacher_number": "", "sis_id": "1"},
        staff={"schools": ["s4", "s2"], "staff_id": "77", "legacy_id": "aa"},
        district_admin={"legacy_id": "bb"},
    )
    record = read_one(found, pull="teacher")
    assert record.roles == ("DISTRICT_ADMIN", "SCHOOL_ADMIN", "TEACHER")
    assert record.school_source_ids == ("s2", "s3", "s4")
    assert record.number == "77"
    assert record.keys == ("legacy_id:aa", "legacy_id:bb", "sis_id:1")


@pytest.mark.parametrize("pull", ["student", "staff", "district_admin", "contact"])
def test_a_person_is_taken_by_the_pull_of_the_first_role_only(pull):
    draft = read(user(1, teacher={}, staff={}, district_admin={}), pull=pull)
    assert (draft.records, draft.ignored, draft.problems, draft.read) == ([], [], [], 0)


def test_contacts_are_counted_and_nothing_but_their_id_is_kept():
    found = user(1, name={"last": "Sanjiv Becker"}, email="x", contact={"phone": "555-1"})
    draft = read(found, pull="contact")
    assert draft.ignored == [Ignored(hex_id(1), "contact")]
    assert (draft.records, draft.problems, draft.read) == ([], [], 1)
    kept = decoded([found], kind_of("contact", Rules.of(config())))
    assert "Becker" not in repr(kept)
    assert "555" not in repr(kept)


def test_a_role_that_is_mapped_to_nothing_is_left_out_of_the_person():
    found = user(
        1,
        teacher={"school": "s1", "credentials": {"district_username": "cleo"}},
        staff={"schools": ["s2"], "staff_id": "5"},
    )
    record = read_one(found, pull="teacher", role_map={"Staff": None})
    assert record.roles == ("TEACHER",)
    assert (record.username, record.school_source_ids, record.number) == ("cleo", ("s1",), None)


def test_a_person_without_any_role_that_is_mapped_is_left_out_and_counted():
    draft = read(user(1, staff={}), pull="staff", role_map={"STAFF": None})
    assert (draft.ignored, draft.read) == ([Ignored(hex_id(1), "staff")], 1)


@pytest.mark.parametrize("roles", [{}, {"parent": {}}, {"student": None}])
def test_a_person_without_a_known_role_stays_as_stored(roles):
    draft = read({**user(1), "roles": roles})
    [problem] = draft.problems
    assert (problem.code, problem.rejects) == (Code.USER_ROLE_UNKNOWN, True)
    assert (problem.source_id, problem.field) == (hex_id(1), "roles")
    assert draft.read == 1


def test_contacts_can_be_mapped_to_a_role():
    found = user(1, name={"last": "Sanjiv Becker"}, contact={"sis_id": "8"})
    record = read_one(found, pull="contact", role_map={"contact": Role.STAFF})
    assert (record.given_name, record.family_name) == ("", "Sanjiv Becker")
    assert (record.roles, record.keys) == (("STAFF",), ("sis_id:8",))


def test_the_emails_of_students_are_not_even_decoded():
    found = {**student(1, email="ann@example.org"), "email": "ann@example.org"}
    assert "example.org" not in repr(decoded([found], type_of("student", Rules.of(config()))))
    assert read_one(found).email is None


def test_the_emails_of_students_are_taken_where_the_tenant_wants_them():
    found = {**student(1), "email": "Ann@example.org"}
    assert read_one(found, with_student_email=True).email == "ann@example.org"


def test_an_email_that_is_none_is_left_out_with_a_warning():
    draft = read(user(1, email="cleo at school", teacher={}), pull="teacher")
    [problem] = draft.problems
    assert (problem.code, problem.field, problem.found) == (
        Code.USER_EMAIL_INVALID,
        "email",
        "cleo at school",
    )
    assert not problem.rejects
    assert draft.records[0].email is None


def test_an_email_is_shown_in_no_problem_of_somebody_whose_email_is_not_taken():
    changed = {"role_map": {"teacher": Role.STUDENT, "staff": None}}
    found = user(1, name={}, email="cleo@example.org", teacher={}, staff={})
    [problem] = read(found, pull="teacher", **changed).problems
    assert problem.code is Code.USER_NAME_MISSING
    assert "example.org" not in repr(problem)


@pytest.mark.parametrize(
    ("word", "grade"),
    [
        ("InfantToddler", "IT"),
        ("Preschool", "PR"),
        ("PreKindergarten", "PK"),
        ("TransitionalKindergarten", "TK"),
        ("Kindergarten", "KG"),
        ("1", "01"),
        ("9", "09"),
        ("13", "13"),
        ("PostGraduate", "PS"),
        ("Ungraded", "UG"),
        ("Other", "Other"),
    ],
)
def test_grades_are_ceds_codes(word, grade):
    assert read_one(student(1, grade=word)).grades == (grade,)


def test_an_unknown_grade_is_left_out_with_a_warning():
    draft = read(student(1, grade="Sophomore"))
    assert draft.records[0].grades == ()
    [problem] = draft.problems
    assert (problem.code, problem.field, problem.found) == (
        Code.USER_GRADE_UNMAPPED,
        "roles.student.grade",
        "Sophomore",
    )
    assert problem.place == f"/v3.0/users/{hex_id(1)}"
    assert problem.record == {
        "id": hex_id(1),
        "name.first": "First1",
        "name.last": "Last1",
        "roles.student.school": "s1",
        "roles.student.grade": "Sophomore",
    }


def test_a_person_without_a_name_is_rejected():
    [problem] = read({**student(1), "name": {"first": " ", "last": None}}).problems
    assert (problem.code, problem.field, problem.rejects) == (
        Code.USER_NAME_MISSING,
        "name.last",
        True,
    )


def test_one_name_is_enough():
    record = read_one({**student(1), "name": {"last": "Prince"}})
    assert (record.given_name, record.family_name) == ("", "Prince")


def test_the_primary_school_comes_first_and_all_are_given():
    assert read_one(student(1, school="s2", schools=["s1", "s2", ""])).school_source_ids == (
        "s2",
        "s1",
    )
    assert read_one(student(1, school="", schools=None)).school_source_ids == ()


def test_preferred_names_of_students_are_taken():
    record = read_one(student(1, preferred_name={"first": "Annie", "middle": "", "last": ""}))
    assert (record.preferred_given_name, record.preferred_family_name) == ("Annie", None)


def test_values_that_are_too_long_are_left_out_or_reject():
    long = "x" * 256
    number = read(student(1, student_number=long))
    assert number.records[0].number is None
    assert [problem.code for problem in number.problems] == [Code.FIELD_TOO_LONG]
    username = read(student(1, credentials={"district_username": long}))
    assert (username.records, username.problems[0].rejects) == ([], True)
    assert read_one(student(1, sis_id=long, legacy_id=" ")).keys == ()


@pytest.mark.parametrize(
    ("value", "expected"),
    [("Y", True), (" y ", True), (True, True), (1, True), ("N", False), ("", False), (None, False)],
)
def test_students_are_eligible_if_their_ext_field_says_so(value, expected):
    eligibility = Eligibility("typing", frozenset({"y", "true", "1"}))
    record = read_one(student(1, ext={"typing": value, "x": "Y"}), eligibility=eligibility)
    assert record.is_eligible is expected


@pytest.mark.parametrize("ext", [{}, None, "", {"other": "Y"}])
def test_students_without_the_ext_field_are_not_eligible(ext):
    eligibility = Eligibility("typing", frozenset({"y"}))
    assert read_one(student(1, ext=ext), eligibility=eligibility).is_eligible is False


def test_others_than_students_are_always_eligible():
    eligibility = Eligibility("typing", frozenset({"y"}))
    assert read_one(user(1, teacher={}), pull="teacher", eligibility=eligibility).is_eligible


def test_an_ext_field_is_not_decoded_unless_it_is_asked_for():
    found = student(1, ext={"typing": "Y", "secret": "lunch"})
    eligibility = Eligibility("typing", frozenset({"y"}))
    assert "Y" not in repr(decoded([found], type_of("student", Rules.of(config()))))
    asked = type_of("student", Rules.of(config(eligibility=eligibility)))
    assert "lunch" not in repr(decoded([found], asked))


TEXTS = st.sampled_from(
    ["", None, "a", " a", "a ", "|", "x" * 256, "\u00e9", "a\tb", "a\u00a0b", "3", "Sophomore"]
)
PARTS = st.fixed_dictionaries(
    {},
    optional={
        "school": TEXTS,
        "schools": st.none() | st.lists(TEXTS.filter(lambda text: text is not None), max_size=3),
        "sis_id": TEXTS,
        "legacy_id": TEXTS,
        "student_number": TEXTS,
        "teacher_number": TEXTS,
        "grade": TEXTS,
        "credentials": st.none() | st.fixed_dictionaries({"district_username": TEXTS}),
        "preferred_name": st.none() | st.fixed_dictionaries({"first": TEXTS}),
        "ext": st.fixed_dictionaries({"typing": TEXTS}),
    },
)
USERS = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["u1", "", " u1", "x" * 256, "a\x07"]),
        "roles": st.dictionaries(st.sampled_from(["student", "teacher", "staff"]), PARTS),
    },
    optional={
        "name": st.none() | st.fixed_dictionaries({"first": TEXTS, "last": TEXTS}),
        "email": TEXTS | st.just("A@b.org"),
    },
)


@given(
    found=USERS,
    pull=st.sampled_from(["student", "teacher"]),
    with_email=st.booleans(),
    eligibility=st.none() | st.just(Eligibility("typing", frozenset({"a"}))),
    role=st.sampled_from([Role.STUDENT, Role.TEACHER, Role.SCHOOL_ADMIN, None]),
)
def test_the_short_way_leads_where_the_long_one_leads(found, pull, with_email, eligibility, role):
    rules = Rules.of(
        config(with_student_email=with_email, eligibility=eligibility, role_map={pull: role})
    )
    rows = decoded([found], type_of(pull, rules))
    short = user_reader(pull, rules)(rows)
    long = Draft()
    if pull in found["roles"] and (pull == "student" or "student" not in found["roles"]):
        take_row(long, rows[0], RecordType.USER, partial(map_user, rules=rules))
        assert (short.records, short.ignored, short.problems, short.rejected) == (
            long.records,
            long.ignored,
            long.problems,
            long.rejected,
        )
