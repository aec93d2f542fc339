"""The same row through CSV and through REST, plain or odd: the same record, the same problems."""

import csv
import io
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.providers.oneroster.drafts import Draft, Rules
from domain.providers.oneroster_csv.layouts import ROLES_LAYOUT, Layout, collections_of
from domain.providers.oneroster_csv.package import DEFAULT_LIMITS, Package
from domain.providers.oneroster_csv.pages import reader_of as csv_reader_of
from domain.providers.oneroster_csv.plain_users import user_with_roles_reader
from domain.providers.oneroster_csv.roles import open_role_store
from domain.providers.oneroster_csv.rows import Sheet
from domain.providers.oneroster_csv.table import open_table
from domain.providers.oneroster_rest.objects import COLLECTIONS, Collection, Kind, PageDecoder
from domain.providers.oneroster_rest.rows import read_rows, reader_of
from domain.providers.vocabulary import DEFAULT_ROLE_MAP, fold_role_map, split_list, typed_ids
from domain.roster.records import RecordType
from domain.roster.source import Eligibility
from domain.validation.codes import Code
from tests.domain.providers.oneroster_packages import TODAY

ORG_TYPES = {"d1": "district", "s1": "school"}
JUDGED = "metadata.typing"
Cells = Mapping[str, str]


def _rules(*, with_student_email: bool, is_judged: bool) -> Rules:
    eligibility = Eligibility("typing", frozenset({"yes"})) if is_judged else None
    role_map = fold_role_map(DEFAULT_ROLE_MAP)
    return Rules(role_map, with_student_email, TODAY, dict(ORG_TYPES), eligibility)


def _sheet(stack: ExitStack, layout: Layout, rows: list[Cells]) -> Sheet:
    """A file that has every mapped column, whatever the rows have."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(layout.mapped)
    writer.writerows([row.get(column, "") for column in layout.mapped] for row in rows)
    content = text.getvalue().encode()
    opened = Package(
        {layout.file: len(content)}, [], {}, DEFAULT_LIMITS, lambda _: io.BytesIO(content)
    )
    table = stack.enter_context(open_table(opened, layout))
    return Sheet(table, is_delta=False)


def _through_csv(
    record_type: RecordType, rows: list[Cells], rules: Rules, roles: list[Cells] | None
) -> Draft:
    version = "1.1" if roles is None else "1.2"
    layout = collections_of(version, rules.eligibility)[record_type]
    draft = Draft()
    with ExitStack() as stack:
        sheet = _sheet(stack, layout, rows)
        if roles is None:
            csv_reader_of(sheet, rules)(draft, 1_000)
        else:
            store = stack.enter_context(open_role_store())
            store.add(_sheet(stack, ROLES_LAYOUT, roles), 1_000)
            store.index()
            user_with_roles_reader(sheet, rules, store)(draft, 1_000)
    return draft


def _json_value(kind: Kind, cell: str) -> Any:
    match kind:
        case Kind.LIST:
            return list(split_list(cell))
        case Kind.REFERENCE:
            return {"sourcedId": cell, "type": "any"} if cell else None
        case Kind.REFERENCES:
            return [{"sourcedId": value, "href": "no"} for value in split_list(cell)]
        case Kind.TYPED_IDS:
            return [{"type": kind, "identifier": value} for kind, value in typed_ids(cell)]
        case _:
            return cell


def _as_object(collection: Collection, row: Cells) -> dict[str, Any]:
    found = {
        field.name: _json_value(field.kind, row[field.column])
        for field in collection.fields
        if field.column in row
    }
    return {**found, "metadata": {"typing": row[JUDGED]} if JUDGED in row else []}


def _role_object(role: Cells) -> dict[str, Any]:
    org = {"sourcedId": role["orgSourcedId"]}
    return {name: role[name] for name in ("roleType", "role", "beginDate", "endDate")} | {
        "org": org
    }


def _through_rest(
    record_type: RecordType, rows: list[Cells], rules: Rules, roles: list[Cells] | None
) -> Draft:
    collection = COLLECTIONS[record_type]
    objects = [_as_object(collection, row) for row in rows]
    for found in objects if roles is not None else ():
        held = [role for role in roles or () if role["userSourcedId"] == found["sourcedId"].strip()]
        found["roles"] = [_role_object(role) for role in held]
    reader = reader_of(collection, rules, has_unborn=False)
    decoder = PageDecoder(collection, with_metadata=reader.judged is not None)
    decoded = decoder.decode(msgspec.json.encode({collection.name: objects}))
    return read_rows(reader, decoded, offset=0, has_nul=False)


def _told(draft: Draft, *, with_record: bool) -> list[Any]:
    """The problems without their places, and without the one that only files have."""
    return [
        problem._replace(place=None, record=problem.record if with_record else None)
        for problem in draft.problems
        if problem.code is not Code.BULK_FIELD_FORBIDDEN
    ]


def _assert_same(
    record_type: RecordType,
    rows: list[Cells],
    rules: Rules,
    roles: list[Cells] | None = None,
) -> None:
    of_csv = _through_csv(record_type, rows, rules, roles)
    of_rest = _through_rest(record_type, rows, rules, roles)
    for name in ("records", "ignored", "deleted", "rejected"):
        assert getattr(of_rest, name) == getattr(of_csv, name)
    with_record = roles is None
    assert _told(of_rest, with_record=with_record) == _told(of_csv, with_record=with_record)


STATUSES = st.sampled_from(["", "active", "active", "Active", "tobedeleted", "gone"])
IDS = st.sampled_from(["a", "b ", "", " ", "ü|/", "x" * 256, "a\tb", "\u2028"])
REFERENCES = st.sampled_from(["a", "b ", "", "ü|/", "x" * 256])
TEXTS = st.sampled_from(["a", " b ", "", "y" * 256, "it's"])
DAYS = st.sampled_from(["", "2026-01-01", "2026-05-01 08:00:00", "1/2/2026", " 2027-01-01"])
GRADES = st.sampled_from(["", "9", "9, K", "ninth", "09, ninth"])
WORDS = st.sampled_from(["", "Maths", "Maths, Logic"])
ROLES = st.sampled_from(["student", "Teacher ", "administrator", "parent", "boss", ""])
BOOLEANS = st.sampled_from(["true", "", "0", "maybe", "TRUE"])
BASE = {"sourcedId": IDS, "status": STATUSES, "dateLastModified": st.just("2026-01-01")}
ROWS: dict[RecordType, st.SearchStrategy[list[dict[str, str]]]] = {
    record_type: st.lists(st.fixed_dictionaries({**BASE, **columns}), max_size=5)
    for record_type, columns in {
        RecordType.SCHOOL: {
            "name": TEXTS,
            "type": st.sampled_from(["school", "School", "district", "ext:camp", "club", ""]),
            "identifier": TEXTS,
            "parentSourcedId": REFERENCES,
        },
        RecordType.TERM: {
            "title": TEXTS,
            "type": st.sampled_from(["term", "SchoolYear", "week", ""]),
            "startDate": DAYS,
            "endDate": DAYS,
            "parentSourcedId": REFERENCES,
        },
        RecordType.COURSE: {"title": TEXTS, "courseCode": TEXTS, "subjects": WORDS},
        RecordType.GROUP: {
            "title": TEXTS,
            "classCode": TEXTS,
            "classType": st.sampled_from(["", "Homeroom", "scheduled", "ext:club", "other"]),
            "grades": GRADES,
            "subjects": WORDS,
            "periods": st.sampled_from(["", "1", "1, 2"]),
            "schoolSourcedId": st.sampled_from(["s1", "d1", "s9", ""]),
            "courseSourcedId": REFERENCES,
            "termSourcedIds": st.sampled_from(["", "t1", "t1, t2"]),
        },
        RecordType.USER: {
            "enabledUser": BOOLEANS,
            "username": TEXTS,
            "givenName": TEXTS,
            "familyName": TEXTS,
            "role": ROLES,
            "orgSourcedIds": st.sampled_from(["s1", "d1, s9", "d1", "", "s1, s2"]),
            "identifier": TEXTS,
            "email": st.sampled_from(["A@B.c", "nonsense", "", " a@b "]),
            "grades": GRADES,
            "preferredGivenName": TEXTS,
            "preferredFamilyName": TEXTS,
            "userIds": st.sampled_from(["", "{Fed:1}", "{SIS: 2},{StateID:3},{Fed:1}"]),
        },
        RecordType.MEMBERSHIP: {
            "userSourcedId": REFERENCES,
            "classSourcedId": REFERENCES,
            "role": st.sampled_from(["student", "Teacher ", "aide", "guardian", "pupil", ""]),
            "primary": BOOLEANS,
            "beginDate": DAYS,
            "endDate": DAYS,
        },
    }.items()
}
FLAGS = st.booleans()


@settings(max_examples=400)
@given(data=st.data(), record_type=st.sampled_from(list(RecordType)), with_student_email=FLAGS)
def test_the_same_row_gives_the_same_record(data, record_type, with_student_email):
    rules = _rules(with_student_email=with_student_email, is_judged=False)
    _assert_same(record_type, data.draw(ROWS[record_type]), rules)


@settings(max_examples=100)
@given(
    rows=ROWS[RecordType.USER],
    judged=st.lists(st.sampled_from(["yes", " YES", "no", ""]), min_size=5),
)
def test_the_same_student_is_eligible(rows, judged):
    told = [{**row, JUDGED: value} for row, value in zip(rows, judged, strict=False)]
    _assert_same(RecordType.USER, told, _rules(with_student_email=False, is_judged=True))


ROLE_ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "sourcedId": st.just("r"),
            "userSourcedId": st.sampled_from(["a", "b"]),
            "roleType": st.sampled_from(["primary", "secondary"]),
            "role": ROLES,
            "beginDate": st.sampled_from(["", "2026-01-01", "2027-01-01", "1/2/2026"]),
            "endDate": st.sampled_from(["", "2026-01-01", "2027-01-01"]),
            "orgSourcedId": st.sampled_from(["s1", "d1", "s9", ""]),
        }
    ),
    max_size=5,
)


@settings(max_examples=300)
@given(rows=ROWS[RecordType.USER], roles=ROLE_ROWS, main=st.sampled_from(["", "s2", "d1"]))
def test_the_same_user_with_roles_gives_the_same_record(rows, roles, main):
    users = [
        {name: cell for name, cell in row.items() if name not in {"role", "orgSourcedIds"}}
        | {"primaryOrgSourcedId": main}
        for row in rows
    ]
    rules = _rules(with_student_email=False, is_judged=False)
    _assert_same(RecordType.USER, users, rules, roles)
