"""Rows of each type as a server writes them, in which a test changes one thing."""

from typing import Any

import msgspec

from domain.providers.oneroster.drafts import Draft, Rules
from domain.providers.oneroster_rest.objects import COLLECTIONS, PageDecoder
from domain.providers.oneroster_rest.rows import read_rows, reader_of
from domain.providers.vocabulary import DEFAULT_ROLE_MAP, fold_role_map
from domain.roster.records import Course, Enrollment, Group, RecordType, School, Term, User
from domain.roster.source import Eligibility, Problem
from tests.domain.providers.oneroster_packages import TODAY

ELIGIBLE = Eligibility("Typing", frozenset({"yes", "true", "1"}))
ORG_TYPES = {"d1": "district", "s1": "school", "s2": "school"}

BASE: dict[str, Any] = {"status": "active", "dateLastModified": "2026-11-01T00:00:00Z"}
USER: dict[str, Any] = {
    **BASE,
    "sourcedId": "u1",
    "username": "ann",
    "givenName": "Ann",
    "familyName": "Archer",
    "enabledUser": "true",
    "role": "student",
    "orgs": [{"sourcedId": "s1", "href": "https://inner/orgs/s1", "type": "school"}],
    "password": "secret",
}
USER_1_2: dict[str, Any] = {
    **{name: value for name, value in USER.items() if name not in {"role", "orgs"}},
    "roles": [{"roleType": "primary", "role": "teacher", "org": {"sourcedId": "s1"}}],
}
ENROLLMENT: dict[str, Any] = {
    **BASE,
    "sourcedId": "e1",
    "user": {"sourcedId": "u1"},
    "class": {"sourcedId": "g1"},
    "role": "student",
}
CLASS: dict[str, Any] = {
    **BASE,
    "sourcedId": "g1",
    "title": "Algebra",
    "school": {"sourcedId": "s1"},
    "course": {"sourcedId": "c1"},
    "terms": [{"sourcedId": "t1"}],
}
ORG: dict[str, Any] = {**BASE, "sourcedId": "s1", "name": "North", "type": "school"}
SESSION: dict[str, Any] = {**BASE, "sourcedId": "t1", "title": "Autumn", "type": "term"}
COURSE: dict[str, Any] = {**BASE, "sourcedId": "c1", "title": "Mathematics"}
SAMPLES = {
    RecordType.SCHOOL: ORG,
    RecordType.TERM: SESSION,
    RecordType.COURSE: COURSE,
    RecordType.GROUP: CLASS,
    RecordType.USER: USER,
    RecordType.MEMBERSHIP: ENROLLMENT,
}
RECORDS = {
    RecordType.SCHOOL: School("s1", "North"),
    RecordType.TERM: Term("t1", "Autumn", "term"),
    RecordType.COURSE: Course("c1", "Mathematics"),
    RecordType.GROUP: Group("g1", "Algebra", "s1", "c1", ("t1",)),
    RecordType.USER: User("u1", "ann", "Ann", "Archer", ("STUDENT",), ("s1",)),
    RecordType.MEMBERSHIP: Enrollment("e1", "u1", "g1", "STUDENT"),
}


def rules_of(eligibility: Eligibility | None = None, *, with_email: bool = False) -> Rules:
    return Rules(fold_role_map(DEFAULT_ROLE_MAP), with_email, TODAY, dict(ORG_TYPES), eligibility)


def draft_of_body(
    record_type: RecordType, body: bytes, *, version: str = "1.1", rules: Rules | None = None
) -> Draft:
    rules = rules or rules_of()
    collection = COLLECTIONS[record_type]
    reader = reader_of(collection, rules, has_unborn=version == "1.2")
    rows = PageDecoder(collection, with_metadata=reader.judged is not None).decode(body)
    return read_rows(reader, rows, offset=300, has_nul=b"\\u0000" in body)


def draft_of(record_type: RecordType, *rows: Any, **options: Any) -> Draft:
    body = msgspec.json.encode({COLLECTIONS[record_type].name: rows})
    return draft_of_body(record_type, body, **options)


def changed(record_type: RecordType, /, version: str = "1.1", **changes: Any) -> Draft:
    row = {**SAMPLES[record_type], **changes}
    return draft_of(record_type, {name: value for name, value in row.items() if value is not ...})


def only_problem(draft: Draft) -> Problem:
    (problem,) = draft.problems
    return problem
