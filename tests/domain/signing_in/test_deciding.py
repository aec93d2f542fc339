"""Who gets in: every reason by itself, and which of several is told."""

from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import combinations
from typing import Any

import pytest

from domain.people.callers import PEOPLE, CallerRole
from domain.people.models import SignInMethodName
from domain.signing_in.deciding import ADMINISTRATORS, Facts, decide
from domain.signing_in.refusals import RefusalReason, explain, explain_to_administrator

NOW = datetime(2026, 9, 1, 4, 30, tzinfo=UTC)
STUDENT = Facts(roles=frozenset({CallerRole.STUDENT}), methods=frozenset({SignInMethodName.GOOGLE}))
OBSTACLES: dict[RefusalReason, dict[str, Any]] = {
    RefusalReason.TENANT_CLOSED: {"is_closed": True},
    RefusalReason.ARCHIVED: {"is_archived": True},
    RefusalReason.DISABLED: {"is_enabled": False},
    RefusalReason.NOT_ELIGIBLE: {"is_eligible": False},
    RefusalReason.METHOD_OFF: {"methods": frozenset()},
    RefusalReason.NOT_LIVE_YET: {"live_on": date(2027, 1, 1)},
}


def test_without_an_obstacle_somebody_gets_in() -> None:
    assert decide(STUDENT, SignInMethodName.GOOGLE, NOW) is None


@pytest.mark.parametrize(("reason", "changes"), OBSTACLES.items())
def test_every_obstacle_is_one_by_itself(reason: RefusalReason, changes: dict[str, Any]) -> None:
    assert decide(replace(STUDENT, **changes), SignInMethodName.GOOGLE, NOW) is reason


def test_of_two_obstacles_the_one_that_has_to_be_mended_first_is_told() -> None:
    for (first, one), (_, other) in combinations(OBSTACLES.items(), 2):
        assert decide(replace(STUDENT, **one, **other), SignInMethodName.GOOGLE, NOW) is first


def test_eligibility_is_for_students() -> None:
    for role in PEOPLE - {CallerRole.STUDENT}:
        facts = replace(STUDENT, roles=frozenset({role}), is_eligible=False)
        assert decide(facts, SignInMethodName.GOOGLE, NOW) is None


def test_before_the_day_only_administrators_get_in() -> None:
    for role in PEOPLE:
        facts = replace(STUDENT, roles=frozenset({role}), live_on=date(2026, 9, 2))
        expected = None if role in ADMINISTRATORS else RefusalReason.NOT_LIVE_YET
        assert decide(facts, SignInMethodName.GOOGLE, NOW) is expected


@pytest.mark.parametrize(
    ("time_zone", "is_in"),
    [("UTC", True), ("Pacific/Auckland", True), ("America/Chicago", False)],
)
def test_the_day_begins_where_the_tenant_is(time_zone: str, is_in: bool) -> None:
    facts = replace(STUDENT, live_on=date(2026, 9, 1), time_zone=time_zone)
    assert (decide(facts, SignInMethodName.GOOGLE, NOW) is None) is is_in


@pytest.mark.parametrize("role", [CallerRole.DISTRICT_ADMIN, CallerRole.SCHOOL_ADMIN])
def test_administrators_rostered_from_clever_use_clever(role: CallerRole) -> None:
    every = frozenset(SignInMethodName)
    facts = Facts(roles=frozenset({role}), methods=every, is_of_clever=True)
    assert decide(facts, SignInMethodName.CLEVER, NOW) is None
    for method in every - {SignInMethodName.CLEVER}:
        assert decide(facts, method, NOW) is RefusalReason.MUST_USE_CLEVER
    imported = replace(facts, is_of_clever=False)
    assert decide(imported, SignInMethodName.PASSWORD, NOW) is None


def test_a_super_admin_has_the_password_even_where_it_is_off() -> None:
    facts = Facts(roles=frozenset({CallerRole.SUPER_ADMIN}), methods=frozenset())
    assert decide(facts, SignInMethodName.PASSWORD, NOW) is None


def test_who_has_no_role_does_not_get_in() -> None:
    facts = replace(STUDENT, roles=frozenset())
    assert decide(facts, SignInMethodName.GOOGLE, NOW) is RefusalReason.NO_ROLE


def test_every_reason_has_words_for_both_sides() -> None:
    for reason in RefusalReason:
        assert explain(reason).endswith(".")
        assert explain_to_administrator(reason).endswith(".")
    told = explain(RefusalReason.NOT_LIVE_YET, live_on=date(2026, 9, 2))
    assert "September 2, 2026" in told
