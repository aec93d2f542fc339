"""Deciding: what waits, from numbers alone."""

import json
from collections.abc import Mapping
from typing import Any

from domain.roster.records import RecordType, Role
from domain.sync.decide import (
    FEW,
    Churn,
    Facts,
    Limits,
    SchoolCounts,
    TypeCounts,
    Verdict,
    decide,
    seats_short,
)
from domain.validation.codes import Code

USER = RecordType.USER


def codes(numbers: TypeCounts, record_type: RecordType = USER) -> list[tuple[Code, int, int]]:
    verdict = decide({record_type: numbers})
    return [(reason.code, reason.archived, reason.stored) for reason in verdict.reasons]


def test_unseen_archives_of_a_rule_wait_beyond_ten_and_a_tenth() -> None:
    sharing = Code.HOLD_SHARING_CHANGE
    assert codes(TypeCounts(50, 0, 20, left_out=FEW, watched=0)) == []
    assert codes(TypeCounts(50, 0, 20, left_out=FEW + 1, watched=0)) == [(sharing, 11, 50)]
    assert codes(TypeCounts(110, 0, 20, left_out=FEW + 1, watched=0)) == []
    assert codes(TypeCounts(109, 0, 20, left_out=FEW + 1, watched=0)) == [(sharing, 11, 109)]
    assert codes(TypeCounts(1000, 0, 300, left_out=100, watched=0)) == []
    assert codes(TypeCounts(1000, 0, 300, left_out=101, watched=0)) == [(sharing, 101, 1000)]


def test_archives_wait_beyond_ten_and_a_tenth() -> None:
    deletes = Code.HOLD_DELETES
    assert codes(TypeCounts(20, 0, FEW)) == []
    assert codes(TypeCounts(20, 0, FEW + 1)) == [(deletes, 11, 20)]
    assert codes(TypeCounts(1000, 0, 100)) == []
    assert codes(TypeCounts(1000, 0, 101)) == [(deletes, 101, 1000)]
    # Of 300 only 20 count, out of 150: the others are of groups that are over.
    assert codes(TypeCounts(1000, 0, 300, watched=20, watched_of=150)) == [(deletes, 20, 150)]
    assert codes(TypeCounts(1000, 0, 300, watched=15, watched_of=150)) == []


def test_updates_wait_beyond_three_quarters() -> None:
    updates = Code.HOLD_UPDATES
    assert codes(TypeCounts(10, 0, 0, updated=10)) == []
    assert codes(TypeCounts(1000, 0, 0, updated=750)) == []
    assert codes(TypeCounts(1000, 0, 0, updated=751)) == [(updates, 751, 1000)]


def test_a_school_waits_alone_unless_the_whole_tenant_does() -> None:
    north = SchoolCounts("north", stored=30, archived=11)
    south = SchoolCounts("south", stored=300, archived=11)
    facts = Facts(schools={USER: [north, south]})

    def schools(numbers: TypeCounts) -> list[Any]:
        verdict = decide({USER: numbers}, facts)
        return [(reason.archived, reason.stored, reason.school_id) for reason in verdict.reasons]

    assert schools(TypeCounts(1000, 0, 22)) == [(11, 30, "north")]
    assert schools(TypeCounts(100, 0, 22)) == [(22, 100, None)]


def test_a_tenant_may_set_its_own_limits_or_want_all_or_nothing() -> None:
    counts = {USER: TypeCounts(1000, 0, 3)}
    strict = {USER: Limits(archive_count=2, archive_percent=0)}
    [reason] = decide(counts, limits=strict).reasons
    assert (reason.code, reason.archived) == (Code.HOLD_DELETES, 3)
    assert decide(counts, limits=strict).holds_all is False
    assert decide(counts, limits=strict, holds_everything=True).holds_all is True
    assert decide(counts, holds_everything=True) == Verdict()


def test_nothing_at_all_is_applied_where_a_feed_is_not_what_it_seems() -> None:
    users = {USER: TypeCounts(1000, 5, 0)}
    for facts in (
        Facts(is_first=True),
        Facts(churn=[Churn(USER, 300, 290)]),
        Facts(unknown_schools=["Nroth"]),
    ):
        assert decide(users, facts).holds_all is True
    for facts in (Facts(changed_roles=1), Facts(vanished_schools=["s1"]), Facts(unmatched=3)):
        verdict = decide(users, facts)
        assert (verdict.is_held, verdict.holds_all) == (True, False)
    empty = {RecordType.TERM: TypeCounts(3, 0, 3, is_empty=True)}
    assert decide(empty).holds_all is True


def test_only_so_many_get_a_licence_as_are_free() -> None:
    assert seats_short(limit=None, staying=10, arriving=5) == 0
    assert seats_short(limit=15, staying=10, arriving=5) == 0
    assert seats_short(limit=14, staying=10, arriving=5) == 1
    # The limit was lowered: nobody who is there loses a licence, and nobody gets one.
    assert seats_short(limit=8, staying=10, arriving=5) == 5


def test_an_empty_answer_waits_if_anything_is_stored() -> None:
    for record_type in RecordType:
        assert codes(TypeCounts(1, 0, 1, is_empty=True), record_type) == [
            (Code.HOLD_TYPE_EMPTY, 1, 1)
        ]
        assert codes(TypeCounts(0, 0, 0, is_empty=True), record_type) == []
        assert codes(TypeCounts(1, 0, 1), record_type) == []


def test_each_unknown_school_is_a_reason() -> None:
    counts = {RecordType.SCHOOL: TypeCounts(5, 0, 2)}
    verdict = decide(counts, Facts(unknown_schools=["Nroth", "s8"]))
    assert json.loads(verdict.as_json()) == [
        {"code": "CONN_SCHOOL_NOT_FOUND", "record_type": "SCHOOL", "count": 2, "of": 5,
         "value": value}
        for value in ("Nroth", "s8")
    ]  # fmt: skip
    assert decide(counts).is_held is False


def test_all_teachers_gone_is_a_reason_unless_there_are_few_or_everybody_goes() -> None:
    some = {USER: TypeCounts(500, 0, 40, watched=0)}

    def reasons(numbers: TypeCounts, counts: Mapping[RecordType, TypeCounts] = some) -> list[Any]:
        verdict = decide(counts, Facts(roles={Role.TEACHER: numbers}))
        return [(reason.archived, reason.stored, reason.value) for reason in verdict.reasons]

    assert reasons(TypeCounts(40, 0, 40)) == [(40, 40, "TEACHER")]
    assert reasons(TypeCounts(FEW, 0, FEW)) == []
    assert reasons(TypeCounts(1, 0, 1, is_empty=True)) == [(1, 1, "TEACHER")]
    everybody = {USER: TypeCounts(500, 0, 500, watched=0)}
    assert reasons(TypeCounts(40, 0, 40), everybody) == [(500, 500, None)]
