"""Rows as servers really write them, and what is wrong with them."""

from datetime import date

import msgspec
import pytest

from domain.providers.http.answer import BadPayload
from domain.roster.records import Enrollment, RecordType, Term
from domain.roster.source import Ignored
from domain.validation.codes import Code
from tests.domain.providers.oneroster_rest.samples import (
    ENROLLMENT,
    ORG,
    RECORDS,
    SAMPLES,
    USER,
    changed,
    draft_of,
    draft_of_body,
    only_problem,
    rules_of,
)


@pytest.mark.parametrize("record_type", RecordType)
def test_a_plain_row_is_a_record(record_type):
    draft = changed(record_type)
    assert (draft.records, draft.problems) == ([RECORDS[record_type]], [])


@pytest.mark.parametrize("nothing", [None, "", [], {}, ...], ids=repr)
@pytest.mark.parametrize(
    ("record_type", "field"),
    [
        (RecordType.SCHOOL, "parent"),
        (RecordType.SCHOOL, "identifier"),
        (RecordType.TERM, "parent"),
        (RecordType.TERM, "startDate"),
        (RecordType.COURSE, "subjects"),
        (RecordType.COURSE, "courseCode"),
        (RecordType.GROUP, "periods"),
        (RecordType.GROUP, "grades"),
        (RecordType.GROUP, "classCode"),
        (RecordType.USER, "userIds"),
        (RecordType.USER, "identifier"),
        (RecordType.USER, "grades"),
        (RecordType.USER, "enabledUser"),
        (RecordType.USER, "metadata"),
        (RecordType.USER, "roles"),
        (RecordType.MEMBERSHIP, "primary"),
        (RecordType.MEMBERSHIP, "endDate"),
    ],
)
def test_everything_that_stands_for_nothing_is_nothing(record_type, field, nothing):
    draft = changed(record_type, **{field: nothing})
    assert (draft.records, draft.problems) == ([RECORDS[record_type]], [])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"course": [{"sourcedId": "c1"}]}, {}),
        ({"course": "c1"}, {}),
        ({"school": {"sourcedId": 7}}, {"school_source_id": "7"}),
        ({"terms": {"sourcedId": "t1"}}, {}),
        ({"terms": "t1"}, {}),
        ({"terms": ["t1", {"sourcedId": "t2"}, "t1"]}, {"term_source_ids": ("t1", "t2")}),
        ({"subjects": "chemistry"}, {"subjects": ("chemistry",)}),
        ({"periods": [1, "2"]}, {"period": "1, 2"}),
        ({"grades": ["9", "K", "9"]}, {"grades": ("09", "KG")}),
        ({"grades": "9, 10"}, {"grades": ("09", "10")}),
        ({"title": 101}, {"name": "101"}),
        ({"sourcedId": 123}, {"source_id": "123"}),
        ({"classType": "Scheduled"}, {"kind": "scheduled"}),
        ({"title": "A\0B"}, {"name": "A\ufffdB"}),
    ],
)
def test_a_class_may_be_written_in_many_ways(changes, expected):
    draft = changed(RecordType.GROUP, **changes)
    assert draft.problems == []
    assert draft.records == [RECORDS[RecordType.GROUP]._replace(**expected)]


@pytest.mark.parametrize("value", [True, "true", "TRUE", 1, "1"])
def test_an_enabled_user_may_be_a_boolean_a_text_or_a_number(value):
    assert changed(RecordType.USER, enabledUser=value).records == [RECORDS[RecordType.USER]]


@pytest.mark.parametrize("value", [False, "false", 0, "0"])
def test_a_disabled_user_is_kept_and_told(value):
    draft = changed(RecordType.USER, enabledUser=value)
    assert draft.records == [RECORDS[RecordType.USER]._replace(is_enabled=False)]
    assert only_problem(draft).code is Code.USER_DISABLED


@pytest.mark.parametrize("value", [True, "true", 1, "1", "TRUE"])
def test_a_primary_teacher_may_be_told_in_many_ways(value):
    draft = changed(RecordType.MEMBERSHIP, role="Teacher", primary=value)
    assert draft.records == [Enrollment("e1", "u1", "g1", "TEACHER", is_primary=True)]


def test_a_primary_student_is_no_primary_teacher():
    draft = changed(RecordType.MEMBERSHIP, primary="true")
    assert draft.records == [Enrollment("e1", "u1", "g1", "STUDENT", is_primary=False)]


@pytest.mark.parametrize("record_type", RecordType)
@pytest.mark.parametrize("status", ["tobedeleted", "inactive", "ToBeDeleted"])
def test_a_deleted_record_is_named_and_nothing_of_it_is_looked_at(record_type, status):
    draft = draft_of(record_type, {"sourcedId": "x", "status": status})
    assert (draft.deleted, draft.records, draft.problems, draft.read) == (["x"], [], [], 1)


@pytest.mark.parametrize("record_type", RecordType)
def test_a_record_of_1_2_without_status_and_date_is_not_active_yet(record_type):
    row = {**SAMPLES[record_type], "status": "", "dateLastModified": None}
    assert draft_of(record_type, row, version="1.2").ignored == [
        Ignored(row["sourcedId"], "not active yet")
    ]
    assert draft_of(record_type, row, version="1.1").records == [RECORDS[record_type]]
    dated = {**row, "dateLastModified": "2026-11-01"}
    assert draft_of(record_type, dated, version="1.2").records == [RECORDS[record_type]]


@pytest.mark.parametrize(
    ("source_id", "code", "place"),
    [
        (None, Code.ID_MISSING, "users offset 300 row 1"),
        ("  ", Code.ID_MISSING, "users offset 300 row 1"),
        (12.5, Code.ID_INVALID, "users offset 300 row 1"),
        (True, Code.ID_INVALID, "users offset 300 row 1"),
        ({"id": 1}, Code.ID_INVALID, "users offset 300 row 1"),
        ("a\tb", Code.ID_INVALID, "users/a\tb"),
    ],
)
def test_a_row_without_a_usable_id_is_told_by_its_place(source_id, code, place):
    draft = changed(RecordType.USER, sourcedId=source_id)
    problem = only_problem(draft)
    assert (problem.code, problem.field, problem.place) == (code, "sourcedId", place)
    assert problem.rejects
    assert draft.read == 1


@pytest.mark.parametrize("row", [None, 1, "u1", ["u1"], True])
def test_what_is_no_object_is_a_row_without_an_id(row):
    draft = draft_of(RecordType.USER, USER, row)
    assert draft.records == [RECORDS[RecordType.USER]]
    assert only_problem(draft).code is Code.ID_MISSING
    assert only_problem(draft).place == "users offset 300 row 2"


def test_one_row_that_does_not_fit_does_not_change_the_others():
    odd = {**USER, "sourcedId": "u2", "orgs": [{"sourcedId": {"value": "s1"}}], "grades": {"a": 1}}
    draft = draft_of(RecordType.USER, USER, odd, {**USER, "sourcedId": "u3"})
    assert [record.source_id for record in draft.records] == ["u1", "u2", "u3"]
    assert [(problem.code, problem.field, problem.place) for problem in draft.problems] == [
        (Code.FIELD_TYPE, "grades", "users/u2"),
        (Code.FIELD_TYPE, "orgSourcedIds", "users/u2"),
    ]


def test_a_value_of_another_type_is_left_out_and_told_without_what_it_holds():
    draft = changed(
        RecordType.USER, identifier={"secret": "1"}, email=["a", "b"], grades=["9", 1.5]
    )
    assert draft.records == [RECORDS[RecordType.USER]._replace(grades=("09",))]
    assert {(problem.field, problem.found) for problem in draft.problems} == {
        ("identifier", "an object"),
        ("email", "a list"),
        ("grades", "a list"),
    }


def test_a_problem_shows_mapped_fields_and_no_email_that_is_not_taken_over():
    problem = only_problem(changed(RecordType.USER, username="", email="a@b.org", phone="555"))
    assert problem.code is Code.USER_LOGIN_MISSING
    assert problem.record == {
        "sourcedId": "u1",
        "enabledUser": "true",
        "username": "",
        "givenName": "Ann",
        "familyName": "Archer",
        "role": "student",
        "identifier": "",
        "preferredGivenName": "",
        "preferredFamilyName": "",
        "grades": "",
        "orgSourcedIds": "s1",
    }


def test_an_enrollment_without_its_user_is_no_record():
    problem = only_problem(changed(RecordType.MEMBERSHIP, user={"sourcedId": 1.5}))
    assert (problem.code, problem.field) == (Code.FIELD_REQUIRED, "userSourcedId")


def test_two_references_where_one_belongs_are_none():
    draft = changed(RecordType.GROUP, course=[{"sourcedId": "c1"}, {"sourcedId": "c2"}])
    assert draft.records == [RECORDS[RecordType.GROUP]._replace(course_source_id=None)]
    assert only_problem(draft).found == "2 references"


@pytest.mark.parametrize(
    "body",
    [
        b'{"enrollments":[%b],"statusInfoSet":[{"imsx_codeMajor":"success"}]}',
        b'{"statusInfoSet":[{"imsx_codeMajor":"success"}],"data":[%b]}',
        b"[%b]",
        b' {"count": 1, "enrollments" : [ %b ] } ',
    ],
)
def test_the_rows_are_found_whatever_the_envelope(body):
    draft = draft_of_body(RecordType.MEMBERSHIP, body % msgspec.json.encode(ENROLLMENT))
    assert draft.records == [RECORDS[RecordType.MEMBERSHIP]]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html></html>",
        b"null",
        b'"users"',
        b"{}",
        b'{"users":null}',
        b'{"users":{"sourcedId":"u1"}}',
        b'{"statusInfoSet":[]}',
        b'{"a":[],"b":[]}',
        b'{"users":[{"sourcedId":"u1"}',
        b'{"users":[{"sourcedId":"\xff"}]}',
        b'{"users":[{"sourcedId":"\\ud800"}]}',
        b"[" * 100_000,
    ],
)
def test_an_answer_without_an_array_is_none_and_never_an_empty_one(body):
    with pytest.raises(BadPayload):
        draft_of_body(RecordType.USER, body)


def test_an_empty_array_is_an_empty_collection():
    assert draft_of_body(RecordType.USER, b'{"users":[]}').read == 0


def test_days_are_read_with_or_without_a_time():
    draft = changed(RecordType.TERM, startDate="2026-08-17T00:00:00Z", endDate="2026-12-19")
    assert draft.records == [
        Term("t1", "Autumn", "term", date(2026, 8, 17), date(2026, 12, 19)),
    ]


def test_a_school_of_another_type_is_remembered_and_not_a_school():
    rules = rules_of()
    draft = draft_of(
        RecordType.SCHOOL, {**ORG, "sourcedId": "x", "type": "Department"}, rules=rules
    )
    assert draft.ignored == [Ignored("x", "department")]
    assert rules.org_types["x"] == "department"
