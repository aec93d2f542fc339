"""Users as servers really write them: roles in two models, other ids, who is eligible."""

from typing import Any

import pytest

from domain.providers.oneroster.drafts import Draft
from domain.roster.records import RecordType
from domain.roster.source import Ignored
from tests.domain.providers.oneroster_rest.samples import (
    ELIGIBLE,
    RECORDS,
    USER,
    USER_1_2,
    changed,
    draft_of,
    rules_of,
)


def test_a_user_without_organisations_is_kept_without_schools():
    draft = changed(RecordType.USER, orgs=[])
    assert draft.records == [RECORDS[RecordType.USER]._replace(school_source_ids=())]


def test_an_administrator_of_a_district_is_told_from_one_of_a_school():
    rows = [{**USER, "role": "administrator", "orgs": [{"sourcedId": org}]} for org in ("d1", "s1")]
    draft = draft_of(RecordType.USER, *rows)
    assert [(record.roles, record.school_source_ids) for record in draft.records] == [
        (("DISTRICT_ADMIN",), ()),
        (("SCHOOL_ADMIN",), ("s1",)),
    ]


def _with_roles(*roles: tuple[str, str, str], **changes: Any) -> Draft:
    listed = [
        {"roleType": kind, "role": role, "org": {"sourcedId": org}} for kind, role, org in roles
    ]
    return draft_of(RecordType.USER, {**USER_1_2, "roles": listed, **changes}, version="1.2")


def test_a_user_with_several_roles_has_the_schools_of_all_and_the_primary_one_first():
    draft = _with_roles(
        ("secondary", "aide", "s1"),
        ("primary", "teacher", "s2"),
        ("secondary", "parent", "s9"),
        primaryOrg={"sourcedId": "s3"},
    )
    (user,) = draft.records
    assert (user.roles, user.school_source_ids) == (("STAFF", "TEACHER"), ("s3", "s2", "s1"))


@pytest.mark.parametrize(
    ("begin", "end", "is_held"),
    [
        (None, None, True),
        ("2026-11-22", "2026-11-23", True),
        ("2026-11-23", None, False),
        (None, "2026-11-22", False),
    ],
)
def test_a_role_holds_from_its_first_day_to_the_one_before_its_last(begin, end, is_held):
    role = {**USER_1_2["roles"][0], "beginDate": begin, "endDate": end}
    draft = draft_of(RecordType.USER, {**USER_1_2, "roles": [role]}, version="1.2")
    assert bool(draft.records) is is_held
    assert draft.ignored == ([] if is_held else [Ignored("u1", "no role today")])


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_the_model_of_roles_is_the_one_that_the_row_has(version):
    draft = draft_of(RecordType.USER, USER, USER_1_2, version=version)
    assert [record.roles for record in draft.records] == [("STUDENT",), ("TEACHER",)]


def test_preferred_names_and_other_ids_are_taken_but_none_of_the_state_s():
    ids = [
        {"type": "SIS", "identifier": 9},
        {"type": "Fed", "identifier": "12345"},
        {"type": "StateID", "identifier": "12494640776"},
        {"type": "State", "identifier": "1"},
        {"identifier": "without a type"},
        None,
    ]
    row = {**USER_1_2, "preferredFirstName": "Annie", "preferredLastName": "A.", "userIds": ids}
    (user,) = draft_of(RecordType.USER, row, version="1.2").records
    assert (user.preferred_given_name, user.preferred_family_name) == ("Annie", "A.")
    assert user.keys == ("Fed:12345", "SIS:9")


def test_other_ids_may_be_written_as_in_csv():
    (user,) = changed(RecordType.USER, userIds="{Fed:1},{LDAP:cn=ann,dc=school}").records
    assert user.keys == ("Fed:1", "LDAP:cn=ann,dc=school")


@pytest.mark.parametrize(
    ("metadata", "is_eligible"),
    [
        ({"typing": "Yes"}, True),
        ({"Typing": True}, True),
        ({"TYPING": 1}, True),
        ({"Typing": "no"}, False),
        ({"Typing": None}, False),
        ({}, False),
        ([], False),
        (None, False),
        ("yes", False),
    ],
)
def test_a_student_is_eligible_by_the_tenant_s_field(metadata, is_eligible):
    row = {**USER, "metadata": metadata}
    draft = draft_of(RecordType.USER, row, rules=rules_of(ELIGIBLE))
    assert [record.is_eligible for record in draft.records] == [is_eligible]


def test_everybody_but_students_is_eligible():
    draft = draft_of(RecordType.USER, USER_1_2, rules=rules_of(ELIGIBLE), version="1.2")
    assert [record.is_eligible for record in draft.records] == [True]


def test_the_email_of_a_student_is_taken_only_where_it_is_wanted():
    row = {**USER, "email": "ANN@Example.org"}
    kept = draft_of(RecordType.USER, row, rules=rules_of(with_email=True)).records
    dropped = draft_of(RecordType.USER, row).records
    assert [user.email for user in (*kept, *dropped)] == ["ann@example.org", None]
