"""Plain rows take a short way: it must lead to the same place as the long one."""

import io
from contextlib import contextmanager

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.providers.oneroster.drafts import Draft, Rules
from domain.providers.oneroster.mapping import map_enrollment
from domain.providers.oneroster.people import map_user, map_user_with_roles
from domain.providers.oneroster_csv.enrollments import enrollment_reader
from domain.providers.oneroster_csv.layouts import COLLECTIONS, ROLES_LAYOUT, USERS_1_2, Layout
from domain.providers.oneroster_csv.package import DEFAULT_LIMITS, Package
from domain.providers.oneroster_csv.plain_users import user_reader, user_with_roles_reader
from domain.providers.oneroster_csv.roles import open_role_store
from domain.providers.oneroster_csv.rows import Sheet, row_reader
from domain.providers.oneroster_csv.table import open_table
from domain.providers.vocabulary import DEFAULT_ROLE_MAP, fold_role_map
from domain.roster.records import RecordType
from tests.domain.providers.oneroster_packages import (
    HEADERS,
    ROLES_HEADER,
    TODAY,
    USERS_1_2_HEADER,
)


@contextmanager
def _opened_sheet(layout: Layout, header: str, rows: list[list[str]], *, is_delta: bool):
    text = "\n".join([header, *(",".join(row) for row in rows)]) + "\n"
    sizes = {layout.file: len(text)}
    opened = Package(sizes, [], {}, DEFAULT_LIMITS, lambda _: io.BytesIO(text.encode()))
    with open_table(opened, layout, is_delta=is_delta) as table:
        yield Sheet(table, is_delta=is_delta)


def _draft(record_type: RecordType, rows: list[list[str]], make_reader, *, is_delta: bool) -> Draft:
    layout, draft = COLLECTIONS[record_type], Draft()
    with _opened_sheet(layout, HEADERS[layout.file], rows, is_delta=is_delta) as sheet:
        make_reader(sheet)(draft, 1_000)
    return draft


def _equal(one: Draft, other: Draft) -> bool:
    return all(
        getattr(one, name) == getattr(other, name)
        for name in ("records", "problems", "ignored", "deleted", "rejected", "blanks")
    )


def _rules(*, with_student_email: bool = False) -> Rules:
    role_map = fold_role_map(DEFAULT_ROLE_MAP)
    return Rules(role_map, with_student_email, TODAY, {"d1": "district", "s1": "school"})


STATUSES = st.sampled_from(["", "", "active", "Active", " ", "tobedeleted", "gone"])
DATED = st.sampled_from(["", "2026-01-01"])
DATES = st.sampled_from(["", "2026-01-01", "2026-05-01 08:00:00", "1/2/2026", " 2027-01-01", " "])
IDS = st.sampled_from(["a", "b ", "", " ", "ü|/", "x" * 256, "a\tb", "\u2028"])
ENROLLMENT_ROWS = st.lists(
    st.tuples(
        IDS,
        STATUSES,
        DATED,
        IDS,
        st.just("s1"),
        IDS,
        st.sampled_from(["student", "Teacher ", "aide", "guardian", "pupil", ""]),
        st.sampled_from(["", "true", "0", "yes", " "]),
        DATES,
        DATES,
    ).map(list),
    max_size=6,
)
ROLES = st.sampled_from(["student", "Teacher ", "administrator", "parent", "boss", ""])
TEXTS = st.sampled_from(["a", " b ", "", "y" * 256])
USER_ROWS = st.lists(
    st.tuples(
        IDS,
        STATUSES,
        DATED,
        st.sampled_from(["true", "", "0", "maybe"]),
        st.sampled_from(["s1", '"d1, s9"', "d1", "", '"s1,s1,s2"']),
        ROLES,
        TEXTS,
        st.just(""),
        TEXTS,
        TEXTS,
        st.just(""),
        TEXTS,
        st.sampled_from(["A@B.c", "nonsense", "", " a@b "]),
        st.just(""),
        st.just(""),
        st.just(""),
        st.sampled_from(["9", '"9,K"', "ninth", ""]),
        st.just("secret"),
    ).map(list),
    max_size=6,
)


@settings(max_examples=300)
@given(rows=ENROLLMENT_ROWS, is_delta=st.booleans())
def test_the_short_way_of_an_enrollment_leads_to_the_same_record(rows, is_delta):
    kind = RecordType.MEMBERSHIP
    short = _draft(kind, rows, enrollment_reader, is_delta=is_delta)
    long = _draft(kind, rows, lambda sheet: row_reader(sheet, map_enrollment), is_delta=is_delta)
    assert _equal(short, long)


@settings(max_examples=300)
@given(rows=USER_ROWS, is_delta=st.booleans(), with_student_email=st.booleans())
def test_the_short_way_of_a_user_leads_to_the_same_record(rows, is_delta, with_student_email):
    rules = _rules(with_student_email=with_student_email)
    short = _draft(
        RecordType.USER, rows, lambda sheet: user_reader(sheet, rules), is_delta=is_delta
    )
    long = _draft(
        RecordType.USER,
        rows,
        lambda sheet: row_reader(sheet, lambda cells: map_user(cells, rules)),
        is_delta=is_delta,
    )
    assert _equal(short, long)


ROLE_ROWS = st.lists(
    st.tuples(
        st.just("r"),
        STATUSES,
        DATED,
        st.sampled_from(["a", "b"]),
        st.sampled_from(["primary", "secondary"]),
        ROLES,
        st.sampled_from(["", "2026-01-01", "2027-01-01", "1/2/2026"]),
        st.sampled_from(["", "2026-01-01", "2027-01-01", "1/2/2026"]),
        st.sampled_from(["s1", "d1", "s9", ""]),
        st.just(""),
    ).map(list),
    max_size=6,
)


@settings(max_examples=300)
@given(rows=ROLE_ROWS, primary_org=st.sampled_from(["", "s2", "d1"]), is_delta=st.booleans())
def test_the_short_way_of_a_user_with_roles_leads_to_the_same_record(rows, primary_org, is_delta):
    begin = ["active" if is_delta else "", "2026-01-01", "true"]
    users = [
        [user, *begin, user, "", user, *[""] * 12, primary_org, ""] for user in ("a", "b", "c")
    ]
    with (
        _opened_sheet(USERS_1_2, USERS_1_2_HEADER, users, is_delta=is_delta) as sheet,
        _opened_sheet(USERS_1_2, USERS_1_2_HEADER, users, is_delta=is_delta) as again,
        _opened_sheet(ROLES_LAYOUT, ROLES_HEADER, rows, is_delta=is_delta) as roles,
        open_role_store() as store,
    ):
        store.add(roles, 100)
        store.index()
        short, long = Draft(), Draft()
        user_with_roles_reader(sheet, _rules(), store)(short, 100)
        by_user = store.of(["a", "b", "c"])
        row_reader(
            again,
            lambda cells: map_user_with_roles(cells, _rules(), by_user.get(cells.source_id, ())),
        )(long, 100)
    assert _equal(short, long)
    assert short.read == 3
