"""Clever's lists: taken whole if they are as promised, row by row if one is odd, or refused."""

import json

import pytest

from domain.providers.clever.decoding import Odd, decode_list
from domain.providers.clever.objects import Members, Name, Object, School, Section, User
from domain.providers.clever.people import Rules
from domain.providers.clever.plain_people import kind_of, user_reader
from domain.providers.http.answer import Answer, BadPayload
from domain.validation.codes import Code
from tests.domain.providers.clever.replay import (
    config,
    envelope,
    hex_id,
    section,
    student,
)


def decode(body, kind=School):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return decode_list(Answer(200, {}, body, ""), kind)


def rows(kind, *items):
    return decode(envelope(items, "x"), kind).rows


def test_a_list_is_its_objects_and_the_link_to_the_next():
    page = decode(envelope([{"id": "a", "name": "First", "new": {"in": "v3.1"}}], "x", "/v3.0/x?y"))
    assert (page.rows, page.next_uri) == ([School("a", "First")], "/v3.0/x?y")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<!DOCTYPE html><html></html>",
        b"null",
        b"[]",
        b'"data"',
        b'{"data":[',
        {"result": "ok"},
        {"data": {}, "links": []},
        {"data": []},
        {"data": [], "links": None},
        {"data": [{"id": "a"}], "links": []},
        {"data": [None], "links": []},
        {"data": [{"data": "a"}], "links": []},
        {"data": [{"data": None}], "links": []},
        b'{"data":' + b"[" * 100_000,
        b'{"links":[],"data":[{"data":{"id":"a","name":' + b"[" * 9000 + b"]" * 9000 + b"}}]}",
    ],
)
def test_what_is_no_list_of_objects_is_refused(body):
    with pytest.raises(BadPayload):
        decode(body)


@pytest.mark.parametrize(
    "item",
    [
        {"id": "a", "name": 5},
        {"id": "a", "name": "5", "sis_id": None},
        {"id": "a", "name": 5, "school_number": ""},
    ],
)
def test_numbers_are_texts_and_missing_values_are_missing(item):
    assert rows(School, item, {"id": "b", "name": "x"}) == [School("a", "5"), School("b", "x")]


def test_an_odd_row_does_not_spoil_the_others():
    assert rows(School, {"id": "a", "name": ["x"]}, {"id": "b", "name": "x"}, {"id": "c"}) == [
        Odd("a", "name", "a text", "a list"),
        School("b", "x"),
        School("c"),
    ]


@pytest.mark.parametrize(
    ("change", "field", "expected", "found"),
    [
        ({"name": "Ann"}, "name", "an object", "a text"),
        ({"name": {"last": {"x": "y"}}}, "name.last", "a text", "an object"),
        ({"roles": ["student"]}, "roles", "an object", "a list"),
        ({"roles": {"student": True}}, "roles.student", "an object", "true or false"),
        ({"roles": {"student": {"schools": "s1"}}}, "roles.student.schools", "a list", "a text"),
        (
            {"roles": {"student": {"schools": ["s1", {"id": "s2"}]}}},
            "roles.student.schools[1]",
            "a text",
            "an object",
        ),
    ],
)
def test_an_odd_row_says_which_field_is_not_what_it_should_be(change, field, expected, found):
    [row] = rows(User, {**student(1), **change})
    assert row == Odd(hex_id(1), field, expected, found)


def test_an_odd_person_stays_as_stored():
    rules = Rules.of(config())
    draft = user_reader("student", rules)(
        rows(kind_of("student", rules), {**student(1), "name": ["Ann", "Archer"]}, student(2))
    )
    [problem] = draft.problems
    assert problem.code is Code.RECORD_UNREADABLE
    assert (problem.source_id, problem.field, problem.rejects) == (hex_id(1), "name", True)
    assert problem.place == f"/v3.0/users/{hex_id(1)}"
    assert problem.record == {"id": hex_id(1)}
    assert ([record.source_id for record in draft.records], draft.read) == ([hex_id(2)], 2)


def test_blank_parts_of_a_person_are_missing_ones():
    [row] = rows(
        User, {"id": "a", "name": "", "roles": {"student": {"schools": ""}, "staff": None}}
    )
    assert (row.name, row.roles.student.schools, row.roles.staff) == (None, None, None)


@pytest.mark.parametrize("source_id", [None, "", ["a"], {"x": "y"}])
def test_a_row_without_an_id_is_told(source_id):
    rules = Rules.of(config())
    found = rows(kind_of("student", rules), {**student(1), "id": source_id})
    draft = user_reader("student", rules)(found)
    [problem] = draft.problems
    assert (problem.code, problem.source_id) in [
        (Code.ID_MISSING, None),
        (Code.RECORD_UNREADABLE, None),
    ]
    assert (problem.rejects, problem.place, draft.read) == (True, "/v3.0/users", 1)


def test_an_odd_section_keeps_its_members():
    [row] = rows(Section, section(1, name={}, students=["u1", ""], teacher="t1"))
    assert row.field == "name"
    assert row.members == Members(hex_id(1), ("u1",), "t1", None)


@pytest.mark.parametrize("students", ["u1", {"u1": True}, [["u1"]], [{"id": "u1"}], True])
def test_a_section_whose_members_cannot_be_read_is_refused(students):
    with pytest.raises(BadPayload):
        rows(Section, section(1, students=students))


def test_characters_that_nobody_can_store_are_taken_out():
    body = rb'{"links":[],"data":[{"data":{"id":"a","name":"A\u0000n\\u0000\ud83d\ude00"}}]}'
    assert decode(body).rows == [School("a", "An\\u0000\U0001f600")]
    half = rb'{"links":[],"data":[{"data":{"id":"a","name":"A\ud83dn\ude00\\ud83d"}}]}'
    assert decode(half).rows == [School("a", "A\ufffdn\ufffd\\ud83d")]
    latin = b'{"links":[],"data":[{"data":{"id":"a","name":"Andr\xe9"}}]}'
    assert decode(latin).rows == [School("a", "Andr\ufffd")]


ODD = [
    None,
    "",
    " ",
    0,
    -1.5,
    10**30,
    True,
    [],
    [""],
    [None],
    [1],
    {},
    {"a": None},
    "x" * 300,
    "\u0000",
]


@pytest.mark.parametrize("odd", ODD, ids=repr)
@pytest.mark.parametrize(
    "path", ["id", "name", "name.last", "roles", "roles.student", "roles.student.schools",
             "roles.student.grade", "roles.student.credentials", "roles.teacher", "email"],
)  # fmt: skip
def test_whatever_stands_in_a_field_a_page_of_people_is_read(path, odd):
    found = json.loads(json.dumps(student(1)))
    *above, name = path.split(".")
    spot = found
    for step in above:
        spot = spot[step]
    spot[name] = odd
    rules = Rules.of(config(with_student_email=True))
    kind = kind_of("student", rules)
    draft = user_reader("student", rules)(rows(kind, found, student(2)))
    assert hex_id(2) in [record.source_id for record in draft.records]
    assert draft.read in {1, 2}
    assert "\0" not in repr(draft.records)


def test_only_what_is_mapped_is_decoded():
    [row] = rows(Object, {"id": "a", "name": "x"})
    assert row == Object("a")
    [found] = rows(User, {**student(1), "dob": "1/1/2000"})
    assert found.name == Name("First1", "Last1")
    assert "2000" not in repr(found)
