"""Who is eligible by a metadata column, and the other ids of people, in OneRoster CSV."""

import asyncio
from pathlib import Path

import pytest

from domain.roster.records import RecordType, User
from domain.roster.source import Eligibility
from domain.validation.codes import Code
from tests.domain.providers.oneroster_packages import (
    Files,
    changed_page,
    folder,
    package,
    read,
    records,
    refusal,
    source,
)

TYPING = Eligibility("typing", frozenset({"yes", "1"}))


def _with_column(name: str, *values: str, version: str = "1.1") -> Files:
    """A package whose users have one more column, with these values."""
    files = package(version)
    header, *rows = str(files["users.csv"]).splitlines()
    lines = [
        f"{header},{name}",
        *(f"{row},{value}" for row, value in zip(rows, values, strict=True)),
    ]
    return {**files, "users.csv": "\n".join(lines) + "\n"}


def _users(path: Path, eligibility: Eligibility | None) -> dict[str, bool]:
    found = records(read(path, eligibility=eligibility), RecordType.USER)
    return {user.source_id: user.is_eligible for user in found if isinstance(user, User)}


@pytest.mark.parametrize("version", ["1.1", "1.2"])
@pytest.mark.parametrize(
    ("value", "is_eligible"),
    [("yes", True), (" YES ", True), ("1", True), ("no", False), ("", False)],
)
def test_a_student_is_eligible_by_the_column_that_the_tenant_names(
    tmp_path, version, value, is_eligible
):
    files = _with_column("metadata.typing", value, "no", version=version)
    assert _users(folder(tmp_path, files), TYPING) == {"u1": is_eligible, "u2": True}


@pytest.mark.parametrize("column", ["metadata.typing", "METADATA.Typing", " metadata.TYPING"])
@pytest.mark.parametrize("field", ["typing", "Typing", "metadata.typing", "Metadata.TYPING"])
def test_the_name_of_the_column_is_compared_without_its_case(tmp_path, column, field):
    files = _with_column(column, "yes", "")
    eligibility = Eligibility(field, frozenset({"yes"}))
    assert _users(folder(tmp_path, files), eligibility) == {"u1": True, "u2": True}


def test_a_student_with_something_odd_about_them_is_judged_alike(tmp_path):
    files = _with_column("metadata.typing", "no", "no")
    files["users.csv"] = str(files["users.csv"]).replace(",9,secret", ",ninth,secret")
    assert _users(folder(tmp_path, files), TYPING) == {"u1": False, "u2": True}


def test_without_a_rule_everybody_is_eligible_whatever_the_column_says(tmp_path):
    files = _with_column("metadata.typing", "no", "no")
    assert _users(folder(tmp_path, files), None) == {"u1": True, "u2": True}


def test_a_column_that_is_missing_ends_the_reading_rather_than_making_nobody_eligible(tmp_path):
    error = refusal(folder(tmp_path, package()), eligibility=TYPING)
    assert (error.code, error.place) == (Code.FILE_HEADER_MISSING, "users.csv line 1")
    assert "metadata.typing" in str(error)


def test_a_column_that_is_missing_is_told_when_the_package_is_tested(tmp_path):
    steps = asyncio.run(source(folder(tmp_path, package()), eligibility=TYPING).check())
    assert (steps[-1].name, steps[-1].is_ok) == ("users.csv", False)
    assert "metadata.typing" in steps[-1].message


@pytest.mark.parametrize(
    ("cell", "keys"),
    [
        ("", ()),
        ("{Fed:123}", ("Fed:123",)),
        ("{SIS: 9 },{Fed:123},{Fed:123}", ("Fed:123", "SIS:9")),
        ("{LDAP:cn=ann,dc=school}", ("LDAP:cn=ann,dc=school",)),
        ("{StateID:1},{state_id:2},{State:3},{SSN:4}", ()),
        ("{Fed:},{:1},Fed:1", ()),
    ],
)
def test_other_ids_are_kept_by_their_types_but_none_of_the_state_s(tmp_path, cell, keys):
    page = changed_page(tmp_path, "users.csv", {"userIds": cell})
    assert page.records[0].keys == keys
    odd = changed_page(tmp_path, "users.csv", {"userIds": cell, "grades": "ninth"})
    assert odd.records[0].keys == keys
    assert "userIds" not in odd.problems[0].record
