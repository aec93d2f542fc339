"""OneRoster's words as ours."""

from datetime import date

import pytest

from domain.providers.vocabulary import (
    DEFAULT_ROLE_MAP,
    fold_role_map,
    is_usable_id,
    normalise_grade,
    parse_boolean,
    parse_date,
    parse_email,
    role_of,
    split_list,
)
from domain.roster.records import Role


@pytest.mark.parametrize(
    ("text", "grade"),
    [
        ("1", "01"),
        ("09", "09"),
        (" 12 ", "12"),
        ("13", "13"),
        ("K", "KG"),
        ("kg", "KG"),
        ("0", "KG"),
        ("-1", "PK"),
        ("PreK", "PK"),
        ("tk", "TK"),
        ("IT", "IT"),
        ("PR", "PR"),
        ("other", "Other"),
        ("14", None),
        ("", None),
        ("fourth", None),
    ],
)
def test_a_grade_becomes_its_ceds_code(text, grade):
    assert normalise_grade(text) == grade


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2023-05-01", date(2023, 5, 1)),
        ("2017-05-06 08:01:05", date(2017, 5, 6)),
        ("2023-05-01T08:01:05.000Z", date(2023, 5, 1)),
        ("1/05/2023", None),
        ("20230501", None),
        ("2023-5-1", None),
        ("2023-02-30", None),
        ("0000-00-00", None),
        ("2023-05-01 noon", None),
        ("\u0662\u0660\u0662\u0663-05-01", None),
        ("", None),
    ],
)
def test_only_a_date_that_can_mean_one_day_is_read(text, day):
    assert parse_date(text) == day


@pytest.mark.parametrize(
    ("text", "value"),
    [("TRUE", True), ("true", True), ("1", True), ("False", False), ("0", False), ("yes", None)],
)
def test_a_boolean_is_read_in_the_spellings_that_are_in_use(text, value):
    assert parse_boolean(text) is value


@pytest.mark.parametrize(
    ("text", "email"),
    [
        ("Ann@Example.ORG", "ann@example.org"),
        ("ann", None),
        ("ann @example.org", None),
        ("ann@", None),
        ("a@b@c", None),
        ("a@b;c@d", None),
        (f"{'a' * 255}@b", None),
    ],
)
def test_an_email_is_lowered_or_refused(text, email):
    assert parse_email(text) == email


@pytest.mark.parametrize(
    ("text", "values"),
    [("a, b ,a,,c", ("a", "b", "c")), ("", ()), (" , ", ()), ("x", ("x",))],
)
def test_a_list_is_split_trimmed_and_without_repetition(text, values):
    assert split_list(text) == values


@pytest.mark.parametrize(
    ("text", "is_usable"),
    [
        ("a-1/{x} ü", True),
        ("x" * 255, True),
        ("x" * 256, False),
        ("a\tb", False),
        ("a\x85b", False),
        ("a\u2028b", True),
    ],
)
def test_an_id_is_refused_only_for_its_length_and_control_characters(text, is_usable):
    assert is_usable_id(text) is is_usable


@pytest.mark.parametrize(
    ("word", "above", "role"),
    [
        ("STUDENT", False, Role.STUDENT),
        ("counselor", False, Role.STAFF),
        ("administrator", True, Role.DISTRICT_ADMIN),
        ("administrator", False, Role.SCHOOL_ADMIN),
        ("districtAdministrator", False, Role.DISTRICT_ADMIN),
        ("SITEADMINISTRATOR", True, Role.SCHOOL_ADMIN),
        ("guardian", False, None),
    ],
)
def test_a_role_is_looked_up_whatever_its_case(word, above, role):
    folded = fold_role_map(DEFAULT_ROLE_MAP)
    assert role_of(word, folded, only_above_schools=above) is role


def test_a_tenants_own_role_for_administrators_is_not_narrowed():
    folded = fold_role_map({**DEFAULT_ROLE_MAP, "administrator": Role.STAFF})
    assert role_of("administrator", folded, only_above_schools=False) is Role.STAFF


def test_a_role_that_is_not_in_the_map_is_a_key_error():
    with pytest.raises(KeyError):
        role_of("ext:coach", fold_role_map(DEFAULT_ROLE_MAP), only_above_schools=False)
